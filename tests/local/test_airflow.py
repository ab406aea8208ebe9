"""The requests of the local stack to its Airflow."""

import json

import httpx
import pytest

from local.airflow import Airflow, AirflowRefused, AirflowUnreachable, Login, _error


def test_a_day_that_has_a_run_goes_through_that_one_again():
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(f"{request.method} {request.url.path}")
        return httpx.Response(
            409 if request.url.path.endswith("/dagRuns") else 200, json={"detail": "exists"}
        )

    assert answering(respond).run_day("2026-11-18") == "manual__2026-11-18"
    assert requests == [
        "PATCH /api/v2/dags/twitter",
        "POST /api/v2/dags/twitter/dagRuns",
        "POST /api/v2/dags/twitter/dagRuns/manual__2026-11-18/clear",
    ]


@pytest.mark.parametrize(
    ("state", "cleared"), [("running", False), ("queued", False), ("up_for_retry", True)]
)
def test_a_run_that_another_command_follows_is_not_cleared_while_a_worker_has_it(state, cleared):
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.path.rpartition("/")[2])
        task = {"task_id": "load", "state": state, "try_number": 1, "start_date": None, "duration": None}
        status = 409 if requests[-1] == "dagRuns" else 200
        return httpx.Response(status, json={"detail": "exists", "task_instances": [task]})

    assert answering(respond).run_day("2026-11-18", restart=False) == "manual__2026-11-18"
    assert ("clear" in requests) is cleared


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("timed out"), httpx.ConnectError("refused"), httpx.RemoteProtocolError("")]
)
def test_a_request_without_a_response_is_an_error_that_names_it(error):
    def respond(request: httpx.Request) -> httpx.Response:
        raise error

    for call in (Airflow.answers, Airflow.knows_the_dag, Airflow.runs):  # a poll, a state, a body
        with pytest.raises(AirflowUnreachable, match=rf"http://127.0.0.1:1/.*{type(error).__name__}"):
            call(answering(respond))


def test_a_body_that_is_no_json_is_an_error_that_shows_it():
    with pytest.raises(AirflowRefused, match=r"200.*<html>"):
        answering(lambda request: httpx.Response(200, text="<html>")).runs()


def test_only_404_means_that_a_variable_does_not_exist():
    assert answering(lambda request: httpx.Response(404)).variable("twitter_bucket") is None
    with pytest.raises(AirflowRefused, match="500"):
        answering(lambda request: httpx.Response(500)).variable("twitter_bucket")


def test_the_client_signs_in_once_and_again_when_its_token_has_expired():
    requests, valid = [], ["first", "second"]

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(f"{request.url.path} {request.headers.get('authorization', '')}")
        assert request.extensions["timeout"]["read"] == 60
        if request.url.path == "/auth/token":
            given = json.loads(request.content)
            assert given == {"username": "admin", "password": "secret"}
            return httpx.Response(201, json={"access_token": valid[0]})
        known = request.headers["authorization"] == f"Bearer {valid[0]}"
        return httpx.Response(200 if known else 401, json={"detail": "Token Expired", "key": "", "value": ""})

    airflow = answering(respond, auth=Login("http://127.0.0.1:1", "secret"))
    for _ in range(2):
        airflow.call("GET", "/dags")
    valid.pop(0)
    airflow.call("GET", "/dags")
    assert requests == [
        "/auth/token ",
        "/api/v2/dags Bearer first",
        "/api/v2/dags Bearer first",
        "/api/v2/dags Bearer first",
        "/auth/token ",
        "/api/v2/dags Bearer second",
    ]


def test_a_password_that_airflow_refuses_ends_the_call_and_health_is_requested_without_it():
    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/health"):
            return httpx.Response(200)
        return httpx.Response(401, json={"detail": "Invalid credentials"})

    airflow = answering(respond, auth=Login("http://127.0.0.1:1", "old"))
    assert airflow.answers()
    assert airflow.answers_tasks()
    with pytest.raises(AirflowRefused, match="auth/token: 401 Invalid credentials"):
        airflow.call("GET", "/dags")


def answering(respond, auth=None) -> Airflow:
    airflow = Airflow("http://127.0.0.1:1", "secret")
    airflow.close()
    airflow._http = httpx.Client(
        base_url="http://127.0.0.1:1/api/v2",
        transport=httpx.MockTransport(respond),
        trust_env=False,
        auth=auth,
        timeout=60,
    )
    return airflow


def test_an_error_of_a_log_does_nothing_to_a_terminal():
    detail = {"exc_type": "ValueError", "exc_value": "\x1b[2J\u202e" + "A" * 9000}
    for events in [{"error_detail": [detail]}], [{"level": "error", "event": "\x1b[2J\n"}]:
        message = _error(events)
        assert "[U+001B][2J" in message
        assert "\x1b" not in message and "\n" not in message
        assert len(message) <= 4000
