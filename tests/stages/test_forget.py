"""Seventeen days of two months, landed with reruns, of which twelve posts and an account are forgotten.

The proof is a search of its own, through every version of every object; it shares no code with `forget`.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pyarrow
import pyarrow.parquet
import pytest

from deploy import forget
from deploy.traces import NotReadable, traces
from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import Incomplete
from include.twitter.layout import ACCOUNTS, TOMBSTONES
from include.twitter.response import Response
from include.twitter.tombstones import Tombstones
from local import aws
from local.x_api.posts import user_id
from tests.drivers import Bucket, X, connection_to_x
from tests.include.factories import post
from tests.stages.conftest import KEPT, NOW, Pipeline

pytestmark = [pytest.mark.live, pytest.mark.slow]

LAST = Day.parse("2026-11-07")
DAYS = [str(LAST.plus(-number)) for number in range(16, -1, -1)]
HANDLES = "posts_6_a, posts_4_b, acme_press"
GONE_HANDLE = "posts_4_b"
LIMIT = 4
ODD_DAY, ODD_ID = DAYS[-1], "1991000000000000001"
"""A day with a post that broke the contract."""
STONE = {"id", "author_id", "created_at", "edit_history_tweet_ids", "forgotten"}


class ObjectStore(Bucket):
    """A bucket beside the pipeline's own, with all its versions."""

    def __init__(self, stack, name: str) -> None:
        super().__init__(stack, name)
        self._stack = stack
        self._read: dict[tuple[str, str], bytes] = {}
        """The bytes of each version that was read: they never change."""
        self.create()

    def versions(self, prefix: str = "") -> list[tuple[str, str, bytes | None]]:
        """Key, id and bytes of every version, the oldest first; the mark of a deletion has no bytes."""
        entries = []
        for page in self._pages(prefix):
            for item in reversed(page.get("Versions", [])):
                entries.append((item["Key"], item["VersionId"], self._bytes(item)))
            entries += [(item["Key"], item["VersionId"], None) for item in page.get("DeleteMarkers", [])]
        return entries

    def now(self) -> dict[str, bytes]:
        """Every object as it is."""
        items = (item for page in self._pages() for item in page.get("Versions", []) if item["IsLatest"])
        return {item["Key"]: self._bytes(item) for item in items}

    def _pages(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("list_object_versions")
        yield from pages.paginate(Bucket=self.name, Prefix=prefix)

    def _bytes(self, item: dict[str, Any]) -> bytes:
        which = item["Key"], item["VersionId"]
        if which not in self._read:
            response = self.client.get_object(Bucket=self.name, Key=which[0], VersionId=which[1])
            self._read[which] = response["Body"].read()
        return self._read[which]

    def now_of(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def forget(self, at: datetime = NOW, client: Any = None, **request: Any) -> None:
        bucket = forget.VersionedBucket(client or self.client, self.name)
        yes = {"confirm": lambda: True, "confirm_number": lambda _: True}
        forget.run(bucket, forget.ErasureRequest(**request), **yes, at=at)


@pytest.fixture(scope="module")
def setenv() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch.setenv


@pytest.fixture(scope="module")
def clock(control) -> X:
    control.reset("everything")
    return control


@pytest.fixture(scope="module")
def pipe(stand_ins, setenv, clock) -> Pipeline:
    """The stages over a bucket of their own, with its owner's rights."""
    bucket = ObjectStore(stand_ins, "forget-month")
    for name, value in {
        "AWS_ENDPOINT_URL": stand_ins.aws,
        "AWS_DEFAULT_REGION": aws.REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
            {"conn_type": "aws", "login": stand_ins.root.id, "password": stand_ins.root.secret}
        ),
        "AIRFLOW_CONN_TWITTER_DEFAULT": json.dumps(connection_to_x(stand_ins)),
    }.items():
        setenv(name, value)
    pipeline = Pipeline("a month", bucket, setenv)
    pipeline.put(bucket=bucket.name, handles=HANDLES, tweet_limit=LIMIT, month_budget_usd=0)
    return pipeline


def land(pipe: Pipeline, clock: X, day: str, name: str = "", **more: Any) -> None:
    now = noon(day)
    clock.clock(now)
    bought = pipe.extract(None, day, now=now, name=name, **more)
    pipe.load(pipe.transform(bought, day, now=now, name=name), day, now=now, name=name)


def noon(day: str) -> datetime:
    return Day.parse(day).end + timedelta(hours=12)


class Month:
    """The bucket before and after."""

    def __init__(self, bucket: ObjectStore, posts: list[str]) -> None:
        self.bucket, self.posts = bucket, posts
        self.before, self.held = bucket.now(), bucket.versions()
        self.texts: dict[str, set[str]] = {}
        self.authors: dict[str, str] = {}
        for key, _, data in self.held:
            for sent in posts_of(key, data):
                self.texts.setdefault(sent["id"], set()).update(texts_of(sent))
                self.authors[sent["id"]] = sent["author_id"]
        self.account = self.account_of(bucket)
        self.versions_of = {
            id_
            for key, _, data in self.held
            for sent in posts_of(key, data)
            if {*sent["edit_history_tweet_ids"]} & {*posts}
            for id_ in sent["edit_history_tweet_ids"]
        }
        self.gone = {
            id_
            for id_, author in self.authors.items()
            if id_ in posts or id_ in self.versions_of or author == self.account
        }
        remaining = "\n".join(
            text
            for key, _, data in self.held
            for sent in posts_of(key, data)
            if sent["id"] not in self.gone
            for text in whole_texts_of(sent)
        )
        erased_texts = set().union(*(self.texts[id_] for id_ in self.gone))
        self.needles = {text for text in erased_texts if text not in remaining}
        self._clean: set[tuple[str, str]] = set()
        """The versions that were searched, and hold nothing."""

    @staticmethod
    def account_of(bucket: ObjectStore) -> str:
        return bucket.json("twitter_accounts/accounts.json")[GONE_HANDLE]["id"]

    def leaks(self) -> list[str]:
        """Where a text or an id of a forgotten post stands, but for its tombstones."""
        new = [version for version in self.bucket.versions() if version[:2] not in self._clean]
        holding = [key for key, _, data in new if data and self._holds(key, data)]
        if not holding:
            self._clean.update(version[:2] for version in new)
        return holding

    def _holds(self, key: str, data: bytes) -> bool:
        text = in_words(key, data)
        if any(needle in text for needle in self.needles):
            return True
        if key.startswith("twitter_raw/"):
            return any(sent["id"] in self.gone and not sent.keys() <= STONE for sent in posts_of(key, data))
        if key.startswith("twitter_forgotten/") or key.endswith("/receipt.json"):
            return False
        return any(id_ in text for id_ in self.gone)


def posts_of(key: str, data: bytes | None) -> list[dict[str, Any]]:
    """The posts of a raw answer."""
    if not data or not re.match(r"twitter_raw/.*/(?:[a-z]+-)?\d+/\d+\.json\.gz", key):
        return []
    return json.loads(gzip.decompress(data))["body"].get("data", [])


def sent_in(data: bytes) -> list[tuple[bytes, dict[str, Any]]]:
    """Each post of a raw answer, as bytes and decoded."""
    return [(bytes(raw), json.loads(bytes(raw))) for raw in Response.from_bytes(data).raw_posts]


def whole_texts_of(post_sent: dict[str, Any]) -> set[str]:
    """The text and its long form."""
    return {post_sent.get("text", ""), post_sent.get("note_tweet", {}).get("text", "")}


def texts_of(post_sent: dict[str, Any]) -> set[str]:
    """The same, as far as they read alike in CSV, JSON and Parquet."""
    parts = {
        max(re.findall(r"[A-Za-z0-9 ]+", text), key=len, default="") for text in whole_texts_of(post_sent)
    }
    return {part for part in parts if len(part) > 15}


def in_words(key: str, data: bytes) -> str:
    if key.endswith(".parquet"):
        return json.dumps(pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist(), default=str)
    return (gzip.decompress(data) if key.endswith(".gz") else data).decode()


@pytest.fixture(scope="module")
def month(pipe, clock) -> Month:
    """The days landed, some of them again and again; then twelve posts and an account are forgotten."""
    bucket = pipe.bucket
    odd = post(
        id=ODD_ID, text="This one has no time of its own", created_at="soon", author_id=user_id("posts_6_a")
    )
    for number, day in enumerate(DAYS):
        if day == ODD_DAY:
            page = {"data": [odd], "meta": {"result_count": 1}}
            clock.order({"match": f"/users/{user_id('posts_6_a')}/tweets", "status": 200, "body": page})
        land(pipe, clock, day)
        if number % 3 == 0:
            pipe.put(tweet_limit=LIMIT + 1)
            land(pipe, clock, day, "more")
            pipe.put(tweet_limit=LIMIT)
        if number % 7 == 0:
            land(pipe, clock, day, "afresh", buy_again=True)
    engagement(bucket, DAYS[3])
    chosen = [row["tweet_id"] for day in DAYS[:10] for row in bucket.rows(layout.csv(Day.parse(day)))[:1]]
    edited = next(
        row["tweet_id"]
        for day in DAYS[10:]
        for row in bucket.rows(layout.csv(Day.parse(day)))
        if row["is_edited"] == "true" and row["username"] == "acme_press"
    )
    month = Month(bucket, [*chosen, edited, ODD_ID])
    bucket.forget(posts=month.posts, account=month.account)
    return month


def engagement(bucket: ObjectStore, day: str) -> None:
    """A later reading of a day, as another DAG would keep it: the first post is gone by then."""
    ids = [row["tweet_id"] for row in bucket.rows(layout.csv(Day.parse(day)))]
    rows = [{"tweet_id": id_, "state": "there", "likes": "1"} for id_ in ids]
    rows[0]["state"] = "gone"
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    text = "\n".join(["tweet_id,state,likes", *(",".join(row.values()) for row in rows), ""])
    at, objects = f"dt={day}/age=1/", {}
    for kind, folder, data in (
        ("csv", "twitter_engagement", text.encode()),
        ("parquet", "twitter_engagement_parquet", table.getvalue()),
    ):
        key = f"{folder}/{at}engagement.{kind}"
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
        objects[kind] = {"key": key, "bytes": len(data), "sha256": "of before", "etag": "of before"}
    receipt = {
        "day": day,
        "posts": len(rows),
        "states": {"gone": 1, "there": len(rows) - 1},
        "lost": [{"tweet_id": ids[0], "username": "acme_press", "state": "gone", "reason": "It is gone."}],
        "objects": objects,
    }
    bucket.write(f"twitter_engagement_receipts/{at}receipt.json", receipt)


def test_what_is_to_be_forgotten_was_in_many_objects_and_versions(month):
    assert len(month.posts) == 12
    assert len(month.needles) > 25
    holding = [key for key, _, data in month.held if data and month._holds(key, data)]
    assert {key.partition("/")[0] for key in holding} == {
        "staging", "twitter", "twitter_engagement", "twitter_engagement_parquet", "twitter_parquet",
        "twitter_raw", "twitter_rejected",
    }  # fmt: skip
    assert len(holding) > len({*holding}) > 90


def test_a_search_through_every_object_and_version_finds_nothing(month):
    assert month.leaks() == []


def test_every_other_row_and_every_other_post_is_byte_for_byte_what_it_was(month):
    after = month.bucket.now()
    for key, data in month.before.items():
        if key.startswith("twitter/"):
            head, *rows = data.split(b"\n")
            remaining = [row for row in rows if row.partition(b",")[0].decode() not in month.gone]
            assert after[key].split(b"\n") == [head, *remaining]
        elif key.startswith("twitter_parquet/"):
            rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
            remaining = [row for row in rows if row["tweet_id"] not in month.gone]
            assert pyarrow.parquet.read_table(io.BytesIO(after[key])).to_pylist() == remaining
        elif posts_of(key, data):
            remaining = [raw for raw, sent in sent_in(data) if sent["id"] not in month.gone]
            assert [raw for raw, sent in sent_in(after[key]) if "forgotten" not in sent] == remaining
            assert len(posts_of(key, after[key])) == len(posts_of(key, data))
        elif "/users-by/" in key:
            users = [json.loads(gzip.decompress(page))["body"]["data"] for page in (data, after[key])]
            was, now = ({user["id"]: user for user in response} for response in users)
            assert {"id", "username", "protected", "forgotten"} == now.pop(month.account).keys()
            assert now == {id_: user for id_, user in was.items() if id_ != month.account}
        elif not key.startswith(("twitter_receipts/", "twitter_rejected/", "twitter_engagement", "staging/")):
            assert after[key] == data, key


def test_an_engagement_reading_has_lost_its_rows_and_no_other(month):
    key = f"twitter_engagement/dt={DAYS[3]}/age=1/engagement"
    was = [row["tweet_id"] for row in csv.DictReader(month.before[f"{key}.csv"].decode().split("\n"))]
    remaining = [id_ for id_ in was if id_ not in month.gone]
    assert 0 < len(remaining) < len(was)
    assert [row["tweet_id"] for row in month.bucket.rows(f"{key}.csv")] == remaining
    twin = month.bucket.now()[f"twitter_engagement_parquet/dt={DAYS[3]}/age=1/engagement.parquet"]
    assert pyarrow.parquet.read_table(io.BytesIO(twin))["tweet_id"].to_pylist() == remaining
    receipt = month.bucket.json(f"twitter_engagement_receipts/dt={DAYS[3]}/age=1/receipt.json")
    assert (receipt["posts"], receipt["states"], receipt["lost"]) == (
        len(remaining),
        {"there": len(remaining)},
        [],
    )
    for item in receipt["objects"].values():
        assert hashlib.sha256(month.bucket.now_of(item["key"])).hexdigest() == item["sha256"]


def test_receipts_balance_their_hashes_hold_and_they_have_the_tombstones(month):
    forgotten, tombstones = 0, []
    for day in DAYS:
        key = layout.receipt(Day.parse(day))
        receipt, was = month.bucket.json(key), json.loads(month.before[key])
        tombstones += receipt["erased"]
        for line, before in zip(receipt["accounts"], was["accounts"], strict=True):
            assert line["fetched"] == before["fetched"] == sum(line[part] for part in KEPT)
            expected = before["published"] + before["rejected"]
            assert line["published"] + line["rejected"] + line["erased"] == expected
        for item in receipt["objects"].values():
            assert hashlib.sha256(month.bucket.now_of(item["key"])).hexdigest() == item["sha256"]
        assert receipt["totals"]["erased"] == sum(line["erased"] for line in receipt["accounts"])
        forgotten += receipt["totals"]["erased"]
    rows = sum(len(month.bucket.rows(layout.csv(Day.parse(day)))) for day in DAYS)
    landed = sum(data.count(b"\n") - 1 for key, data in month.before.items() if key.startswith("twitter/"))
    assert landed - rows == forgotten - 1  # one was rejected
    assert forgotten > 70
    assert {stone["id"] for stone in tombstones} - {month.account} <= month.versions_of | {*month.posts}
    assert {(stone["at"], stone["why"]) for stone in tombstones} == {
        ("2026-11-22T12:00:00Z", "requested"),
        ("2026-11-22T12:00:00Z", "account"),
    }


def test_of_a_touched_object_one_version_is_left_and_the_same_request_changes_nothing(month, capsys):
    now = month.bucket.now()
    touched = {key for key, data in month.before.items() if now.get(key) != data} - {TOMBSTONES}
    before = [version[:2] for version in month.bucket.versions()]
    versions = [key for key, _ in before if key in touched]
    assert len(versions) == len({*versions}) > 70
    month.bucket.forget(posts=month.posts, account=month.account)
    assert [version[:2] for version in month.bucket.versions()] == before
    assert "nothing of it is there." in capsys.readouterr().out


@pytest.mark.parametrize("number", [0, 3, 16])
def test_a_cleared_day_lands_the_same_bytes_and_receipt(month, pipe, number):
    day = Day.parse(DAYS[number])
    was = {
        key: month.bucket.now_of(key) for key in (layout.csv(day), layout.parquet(day), layout.rejected(day))
    }
    receipt = month.bucket.json(layout.receipt(day))
    bought = {"manifest": f"{layout.raw(day)}buy={receipt['buy']}/manifest.json"}
    pipe.load(pipe.transform(bought, str(day), now=noon(str(day))), str(day), now=noon(str(day)))
    assert {key: month.bucket.now_of(key) for key in was} == was
    assert month.bucket.json(layout.receipt(day)) == receipt
    assert month.leaks() == []


def test_a_day_that_is_bought_afresh_brings_none_back(month, pipe, clock):
    day = DAYS[7]
    before = month.bucket.now_of(layout.csv(Day.parse(day)))
    pipe.put(handles="posts_6_a, acme_press")
    land(pipe, clock, day, "once more", buy_again=True)
    ids = [row.partition(b",")[0] for row in month.bucket.now_of(layout.csv(Day.parse(day))).split(b"\n")]
    assert ids == [row.partition(b",")[0] for row in before.split(b"\n")]
    assert month.leaks() == []


def test_an_account_that_was_forgotten_is_not_bought_and_the_day_says_why(month, pipe, clock):
    day = str(LAST.plus(1))
    pipe.put(handles=HANDLES)
    clock.forget()
    with pytest.raises(Incomplete) as red:
        land(pipe, clock, day)
    reason = "posts_4_b: it was erased on 2026-11-22, and nothing is bought of it: take it out of twitter_h"
    assert reason in str(red.value)
    assert not [request for request in clock.requests() if f"/users/{month.account}/" in request["path"]]
    assert {row["username"] for row in month.bucket.rows(layout.csv(Day.parse(day)))} == {
        "posts_6_a",
        "acme_press",
    }


# Killed


class Killed(BaseException):
    """As a signal ends a process: nothing of the command runs after it."""


def deadly(stack, number: int) -> Any:
    """A client whose process ends before its write of this number; it counts them."""
    client = stack.root.client("s3", stack.aws)
    client.writes = 0

    def count(**_: Any) -> None:
        client.writes += 1
        if client.writes == number:
            raise Killed

    for operation in ("PutObject", "DeleteObjects"):
        client.meta.events.register(f"before-call.s3.{operation}", count)
    return client


def test_killed_before_each_of_its_writes_it_comes_to_the_same_end(month, stand_ins):
    old = Old(month, [DAYS[3]])
    request = {"posts": month.posts, "account": month.account}
    whole, client = old.bucket("forget-whole"), deadly(stand_ins, 0)
    whole.forget(client=client, **request)
    end = whole.now()
    assert client.writes > 15
    for number in range(1, client.writes + 1):
        bucket = old.bucket(f"forget-killed-{number}")
        with pytest.raises(Killed):
            bucket.forget(client=deadly(stand_ins, number), **request)
        bucket.forget(**(request if number == 1 else {}))  # the tombstones say the rest
        assert bucket.now() == end, number
        assert sorted(key for key, _, _ in bucket.versions()) == sorted(key for key, _, _ in whole.versions())


class Old:
    """Some days of the month as they were before."""

    def __init__(self, month: Month, days: list[str]) -> None:
        self._stack = month.bucket._stack
        self._held = [(key, data) for key, _, data in month.held if data and any(day in key for day in days)]
        self._held += [item for item in month.before.items() if item[0].startswith("twitter_accounts/")]

    def bucket(self, name: str) -> ObjectStore:
        bucket = ObjectStore(self._stack, name)
        for key, data in self._held:
            bucket.client.put_object(Bucket=name, Key=key, Body=data)
        return bucket


# The command


def test_the_pipelines_role_is_refused_with_one_sentence(deployment, bucket, monkeypatch, capsys):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(sys, "argv", ["forget", "--bucket", bucket.name, "--post", "1", "--yes"])
    assert forget.main() == 1
    assert capsys.readouterr().err.startswith(
        "AWS denies ListObjectVersions: forgetting takes an owner's rights"
    )


def test_the_command_shows_asks_and_forgets(month, stand_ins, monkeypatch, capsys):
    bucket = Old(month, [DAYS[0]]).bucket("forget-command")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name, value in stand_ins.root.environment.items():
        monkeypatch.setenv(name, value)
    before = bucket.versions()
    arguments = ["--bucket", bucket.name, "--post", month.posts[0], "--handle", GONE_HANDLE]

    def command(typed: str, *more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        monkeypatch.setattr(sys, "argv", ["forget", *arguments, *more])
        return (forget.main(), *capsys.readouterr())

    assert command("yes\n")[::2] == (1, "nothing was changed.\n")
    code, shown, refused = command(f"{bucket.name}\n")
    number = re.search(r"and takes CONFIRM=(\d+):", shown)[1]
    assert (code, f"add CONFIRM={number}." in refused) == (1, True)
    assert f"  {GONE_HANDLE} ({month.account}): " in shown and "(100.0%)" in shown
    for typed, more in (
        (f"{bucket.name}\nyes\n", ()),
        ("", ("--yes",)),
        ("", ("--yes", f"--confirm={int(number) + 1}")),
        ("", ("--yes", "--most=99")),
        ("", ("--dry", "--yes", f"--confirm={number}")),
    ):
        command(typed, *more)
        assert bucket.versions() == before
    code, shown, _ = command(f"{bucket.name}\n{number}\n")
    assert code == 0
    assert f"This cannot be undone.\nType {bucket.name} to forget it: " in shown
    assert shown.endswith("versions of all objects: nothing of it is there.\n")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", gzip.compress(b"[]"), gzip.compress(b'{"a":1}')[:-9], b"\x1f\x8b\x08" + b"\xff" * 30],
    ids=["empty", "no gzip", "a list", "cut", "bad header"],
)
def test_an_object_that_cannot_be_read_is_named_and_not_passed_over(data):
    key = "twitter_raw/dt=2026-11-18/buy=1/nasa/0001.json.gz"
    with pytest.raises(NotReadable, match=key):
        traces(key, data, Tombstones())


class Damaged:
    """A bucket in which every object is the same bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, key: str) -> forget.ObjectContent:
        return forget.ObjectContent(self._data, "tag", "application/json")


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"\xff", b'{"erasures": 5, "objects": 5}', b'{"x": ' + b"[" * 100_000]
)
def test_every_other_damaged_record_is_named_too(data):
    bucket = Damaged(data)
    with pytest.raises(NotReadable, match=TOMBSTONES):
        forget.Forgetter(bucket)
    with pytest.raises(NotReadable, match=ACCOUNTS):
        forget.account_named(bucket, "acme_press")
    forgetter = forget.Forgetter.__new__(forget.Forgetter)
    forgetter.bucket = bucket
    with pytest.raises(NotReadable, match=r"twitter_receipts/dt=2026-11-18/receipt\.json"):
        forgetter._renew("twitter_receipts/dt=2026-11-18/receipt.json", lambda data, files: data)


def test_a_day_that_is_being_bought_is_waited_for(month, stand_ins):
    bucket = Old(month, [DAYS[0]]).bucket("forget-busy")
    key = next(key for key in bucket.keys("twitter_raw/") if key.endswith("manifest.json"))
    until = (NOW + timedelta(seconds=30)).isoformat()
    lease = {"owner": "r", "token": "t", "expires_at": until}
    bucket.write(key, bucket.json(key) | {"is_open": True, "lease": lease})
    before = bucket.now()
    with pytest.raises(forget.CannotDo, match="is being bought at this moment"):
        bucket.forget(posts=month.posts)
    assert bucket.now() == before


# On the word of the pipeline's role


class Dated:
    """A client of S3 that stored objects when the test says; the stand-in stores all of them today."""

    def __init__(self, bucket: ObjectStore) -> None:
        self.client = bucket._stack.root.client("s3", bucket._stack.aws)
        self.dates: dict[str, datetime] = {}
        self.client.meta.events.register("after-call.s3.ListObjectVersions", self._date)

    def _date(self, parsed: dict[str, Any], **_: Any) -> None:
        for version in parsed.get("Versions", []):
            version["LastModified"] = self.dates.get(version["Key"], version["LastModified"])


def store(bucket: ObjectStore, dated: Dated, at: datetime, ids: list[str], age: int) -> str:
    """X's response to a look-up of posts, all of which are gone, as the pipeline stores it."""
    kind = "https://api.x.com/2/problems/resource-not-found"
    gone = [{"resource_id": id_, "title": "Not Found Error", "type": kind} for id_ in ids]
    response = Response("/2/tweets", {"ids": ",".join(ids)}, at, json.dumps({"errors": gone}).encode())
    key = f"twitter_raw/dt={DAYS[0]}/age={age}/0001.json.gz"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=response.to_bytes())
    dated.dates[key] = at
    return key


