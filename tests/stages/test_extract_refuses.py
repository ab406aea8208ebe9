"""What a deployment gets wrong fails `extract` before it buys anything."""

import json

import pytest

from include.twitter.errors import BadDay, BadSetting, NoPermission
from local import x_api
from tests.stages.conftest import RECENT

pytestmark = pytest.mark.live


@pytest.fixture
def refusal(pipeline, x):
    """What a refused extract says; it has asked X for nothing."""
    pipeline.put(handles="posts_2_sound")

    def told(error=BadSetting, day=RECENT) -> str:
        with pytest.raises(error) as refused:
            pipeline.extract(day=day)
        assert x.requests() == []
        return str(refused.value)

    return told


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("twitter_handles", "@bad handle!", "'@bad handle!' is not a handle: 1 to 15 letters"),
        ("twitter_bucket", "s3://lake", "'s3://lake' is not a bucket name"),
    ],
)
def test_a_bad_variable_is_named_with_what_was_found_and_an_example(
    refusal, monkeypatch, variable, value, said
):
    monkeypatch.setenv(f"AIRFLOW_VAR_{variable.upper()}", value)
    told = refusal()
    assert told.startswith(f"Variable {variable}: {said}")
    assert ". Example: " in told


def test_a_bucket_that_the_role_does_not_own_is_refused(refusal, pipeline):
    pipeline.put(bucket="somebody-elses-lake")
    assert "twitter_bucket" in refusal((BadSetting, NoPermission))


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"password": ""}, "it has no usable keys (found: login, access_token, access_token_secret)"),
        ({"host": "http://x.example"}, "would send the keys in clear text"),
    ],
)
def test_a_bad_connection_is_named_with_what_was_found_and_an_example(
    refusal, deployment, monkeypatch, spoiled, said
):
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(deployment | spoiled))
    told = refusal()
    assert told.startswith("Connection twitter_default: ")
    assert said in told
    assert ". Example: " in told
    assert x_api.CONSUMER_SECRET not in told


def test_a_future_day_is_refused_before_any_setting_is_read(refusal, monkeypatch):
    monkeypatch.delenv("AIRFLOW_VAR_TWITTER_BUCKET")
    assert "2999-01-01 has not ended" in refusal(BadDay, day="2999-01-01")
