"""Erase posts, or a whole account, from every object and every version that S3 keeps.

The bucket's owner runs it: the pipeline's role may delete nothing. But that role can write every object that
the command reads, so those alone prove nothing: see deploy/evidence.py and deploy/shares.py. The command
shows what it would erase, account by account, and then asks to confirm. It can be stopped at any moment:
the next run continues, also with earlier erasures that were not finished.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy import evidence
from deploy.__main__ import CannotDo, Stack
from deploy.shares import Shares, Table, table_of
from deploy.traces import (
    CSV,
    FORMAT_ERRORS,
    LINES,
    PARQUET,
    RESPONSE,
    Files,
    NotReadable,
    Trace,
    receipt_of,
    redact,
    snapshot_receipt_of,
    traces,
)
from include.twitter import layout
from include.twitter.day import Day
from include.twitter.identities import known_accounts
from include.twitter.layout import ACCOUNTS, FORGOTTEN
from include.twitter.records import (
    Checked,
    Erasure,
    ErasureLog,
    LeaseHolder,
    Manifest,
    PurchaseState,
    Record,
    Tombstone,
    Why,
    decoded,
    encoded,
)
from include.twitter.safe_text import LONGEST_MESSAGE, safe_text
from include.twitter.tombstones import Tombstones

PLACES = ("twitter/", "twitter_", "staging/")
"""Prefixes of objects with posts. Logs, releases and other objects of the bucket have none."""
SUFFIXES = (RESPONSE, LINES, PARQUET, CSV)
"""Suffixes of objects with posts, in the order in which a day's objects are rewritten."""
DAY = re.compile(r"/dt=(\d{4}-\d\d-\d\d)/")
RUN = re.compile(r"staging/.*/run=[^/]+/")
MANIFEST = re.compile(r"twitter_raw/dt=[^/]+/buy=\d+/manifest\.json")
POST = re.compile(r"(?:https://\S+/status/)?([0-9]{1,19})")
SNAPSHOT_FILE = re.compile(r"twitter_engagement(?:_parquet)?/(dt=[^/]+/age=(\d+)/)")
"""Keys of the files of snapshots."""
MAX_PERCENT = 10
"""Percent of a day's or an account's posts that one confirmation is enough for."""
MAX_WORKERS = 16
MAX_VERSIONS_PER_DELETE = 1_000
"""Versions that S3 deletes in one request."""
DENIED_CODES = {"AccessDenied", "403"}
CONFLICT_CODES = {"PreconditionFailed", "ConditionalRequestConflict", "412"}


class Version(NamedTuple):
    """One version of an object, or the mark that it was deleted."""

    key: str
    id: str
    is_latest: bool
    is_mark: bool
    stored_at: datetime
    """The time that S3 recorded: no writer can choose it."""


class StoredObject(NamedTuple):
    data: bytes
    tag: str
    media_type: str


class VersionedBucket:
    """The bucket with all versions of its objects, as its owner sees it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self.name = client, name

    def versions(self, prefix: str) -> list[Version]:
        """All below a prefix, the newest of a key first."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
        return [
            Version(
                item["Key"],
                item["VersionId"],
                item["IsLatest"],
                kind == "DeleteMarkers",
                item["LastModified"],
            )
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for item in page.get(kind, ())
        ]

    def read(self, key: str, version: str | None = None) -> StoredObject | None:
        """Return an object, or one version of it; None if it does not exist."""
        which = {"VersionId": version} if version else {}
        try:
            found = self._client.get_object(Bucket=self.name, Key=key, **which)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                return None
            raise
        return StoredObject(found["Body"].read(), found["ETag"], found["ContentType"])

    def put(self, key: str, data: bytes, over: StoredObject | None) -> None:
        """Replace the object that was read."""
        condition = {"IfMatch": over.tag} if over else {"IfNoneMatch": "*"}
        media_type = over.media_type if over else "application/json"
        self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=media_type, **condition)

    def purge(self, versions: Iterable[Version]) -> None:
        """Delete versions for good."""
        named = [{"Key": version.key, "VersionId": version.id} for version in versions]
        for start in range(0, len(named), MAX_VERSIONS_PER_DELETE):
            asked = {"Objects": named[start : start + MAX_VERSIONS_PER_DELETE], "Quiet": True}
            said = self._client.delete_objects(Bucket=self.name, Delete=asked)
            if errors := said.get("Errors"):
                raise CannotDo(
                    f"AWS has not deleted {len(errors)} versions, the first is {errors[0]['Key']}: "
                    f"{errors[0].get('Message') or errors[0]['Code']}. Run this again with the rights to."
                )


