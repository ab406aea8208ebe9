"""The accounts in a file of the bucket, read with the role's own rights by every stage."""

import logging

import pytest

from include.twitter.errors import BadSetting, Incomplete

pytestmark = pytest.mark.live

KEY = "twitter_accounts/accounts.csv"


@pytest.fixture
def filed(pipeline, bucket):
    """Put the file of accounts, and the Variable that names it."""

    def put(*lines):
        body = "\n".join(["handle,group,own", *lines]).encode()
        bucket.client.put_object(Bucket=bucket.name, Key=KEY, Body=body)
        pipeline.put(handles=f"s3://{bucket.name}/{KEY}")

    return put


def test_a_day_has_the_accounts_of_the_file(pipeline, bucket, filed):
    filed("posts_5_fine,press", "posts_9_good,", "# posts_7_away")
    bought = pipeline.extract()
    assert {name: line["posts"] for name, line in pipeline.accounts(bought).items()} == {
        "posts_5_fine": 5,
        "posts_9_good": 9,
    }
    assert bucket.json(bought["manifest"])["asked"]["handles"] == ["posts_5_fine", "posts_9_good"]
    assert pipeline.load(pipeline.transform(bought))["accounts"] == 2


def test_a_group_is_bought_alone(pipeline, filed, x):
    filed("posts_5_fine,press", "posts_9_good,", "posts_7_more,press")
    bought = pipeline.extract(accounts="group:press")
    assert sorted(pipeline.accounts(bought)) == ["posts_5_fine", "posts_7_more"]


def test_an_account_that_has_left_the_file_before_load_is_waived(pipeline, filed, caplog):
    filed("posts_5_fine,", "suspended_one,")
    staged = pipeline.transform(pipeline.extract())
    with pytest.raises(Incomplete, match="suspended_one"):
        pipeline.load(staged)
    filed("posts_5_fine,")
    with caplog.at_level(logging.WARNING):
        pipeline.load(staged)
    assert "Waived, since they left twitter_handles: suspended_one" in caplog.text


def test_a_bad_line_is_refused_before_x_is_asked_for_anything(pipeline, bucket, filed, x):
    filed("posts_5_fine,", "", "posts 9,")
    with pytest.raises(
        BadSetting, match=rf"s3://{bucket.name}/{KEY}, line 4: 'posts 9': a handle is 1 to 15"
    ):
        pipeline.extract()
    assert x.requests() == []
