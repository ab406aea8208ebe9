"""What the local stack asks of its Airflow."""

from datetime import UTC, datetime

import httpx
import pytest

from local.airflow import Airflow


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (503, "Database is locked. Backfill creation is not supported …"),
        (500, {"reason": "Database error", "statement": "hidden", "orig_error": "hidden"}),
    ],
)
def test_a_backfill_that_meets_a_locked_database_is_asked_for_again(status, detail):
    locked = httpx.Response(status, json={"detail": detail})
    posts = iter([locked, httpx.Response(200, json={"id": 1})])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return next(posts)
        return httpx.Response(
            200, json={"backfills": [], "dag_runs": [{"dag_run_id": "backfill__2026-11-19"}]}
        )

    airflow = Airflow("http://127.0.0.1:1")
    airflow.close()
    airflow._http = httpx.Client(
        base_url="http://127.0.0.1:1/api/v2", transport=httpx.MockTransport(answer), trust_env=False
    )

    assert airflow.run_day(datetime(2026, 11, 18, tzinfo=UTC)) == "backfill__2026-11-19"
    airflow.close()
    assert list(posts) == []