@dataclass
class Search:
    """The result of a search through every version."""

    versions: list[Version]
    traces: dict[Version, list[Trace]] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    """Every version of every day's table."""

    @property
    def ids(self) -> set[str]:
        """Of the posts that were found, and all their versions."""
        return {id_ for found in self.traces.values() for trace in found for id_ in trace.ids}

    @property
    def posts(self) -> set[str]:
        """The ids of the posts themselves."""
        return {trace.ids[0] for found in self.traces.values() for trace in found if trace.is_post}

    @property
    def days(self) -> dict[str, list[Version]]:
        """The versions that hold something, by day; what is of no day under an empty one."""
        of_day = defaultdict(list)
        for version in self.traces:
            of_day[_day_of(version.key)].append(version)
        return dict(sorted(of_day.items()))


@dataclass
class ErasureRequest:
    """The posts and the account to erase."""

    posts: Collection[str] = ()
    account: str | None = None
    gone: Collection[str] = ()

    def erasures(self, known: Tombstones, at: datetime) -> list[Erasure]:
        """Return the erasures for everything that is not erased yet, without their days."""
        wishes: list[tuple[Why, set[str], str | None]] = [
            ("requested", {*self.posts} - known.posts.keys(), None),
            ("gone", {*self.gone} - known.posts.keys(), None),
        ]
        erasures = [Erasure(at=at, why=why, posts=sorted(ids), days=[]) for why, ids, _ in wishes if ids]
        if self.account and self.account not in known.accounts:
            erasures.append(Erasure(at=at, why="account", posts=[], account=self.account, days=[]))
        return erasures


