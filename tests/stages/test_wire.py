"""The requests of the stages to S3, recorded by a proxy between them and the embedded bucket."""

from dataclasses import dataclass

import httpx
import pytest
from werkzeug import Request, Response

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.layout import ACCOUNTS, TOMBSTONES
from tests.include.http_recorder import serving
from tests.stages.conftest import RECENT

pytestmark = pytest.mark.live

DAY = Day.parse(RECENT)
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Seen:
    method: str
    key: str
    headers: dict[str, str]
    """Names in lower case."""


class S3Requests(list[Seen]):
    """Every S3 request that the stages send while a test runs, in order."""

    def puts(self, part: str) -> list[Seen]:
        return [seen for seen in self if seen.method == "PUT" and part in seen.key]


@pytest.fixture
def s3_requests(stand_ins, deployment, monkeypatch):
    seen = S3Requests()

    def forward(request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = request.path[1:].partition("/")[2]
        seen.append(Seen(request.method, key, headers))
        url = stand_ins.aws + request.environ["RAW_URI"]
        response = client.request(request.method, url, content=request.get_data(), headers=headers)
        headers = {name: value for name, value in response.headers.items() if name not in HOP_BY_HOP}
        return Response(response.content, response.status_code, headers)

    with httpx.Client(trust_env=False, timeout=30) as client, serving(forward) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        yield seen


def test_the_stages_send_no_acl_delete_nothing_and_publish_by_copies_with_the_receipt_last(
    pipeline, s3_requests
):
    staged = pipeline.transform(pipeline.extract("posts_2_wire"))
    extracted = len(s3_requests)
    pipeline.load(staged)

    acl = {"x-amz-acl", "x-amz-grant-read", "x-amz-grant-full-control", "x-amz-grant-write"}
    assert s3_requests
    assert not [seen for seen in s3_requests if acl & seen.headers.keys()]
    assert {seen.method for seen in s3_requests} <= {"GET", "PUT", "POST", "HEAD"}
    loading = s3_requests[extracted:]
    written = [seen for seen in loading if seen.method == "PUT"]
    assert [(seen.key, seen.headers.get("x-amz-copy-source", "").split("/")[-1]) for seen in written] == [
        (layout.publish_lease(DAY), ""),
        (layout.csv(DAY), "refined_tweets.csv"),
        (layout.parquet(DAY), "refined_tweets.parquet"),
        (layout.rejected(DAY), "rejected_tweets.jsonl.gz"),
        (layout.receipt(DAY), ""),
        (layout.publish_lease(DAY), ""),
    ]
    assert all("x-amz-copy-source-if-match" in seen.headers for seen in written[1:4])
    assert all({"if-match", "if-none-match"} & seen.headers.keys() for seen in written), "no write is blind"
    assert {seen.key for seen in loading if seen.method == "GET" and seen.key} == {
        staged["receipt"],
        layout.publish_lease(DAY),
        layout.receipt(DAY),
        TOMBSTONES,
        ACCOUNTS,
    }


def test_a_published_object_keeps_its_media_type(pipeline, bucket):
    pipeline.load(pipeline.transform(pipeline.extract("posts_2_wire")))
    types = [
        bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"]
        for key in (layout.csv(DAY), layout.receipt(DAY))
    ]
    assert types == ["text/csv; charset=utf-8", "application/json"]


def test_what_is_bought_is_written_on_condition(pipeline, s3_requests):
    pipeline.extract("posts_2_wire")

    pages = s3_requests.puts(".json.gz")
    assert len(pages) == 3, "a look-up, a page and a count"
    assert {seen.headers.get("if-none-match") for seen in pages} == {"*"}
    manifests = s3_requests.puts("manifest.json")
    assert [seen.headers.get("if-none-match", "if-match") for seen in manifests] == ["*", "if-match"]
