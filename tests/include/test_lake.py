"""What S3 and the instance's metadata say when they cannot, over real HTTP on loopback."""

import json

import pytest

from include.twitter.errors import Busy, NoCredentials, NoPermission, NothingStaged, PlatformOutage
from include.twitter.lake import Lake
from tests.include.wire import listening

CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAINVENTED",
    "SecretAccessKey": "invented",
    "Token": "invented",
    "Expiration": "2099-01-01T00:00:00Z",
}


@pytest.fixture
def wire(monkeypatch):
    """S3, which is asked once: botocore's own tries are left out."""
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


def no(code):
    return f"<Error><Code>{code}</Code><Message>Not now.</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, no("SlowDown")),
        (503, no("ServiceUnavailable")),
        (500, no("InternalError")),
        (400, no("RequestTimeout")),
        (400, no("ExpiredToken")),
        (502, b"<html>Bad Gateway</html>"),
        (0, None),
    ],
)
def test_what_s3_cannot_do_now_is_waited_for(wire, keys, status, body):
    lake = Lake("acme-twitter-lake", None)
    for act in (lambda: lake.read("a.json"), lambda: lake.write("a.json", b"{}"), lambda: lake.keys("a")):
        wire.say(status, body)
        with pytest.raises(PlatformOutage):
            act()


def test_an_object_that_breaks_off_is_an_outage(wire, keys):
    wire.say(200, b"{", content_length="9", ETag='"1"', connection="close")
    with pytest.raises(PlatformOutage, match=r"s3://acme-twitter-lake/a\.json cannot be reached"):
        Lake("acme-twitter-lake", None).read("a.json")


def test_what_s3_denies_is_still_a_refusal(wire, keys):
    wire.say(403, no("AccessDenied"))
    with pytest.raises(NoPermission):
        Lake("acme-twitter-lake", None).read("a.json")


def test_credentials_that_are_not_there_may_come(wire):
    with pytest.raises(NoCredentials, match="On EC2, attach the instance role"):
        Lake("acme-twitter-lake", None).read("a.json")


def test_an_instance_whose_metadata_fail_at_first_has_its_role(wire, monkeypatch):
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", wire.host)
    wire.say(200, b"token")
    for _ in range(3):
        wire.say(500, b"")
    wire.say(200, b"the-role")
    wire.say(200, json.dumps(CREDENTIALS).encode())
    wire.say(200, b"{}", ETag='"1"')
    assert Lake("acme-twitter-lake", None).read("a.json") == b"{}"
    assert "ASIAINVENTED" in wire.heard[-1].headers["authorization"]


# A copy on the condition that nobody else has written its target


def listed(**tags):
    objects = "".join(
        f"<Contents><Key>{name}</Key><ETag>{tag}</ETag></Contents>" for name, tag in tags.items()
    )
    return f"<ListBucketResult>{objects}</ListBucketResult>".encode()


@pytest.mark.parametrize(
    ("over", "name", "value"), [('"1"', "if-match", '"1"'), (None, "if-none-match", "*")]
)
def test_a_copy_names_the_object_that_it_replaces_and_tells_its_tag(wire, keys, over, name, value):
    wire.say(200, b'<CopyObjectResult><ETag>"3"</ETag></CopyObjectResult>')
    assert Lake("acme-twitter-lake", None).copy("staged", "target", '"2"', over) == '"3"'
    headers = wire.heard[0].headers
    assert (headers["x-amz-copy-source-if-match"], headers[name]) == ('"2"', value)


REFUSED = [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (404, "NoSuchKey")]


@pytest.mark.parametrize(("status", "code"), REFUSED)
def test_a_target_that_another_has_written_or_removed_is_not_copied_over(wire, keys, status, code):
    wire.say(status, no(code))
    wire.say(200, listed(staged='"2"'))
    wire.say(200, listed(target='"other"'))
    with pytest.raises(Busy, match="target was written by somebody else"):
        Lake("acme-twitter-lake", None).copy("staged", "target", '"2"', '"1"')


@pytest.mark.parametrize(("status", "code"), REFUSED)
@pytest.mark.parametrize("source", [{}, {"staged": '"other"'}], ids=["gone", "overwritten"])
def test_a_source_that_is_gone_or_overwritten_is_not_blamed_on_another_writer(
    wire, keys, status, code, source
):
    wire.say(status, no(code))
    wire.say(200, listed(**source))
    with pytest.raises(NothingStaged, match="staged is not what its receipt says"):
        Lake("acme-twitter-lake", None).copy("staged", "target", '"2"', '"1"')


def test_a_copy_whose_answer_was_lost_has_succeeded(wire, keys):
    wire.say(412, no("PreconditionFailed"))
    wire.say(200, listed(staged='"2"'))
    wire.say(200, listed(target='"2"'))
    assert Lake("acme-twitter-lake", None).copy("staged", "target", '"2"', '"1"') == '"2"'