class Forgetter:
    """The steps, in their order; each leaves the bucket so that all can be done again."""

    def __init__(self, bucket: VersionedBucket, say: Callable[[str], None] | None = None) -> None:
        self.bucket, self._say = bucket, say or _show
        self._kept = bucket.read(FORGOTTEN)
        with _parsing(FORGOTTEN):
            self._before = Tombstones.of(self._kept and self._kept.data)
        self.tombstones = self._before

    def look(self, asked: ErasureRequest, at: datetime) -> Search:
        """Find all objects of the request and of unfinished earlier erasures; nothing is changed."""
        erasures = asked.erasures(self._before, at)
        while True:  # until no version of a post, and no post of an account, is new
            self.tombstones = Tombstones([*self._before.erasures, *erasures])
            found = self._search()
            if found.ids <= self.tombstones.posts.keys():
                erasures = [_with_days(erasure, found) for erasure in erasures]
                self.tombstones = Tombstones([*self._before.erasures, *erasures])
                return found
            erasures = _with_versions(erasures, self._before, found, at)

    def _search(self) -> Search:
        every = [version for place in PLACES for version in self.bucket.versions(place)]
        search = Search(every)
        kept = [version for version in every if not version.is_mark and version.key.endswith(SUFFIXES)]
        with ThreadPoolExecutor(MAX_WORKERS) as pool:
            for version, (found, table) in zip(kept, pool.map(self._look_at, kept), strict=True):
                if found:
                    search.traces[version] = found
                if table:
                    search.tables.append(table)
        return search

    def _look_at(self, version: Version) -> tuple[list[Trace], Table | None]:
        found = self.bucket.read(version.key, version.id)
        if not found:
            return [], None
        traced = traces(version.key, found.data, self.tombstones)
        return traced, table_of(version.key, found.data, self._not_begun(traced))

    def _not_begun(self, traced: Iterable[Trace]) -> set[str]:
        """The posts that no earlier erasure names: earlier ones were confirmed."""
        return {trace.ids[0] for trace in traced if trace.is_post} - self._before.posts.keys()

    def tell(self, found: Search) -> None:
        """Show what would be erased."""
        touched = {version.key for version in found.traces}
        days = [day for day in found.days if day]
        span = f" of {len(days)} days, {days[0]} to {days[-1]}" if days else ""
        self._say(
            f"{len(found.posts)} posts{span}, found in {len(touched)} objects of s3://{self.bucket.name}:"
        )
        versions = Counter(_place(version.key) for version in found.versions if version.key in touched)
        objects = Counter(map(_place, touched))
        for place, number in sorted(objects.items()):
            self._say(f"  {place:22} {number:6} objects, {versions[place]:6} versions")
        shares = Shares(found.tables)
        if shares.posts:
            self._say("By account and day, of all that has landed:")
        for line in shares.lines():
            self._say(line)
        if nowhere := sorted(self._new_posts() - found.posts):
            self._say(f"Not in the bucket, and kept from landing: {', '.join(nowhere)}")

    def number_of_new(self, found: Search) -> int:
        """Return how many posts would be erased that no earlier erasure names."""
        return len(self._not_begun(trace for traced in found.traces.values() for trace in traced))

    def above(self, found: Search, most: int) -> list[str]:
        """Return the reasons why one confirmation is not enough, if there are any."""
        landed = {post for table in found.tables for post in table.going}
        traced = (trace for of_version in found.traces.values() for trace in of_version)
        others = self._not_begun(trace for trace in traced if not landed & {*trace.ids})
        why = Shares(found.tables).above(most)
        return why + ([f"posts that no version of a day's table holds: {len(others)}"] if others else [])

    def _new_posts(self) -> set[str]:
        asked = [
            erasure
            for erasure in self.tombstones.erasures[len(self._before.erasures) :]
            if not erasure.account
        ]
        return {id_ for erasure in asked for id_ in erasure.posts}

    def forget(self, found: Search, at: datetime) -> None:
        """Do it: tombstones, then what is staged, then day by day objects, receipt, old versions."""
        self.require_quiet(at)
        if len(self.tombstones.erasures) > len(self._before.erasures):
            self.bucket.put(FORGOTTEN, encoded(ErasureLog(erasures=self.tombstones.erasures)), self._kept)
        self.require_quiet(at)  # who begins from here on knows the tombstones
        self._unstage(found)
        for number, (day, versions) in enumerate(found.days.items(), 1):
            self._say(f"{day or 'of no day'} ({number} of {len(found.days)})")
            self._forget_day(day, versions, found)

    def require_quiet(self, at: datetime) -> None:
        """Raise CannotDo while posts are bought, fetched for a snapshot or published.

        A task that started before the tombstones were written could store one of these posts.
        """
        for version in self.bucket.versions("staging/"):
            if version.is_latest and not version.is_mark and version.key.endswith("/lease.json"):
                lease = self.bucket.read(version.key)
                expires_at = lease and _decode_record(version.key, lease.data, LeaseHolder).expires_at
                if expires_at and at < expires_at:
                    raise CannotDo(
                        f"{version.key} is held at this moment: nothing of any day is removed. "
                        "Run this again in some minutes."
                    )
        for version in self.bucket.versions("twitter_raw/"):
            if version.is_latest and MANIFEST.fullmatch(version.key):
                manifest = self.bucket.read(version.key)
                purchase = manifest and _decode_record(version.key, manifest.data, Manifest)
                if purchase and purchase.state(at) is PurchaseState.LEASED:
                    raise CannotDo(
                        f"{version.key} is being bought at this moment: nothing of any day is removed. "
                        "Run this again when `extract` has ended."
                    )

    def _unstage(self, found: Search) -> None:
        """Delete candidates of which one holds something, run by run: clearing `transform` makes them."""
        runs = {staged[0] for version in found.traces if (staged := RUN.match(version.key))}
        for run in sorted(runs):
            holding = [version for version in found.traces if version.key.startswith(run)]
            others = [version for version in self.bucket.versions(run) if version not in holding]
            self.bucket.purge([*others, *holding])  # those that tell of the others last

    def _forget_day(self, day: str, versions: list[Version], found: Search) -> None:
        keys = {version.key for version in versions if not RUN.match(version.key)}
        for key in sorted(keys, key=_order):
            self._rewrite(key)
        snapshots = {read[1] for key in keys if (read := SNAPSHOT_FILE.match(key))}
        receipts = [f"twitter_engagement_receipts/{reading}receipt.json" for reading in sorted(snapshots)]
        for receipt in receipts:
            self._renew(receipt, lambda data, files: snapshot_receipt_of(data, files, self.tombstones))
        if day:
            self._unlist(layout.checked(Day.parse(day)))
            receipts += [layout.checked(Day.parse(day)), layout.receipt(Day.parse(day))]
            gone = _gone(Day.parse(day), versions, found)
            self._renew(receipts[-1], lambda data, files: receipt_of(data, files, gone, self.tombstones))
        for key in [*receipts, *sorted(keys)]:  # what a receipt is of tells that it is to be renewed
            self._purge_all_but_the_newest(key)

    def _rewrite(self, key: str) -> None:
        """Replace an object by its redacted form."""
        now = self.bucket.read(key)
        if now and traces(key, now.data, self.tombstones):
            self.bucket.put(key, redact(key, now.data, self.tombstones), now)

    def _renew(self, key: str, made: Callable[[bytes, Files], bytes]) -> None:
        """Update a receipt to its current files, if all of them exist."""
        if (now := self.bucket.read(key)) is None:
            return
        with _parsing(key):
            keys = {name: str(item["key"]) for name, item in json.loads(now.data)["objects"].items()}
        found = {name: self.bucket.read(of_file) for name, of_file in keys.items()}
        files = {name: (file.data, file.tag) for name, file in found.items() if file}
        if len(files) < len(keys):
            return
        with _parsing(key):
            renewed = made(now.data, files)
        if renewed != now.data:
            self.bucket.put(key, renewed, now)

    def _unlist(self, key: str) -> None:
        """Remove erased posts from the day's compliance report."""
        if now := self.bucket.read(key):
            checked = _decode_record(key, now.data, Checked)
            left = [post for post in checked.gone if post.tweet_id not in self.tombstones.posts]
            if left != checked.gone:
                self.bucket.put(key, encoded(msgspec.structs.replace(checked, gone=left)), now)

    def _purge_all_but_the_newest(self, key: str) -> None:
        versions = [version for version in self.bucket.versions(key) if version.key == key]
        is_there = any(version.is_latest and not version.is_mark for version in versions)
        self.bucket.purge(version for version in versions if not (is_there and version.is_latest))

    def prove(self) -> None:
        """Search every object and version once more."""
        found = self._search()
        if found.traces:
            raise CannotDo(
                f"{len(found.traces)} versions hold something of it again, the first is "
                f"{next(iter(found.traces)).key}: somebody wrote them meanwhile. Run this again."
            )
        self._say(f"Searched all {len(found.versions)} versions of all objects: nothing of it is there.")


