"""One day's landed posts at one age: what X has answered of them is kept, and is not asked for again."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, KeysView, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow
import pyarrow.parquet

from include.twitter.answer import Answer, problems
from include.twitter.day import FORGOTTEN, Day, Revisit
from include.twitter.errors import Outage, UnexpectedAnswer
from include.twitter.extract.money import Budget, Caps, Stored
from include.twitter.extract.paid_requests import PaidRequests
from include.twitter.extract.x import POSTS_A_LOOKUP, X
from include.twitter.forgotten import Tombstones
from include.twitter.lake import Lake
from include.twitter.lease import Lease
from include.twitter.pricing import cost, dollars, would_have_cost
from include.twitter.records import Bought, Revisited, encoded, total

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)


class Landed(NamedTuple):
    """What the day's table has of a post."""

    username: str
    captured_at: datetime
    """When it was bought."""


def landed(lake: Lake, day: Day) -> dict[str, Landed]:
    """The posts of a landed day, in the order of its table, by id; without those that were forgotten."""
    columns = ["tweet_id", "username", "captured_at"]
    data = pyarrow.BufferReader(lake.required(day.parquet))
    with lake.parsing(day.parquet, "the day's Parquet table"):
        rows = pyarrow.parquet.read_table(data, columns=columns).to_pylist()
    known = forgotten(lake)
    return {
        row["tweet_id"]: Landed(row["username"], row["captured_at"])
        for row in rows
        if row["tweet_id"] not in known
    }


def forgotten(lake: Lake) -> KeysView[str]:
    """The ids of the posts that may be in no reading."""
    with lake.parsing(FORGOTTEN, "the list of what was forgotten"):
        return Tombstones.of(lake.read(FORGOTTEN)).posts.keys()


class Reading:
    """S3 is the cursor: every answer is written once, and tells which posts it was asked for."""

    def __init__(self, lake: Lake, revisit: Revisit, posts: Mapping[str, Landed]) -> None:
        self._lake, self.revisit, self._posts = lake, revisit, posts
        self._answered: set[str] = set()
        self._charged: dict[Day, set[str]] = defaultdict(set)
        """The posts that X has returned on a UTC day: it charges each once in it."""
        self.pages: list[str] = []
        self.stored = Stored()
        self.got_further = False
        """Whether something was staged that was not there."""
        for id_, post in posts.items():
            self._charged[Day.of(post.captured_at)].add(id_)
        listed = lake.parsed(lake.keys(f"{revisit.day.raw}age="), Revisit.is_page)
        keys = [key for key, is_page in listed.items() if is_page]
        for key, answer in zip(keys, lake.answers(keys), strict=True):
            self._take(key, answer)

    def _take(self, key: str, answer: Answer) -> None:
        """Note what was answered, also at other ages: what X has charged today is free at each of them."""
        sent_at = answer.sent_at or answer.received_at
        self._charged[Day.of(sent_at)] |= {post["id"] for post in answer.posts}
        if key.startswith(self.revisit.raw):
            self.pages.append(key)
            self._answered |= {*answer.params["ids"].split(",")}
            self.stored.add(answer)

    @property
    def missing(self) -> list[str]:
        """The landed posts that X was not asked for."""
        return [id_ for id_ in self._posts if id_ not in self._answered]

    def read(self, x: X, caps: Caps, clock: Callable[[], datetime], lease: Lease) -> None:
        """Ask for all that is missing, first for what is free, and say what there is."""
        revisit = self.revisit
        self._tell_price(clock())
        # Also where nothing is missing: a try that was killed has left its entry unsettled.
        with Budget(
            self._lake, (str(revisit.day), 0), caps, self.stored, clock, revisit.ledger, revisit.age
        ) as budget:
            requests = PaidRequests(budget, self)
            while left := self.missing:
                lease.require()  # what X answers is kept, whoever has the lease by then
                self._ask(x, requests, left, clock)
        said = Revisited(
            day=str(self.revisit.day),
            age=self.revisit.age,
            bought=self.stored.bought,
            mills=self.stored.mills,
            uncertain_usd=dollars(budget.uncertain_mills),
            pages=self.pages,
        )
        self._lake.write(self.revisit.manifest, encoded(said))
        self._tell_cost()

    def _ask(self, x: X, requests: PaidRequests, left: list[str], clock: Callable[[], datetime]) -> None:
        free = self._free(left, clock())
        ids = (free or left)[:POSTS_A_LOOKUP]
        number = int(self.pages[-1][-12:-8]) + 1 if self.pages else 1
        requests.ask(
            f"{number:04}",
            "rereads" if free else "posts",
            len(ids),
            1,
            lambda size: x.posts(ids[:size], free=bool(free)),
            lambda answer: _require_usable(answer, answer.params["ids"].split(",")),
        )

    def find(self, name: str) -> None:
        """Nothing: what is stored was gone over at first."""

    def store(self, name: str, answer: Answer) -> str:
        """Keep what X has answered, unless another process has."""
        key = f"{self.revisit.raw}{name}.json.gz"
        self._lake.swap(key, answer.to_bytes(), None)
        self._take(key, answer)
        self.got_further = True
        return key

    def _free(self, ids: list[str], now: datetime) -> list[str]:
        charged = self._charged[Day.of(now)]
        return [id_ for id_ in ids if id_ in charged]

    def _tell_price(self, now: datetime) -> None:
        if not (left := self.missing):
            return
        paid = Bought(posts=len(left) - len(self._free(left, now)))
        log.info("%s: %d posts, for at most $%.3f", self.revisit, len(left), dollars(cost(paid, now)))
        if late := (now - self.revisit.due_at) // HOUR:
            log.warning("%s was due at %s UTC: it is read %d hours late", self.revisit, self._due, late)

    @property
    def _due(self) -> str:
        return f"{self.revisit.due_at:%Y-%m-%d %H:%M}"

    def _tell_cost(self) -> None:
        bought, spent = total(self.stored.bought.values()), dollars(self.stored.total_mills)
        log.info("%s: %d posts were bought for $%.3f", self.revisit, bought.posts, spent)
        if bought.rereads:
            log.info(
                "%s: %d posts were free, since X had charged them on the same UTC day (it calls that a soft "
                "guarantee); on another day they would have cost $%.3f",
                self.revisit,
                bought.rereads,
                dollars(would_have_cost(self.stored.bought)),
            )


def _require_usable(answer: Answer, ids: list[str]) -> None:
    """Raise for an answer that tells nothing, or of which a part failed: it is not kept."""
    if answer.failure or not (answer.posts or problems(answer.body)):
        raise Outage(f"X could not look up all posts: {answer.failure or repr(answer.content[:200])}")
    posts = [post if isinstance(post, dict) else {} for post in answer.posts]
    if strange := [post.get("id") for post in posts if post.get("id") not in ids]:
        raise UnexpectedAnswer(f"X was asked for {len(ids)} posts by id, and sent others: {strange[:3]}.")
    if posts and not any(post.get("public_metrics") for post in posts):
        raise UnexpectedAnswer(
            f"X sent {len(answer.posts)} posts, none with `public_metrics`. Look before reading more: they "
            "are what is read for."
        )
