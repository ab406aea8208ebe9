"""The object store against S3's and the instance metadata's errors, over real HTTP on loopback."""

import gzip
import json
from functools import cache
from types import SimpleNamespace

import botocore.exceptions as boto
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from include.twitter import response
from include.twitter.errors import (
    BadCredentials,
    BadSetting,
    BadStore,
    DamagedObject,
    MissingInput,
    NoCredentials,
    NoPermission,
    PlatformOutage,
    WriteConflict,
)
from include.twitter.layout import PROBE
from include.twitter.object_store import TRIES, ObjectStore, require_conditional_writes
from include.twitter.records import StoreProbe, decoded
from tests.include.factories import MemoryStore
from tests.include.http_recorder import listening

CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAINVENTED",
    "SecretAccessKey": "invented",
    "Token": "invented",
    "Expiration": "2099-01-01T00:00:00Z",
}
# One for all tests: a loader reads the files that describe S3 once, which takes half a second.
loader = cache(botocore.session.create_loader)


@pytest.fixture
def recorder(monkeypatch):
    """S3 on loopback; botocore sends each request once."""
    monkeypatch.setattr(botocore.session, "create_loader", loader)
    monkeypatch.setenv("NO_PROXY", "*")
    with listening() as recorder:
        environment = {
            "AWS_ENDPOINT_URL_S3": recorder.host,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield recorder


@pytest.fixture
def store(recorder, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINVENTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "invented")
    return ObjectStore("acme-twitter-lake", None)


def error(code):
    return f"<Error><Code>{code}</Code><Message>Not now.</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, error("SlowDown"), PlatformOutage),
        (502, b"<html>Bad Gateway</html>", PlatformOutage),
        (0, None, PlatformOutage),
        (403, error("AccessDenied"), NoPermission),
        (404, error("NoSuchBucket"), BadSetting),
    ],
)
@pytest.mark.parametrize(
    "call",
    [lambda store: store.read("a.json"), lambda store: store.write("a.json", b"{}"), lambda s: s.keys("a")],
    ids=["read", "write", "list"],
)
def test_an_error_of_s3_is_one_of_the_pipeline_and_names_the_bucket(
    recorder, store, call, status, body, kind
):
    recorder.respond(status, body)
    with pytest.raises(kind, match="acme-twitter-lake"):
        call(store)


@pytest.mark.parametrize(
    "headers", [{"content_length": "9", "connection": "close"}, {"x_amz_checksum_crc32": "AAAAAA=="}]
)
def test_an_incomplete_object_or_one_with_another_checksum_is_an_outage(recorder, store, headers):
    recorder.respond(200, b"{}", ETag='"1"', **headers)
    with pytest.raises(PlatformOutage, match=r"s3://acme-twitter-lake/a\.json"):
        store.read("a.json")


def test_an_empty_object_has_an_empty_beginning(recorder, store):
    recorder.respond(416, error("InvalidRange"))
    assert store.beginning("a.csv", 5) == b""