def _gone(day: Day, versions: Iterable[Version], found: Search) -> set[Tombstone]:
    """What is left of the posts that any version of the day's table held, or of its rejected posts."""
    held = (version for version in versions if version.key in (layout.csv(day), layout.rejected(day)))
    return {trace.tombstone for version in held for trace in found.traces[version]}


def _with_days(erasure: Erasure, found: Search) -> Erasure:
    """The erasure with the days in which something of it was found."""
    its = Tombstones([erasure])
    days = {
        _day_of(version.key)
        for version, traced in found.traces.items()
        for trace in traced
        if its.of_ids(trace.ids, trace.tombstone.id)
    }
    return msgspec.structs.replace(erasure, days=sorted(days - {""}))


def _with_versions(erasures: list[Erasure], before: Tombstones, found: Search, at: datetime) -> list[Erasure]:
    """The erasures with all ids that were found: each goes to the erasure that its tombstone is of."""
    known = Tombstones([*before.erasures, *erasures])
    ids: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for trace in (trace for traced in found.traces.values() for trace in traced):
        account = trace.tombstone.id if trace.tombstone.why == "account" else None
        ids[trace.tombstone.why, account] |= {*trace.ids} - known.posts.keys()
    more = []
    for erasure in erasures:
        more.append(
            msgspec.structs.replace(
                erasure, posts=sorted({*erasure.posts, *ids.pop((erasure.why, erasure.account), ())})
            )
        )
    for (why, account), new in ids.items():  # of what was begun before
        if new:
            more.append(Erasure(at=at, why=why, posts=sorted(new), account=account, days=[]))  # type: ignore[arg-type]
    return more