def test_posts_that_two_days_of_responses_prove_gone_are_erased_and_listed_no_more(month):
    day = Day.parse(DAYS[0])
    bucket = Old(month, [DAYS[0]]).bucket("forget-gone")
    dated, rows = Dated(bucket), bucket.rows(layout.csv(day))
    first, second, *_ = (row["tweet_id"] for row in rows)
    store(bucket, dated, noon(DAYS[1]), [first, second], 1)
    store(bucket, dated, noon(DAYS[8]), [second], 7)
    at = "2026-11-21T08:00:00Z"
    of = {"username": "acme_press", "state": "gone", "reason": "X says: delete", "seen_at": at}
    listed = [{"tweet_id": id_} | of for id_ in (first, second)]
    for earlier in (listed[:1], listed):
        bucket.write(
            layout.checked(day),
            {"day": str(day), "requested_at": at, "job": "7", "posts": 9, "gone": earlier},
        )

    lines: list[str] = []
    gone = forget.posts_gone(forget.VersionedBucket(dated.client, bucket.name), lines.append)

    assert gone == {second}
    assert [line.partition(":")[0].partition(",")[0] for line in lines] == [
        "1 posts were found gone on one UTC day alone"
    ]
    bucket.forget(gone=gone)
    assert bucket.rows(layout.csv(day)) == [rows[0], *rows[2:]]
    assert bucket.json(layout.receipt(day))["erased"] == [
        {"id": second, "at": "2026-11-22T12:00:00Z", "why": "gone"}
    ]
    assert [post["tweet_id"] for post in bucket.json(layout.checked(day))["gone"]] == [first]
    assert len(bucket.versions(layout.checked(day))) == 1


