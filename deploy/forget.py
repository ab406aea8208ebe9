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
from include.twitter.layout import ACCOUNTS, TOMBSTONES
from include.twitter.records import (
    Checked,
    Erasure,
    ErasureLog,
    LeaseHolder,
    Manifest,
    PurchaseState,
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
"""Percent of a day's or an account's posts for which one confirmation is enough."""
MAX_WORKERS = 16
MAX_VERSIONS_PER_DELETE = 1_000
"""Versions that S3 deletes in one request."""
DENIED_CODES = {"AccessDenied", "403"}
CONFLICT_CODES = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
MISSING_CODES = {"NoSuchKey", "NoSuchVersion"}


class Version(NamedTuple):
    """One version of an object, or the mark that it was deleted."""

    key: str
    id: str
    is_latest: bool
    is_mark: bool
    stored_at: datetime
    """The time that S3 recorded: no writer can choose it."""

    @property
    def is_current(self) -> bool:
        """Whether readers get it."""
        return self.is_latest and not self.is_mark


class ObjectContent(NamedTuple):
    data: bytes
    etag: str
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

    def read(self, key: str, version: str | None = None) -> ObjectContent | None:
        """Return an object, or one version of it; None if it does not exist."""
        of_version = {"VersionId": version} if version else {}
        try:
            response = self._client.get_object(Bucket=self.name, Key=key, **of_version)
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING_CODES:
                return None
            raise
        return ObjectContent(response["Body"].read(), response["ETag"], response["ContentType"])

    def put(self, key: str, data: bytes, over: ObjectContent | None) -> None:
        """Replace the object that was read."""
        condition = {"IfMatch": over.etag} if over else {"IfNoneMatch": "*"}
        media_type = over.media_type if over else "application/json"
        self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=media_type, **condition)

    def purge(self, versions: Iterable[Version]) -> None:
        """Delete versions for good."""
        ids = [{"Key": version.key, "VersionId": version.id} for version in versions]
        for start in range(0, len(ids), MAX_VERSIONS_PER_DELETE):
            batch = {"Objects": ids[start : start + MAX_VERSIONS_PER_DELETE], "Quiet": True}
            response = self._client.delete_objects(Bucket=self.name, Delete=batch)
            if errors := response.get("Errors"):
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
    def all_traces(self) -> Iterator[Trace]:
        return (trace for traces_of_version in self.traces.values() for trace in traces_of_version)

    @property
    def posts(self) -> set[str]:
        """The ids of the posts to erase, without those of their versions."""
        return {trace.ids[0] for trace in self.all_traces if trace.is_post}

    @property
    def days(self) -> dict[str, list[Version]]:
        """The versions with traces, by day; those of no day under an empty one."""
        versions = defaultdict(list)
        for version in self.traces:
            versions[_day_of(version.key)].append(version)
        return dict(sorted(versions.items()))


@dataclass
class ErasureRequest:
    """The posts and the account to erase."""

    posts: Collection[str] = ()
    account: str | None = None
    gone: Collection[str] = ()

    def erasures(self, known: Tombstones, at: datetime) -> list[Erasure]:
        """Return the erasures for everything that is not erased yet, without their days."""
        requests: list[tuple[Why, Collection[str]]] = [("requested", self.posts), ("gone", self.gone)]
        erasures = [
            Erasure(at=at, why=why, posts=sorted(new), days=[])
            for why, posts in requests
            if (new := {*posts} - known.posts.keys())
        ]
        if self.account and self.account not in known.accounts:
            erasures.append(Erasure(at=at, why="account", posts=[], account=self.account, days=[]))
        return erasures


