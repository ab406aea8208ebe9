"""The page Days over the real S3 protocol, with the role's own rights."""

import pytest
from fastapi.testclient import TestClient

from include.twitter.page import site, span

pytestmark = pytest.mark.live


@pytest.fixture
def days(deployment, monkeypatch):
    """The page, open to everybody, over the deployment's bucket."""
    for dependency in site.app.router.dependencies:
        monkeypatch.setitem(site.app.dependency_overrides, dependency.dependency, lambda: None)
    monkeypatch.setattr(span.runs, "by_day", lambda first, last: {})
    span.forget_lake()
    yield TestClient(site.app)
    span.forget_lake()


def test_a_bucket_that_the_role_may_not_read_is_one_sentence(days, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", "somebody-elses")
    response = days.get("/month/2026-11")
    assert response.status_code == 503
    assert "correct Variable twitter_bucket" in response.text
    assert "Traceback" not in response.text


def test_a_landed_day_is_shown_from_its_receipt_its_ledger_and_its_table(days, pipeline):
    pipeline.load(pipeline.transform(pipeline.extract("posts_5_fine")))
    page = days.get("/day/2026-11-20").text
    assert "5 rows of 1 account have landed" in page
    assert "Ledger and receipt agree." in page
    assert page.count("Z</td><td>") == 5
