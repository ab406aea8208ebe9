"""Raw answers → refined rows: one pass over each post, then whole columns.

Accounts are refined in batches of some thousand posts, since the work on columns costs the same for ten rows
as for a thousand; memory holds one batch, or one account where that is larger.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from include.twitter.answer import Answer, decoded, is_reply_to_self, is_unasked
from include.twitter.day import Day
from include.twitter.forgotten import NOTHING, Tombstones, buried
from include.twitter.records import Tombstone
from include.twitter.safe_text import safe_text
from include.twitter.transform import contract
from include.twitter.transform.contract import METRICS, MOMENT, STRING
from include.twitter.transform.post import ENTITY_KINDS, Malformed, Post, all_of, parsed, unknown_fields
from include.twitter.transform.text import readable

BATCH = 5_000
"""Posts after which a batch is closed."""


@dataclass(frozen=True)
class Source:
    """The answers bought for one account."""

    username: str
    author_id: str | None
    answers: Iterable[Answer]
    threads: bool = False
    """Whether its replies to itself are wanted too."""
    limit: int | None = None
    """The latest N of its day, where that is another than the others'."""


@dataclass
class Tally:
    """What became of the posts fetched for one account."""

    username: str
    counts: Counter[str]
    """fetched = published + rejected + duplicates + outside + over_limit + unasked + forgotten"""
    alarms: list[str] = field(default_factory=list)
    """What is published, but is not what it should be."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of the rejected posts."""
    oddities: Counter[str] = field(default_factory=Counter)
    """What was left out of the others, since it was not as it has to be."""
    drift: Counter[str] = field(default_factory=Counter)
    """Fields that X sent and nobody knows."""
    forgotten: set[Tombstone] = field(default_factory=set)
    """Of the posts that would be published or rejected."""
    first: str | None = None
    last: str | None = None


@dataclass
class Refined:
    """A batch: the rows of its accounts, in order."""

    rows: pd.DataFrame
    rejected: list[dict[str, Any]]
    tallies: list[Tally]


def batches(
    sources: Iterable[Source], *, day: Day, limit: int, forgotten: Tombstones = NOTHING
) -> Iterator[Refined]:
    """Refine the accounts in the order given; `limit` is the latest N of an account's day, 0 is all."""
    batch = _Batch(forgotten)
    for source in sources:
        batch.read(source)
        if batch.size >= BATCH:
            yield batch.refined(day, limit)
            batch = _Batch(forgotten)
    if batch.tallies:
        yield batch.refined(day, limit)