class Forgetter:
    """The steps of an erasure, in order. After each the command may stop, and a next run continues."""

    def __init__(self, bucket: VersionedBucket) -> None:
        self.bucket = bucket
        self._log = bucket.read(TOMBSTONES)
        with _parsing(TOMBSTONES):
            self._before = Tombstones.of(self._log and self._log.data)
        self.tombstones = self._before

    def search(self, request: ErasureRequest, at: datetime) -> Search:
        """Find all objects of the request and of unfinished earlier erasures; nothing is changed."""
        erasures = request.erasures(self._before, at)
        while True:  # until no version of a post, and no post of an account, is new
            self.tombstones = Tombstones([*self._before.erasures, *erasures])
            search = self._search()
            if all(self.tombstones.posts.keys() >= {*trace.ids} for trace in search.all_traces):
                erasures = [_with_days(erasure, search) for erasure in erasures]
                self.tombstones = Tombstones([*self._before.erasures, *erasures])
                return search
            erasures = _with_ids(erasures, self.tombstones, search, at)

    def _search(self) -> Search:
        search = Search([version for place in PLACES for version in self.bucket.versions(place)])
        objects = [v for v in search.versions if not v.is_mark and v.key.endswith(SUFFIXES)]
        with ThreadPoolExecutor(MAX_WORKERS) as pool:
            for version, (post_traces, table) in zip(objects, pool.map(self._inspect, objects), strict=True):
                if post_traces:
                    search.traces[version] = post_traces
                if table:
                    search.tables.append(table)
        return search

    def _inspect(self, version: Version) -> tuple[list[Trace], Table | None]:
        if not (content := self.bucket.read(version.key, version.id)):
            return [], None
        post_traces = traces(version.key, content.data, self.tombstones)
        return post_traces, table_of(version.key, content.data, self._new_posts(post_traces))

    def _new_posts(self, post_traces: Iterable[Trace]) -> set[str]:
        """The posts that no earlier erasure names: earlier ones were confirmed."""
        return {trace.ids[0] for trace in post_traces if trace.is_post} - self._before.posts.keys()

    def show(self, search: Search) -> None:
        """Show what would be erased."""
        keys = {version.key for version in search.traces}
        days = [day for day in search.days if day]
        span = f" of {len(days)} days, {days[0]} to {days[-1]}" if days else ""
        _show(f"{len(search.posts)} posts{span}, found in {len(keys)} objects of s3://{self.bucket.name}:")
        versions = Counter(_place(version.key) for version in search.versions if version.key in keys)
        for place, number in sorted(Counter(map(_place, keys)).items()):
            _show(f"  {place:22} {number:6} objects, {versions[place]:6} versions")
        shares = Shares(search.tables)
        if shares.posts:
            _show("By account and day, of all that has landed:")
        for line in shares.lines():
            _show(line)
        new = self.tombstones.erasures[len(self._before.erasures) :]
        requested = {id_ for erasure in new if not erasure.account for id_ in erasure.posts}
        if absent := sorted(requested - search.posts):
            _show(f"Not in the bucket, and kept from landing: {', '.join(absent)}")

    def number_of_new(self, search: Search) -> int:
        """Return how many posts would be erased that no earlier erasure names."""
        return len(self._new_posts(search.all_traces))

    def above(self, search: Search, most: int) -> list[str]:
        """Return the reasons why one confirmation is not enough, if there are any."""
        landed = {post for table in search.tables for post in table.erased}
        others = self._new_posts(trace for trace in search.all_traces if not landed & {*trace.ids})
        reasons = Shares(search.tables).above(most)
        return reasons + ([f"posts that no version of a day's table holds: {len(others)}"] if others else [])

    def erase(self, search: Search, at: datetime) -> None:
        """Write the tombstones; then erase in staged files, and day by day in objects and old versions."""
        self.require_quiet(at)
        if len(self.tombstones.erasures) > len(self._before.erasures):
            self.bucket.put(TOMBSTONES, encoded(ErasureLog(erasures=self.tombstones.erasures)), self._log)
        self.require_quiet(at)  # a task that starts from here on reads the tombstones
        self._delete_staged(search)
        for number, (day, versions) in enumerate(search.days.items(), 1):
            _show(f"{day or 'of no day'} ({number} of {len(search.days)})")
            self._erase_day(day, versions, search)

    def require_quiet(self, at: datetime) -> None:
        """Raise CannotDo while posts are bought, fetched for a snapshot or published.

        A task that started before the tombstones were written could store one of these posts.
        """
        for version in [*self.bucket.versions("staging/"), *self.bucket.versions("twitter_raw/")]:
            is_lease, is_manifest = version.key.endswith("/lease.json"), MANIFEST.fullmatch(version.key)
            if not version.is_current or not (is_lease or is_manifest):
                continue
            if not (content := self.bucket.read(version.key)):
                continue
            with _parsing(version.key):
                expires_at = is_lease and decoded(content.data, LeaseHolder).expires_at
                purchase = decoded(content.data, Manifest).state(at) if is_manifest else None
            if expires_at and at < expires_at:
                raise CannotDo(
                    f"{version.key} is held at this moment: nothing of any day is removed. "
                    "Run this again in some minutes."
                )
            if purchase is PurchaseState.LEASED:
                raise CannotDo(
                    f"{version.key} is being bought at this moment: nothing of any day is removed. "
                    "Run this again when `extract` has ended."
                )

    def _delete_staged(self, search: Search) -> None:
        """Delete the staged files of each run with a trace: clearing `transform` makes them again."""
        for run in sorted({match[0] for version in search.traces if (match := RUN.match(version.key))}):
            with_traces = [version for version in search.traces if version.key.startswith(run)]
            others = [version for version in self.bucket.versions(run) if version not in with_traces]
            self.bucket.purge([*others, *with_traces])  # last: a next run finds the others by them

    def _erase_day(self, day: str, versions: list[Version], search: Search) -> None:
        keys = {version.key for version in versions if not RUN.match(version.key)}
        for key in sorted(keys, key=_order):
            self._update(key, self._redacted)
        snapshots = {match[1] for key in keys if (match := SNAPSHOT_FILE.match(key))}
        receipts = [f"twitter_engagement_receipts/{snapshot}receipt.json" for snapshot in sorted(snapshots)]
        for receipt in receipts:
            self._renew(receipt, lambda data, files: snapshot_receipt_of(data, files, self.tombstones))
        if day:
            checked, receipt = layout.checked(Day.parse(day)), layout.receipt(Day.parse(day))
            receipts += [checked, receipt]
            self._update(checked, self._without_erased)
            gone = _tombstones_of_table(Day.parse(day), versions, search)
            self._renew(receipt, lambda data, files: receipt_of(data, files, gone, self.tombstones))
        for key in [
            *receipts,
            *sorted(keys),
        ]:  # as long as a file has old versions, a next run renews its receipt
            self._purge_all_but_the_newest(key)

    def _update(self, key: str, changed: Callable[[str, bytes], bytes]) -> None:
        """Replace an object by its changed form, if it differs."""
        if stored := self.bucket.read(key):
            with _parsing(key):
                data = changed(key, stored.data)
            if data != stored.data:
                self.bucket.put(key, data, stored)

    def _redacted(self, key: str, data: bytes) -> bytes:
        return redact(key, data, self.tombstones) if traces(key, data, self.tombstones) else data

    def _without_erased(self, _: str, data: bytes) -> bytes:
        """The day's compliance report without erased posts."""
        checked = decoded(data, Checked)
        remaining = [post for post in checked.gone if post.tweet_id not in self.tombstones.posts]
        return (
            data if remaining == checked.gone else encoded(msgspec.structs.replace(checked, gone=remaining))
        )

    def _renew(self, key: str, receipt: Callable[[bytes, Files], bytes]) -> None:
        """Update a receipt to its current files, if all of them exist."""
        if (stored := self.bucket.read(key)) is None:
            return
        with _parsing(key):
            keys = {name: str(item["key"]) for name, item in json.loads(stored.data)["objects"].items()}
        contents = {name: self.bucket.read(file_key) for name, file_key in keys.items()}
        files = {name: (content.data, content.etag) for name, content in contents.items() if content}
        if len(files) == len(keys):
            self._update(key, lambda _, data: receipt(data, files))

    def _purge_all_but_the_newest(self, key: str) -> None:
        versions = [version for version in self.bucket.versions(key) if version.key == key]
        exists = any(version.is_current for version in versions)
        self.bucket.purge(version for version in versions if not (exists and version.is_latest))

    def require_erased(self) -> None:
        """Search every object and version once more; CannotDo if there is a trace."""
        search = self._search()
        if search.traces:
            raise CannotDo(
                f"{len(search.traces)} versions hold something of it again, the first is "
                f"{next(iter(search.traces)).key}: another process wrote them meanwhile. Run this again."
            )
        _show(f"Searched all {len(search.versions)} versions of all objects: nothing of it is there.")


