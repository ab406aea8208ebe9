"""The page Days over the real S3 protocol, with the role's own rights."""

import pytest
from fastapi.testclient import TestClient

from include.twitter import object_store
from include.twitter_features.days_page import airflow_db, day_range, routes

pytestmark = pytest.mark.live


@pytest.fixture
def days(deployment, monkeypatch):
    """The page, open to everybody, over the deployment's bucket."""
    for dependency in routes.app.router.dependencies:
        monkeypatch.setitem(routes.app.dependency_overrides, dependency.dependency, lambda: None)
    monkeypatch.setattr(airflow_db, "runs_by_day", lambda first, last: {})
    day_range.store_of.cache_clear()
    yield TestClient(routes.app)
    day_range.store_of.cache_clear()


def test_a_bucket_that_the_role_may_not_read_is_one_sentence(days, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", "somebody-elses")
    response = days.get("/month/2026-11")
    assert response.status_code == 503
    assert "correct Variable twitter_bucket" in response.text
    assert "Traceback" not in response.text


def test_a_landed_day_is_shown_from_its_receipt_its_ledger_and_its_table(days, pipeline):
    staged = pipeline.transform(pipeline.extract("posts_5_fine, suspended_one"))
    with pytest.raises(Exception, match="published without 1 of 2 accounts"):
        pipeline.load(staged)
    page = days.get("/day/2026-11-20").text
    assert "5 rows of 1 of 2 accounts have landed" in page
    assert "Ledger and receipt agree." in page
    assert page.count("Z</td><td>") == 5
    month = days.get("/month/2026-11").text
    assert "Ledger and receipts agree." in month and 'class="notice"' not in month


def test_the_beginning_of_a_large_object_is_read_alone(deployment, bucket):
    key = "staging/twitter/large.csv"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"ab" * 1000)
    store = object_store.from_settings()
    assert store.beginning(key, 5) == b"ababa"
    assert store.beginning(key, 9999) == b"ab" * 1000
    assert store.beginning("staging/twitter/none.csv", 5) is None