def _day_of(key: str) -> str:
    found = DAY.search(key)
    try:
        return str(Day.parse(found[1])) if found else ""
    except ValueError:  # a date that no calendar has: it was not written by the pipeline
        return ""


def _decode_record(key: str, data: bytes, kind: type[Record]) -> Record:
    with _parsing(key):
        return decoded(data, kind)


@contextmanager
def _parsing(key: str) -> Iterator[None]:
    """Turn what a parser raises into a NotReadable, which names the object and the remedy."""
    try:
        yield
    except FORMAT_ERRORS as error:
        raise NotReadable(
            f"{key} cannot be read ({error}): restore its previous version, or delete it if the pipeline did "
            "not write it. Then run this again."
        ) from error


def _place(key: str) -> str:
    return key.partition("/")[0] + "/"


def _order(key: str) -> tuple[int, str]:
    """What others are made of goes first, the table last."""
    return next(number for number, kind in enumerate(SUFFIXES) if key.endswith(kind)), key


# What is asked for


def posts_named(text: str) -> list[str]:
    """The ids in a text: numbers or links, with blanks or commas between."""
    named = [each for each in re.split(r"[\s,]+", text) if each]
    if wrong := [each for each in named if not POST.fullmatch(each)]:
        raise CannotDo(f"{wrong[0]!r} is no post. Example: POST=1859287304958390272, the column tweet_id.")
    return [found[1] for each in named if (found := POST.fullmatch(each))]


def account_named(bucket: VersionedBucket, text: str) -> str | None:
    """The id of the account that a handle is, or was when it was looked up last."""
    handle = text.strip().lstrip("@")
    if not handle:
        return None
    kept = bucket.read(ACCOUNTS)
    with _parsing(ACCOUNTS):
        known = known_accounts(kept and kept.data)
    if handle.lower() in known:
        return known[handle.lower()].id
    if handle.isascii() and handle.isdecimal():
        return handle
    raise CannotDo(
        f"no account {handle!r} is remembered: name its id, the column author_id. Example: HANDLE=11348282"
    )


def posts_gone(bucket: VersionedBucket, say: Callable[[str], None] = print) -> set[str]:
    """The posts that X's stored responses prove gone; what does not count is said."""
    found = evidence.load_evidence(bucket)
    for line in found.ignored:
        say(f"Ignored: {line}")
    if found.waiting:
        say(
            f"{len(found.waiting)} posts were found gone on one UTC day alone, and stay: it takes a response "
            "of another day. Trigger `twitter_compliance` tomorrow, or name them: POST=…"
        )
    return found.gone


