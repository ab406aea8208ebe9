"""A wrong setting or day fails `extract` before it sends a request to X."""

import json

import pytest

from include.twitter.errors import BadDay, BadSetting, NoPermission, PermanentError
from local import x_api
from tests.stages.conftest import RECENT

pytestmark = pytest.mark.live


@pytest.fixture
def refusal(pipeline, x):
    """Run extract, and return its error."""
    pipeline.put(handles="posts_2_sound")

    def run(kinds=BadSetting, day=RECENT) -> str:
        with pytest.raises(PermanentError) as raised:
            pipeline.extract(day=day)
        assert x.requests() == []
        assert isinstance(raised.value, kinds)
        return str(raised.value)

    return run


@pytest.mark.parametrize(("variable", "value"), [("handles", "@bad handle!"), ("bucket", "s3://lake")])
def test_a_wrong_variable_is_named_with_its_value_and_an_example(refusal, monkeypatch, variable, value):
    monkeypatch.setenv(f"AIRFLOW_VAR_TWITTER_{variable.upper()}", value)
    message = refusal()
    assert message.startswith(f"Variable twitter_{variable}: {value!r} is not")
    assert ". Example: " in message


def test_a_bucket_of_another_owner_is_refused(refusal, pipeline):
    pipeline.put(bucket="somebody-elses-lake")
    assert "twitter_bucket" in refusal((BadSetting, NoPermission))


def test_a_wrong_connection_is_refused_without_its_secrets(refusal, deployment, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(deployment | {"host": "http://x.example"}))
    message = refusal()
    assert message.startswith("Connection twitter_default: its host 'http://x.example'")
    assert x_api.CONSUMER_SECRET not in message


def test_a_future_day_is_refused_before_any_setting_is_read(refusal, monkeypatch):
    monkeypatch.delenv("AIRFLOW_VAR_TWITTER_BUCKET")
    assert "2999-01-01 has not ended" in refusal(BadDay, day="2999-01-01")