def test_an_unknown_error_keeps_its_code_and_names_the_object(recorder, store):
    recorder.respond(400, error("SomethingNew"))
    with pytest.raises(ClientError, match=r"s3://acme-twitter-lake/a\.json") as raised:
        store.read("a.json")
    assert raised.value.response["Error"]["Code"] == "SomethingNew"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (boto.UnauthorizedSSOTokenError(), BadCredentials),
        (boto.TokenRetrievalError(provider="sso", error_msg="expired"), BadCredentials),
        (boto.LoginRefreshRequired(), BadCredentials),
        (boto.PartialCredentialsError(provider="env", cred_var="secret"), BadCredentials),
        (boto.NoCredentialsError(), NoCredentials),
        (boto.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"), NoCredentials),
        (boto.CredentialRetrievalError(provider="iam-role", error_msg="away"), PlatformOutage),
        (boto.ProfileNotFound(profile="acme"), BadSetting),
        (boto.NoRegionError(), BadSetting),
        (boto.ParamValidationError(report='Invalid bucket name "A b": it must match'), BadSetting),
        (boto.ParamValidationError(report="Invalid length for parameter Key"), boto.ParamValidationError),
        (ResponseParserError("no XML"), PlatformOutage),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_a_request_that_botocore_cannot_send_is_explained(monkeypatch, store, failure, kind):
    def get_object(**_):
        raise failure

    monkeypatch.setattr(store._hook, "get_conn", lambda: SimpleNamespace(get_object=get_object))
    with pytest.raises(kind):
        store.read("a.json")


def test_the_role_is_used_although_the_instance_metadata_fail_at_first(recorder, monkeypatch):
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", recorder.host)
    for status, body in [
        (200, b"token"), *[(500, b"")] * 3, (200, b"the-role"), (200, json.dumps(CREDENTIALS).encode())
    ]:  # fmt: skip
        recorder.respond(status, body)
    recorder.respond(200, b"{}", ETag='"1"')
    assert ObjectStore("acme-twitter-lake", None).read("a.json") == b"{}"
    assert "ASIAINVENTED" in recorder.requests[-1].headers["authorization"]


# Conditions and conflicts


@pytest.mark.parametrize(
    ("over", "name", "value"), [('"1"', "if-match", '"1"'), (None, "if-none-match", "*")]
)
def test_a_copy_is_conditional_on_source_and_target(recorder, store, over, name, value):
    recorder.respond(200, b'<CopyObjectResult><ETag>"3"</ETag></CopyObjectResult>')
    assert store.copy("staged", "target", '"2"', over) == '"3"'
    headers = recorder.requests[0].headers
    assert (headers["x-amz-copy-source-if-match"], headers[name]) == ('"2"', value)


def listed(**etags):
    objects = (f"<Contents><Key>{name}</Key><ETag>{etag}</ETag></Contents>" for name, etag in etags.items())
    return f"<ListBucketResult>{''.join(objects)}</ListBucketResult>".encode()


@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (404, "NoSuchKey")])
@pytest.mark.parametrize(
    ("source", "target", "result"),
    [
        ({"staged": '"2"'}, {"target": '"other"'}, WriteConflict),
        ({}, {}, MissingInput),
        ({"staged": '"other"'}, {}, MissingInput),
        ({"staged": '"2"'}, {"target": '"2"'}, '"2"'),
    ],
    ids=["another writer", "source deleted", "source overwritten", "response lost"],
)
def test_a_refused_copy_is_a_conflict_missing_input_or_done(
    recorder, store, status, code, source, target, result
):
    recorder.respond(status, error(code))
    recorder.respond(200, listed(**source))
    recorder.respond(200, listed(**target))
    if isinstance(result, str):
        assert store.copy("staged", "target", '"2"', '"1"') == result
        return
    with pytest.raises(result):
        store.copy("staged", "target", '"2"', '"1"')


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, which take no time."""
    pauses = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=pauses.append))
    return pauses


CONFLICT, ABORTED = (409, error("ConditionalRequestConflict")), (409, error("OperationAborted"))
REFUSED, WRITTEN = (412, error("PreconditionFailed")), (200, b"")


@pytest.mark.parametrize(
    ("replies", "stored", "retries", "is_ours"),
    [
        ([CONFLICT, ABORTED, WRITTEN], None, 2, True),
        ([CONFLICT, REFUSED], b"{}", 1, True),
        ([CONFLICT] * TRIES, b"of another", TRIES - 1, False),
        ([REFUSED], b"of another", 0, False),
    ],
    ids=["own slow request", "own request succeeded", "never ends", "condition does not hold"],
)
def test_a_conflict_is_retried_until_it_proves_another_writer(
    recorder, store, pauses, replies, stored, retries, is_ours
):
    for reply in replies:
        recorder.respond(*reply, ETag='"1"')
    if stored is not None:
        recorder.respond(200, stored, ETag='"1"')
    if is_ours:
        assert store.put_if_match("a.json", b"{}", None) == '"1"'
    else:
        with pytest.raises(WriteConflict):
            store.put_if_match("a.json", b"{}", None)
    assert {request.headers["if-none-match"] for request in recorder.requests[: len(replies)]} == {"*"}
    assert len(pauses) == retries


def test_a_copy_that_meets_another_write_is_retried(recorder, store, pauses):
    recorder.respond(*CONFLICT)
    recorder.respond(200, b"<CopyObjectResult><ETag>1</ETag></CopyObjectResult>")
    store.copy("a.json", "b.json", '"1"', None)
    assert len(pauses) == 1


class OvertakenStore(MemoryStore):
    """Another process writes first, so many times."""

    times = 0

    def put_if_match(self, key, data, etag):
        if self.times:
            self.times -= 1
            self.write(key, b"another's %d" % self.times)
        return super().put_if_match(key, data, etag)


def test_an_update_is_retried_with_pauses_and_ends(pauses):
    store = OvertakenStore()
    store.times = 3
    store.update("a.json", lambda data: (data or b"") + b", mine")
    assert (store.read("a.json"), len(pauses)) == (b"another's 0, mine", 3)
    store.times = 1_000
    with pytest.raises(WriteConflict):
        store.update("a.json", lambda data: (data or b"") + b", mine")
    assert store.times == 1_000 - TRIES


# Stores without conditional writes


class Gateway(MemoryStore):
    """A store that ignores some conditions, or refuses an If-Match that holds, as Ceph does."""

    endpoint = "https://gateway.example"

    def __init__(self, *ignored, refuses_if_match=False):
        super().__init__()
        self.ignored, self.refuses_if_match = ignored, refuses_if_match

    def put_if_match(self, key, data, etag):
        if etag and self.refuses_if_match:
            raise WriteConflict("412")
        if ("IfMatch" if etag else "IfNoneMatch") in self.ignored:
            self.write(key, data)
            return self.get(key).etag
        return super().put_if_match(key, data, etag)


def test_a_store_is_probed_once_and_again_at_another_address():
    store = Gateway()
    require_conditional_writes(store)
    passed = StoreProbe("s3://acme-twitter-lake/", "https://gateway.example", keeps_conditions=True)
    assert decoded(store.read(PROBE), StoreProbe) == passed
    written = len(store.written)
    require_conditional_writes(store)
    assert len(store.written) == written
    store.endpoint, store.ignored = "https://elsewhere.example", ["IfMatch"]
    with pytest.raises(BadStore, match=r"https://elsewhere\.example"):
        require_conditional_writes(store)


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        (Gateway("IfMatch"), "accepts If-Match"),
        (Gateway("IfNoneMatch"), "accepts If-None-Match"),
        (Gateway("IfMatch", "IfNoneMatch"), "accepts If-None-Match"),
        (Gateway(refuses_if_match=True), "412"),
    ],
    ids=["ignores If-Match", "ignores If-None-Match", "ignores both", "refuses If-Match"],
)
def test_a_store_that_does_not_keep_conditions_is_refused_in_each_run(store, problem):
    for _ in range(2):
        with pytest.raises(BadStore, match=problem):
            require_conditional_writes(store)


def test_a_store_that_does_not_know_conditions_is_refused(recorder, store):
    recorder.respond(404, error("NoSuchKey"))
    recorder.respond(501, error("NotImplemented"))
    with pytest.raises(BadStore, match="NotImplemented"):
        require_conditional_writes(store)


@pytest.mark.parametrize("data", [b"", gzip.compress(bytes(10_000), mtime=0)], ids=["empty", "bomb"])
def test_a_damaged_response_is_named_with_the_remedy(data, monkeypatch):
    monkeypatch.setattr(response, "MAX_STORED_BYTES", 1000)
    store = MemoryStore()
    store.write("twitter_raw/dt=2026-11-18/NASA/0001.json.gz", data)
    with pytest.raises(DamagedObject, match=r"NASA/0001\.json\.gz .*buy_again"):
        list(store.responses(store.keys("")))
