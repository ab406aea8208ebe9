"""The accounts in a file of the bucket, read with the role's own rights by every stage."""

import pytest

pytestmark = pytest.mark.live

KEY = "twitter_accounts/accounts.csv"


@pytest.fixture
def filed(pipeline, bucket):
    """Put the file of accounts, and the Variable that names it."""

    def put(*lines):
        body = "\n".join(["handle,group,limit,own", *lines]).encode()
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
    assert bucket.json(bought["manifest"])["spec"]["handles"] == ["posts_5_fine", "posts_9_good"]
    assert pipeline.load(pipeline.transform(bought))["accounts"] == 2


def test_a_group_is_bought_alone(pipeline, filed, x):
    filed("posts_5_fine,press", "posts_9_good,", "posts_7_more,press")
    bought = pipeline.extract(accounts="group:press")
    assert sorted(pipeline.accounts(bought)) == ["posts_5_fine", "posts_7_more"]


def test_an_account_has_the_limit_of_its_line(pipeline, bucket, filed, x):
    pipeline.put(tweet_limit=20)
    filed("posts_120_a,,,", "posts_90_b,,10,", "posts_30_c,,0,")
    bought = pipeline.extract()
    assert {name: (line["outcome"], line["limit"]) for name, line in pipeline.accounts(bought).items()} == {
        "posts_120_a": ("limit", 20),
        "posts_90_b": ("limit", 10),
        "posts_30_c": ("complete", 0),
    }
    receipts = pipeline.refine(bought)
    rows = {name: line["published"] for name, line in receipts.items()}
    assert (rows["posts_120_a"], rows["posts_90_b"]) == (20, 10)
    assert receipts["posts_30_c"]["over_limit"] == 0
    x.forget()
    filed("posts_120_a,,,", "posts_90_b,,40,", "posts_30_c,,0,")
    assert pipeline.refine(pipeline.extract())["posts_90_b"]["published"] == 40
    assert set(x.request_kinds()) == {"timeline"}
    assert len({request["path"] for request in x.requests()}) == 1


def test_an_account_that_has_left_the_file_keeps_the_rows_that_its_limit_let_it_have(pipeline, filed):
    pipeline.put(tweet_limit=20)
    filed("posts_120_a,,50,", "posts_5_fine,,,")
    assert pipeline.refine(pipeline.extract())["posts_120_a"]["published"] == 50
    filed("posts_5_fine,,,")
    assert pipeline.refine(pipeline.extract())["posts_120_a"]["published"] == 50
