"""What the stages say to S3, read off the wire by a proxy between them and the embedded bucket."""

import http.client
import http.server
import threading
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import pytest

from include.twitter.day import Day
from tests.stages.conftest import RECENT

pytestmark = pytest.mark.live

DAY = Day.parse(RECENT)


@dataclass(frozen=True)
class Seen:
    method: str
    key: str
    headers: dict[str, str]
    """Names in lower case."""


@pytest.fixture
def wire(stand_ins, deployment, monkeypatch):
    """Every S3 request that the stages send while a test runs, in order."""
    seen: list[Seen] = []
    upstream = urlsplit(stand_ins.aws).netloc

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append(Seen(self.command, unquote(urlsplit(self.path).path)[1:].partition("/")[2], headers))
            body = self.rfile.read(int(headers.get("content-length", 0)))
            there = http.client.HTTPConnection(upstream, timeout=30)
            there.request(
                self.command, self.path, body, {**dict(self.headers.items()), "Connection": "close"}
            )
            answer = there.getresponse()
            data = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            there.close()

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
    assert [
        (seen.key, seen.headers["x-amz-copy-source"].split("/")[-1])
        for seen in loading
        if seen.method == "PUT"
    ] == [
        (DAY.csv, "refined_tweets.csv"),
        (DAY.parquet, "refined_tweets.parquet"),
        (DAY.rejected, "rejected_tweets.jsonl.gz"),
        (DAY.receipt, "receipt.json"),
    ]
    assert {seen.key for seen in loading if seen.method == "GET" and seen.key} == {
        staged["receipt"],
        DAY.receipt,
    }


def test_a_published_object_keeps_its_media_type(pipeline, bucket):
    pipeline.load(pipeline.transform(pipeline.extract("posts_2_wire")))
    types = [
        bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"]
        for key in (DAY.csv, DAY.receipt)
    ]
    assert types == ["text/csv; charset=utf-8", "application/json"]
