"""What the local stack asks of its Airflow."""

import httpx

from local.airflow import Airflow, _error


def test_a_day_that_has_a_run_goes_through_that_one_again():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(
            409 if request.url.path.endswith("/dagRuns") else 200, json={"detail": "exists"}
        )

    assert answering(answer).run_day("2026-11-18") == "manual__2026-11-18"
    assert asked == [
        "PATCH /api/v2/dags/twitter",
        "POST /api/v2/dags/twitter/dagRuns",
        "POST /api/v2/dags/twitter/dagRuns/manual__2026-11-18/clear",
    ]


def answering(answer) -> Airflow:
    airflow = Airflow("http://127.0.0.1:1")
    airflow.close()
    airflow._http = httpx.Client(
        base_url="http://127.0.0.1:1/api/v2", transport=httpx.MockTransport(answer), trust_env=False
    )
    return airflow


def test_an_error_of_a_log_does_nothing_to_a_terminal():
    detail = {"exc_type": "ValueError", "exc_value": "\x1b[2J\u202e" + "A" * 9000}
    for events in [{"error_detail": [detail]}], [{"level": "error", "event": "\x1b[2J\n"}]:
        said = _error(events)
        assert "[U+001B][2J" in said
        assert "\x1b" not in said and "\n" not in said
        assert len(said) <= 4000