def refused(bucket: ObjectStore, **request: Any) -> str:
    """Why the command does not do what is requested with one confirmation; nothing has changed then."""
    before = bucket.versions()
    with pytest.raises(forget.CannotDo, match="nothing was changed") as raised:
        versioned = forget.VersionedBucket(bucket.client, bucket.name)
        forget.run(versioned, forget.ErasureRequest(**request), confirm=lambda: True, at=NOW)
    assert bucket.versions() == before
    return str(raised.value)


def test_a_forged_history_of_a_post_does_not_take_others_with_it(month):
    """The role writes one response, in which all posts of a day are versions of the one that is named."""
    bucket, day = Old(month, [DAYS[0]]).bucket("forget-history"), Day.parse(DAYS[0])
    ids = [row["tweet_id"] for row in bucket.rows(layout.csv(day))]
    forged = post(id=ids[0]) | {"edit_history_tweet_ids": ids}
    response = Response("/2/users/7/tweets", {}, NOW, json.dumps({"data": [forged]}).encode())
    key = f"{layout.raw(day)}buy=9/acme/0001.json.gz"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=response.to_bytes())
    assert f"add CONFIRM={len(ids)}." in refused(bucket, posts=[ids[0]])


def test_posts_that_no_table_holds_take_the_second_confirmation(month):
    """Whoever empties the table and waits until its old versions have expired shall not lower the share."""
    bucket, day = Old(month, [DAYS[0]]).bucket("forget-no-table"), Day.parse(DAYS[0])
    id_ = bucket.rows(layout.csv(day))[0]["tweet_id"]
    header = bucket.now_of(layout.csv(day)).split(b"\n")[0] + b"\n"
    for key, version, _ in bucket.versions(layout.csv(day)):
        bucket.client.delete_object(Bucket=bucket.name, Key=key, VersionId=version)
    bucket.client.put_object(Bucket=bucket.name, Key=layout.csv(day), Body=header)
    assert "add CONFIRM=1." in refused(bucket, posts=[id_])


