"""What S3 and the instance's metadata say when they cannot, over real HTTP on loopback."""

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
    AwsRefused,
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
def wire(monkeypatch):
    """S3, which is asked once: botocore's own tries are left out."""
    monkeypatch.setattr(botocore.session, "create_loader", loader)
    monkeypatch.setenv("NO_PROXY", "*")
    with listening() as heard:
        environment = {
            "AWS_ENDPOINT_URL_S3": heard.host,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield heard


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINVENTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "invented")


@pytest.fixture
def lake(wire, keys):
    return ObjectStore("acme-twitter-lake", None)


def no(code):
    return f"<Error><Code>{code}</Code><Message>Not now.</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, no("SlowDown"), PlatformOutage),
        (500, no("InternalError"), PlatformOutage),
        (400, no("RequestTimeout"), PlatformOutage),
        (400, no("ExpiredToken"), PlatformOutage),
        (502, b"<html>Bad Gateway</html>", PlatformOutage),
        (0, None, PlatformOutage),
        (403, no("AccessDenied"), NoPermission),
        (403, no("InvalidObjectState"), AwsRefused),
        (403, no("SignatureDoesNotMatch"), BadCredentials),
        (404, no("NoSuchBucket"), BadSetting),
    ],
)
def test_an_error_of_s3_says_what_to_do_and_names_the_object_or_the_bucket(wire, lake, status, body, kind):
    for erasure in (lambda: lake.read("a.json"), lambda: lake.write("a.json", b"{}"), lambda: lake.keys("a")):
        wire.say(status, body)
        with pytest.raises(kind, match="acme-twitter-lake"):
            erasure()


@pytest.mark.parametrize(
    "headers", [{"content_length": "9", "connection": "close"}, {"x_amz_checksum_crc32": "AAAAAA=="}]
)
def test_an_object_that_breaks_off_or_has_another_checksum_is_an_outage(wire, lake, headers):
    wire.say(200, b"{}", ETag='"1"', **headers)
    with pytest.raises(PlatformOutage, match=r"s3://acme-twitter-lake/a\.json cannot be reached"):
        lake.read("a.json")


def test_a_copy_of_an_archived_object_names_the_object_to_restore(wire, lake):
    wire.say(403, no("ObjectNotInActiveTierError"))
    with pytest.raises(AwsRefused, match=r"a\.json → b\.json.* --key a\.json --restore"):
        lake.copy("a.json", "b.json", '"1"', None)


def test_an_empty_object_has_an_empty_beginning(wire, lake):
    wire.say(416, no("InvalidRange"))
    assert lake.beginning("a.csv", 5) == b""


def test_an_unknown_error_keeps_its_code_and_names_the_object(wire, lake):
    wire.say(400, no("SomethingNew"))
    with pytest.raises(ClientError, match=r"SomethingNew.*s3://acme-twitter-lake/a\.json") as raised:
        lake.read("a.json")
    assert raised.value.response["Error"]["Code"] == "SomethingNew"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (boto.UnauthorizedSSOTokenError(), BadCredentials),
        (boto.TokenRetrievalError(provider="sso", error_msg="expired"), BadCredentials),
        (boto.LoginRefreshRequired(), BadCredentials),
        (boto.PartialCredentialsError(provider="env", cred_var="secret"), BadCredentials),
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
def test_a_request_that_cannot_be_made_says_what_to_do(monkeypatch, lake, error, kind):
    def get_object(**_):
        raise error

    monkeypatch.setattr(lake._hook, "get_conn", lambda: SimpleNamespace(get_object=get_object))
    with pytest.raises(kind):
        lake.read("a.json")


def test_credentials_that_are_not_there_may_come(wire):
    with pytest.raises(NoCredentials, match="On EC2, attach the instance role"):
        ObjectStore("acme-twitter-lake", None).read("a.json")


def test_an_instance_whose_metadata_fail_at_first_has_its_role(wire, monkeypatch):
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", wire.host)
    wire.say(200, b"token")
    for _ in range(3):
        wire.say(500, b"")
    wire.say(200, b"the-role")
    wire.say(200, json.dumps(CREDENTIALS).encode())
    wire.say(200, b"{}", ETag='"1"')
    assert ObjectStore("acme-twitter-lake", None).read("a.json") == b"{}"
    assert "ASIAINVENTED" in wire.heard[-1].headers["authorization"]


# A copy on the condition that nobody else has written its target


