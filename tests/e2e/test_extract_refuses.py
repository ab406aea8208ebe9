"""What a deployment gets wrong fails `extract` before it buys anything."""

import json

import pytest

from include.twitter.day import Day
from include.twitter.errors import BadDay, BadSetting, NoPermission
from include.twitter.extract import extract
from include.twitter.run import Run
from local import x_api
from tests.e2e.conftest import day_ago

pytestmark = pytest.mark.live

RUN = Run(Day.parse(day_ago(5)), "cafe00000000")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HANDLES", None, "Variable twitter_handles: not set. Example: NASA, esa"),
        ("HANDLES", " , ", "Variable twitter_handles: names no account (found: ',')"),
        ("HANDLES", "@bad handle!", "Variable twitter_handles: 'bad handle!': a handle is 1 to 15 letters"),
        ("HANDLES", '["a", 1]', "Variable twitter_handles: a JSON list of texts was expected"),
        ("HANDLES", '["a"', "Variable twitter_handles: starts like a JSON list but is none"),
        (
            "TWEET_LIMIT",
            "ten",
            "Variable twitter_tweet_limit: 'ten' is no whole number from 0 up. Example: 250",
        ),
        ("TWEET_LIMIT", "-1", "Variable twitter_tweet_limit: '-1' is no whole number"),
        ("SETTLE_MINUTES", "soon", "Variable twitter_settle_minutes: 'soon' is no number of minutes"),
        ("BUCKET", None, "Variable twitter_bucket: not set. Example: acme-twitter-lake"),
        ("BUCKET", "s3://lake", "Variable twitter_bucket: 's3://lake' is no bucket name"),
    ],
)
def test_a_bad_variable_is_named_with_what_was_found_and_an_example(
    deployment, monkeypatch, x, variable, value, said
):
    if value is None:
        monkeypatch.delenv(f"AIRFLOW_VAR_TWITTER_{variable}")
    else:
        monkeypatch.setenv(f"AIRFLOW_VAR_TWITTER_{variable}", value)
    with pytest.raises(BadSetting) as refused:
        extract(RUN)
    assert str(refused.value).startswith(said)
    assert ". Example: " in str(refused.value)
    assert x.requests() == []


def test_a_bucket_that_the_role_does_not_own_is_refused(deployment, monkeypatch, x):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", "somebody-elses-lake")
    with pytest.raises((BadSetting, NoPermission), match="twitter_bucket"):
        extract(RUN)
    assert x.requests() == []


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (None, "Connection twitter_default: not found"),
        ({"login": "", "password": "", "extra": {}}, "it holds no usable keys (found: none)"),
        ({"password": ""}, "it holds no usable keys (found: login, access_token, access_token_secret)"),
        ({"extra": {"access_token": "only"}}, "access_token and access_token_secret go together"),
        ({"host": "http://x.example"}, "would send the keys in clear text"),
        ({"host": "ftp://x.example"}, "is no web address"),
    ],
)
def test_a_bad_connection_is_named_with_what_was_found_and_an_example(
    deployment, monkeypatch, x, spoiled, said
):
    if spoiled is None:
        monkeypatch.delenv("AIRFLOW_CONN_TWITTER_DEFAULT")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps({**deployment, **spoiled}))
    with pytest.raises(BadSetting) as refused:
        extract(RUN)
    assert str(refused.value).startswith("Connection twitter_default: ")
    assert said in str(refused.value)
    assert ". Example: " in str(refused.value)
    assert x_api.CONSUMER_SECRET not in str(refused.value)
    assert x.requests() == []


def test_a_future_day_is_refused_before_any_setting_is_read(x):
    with pytest.raises(BadDay, match="2999-01-01 has not ended"):
        extract(Run(Day.parse("2999-01-01"), "cafe00000000"))
    assert x.requests() == []


def test_a_handle_named_twice_is_bought_once_whatever_its_case(deployment, monkeypatch, x):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "@Posts_2_Once, posts_2_once,POSTS_2_ONCE")
    assert extract(RUN)["users"] == 1
    assert [r["path"].split("/")[-1] for r in x.requests()] == ["by", "tweets", "token", "recent"]