def test_a_few_posts_of_a_month_take_one_confirmation(month, capsys):
    bucket = Old(month, DAYS[:3]).bucket("forget-few")
    id_ = bucket.rows(layout.csv(Day.parse(DAYS[0])))[0]["tweet_id"]
    versioned = forget.VersionedBucket(bucket.client, bucket.name)
    forget.run(versioned, forget.ErasureRequest(posts=[id_]), confirm=lambda: True, at=NOW, most=50)
    assert id_ not in {row["tweet_id"] for row in bucket.rows(layout.csv(Day.parse(DAYS[0])))}
    assert "By account and day, of all that has landed:" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["12, 13", "https://x.com/nasa/status/12 13", "12,13,"])
def test_posts_are_named_by_ids_or_links(text):
    assert forget.posts_named(text) == ["12", "13"]


@pytest.mark.parametrize("name", ["nasa", "١٢", "12345678901234567890"])
def test_another_text_is_no_post(name):
    with pytest.raises(forget.CannotDo, match=f"'{name}' is no post"):
        forget.posts_named(f"12 {name}")


def test_an_account_is_named_by_its_handle_or_its_id(month):
    bucket = forget.VersionedBucket(month.bucket.client, month.bucket.name)
    assert forget.account_named(bucket, "@Posts_4_B") == month.account
    assert forget.account_named(bucket, "11348282") == "11348282"
    assert forget.account_named(bucket, "") is None
    with pytest.raises(forget.CannotDo, match="no account 'nobody' is remembered"):
        forget.account_named(bucket, "nobody")