def listed(**tags):
    objects = "".join(
        f"<Contents><Key>{name}</Key><ETag>{etag}</ETag></Contents>" for name, etag in tags.items()
    )
    return f"<ListBucketResult>{objects}</ListBucketResult>".encode()


@pytest.mark.parametrize(
    ("over", "name", "value"), [('"1"', "if-match", '"1"'), (None, "if-none-match", "*")]
)
def test_a_copy_names_the_object_that_it_replaces_and_returns_its_etag(wire, lake, over, name, value):
    wire.say(200, b'<CopyObjectResult><ETag>"3"</ETag></CopyObjectResult>')
    assert lake.copy("staged", "target", '"2"', over) == '"3"'
    headers = wire.heard[0].headers
    assert (headers["x-amz-copy-source-if-match"], headers[name]) == ('"2"', value)


@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (404, "NoSuchKey")])
@pytest.mark.parametrize(
    ("source", "target", "result"),
    [
        ({"staged": '"2"'}, {"target": '"other"'}, WriteConflict),
        ({}, {}, MissingInput),
        ({"staged": '"other"'}, {}, MissingInput),
        ({"staged": '"2"'}, {"target": '"2"'}, '"2"'),
    ],
    ids=["another writer", "source gone", "source overwritten", "response lost"],
)
def test_a_refused_copy_is_told_apart(wire, lake, status, code, source, target, result):
    wire.say(status, no(code))
    wire.say(200, listed(**source))
    wire.say(200, listed(**target))
    if isinstance(result, str):
        assert lake.copy("staged", "target", '"2"', '"1"') == result
        return
    with pytest.raises(result):
        lake.copy("staged", "target", '"2"', '"1"')


# Conflicts


@pytest.fixture
def paused(monkeypatch):
    """How long it would have paused, each time."""
    pauses = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=pauses.append))
    return pauses


CONFLICT, ABORTED = (409, no("ConditionalRequestConflict")), (409, no("OperationAborted"))
REFUSED, WRITTEN = (412, no("PreconditionFailed")), (200, b"")


@pytest.mark.parametrize(
    ("replies", "stored", "pauses", "is_ours"),
    [
        ([CONFLICT, ABORTED, WRITTEN], None, 2, True),
        ([CONFLICT, REFUSED], b"{}", 1, True),
        ([CONFLICT] * TRIES, b"of another", TRIES - 1, False),
        ([REFUSED], b"of another", 0, False),
    ],
    ids=["own slow request", "own request succeeded", "does not end", "condition does not hold"],
)
def test_a_conflict_is_retried_and_in_the_end_is_another_writer(
    wire, lake, paused, replies, stored, pauses, is_ours
):
    for reply in replies:
        wire.say(*reply, ETag='"1"')
    if stored is not None:
        wire.say(200, stored, ETag='"1"')
    if is_ours:
        assert lake.put_if_match("a.json", b"{}", None) == '"1"'
    else:
        with pytest.raises(WriteConflict):
            lake.put_if_match("a.json", b"{}", None)
    assert {heard.headers["if-none-match"] for heard in wire.heard[: len(replies)]} == {"*"}
    assert len(paused) == pauses


def test_a_copy_that_meets_another_write_is_retried(wire, lake, paused):
    wire.say(*CONFLICT)
    wire.say(200, b"<CopyObjectResult><ETag>1</ETag></CopyObjectResult>")
    lake.copy("a.json", "b.json", '"1"', None)
    assert len(paused) == 1