def _tombstones_of_table(day: Day, versions: Iterable[Version], search: Search) -> set[Tombstone]:
    """The tombstones of the posts that any version of the day's table, or of its rejected posts, has."""
    keys = (layout.csv(day), layout.rejected(day))
    return {
        trace.tombstone for version in versions if version.key in keys for trace in search.traces[version]
    }


def _with_days(erasure: Erasure, search: Search) -> Erasure:
    """The erasure with the days that have its traces."""
    tombstones = Tombstones([erasure])
    days = {
        _day_of(version.key)
        for version, post_traces in search.traces.items()
        for trace in post_traces
        if tombstones.of_ids(trace.ids, trace.tombstone.id)
    }
    return msgspec.structs.replace(erasure, days=sorted(days - {""}))


def _with_ids(erasures: list[Erasure], known: Tombstones, search: Search, at: datetime) -> list[Erasure]:
    """The erasures with all ids that were found, each in the erasure of its tombstone.

    One more erasure has the new ids of an earlier one.
    """
    ids: dict[tuple[Why, str | None], set[str]] = defaultdict(set)
    for trace in search.all_traces:
        account = trace.tombstone.id if trace.tombstone.why == "account" else None
        ids[trace.tombstone.why, account] |= {*trace.ids} - known.posts.keys()
    extended = [
        msgspec.structs.replace(
            erasure, posts=sorted({*erasure.posts, *ids.pop((erasure.why, erasure.account), ())})
        )
        for erasure in erasures
    ]
    return extended + [
        Erasure(at=at, why=why, posts=sorted(new), account=account, days=[])
        for (why, account), new in ids.items()
        if new
    ]