def run(
    bucket: VersionedBucket,
    asked: ErasureRequest,
    *,
    confirm: Callable[[], bool] | None,
    at: datetime,
    most: int = MAX_PERCENT,
    confirm_number: Callable[[int], bool] = lambda _: False,
) -> None:
    """Show, ask, do, and search again; without `confirm` it is shown alone.

    Where more than `most` percent of a day's or an account's posts would go, `confirm_number` is asked too,
    with the number of all posts that would.
    """
    forgetter = Forgetter(bucket)
    found = forgetter.look(asked, at)
    forgetter.tell(found)
    number = forgetter.number_of_new(found)
    above = forgetter.above(found, most)
    if above:
        _show(f"This is more than {most} % of a day's or an account's posts, and takes CONFIRM={number}:")
        for line in above:
            _show(f"  {line}")
    if confirm is None:
        return
    if not confirm():
        raise CannotDo("nothing was changed.")
    if above and not confirm_number(number):
        raise CannotDo(
            f"nothing was changed: {number} posts would go, more than {most} % of a day's or an account's. "
            f"Look at the days and accounts above. If all of it shall go, add CONFIRM={number}."
        )
    forgetter.forget(found, at)
    forgetter.prove()


# The command


def _argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.forget", description=__doc__)
    parser.add_argument("--stack", default="twitter", help="whose bucket it is; env STACK")
    parser.add_argument("--bucket", help="the bucket, where no stack has made it")
    parser.add_argument("--post", default="", help="ids of posts, or their links")
    parser.add_argument("--handle", default="", help="an account, or its id")
    parser.add_argument(
        "--gone", action="store_true", help="all posts that X's responses of two days call gone"
    )
    parser.add_argument(
        "--most",
        default=MAX_PERCENT,
        type=_percent,
        metavar="PERCENT",
        help="of a day or an account without --confirm",
    )
    parser.add_argument(
        "--confirm", type=int, metavar="POSTS", help="how many posts shall go, where it is more"
    )
    parser.add_argument("--dry", action="store_true", help="show it, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _show(text: object, file: TextIO | None = None) -> None:
    """Print a line: ids and keys of the bucket are no text of ours."""
    print(safe_text(text, LONGEST_MESSAGE), file=file)


def _percent(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0 to 100, like 10")
    return int(text)


def _confirmed(name: str) -> bool:
    print("This cannot be undone.")
    return _typed(f"Type {name} to forget it: ") == name


def _confirmed_number(number: int, given: int | None) -> bool:
    if given is not None:
        return given == number
    return _typed(f"Type {number} to forget that many posts: ") == str(number)


def _typed(question: str) -> str:
    """What a person answers; nothing where there is nobody."""
    try:
        return input(question).strip()
    except EOFError:
        return ""


def main() -> int:
    given = _argument_parser().parse_args()
    try:
        name = given.bucket or Stack(given.stack).output("BucketName")
        bucket = VersionedBucket(boto3.client("s3", config=Config(max_pool_connections=MAX_WORKERS)), name)
        gone = posts_gone(bucket) if given.gone else ()
        asked = ErasureRequest(posts_named(given.post), account_named(bucket, given.handle), gone)
        confirm = None if given.dry else lambda: given.yes or _confirmed(name)
        run(
            bucket,
            asked,
            confirm=confirm,
            at=datetime.now(UTC).replace(microsecond=0),
            most=given.most,
            confirm_number=lambda number: _confirmed_number(number, given.confirm),
        )
    except (CannotDo, NotReadable) as error:
        _show(error, sys.stderr)
        return 1
    except ClientError as error:
        _show(_aws_message(error), sys.stderr)
        return 1
    except BotoCoreError as error:
        _show(f"AWS says: {error}", sys.stderr)
        return 1
    return 0


def _aws_message(error: ClientError) -> str:
    code = error.response["Error"]["Code"]
    if code in DENIED_CODES:
        return (
            f"AWS denies {error.operation_name}: forgetting takes an owner's rights to the bucket, which the "
            "pipeline's role has not: s3:ListBucketVersions, s3:GetObjectVersion, s3:PutObject and "
            "s3:DeleteObjectVersion."
        )
    if code in CONFLICT_CODES:
        return "Somebody wrote the same object meanwhile: run this again, it goes on from here."
    return f"AWS says: {error}"


if __name__ == "__main__":
    sys.exit(main())
