"""What the stages say to S3, read off the wire by a proxy between them and the embedded bucket."""

import http.client
import http.server
import re
import threading
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import pytest

from include.twitter.day import FORGOTTEN, Day
from include.twitter.errors import NoPermission, NothingStaged
from tests.stages.conftest import NOW, RECENT

pytestmark = pytest.mark.live

DAY = Day.parse(RECENT)
INDEX = "twitter_days/month=2026-11/index.json"


@dataclass(frozen=True)
class Seen:
    method: str
    key: str
    headers: dict[str, str]
    """Names in lower case."""


class Wire(list[Seen]):
    """Every S3 request that the stages send while a test runs, in order; what it `refuses` is denied."""

    refuses = ""
    at_once = 0
    """The most requests that were on their way together."""
    under_way = 0

    def puts(self, part: str) -> list[Seen]:
        return [seen for seen in self if seen.method == "PUT" and part in seen.key]


@pytest.fixture
def wire(stand_ins, deployment, monkeypatch):
    seen = Wire()
    upstream = urlsplit(stand_ins.aws).netloc

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            key = unquote(urlsplit(self.path).path)[1:].partition("/")[2]
            seen.append(Seen(self.command, key, headers))
            seen.under_way += 1
            seen.at_once = max(seen.at_once, seen.under_way)
            body = self.rfile.read(int(headers.get("content-length", 0)))
            if seen.refuses and re.search(seen.refuses, f"{self.command} {key}"):
                self.answer(403, [], b"<Error><Code>AccessDenied</Code></Error>")
                return
            there = http.client.HTTPConnection(upstream, timeout=30)
            there.request(
                self.command, self.path, body, {**dict(self.headers.items()), "Connection": "close"}
            )
            answer = there.getresponse()
            data = answer.read()
            there.close()
            seen.under_way -= 1
            self.answer(answer.status, answer.getheaders(), data)

        def answer(self, status, headers, data):
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    yield seen
    server.shutdown()
    server.server_close()


def test_the_stages_send_no_acl_delete_nothing_and_publish_by_copies_with_the_receipt_last(pipeline, wire):
    staged = pipeline.transform(pipeline.extract("posts_2_wire"))
    extracted = len(wire)
    pipeline.load(staged)

    acl = {"x-amz-acl", "x-amz-grant-read", "x-amz-grant-full-control", "x-amz-grant-write"}
    assert wire
    assert not [seen for seen in wire if acl & seen.headers.keys()]
    assert {seen.method for seen in wire} <= {"GET", "PUT", "POST", "HEAD"}
    loading = wire[extracted:]
    written = [seen for seen in loading if seen.method == "PUT"]
    assert [(seen.key, seen.headers.get("x-amz-copy-source", "").split("/")[-1]) for seen in written] == [
        (DAY.csv, "refined_tweets.csv"),
        (DAY.parquet, "refined_tweets.parquet"),
        (DAY.rejected, "rejected_tweets.jsonl.gz"),
        (DAY.receipt, ""),
        (INDEX, ""),  # a copy of what the receipts say
    ]
    assert all("x-amz-copy-source-if-match" in seen.headers for seen in written[:3])
    assert {seen.key for seen in loading if seen.method == "GET" and seen.key} == {
        staged["receipt"],
        DAY.receipt,
        FORGOTTEN,
        INDEX,
        f"twitter_ledger/month={NOW:%Y-%m}/{DAY}-1.json",
    }


def test_a_published_object_keeps_its_media_type(pipeline, bucket):
    pipeline.load(pipeline.transform(pipeline.extract("posts_2_wire")))
    types = [
        bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"]
        for key in (DAY.csv, DAY.receipt)
    ]
    assert types == ["text/csv; charset=utf-8", "application/json"]


def test_what_is_bought_is_written_on_condition(pipeline, wire):
    pipeline.extract("posts_2_wire")

    pages = wire.puts(".json.gz")
    assert len(pages) == 3, "a look-up, a page and a count"
    assert {seen.headers.get("if-none-match") for seen in pages} == {"*"}
    manifests = wire.puts("manifest.json")
    assert [seen.headers.get("if-none-match", "if-match") for seen in manifests] == ["*", "if-match"]


def test_a_page_that_s3_refuses_stays_booked(pipeline, wire, x, bucket):
    pipeline.put(tweet_limit=0)
    wire.refuses = r"PUT .*/posts_120_no/0002"
    with pytest.raises(NoPermission, match="AWS denies PutObject"):
        pipeline.extract("posts_120_no")
    assert bucket.ledger_mills() == x.served_mills() > 500
    wire.refuses = ""

    bought = pipeline.extract()

    (entry,) = bucket.ledger()
    assert entry["spent_mills"] == x.served_mills()
    assert entry["unstaged_mills"] == x.served_mills() - round(1000 * bought["cost_usd"]) > 0


def test_a_staged_file_that_was_overwritten_is_not_published(pipeline, bucket):
    staged = pipeline.transform(pipeline.extract("posts_2_wire"))
    csv = f"{DAY.staging(pipeline.run().id)}refined_tweets.csv"
    bucket.client.put_object(Bucket=bucket.name, Key=csv, Body=b"tweet_id\n1\n")

    with pytest.raises(NothingStaged, match="is not what its receipt says: it was overwritten"):
        pipeline.load(staged)

    assert bucket.keys("twitter_receipts/") == []


def test_pages_are_read_side_by_side(pipeline, wire):
    pipeline.put(run_budget_usd=0)
    handles = ",".join(f"posts_2_n{number}" for number in range(20))
    bought = pipeline.extract(handles)
    wire.clear()
    wire.at_once = 0

    staged = pipeline.transform(bought)

    reads = [seen.key for seen in wire if seen.method == "GET" and seen.key.endswith(".json.gz")]
    assert len(reads) == len(set(reads)) == 20
    assert wire.at_once > 4, "the accounts have a page each"
    assert staged["rows"] == 40


def test_a_page_that_was_never_written_leaves_a_gap_and_no_dead_end(pipeline, wire, x):
    pipeline.put(tweet_limit=0)
    wire.refuses = r"PUT .*/counts-of/0001"
    with pytest.raises(NoPermission):
        pipeline.extract(",".join(f"posts_2_n{number}" for number in range(41)))  # three counts at once
    wire.refuses = ""

    bought = pipeline.extract()

    assert {line["proof"] for line in pipeline.accounts(bought).values()} == {"matched"}