def _day_of(key: str) -> str:
    match = DAY.search(key)
    try:
        return str(Day.parse(match[1])) if match else ""
    except ValueError:  # a date that no calendar has: the pipeline did not write it
        return ""


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
    """Responses first, since other objects are made of them; the table last."""
    return next(number for number, suffix in enumerate(SUFFIXES) if key.endswith(suffix)), key


# The request


def posts_named(text: str) -> list[str]:
    """The ids in a text: numbers or links, separated by blanks or commas."""
    names = [name for name in re.split(r"[\s,]+", text) if name]
    if wrong := [name for name in names if not POST.fullmatch(name)]:
        raise CannotDo(f"{wrong[0]!r} is no post. Example: POST=1859287304958390272, the column tweet_id.")
    return [POST.sub(r"\1", name) for name in names]


def account_named(bucket: VersionedBucket, text: str) -> str | None:
    """The id of the account that a handle is, or was when it was looked up last."""
    handle = text.strip().lstrip("@")
    if not handle:
        return None
    stored = bucket.read(ACCOUNTS)
    with _parsing(ACCOUNTS):
        known = known_accounts(stored and stored.data)
    if handle.lower() in known:
        return known[handle.lower()].id
    if handle.isascii() and handle.isdecimal():
        return handle
    raise CannotDo(
        f"no account {handle!r} is remembered: name its id, the column author_id. Example: HANDLE=11348282"
    )


def posts_gone(bucket: VersionedBucket, show: Callable[[str], None] = print) -> set[str]:
    """The posts that X's stored responses prove gone; shows the responses that do not count."""
    loaded = evidence.load_evidence(bucket)
    for line in loaded.ignored:
        show(f"Ignored: {line}")
    if loaded.waiting:
        show(
            f"{len(loaded.waiting)} posts were found gone on one UTC day alone, and stay: it takes a "
            "response of another day. Trigger `twitter_compliance` tomorrow, or name them: POST=…"
        )
    return loaded.gone