class _Batch:
    """The posts of some accounts, read one by one and refined together.

    A forgotten post goes all the way, as an empty one, and is left out at the end: no other takes its place.
    """

    def __init__(self, forgotten: Tombstones) -> None:
        self._tombstones = forgotten
        self._forgotten: dict[int, Tombstone] = {}
        self.tallies: list[Tally] = []
        self._pages: list[tuple[int, Answer]] = []
        self._owners: list[int] = []
        self._limits: list[int | None] = []
        self._cells: list[Any] = []  # row after row: of tuples the garbage collector would look through each
        self._reasons: dict[int, str] = {}
        self._alarms: dict[int, str] = {}
        self._unfilled: dict[int, set[str]] = {}
        """Copies of posts that lack fields which X could not fill."""
        self._unasked: dict[int, str] = {}
        """Ids of retweets and replies."""

    @property
    def size(self) -> int:
        return sum(tally.counts["fetched"] for tally in self.tallies)

    def read(self, source: Source) -> None:
        """The one pass over each post; its number is its place among all that came."""
        owner = len(self.tallies)
        tally = Tally(source.username, Counter())
        self.tallies.append(tally)
        self._limits.append(source.limit)
        for answer in source.answers:
            about = (owner, source.author_id, source.username, answer.received_at)
            first = len(self._owners)
            posts = answer.sent if answer.has_unfilled else all_of(answer.content) or answer.sent
            self._pages.append((first, answer))
            self._owners += [owner] * len(posts)
            for number, post in enumerate(posts, first):
                known = post if self._is_plain(post) else decoded(self._sent(number))
                tally.counts["fetched"] += 1
                if isinstance(known, Post):
                    self._keep(number, about, known)
                else:
                    self._take(number, about, known, source.threads, answer.unfilled_of(known))

    def _is_plain(self, post: object) -> bool:
        """Whether nothing has to be told of it: it is sound, neither forgotten nor unasked."""
        if not isinstance(post, Post):
            return False
        if not (post.references or self._tombstones.acts):
            return True
        return not is_unasked(post.head) and not self._tombstones.of_post(post.head)

    def _take(self, number: int, about: tuple[Any, ...], raw: Any, threads: bool, unfilled: set[str]) -> None:
        """A post of which something has to be told."""
        tally = self.tallies[about[0]]
        if tombstone := self._tombstones.of_post(raw):
            self._forgotten[number] = tombstone
            raw = buried(raw, tombstone, text="")
        elif unfilled:
            self._unfilled[number] = unfilled
        if is_unasked(raw, unfilled) and not (threads and is_reply_to_self(raw)):
            self._unasked[number] = str(raw.get("id"))
            return
        try:
            post = parsed(raw, tally.oddities)
        except Malformed as reason:
            self._reasons[number] = str(reason)
            return
        self._keep(number, about, post, unfilled)
        if not tombstone and (unknown := unknown_fields(raw)):
            tally.drift.update(unknown)

    def _keep(self, number: int, about: tuple[Any, ...], post: Post, unfilled: Collection[str] = ()) -> None:
        values, alarm = record(post, unfilled)
        self._cells += (number, *about, *values)
        if alarm:
            self._alarms[number] = f"{safe_text(post.id, 40)}: {alarm}"

    def _sent(self, number: int) -> msgspec.Raw:
        first, answer = self._pages[bisect_right(self._pages, number, key=itemgetter(0)) - 1]
        return answer.sent[number - first]

    def refined(self, day: Day, limit: int) -> Refined:
        """The work on whole columns."""
        cells = {name: self._cells[place :: len(READ)] for place, name in enumerate(READ)}
        rows, superseded = self._without_superseded(typed(cells))
        rows = self._dated(rows)
        limits = [limit if own is None else own for own in self._limits]
        dropped = {}
        for name, step in (
            ("outside", lambda rows: within(rows, day)),
            ("breaches", lambda rows: self._sound(rows, day)),
            ("duplicates", latest_versions),
            ("over_limit", lambda rows: latest_posts(rows, limits)),
            ("forgotten", self._remembered),
        ):
            before, rows = rows, step(rows)
            dropped[name] = self._each(before["owner"]) - self._each(rows["owner"])
        del dropped["breaches"]  # they are rejected, as the malformed are
        dropped["published"] = self._each(rows["owner"])
        for owner, tally in enumerate(self.tallies):
            tally.counts.update({name: int(numbers[owner]) for name, numbers in dropped.items()})
        for number in superseded:
            self.tallies[self._owners[number]].counts["duplicates"] += 1
        for number in self._unasked:
            self.tallies[self._owners[number]].counts["unasked"] += 1
        for number, fields in self._unfilled.items():
            self.tallies[self._owners[number]].oddities.update(
                f"{name}: {UNFILLED}" for name in sorted(fields)
            )
        for number in self._forgotten.keys() & self._reasons.keys():
            del self._reasons[number]
            self._forget(number)
            self.tallies[self._owners[number]].counts["forgotten"] += 1
        for number in self._repeated_rejects():
            del self._reasons[number]
            self.tallies[self._owners[number]].counts["duplicates"] += 1
        for number, reason in self._reasons.items():
            self.tallies[self._owners[number]].counts["rejected"] += 1
            self.tallies[self._owners[number]].reasons[reason] += 1
        for number in sorted(self._alarms.keys() & set(rows.index)):
            self.tallies[self._owners[number]].alarms.append(self._alarms[number])
        spans = rows.groupby("owner")["created_at"].agg(["min", "max"])
        for owner, first, last in spans.itertuples():
            tally = self.tallies[owner]
            tally.first, tally.last = first.strftime(contract.MOMENTS), last.strftime(contract.MOMENTS)
        return Refined(rows[contract.NAMES], [self._rejected(n) for n in sorted(self._reasons)], self.tallies)

    def _without_superseded(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
        """The rows without copies that lack fields, where the same post also came with all of them.

        Also told are the numbers of such copies that made no row: they count as duplicates like the others.
        """
        if not self._unfilled:
            return rows, []
        found = dict(zip(rows.index, rows["tweet_id"], strict=True)) | self._unasked
        whole = {(self._owners[n], id_) for n, id_ in found.items() if n not in self._unfilled}
        numbers = [n for n in self._unfilled if (self._owners[n], self._id_of(n)) in whole]
        for number in numbers:
            del self._unfilled[number]
            self._unasked.pop(number, None)
            self._reasons.pop(number, None)
        return rows.drop(index=numbers, errors="ignore"), numbers

    def _id_of(self, number: int) -> str:
        return str(decoded(self._sent(number)).get("id"))

    def _dated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without the posts that belong to no day: they are rejected."""
        undated = rows["created_at"].isna()
        self._reasons.update(dict.fromkeys(rows.index[undated], "created_at: is no time"))
        return rows[~undated]

    def _sound(self, rows: pd.DataFrame, day: Day) -> pd.DataFrame:
        """Without the posts that break the contract: they take no place of a good one.

        What may be empty is emptied where it breaks it, and an odd first version is none.
        """
        breaches = contract.breaches(rows[contract.NAMES], day, rows["own_id"])
        mends = contract.OPTIONAL | {"original_tweet_id"}
        broken = {row: f"{column}: {what}" for row, column, what in breaches[::-1] if column not in mends}
        self._reasons |= broken
        rows = rows.drop(index=list(broken)) if breaches else rows
        for row, column, what in breaches:
            if row in broken:
                continue
            self.tallies[self._owners[row]].oddities[f"{column}: {what}"] += 1
            if column in contract.OPTIONAL:
                rows.loc[row, column] = pd.NA
            else:
                rows.loc[row, ["original_tweet_id", "is_edited"]] = rows.loc[row, "tweet_id"], False
        return rows

    def _remembered(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without what was forgotten."""
        forgotten = rows.index[rows.index.isin(self._forgotten.keys())]
        for number in forgotten:
            self._forget(number)
        return rows.drop(index=forgotten)

    def _forget(self, number: int) -> None:
        self.tallies[self._owners[number]].forgotten.add(self._forgotten[number])

    def _repeated_rejects(self) -> list[int]:
        """Those of the rejected whose post is rejected already: it came twice, as good ones do."""
        seen: set[tuple[int, str]] = set()
        repeated = []
        for number in sorted(self._reasons):
            post = decoded(self._sent(number))
            if isinstance(post, dict) and isinstance(post.get("id"), str):
                name = self._owners[number], post["id"]
                repeated += [number] if name in seen else []
                seen.add(name)
        return repeated

    def _each(self, owners: Iterable[int]) -> Any:
        """How many of each account."""
        return np.bincount(np.asarray(owners, dtype="int64"), minlength=len(self.tallies))

    def _rejected(self, number: int) -> dict[str, Any]:
        username = self.tallies[self._owners[number]].username
        return {"username": username, "reason": self._reasons[number], "post": decoded(self._sent(number))}


# One post

RECORD = (
    "tweet_id",
    "created_at",
    "text",
    *METRICS,
    "lang",
    "is_quote",
    "hashtags",
    "mentions",
    "cashtags",
    "urls",
    "author_id",
    "conversation_id",
    "original_tweet_id",
    "is_edited",
    "possibly_sensitive",
)
UNFILLED = "X reports that it could not fill it"
NONE: list[str] = []
"""Of whatever a post has none: one list for all, or the garbage collector would look through each."""


def record(post: Post, unfilled: Collection[str] = ()) -> tuple[tuple[Any, ...], str | None]:
    """The values of RECORD for one post, and what has to be known of the row beside them.

    A value that depends on an `unfilled` field is missing: nobody knows whether there is one.
    """
    written, entities = post.written
    text, urls, alarm = readable(post, written, list(entities.urls or ()))
    unknown: Collection[str] = ()
    if read := [name for name in sorted(unfilled) if name.partition(".")[0] in Post.__struct_fields__]:
        unknown = _unknown(post, unfilled)
        alarm = "; ".join(filter(None, [alarm, f"{', '.join(read)}: {UNFILLED}"]))
    values = (
        post.id,
        post.created_at,
        text.replace("\0", "\ufffd"),  # what reads C strings would take it for the end
        *post.counts,
        post.lang,
        None
        if "is_quote" in unknown
        else bool(post.references) and any(reference.type == "quoted" for reference in post.references),
        [hashtag.tag for hashtag in entities.hashtags] if entities.hashtags else _none("hashtags", unknown),
        [mention.username for mention in entities.mentions]
        if entities.mentions
        else _none("mentions", unknown),
        [cashtag.tag for cashtag in entities.cashtags] if entities.cashtags else _none("cashtags", unknown),
        urls or _none("urls", unknown),
        post.author_id,
        post.conversation_id,
        post.original_id,
        None if "is_edited" in unknown else post.is_edited,
        post.possibly_sensitive,
    )
    return values, alarm


def _none(column: str, unknown: Collection[str]) -> list[str] | None:
    return None if column in unknown else NONE


def _unknown(post: Post, unfilled: Collection[str]) -> set[str]:
    """The columns of which nobody knows whether they have a value, where they have none."""
    unknown = {name.split(".")[1] for name in unfilled if name.startswith("entities.")}
    cut = "note_tweet" in unfilled and post.may_be_cut  # then what follows has entities, or has none
    if cut or {"entities", "note_tweet.entities", "text"} & {*unfilled}:
        unknown |= {*ENTITY_KINDS}
    if "referenced_tweets" in unfilled:
        unknown.add("is_quote")
    if "edit_history_tweet_ids" in unfilled:
        unknown.add("is_edited")
    return unknown


# Whole columns

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
"""What X sends; pandas would also take `now`, and read a day without a time as its midnight."""
READ = ("post", "owner", "own_id", "username", "captured_at", *RECORD)
"""What is known of a post: its number and its account's, that one's id and name, when it came, and RECORD."""


def typed(cells: Mapping[str, list[Any]]) -> pd.DataFrame:
    """The columns of READ with the contract's types; a creation time that is none becomes missing."""
    read = {
        column.name: column.kind.array(cells[column.name])
        for column in contract.COLUMNS
        if column.name in READ and column.name != "created_at"
    }
    owner, own_id = np.array(cells["owner"], "int64"), STRING.array(cells["own_id"])
    rows = pd.DataFrame({"owner": owner, "own_id": own_id, **read}, index=cells["post"])
    created_at = pd.Series(STRING.array(cells["created_at"]), rows.index)
    moments = pd.to_datetime(
        created_at.where(created_at.str.fullmatch(TIME)), format="ISO8601", utc=True, errors="coerce"
    )
    return rows.assign(
        created_at=moments.astype(MOMENT.pandas),
        url="https://x.com/" + rows["username"] + "/status/" + rows["tweet_id"],
    )


def within(rows: pd.DataFrame, day: Day) -> pd.DataFrame:
    """The day's own: X's window is inclusive at both ends."""
    return rows[(rows["created_at"] >= day.start) & (rows["created_at"] < day.end)]


def latest_versions(rows: pd.DataFrame) -> pd.DataFrame:
    """Each post once, as its latest edit, in order: every version comes as a post of its own."""
    keys = rows[["owner", "created_at", "tweet_id", "original_tweet_id"]]
    ordered = keys.sort_values(["owner", "created_at", "tweet_id"], kind="stable")
    once = ordered.drop_duplicates(["owner", "tweet_id"], keep="last")
    return rows.loc[once.drop_duplicates(["owner", "original_tweet_id"], keep="last").index]


def latest_posts(rows: pd.DataFrame, limits: Sequence[int]) -> pd.DataFrame:
    """The last N rows of each account, by its owner's number; 0 is all."""
    most = rows["owner"].map({owner: limit or len(rows) for owner, limit in enumerate(limits)})
    return rows[rows.groupby("owner").cumcount(ascending=False) < most]