class OvertakingLake(MemoryStore):
    """Another writer is quicker, so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def put_if_match(self, key, data, etag):
        if self.times:
            self.times -= 1
            self.write(key, b"another's %d" % self.times)
        return super().put_if_match(key, data, etag)


def test_a_change_is_tried_again_with_pauses_and_has_an_end(paused):
    lake = OvertakingLake(3)
    lake.update("a.json", lambda data: (data or b"") + b", mine")
    assert (lake.read("a.json"), len(paused)) == (b"another's 0, mine", 3)
    lake.times = 1_000
    with pytest.raises(WriteConflict):
        lake.update("a.json", lambda data: (data or b"") + b", mine")
    assert lake.times == 1_000 - TRIES


# Stores


class Gateway(MemoryStore):
    """A store that does not keep the conditions that it `ignores`."""

    endpoint = "https://gateway.example"

    def __init__(self, *ignores):
        super().__init__()
        self.ignores = ignores

    def put_if_match(self, key, data, etag):
        if ("IfMatch" if etag else "IfNoneMatch") in self.ignores:
            self.write(key, data)
            return self.get(key).etag
        return super().put_if_match(key, data, etag)


class Ceph(MemoryStore):
    """Answers 412 to an If-Match that holds."""

    def put_if_match(self, key, data, etag):
        if etag:
            raise WriteConflict("412")
        return super().put_if_match(key, data, etag)


def test_a_store_is_tried_once_and_then_costs_one_read(paused):
    lake = Gateway()
    require_conditional_writes(lake)
    said = decoded(lake.read(PROBE), StoreProbe)
    assert said == StoreProbe("s3://acme-twitter-lake/", "https://gateway.example", keeps_conditions=True)
    written = list(lake.written)
    require_conditional_writes(lake)
    assert (lake.written, paused) == (written, [])


@pytest.mark.parametrize("ignores", [("IfMatch",), ("IfNoneMatch",), ("IfMatch", "IfNoneMatch")])
@pytest.mark.parametrize("times", [1, 2])
def test_a_store_that_ignores_a_condition_is_refused_each_time(paused, ignores, times):
    lake = Gateway(*ignores)
    for _ in range(times):
        with pytest.raises(BadStore, match=r"https://gateway\.example does not keep .*: it accepts If-"):
            require_conditional_writes(lake)


def test_a_store_that_refuses_a_condition_that_holds_is_refused(paused):
    with pytest.raises(BadStore, match="412 where the condition of a write holds"):
        require_conditional_writes(Ceph())


def test_a_store_that_knows_no_conditions_is_refused(wire, keys, paused):
    wire.say(404, no("NoSuchKey"))
    wire.say(501, no("NotImplemented"))
    with pytest.raises(BadStore, match="NotImplemented"):
        require_conditional_writes(ObjectStore("acme-twitter-lake", None))


@pytest.mark.parametrize("ignores", [(), ("IfMatch",)])
def test_a_bucket_that_was_copied_to_another_store_is_tried_again(paused, ignores):
    first, copy = Gateway(), Gateway(*ignores)
    require_conditional_writes(first)
    copy.objects, copy.endpoint = dict(first.objects), "https://elsewhere.example"
    if ignores:
        with pytest.raises(BadStore):
            require_conditional_writes(copy)
    else:
        require_conditional_writes(copy)
        assert decoded(copy.read(PROBE), StoreProbe).endpoint == copy.endpoint


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 4))
def test_a_probe_that_was_killed_at_a_write_is_ended_by_the_next(paused, number, after):
    class Mortal(Gateway):
        left = number

        def write(self, key, data):
            self.left -= 1
            if not self.left and not after:
                raise Killed
            super().write(key, data)
            if not self.left:
                raise Killed

    lake = Mortal()
    with pytest.raises(Killed):
        require_conditional_writes(lake)
    require_conditional_writes(lake)
    assert decoded(lake.read(PROBE), StoreProbe).keeps_conditions


@pytest.mark.parametrize("at", range(1, 12))
def test_two_probes_at_once_both_end_well(paused, at):
    class Meeting(Gateway):
        calls = 0

        def _pass(self):
            self.calls += 1
            if self.calls == at:
                require_conditional_writes(self)

        def get(self, key):
            self._pass()
            return super().get(key)

        def put_if_match(self, key, data, etag):
            self._pass()
            return super().put_if_match(key, data, etag)

    lake = Meeting()
    require_conditional_writes(lake)
    assert decoded(lake.read(PROBE), StoreProbe).keeps_conditions


def test_a_probe_that_others_disturb_all_the_time_comes_back_later(paused):
    class Crowded(Gateway):
        def get(self, key):
            found = super().get(key)
            if found:
                self.objects[key] = found.data + b" "
            return found

    with pytest.raises(WriteConflict):
        require_conditional_writes(Crowded())


@pytest.mark.parametrize("data", [b"", gzip.compress(bytes(10_000), mtime=0)], ids=["empty", "bomb"])
def test_a_stored_response_that_cannot_be_read_is_named_with_the_remedy(data, monkeypatch):
    monkeypatch.setattr(response, "MAX_STORED_BYTES", 1000)
    lake = MemoryStore()
    lake.write("twitter_raw/dt=2026-11-18/NASA/0001.json.gz", data)
    with pytest.raises(DamagedObject) as raised:
        list(lake.responses(lake.keys("")))
    assert lake.url("twitter_raw/dt=2026-11-18/NASA/0001.json.gz") in str(raised.value)
    assert "buy_again" in str(raised.value)