def run(
    bucket: VersionedBucket,
    request: ErasureRequest,
    *,
    confirm: Callable[[], bool] | None,
    at: datetime,
    most: int = MAX_PERCENT,
    confirm_number: Callable[[int], bool] = lambda _: False,
) -> None:
    """Search, show, confirm, erase, and search again; without `confirm` only search and show.

    If more than `most` percent of a day's or an account's posts would go, `confirm_number` has to confirm
    the number of all posts that would.
    """
    forgetter = Forgetter(bucket)
    search = forgetter.search(request, at)
    forgetter.show(search)
    number, above = forgetter.number_of_new(search), forgetter.above(search, most)
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
    forgetter.erase(search, at)
    forgetter.require_erased()


# The command


def _argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.forget", description=__doc__)
    add = parser.add_argument
    add("--stack", default="twitter", help="the stack of the bucket; env STACK")
    add("--bucket", help="the bucket, if no stack made it")
    add("--post", default="", help="ids of posts, or their links")
    add("--handle", default="", help="an account, or its id")
    add("--gone", action="store_true", help="all posts that X's responses of two days call gone")
    most = {"default": MAX_PERCENT, "type": _percent, "metavar": "PERCENT"}
    add("--most", help="of a day or an account without --confirm", **most)  # type: ignore[arg-type]
    add("--confirm", type=int, metavar="POSTS", help="how many posts shall go, if it is more")
    add("--dry", action="store_true", help="only show what would be erased")
    add("--yes", action="store_true", help="do not ask for a confirmation")
    return parser


def _show(text: object, file: TextIO | None = None) -> None:
    """Print a line: ids and keys of the bucket may be any text."""
    print(safe_text(text, LONGEST_MESSAGE), file=file)


def _percent(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0 to 100, like 10")
    return int(text)


def _typed(question: str) -> str:
    """The text that a person types; empty without a terminal."""
    try:
        return input(question).strip()
    except EOFError:
        return ""


def main() -> int:
    arguments = _argument_parser().parse_args()

    def confirm() -> bool:
        print("This cannot be undone.")
        return _typed(f"Type {name} to forget it: ") == name

    def confirm_number(number: int) -> bool:
        if arguments.confirm is not None:
            return bool(arguments.confirm == number)
        return _typed(f"Type {number} to forget that many posts: ") == str(number)

    try:
        name = arguments.bucket or Stack(arguments.stack).output("BucketName")
        bucket = VersionedBucket(boto3.client("s3", config=Config(max_pool_connections=MAX_WORKERS)), name)
        gone = posts_gone(bucket) if arguments.gone else ()
        request = ErasureRequest(posts_named(arguments.post), account_named(bucket, arguments.handle), gone)
        run(
            bucket,
            request,
            confirm=None if arguments.dry else lambda: arguments.yes or confirm(),
            at=datetime.now(UTC).replace(microsecond=0),
            most=arguments.most,
            confirm_number=confirm_number,
        )
    except (CannotDo, NotReadable) as error:
        _show(error, sys.stderr)
    except ClientError as error:
        _show(_aws_message(error), sys.stderr)
    except BotoCoreError as error:
        _show(f"AWS says: {error}", sys.stderr)
    else:
        return 0
    return 1


def _aws_message(error: ClientError) -> str:
    code = error.response["Error"]["Code"]
    if code in DENIED_CODES:
        return (
            f"AWS denies {error.operation_name}: forgetting takes an owner's rights to the bucket, which the "
            "pipeline's role has not: s3:ListBucketVersions, s3:GetObjectVersion, s3:PutObject and "
            "s3:DeleteObjectVersion."
        )
    if code in CONFLICT_CODES:
        return "Another process wrote the same object meanwhile: run this again, it continues from here."
    return f"AWS says: {error}"


if __name__ == "__main__":
    sys.exit(main())
