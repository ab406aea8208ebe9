"""Who is told of a failure: with a real mail server and a real webhook on loopback."""

import json
from itertools import combinations
from types import SimpleNamespace

import pytest

from include.twitter import alerts
from include.twitter.errors import Incomplete
from include.twitter.safe_text import UNSAFE
from tests.include.http_recorder import dripping
from tests.include.test_airflow_context import context, utc
from tests.smtp_sink import mail_server

LINK = "http://localhost:8080/dags/twitter/runs/scheduled__2026-11-19/tasks/load"
PATH = "services/T000/B000/not-so-secret"


@pytest.fixture
def inbox(monkeypatch):
    """Where emails go, once `smtp_default` and the addresses are set."""
    with mail_server() as there:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(there.connection))
        monkeypatch.setenv("AIRFLOW_VAR_TWITTER_ALERT_EMAILS", "data@acme.example, night@acme.example")
        yield there.mails


@pytest.fixture
def webhook(monkeypatch, httpserver):
    """Where the webhook's messages go."""
    httpserver.expect_request(f"/{PATH}", method="POST").respond_with_data("ok")
    connection = {"conn_type": "http", "host": httpserver.url_for("/").rstrip("/"), "password": PATH}
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_ALERT_WEBHOOK", json.dumps(connection))
    return lambda: [json.loads(request.data)["text"] for request, _ in httpserver.log]


def failed(error=None):
    found = context("scheduled", logical_date=utc(2026, 11, 18), start=utc(2026, 11, 18))
    ti = SimpleNamespace(task_id="load", dag_id="twitter", log_url=LINK)
    return found | {"ti": ti, "exception": error or Incomplete("2026-11-18 is published without 1 account.")}


def test_nobody_is_told_where_nobody_is_to_be_told(caplog):
    alerts.notify_failure(failed())
    assert caplog.messages == []


def test_a_message_has_day_stage_reason_what_to_do_and_a_link(inbox, webhook):
    alerts.notify_failure(failed())
    lines = ["2026-11-18 is published without 1 account.", Incomplete.__doc__, LINK]
    ((to, mail),) = inbox
    assert to == ["data@acme.example", "night@acme.example"]
    assert mail["From"] == "airflow@acme.example"
    assert mail["Subject"] == "2026-11-18: load failed (twitter)"
    assert mail.get_body().get_content().splitlines() == ["<br>".join([line, ""]) for line in lines[:2]] + [
        LINK
    ]
    assert webhook() == ["\n".join(["2026-11-18: load failed (twitter)", *lines])]


def test_what_x_has_written_is_neither_markup_nor_a_template(inbox, webhook):
    alerts.notify_failure(failed(Incomplete("X says <!channel> <script>{{ 7 * 7 }} & so on.")))
    told = "X says &lt;!channel&gt; &lt;script&gt;{{ 7 * 7 }} &amp; so on."
    assert told in inbox[0][1].get_body().get_content()
    assert told in webhook()[0]


def test_a_mail_server_that_is_away_keeps_nothing_from_the_webhook(inbox, webhook, monkeypatch, caplog):
    gone = {"conn_type": "smtp", "host": "127.0.0.1", "port": 1, "extra": {"from_email": "a@acme.example"}}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(gone))
    alerts.notify_failure(failed())
    assert len(webhook()) == 1
    assert any(message.startswith("No alert was sent by email: ") for message in caplog.messages)


def test_a_malformed_address_is_named(webhook, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_ALERT_EMAILS", "data at acme")
    alerts.notify_failure(failed())
    assert caplog.messages[0] == (
        "No alert was sent by email: BadSetting: Variable twitter_alert_emails: 'data at acme' is not an "
        "email address. Example: data@acme.example"
    )
    assert len(webhook()) == 1


def test_a_surprise_and_a_lost_worker_are_told_too():
    surprise = alerts.message(failed(ZeroDivisionError("division by zero")))
    assert surprise[1][0] == "ZeroDivisionError: division by zero"
    lost = failed() | {"exception": None}
    assert alerts.message(lost)[1] == [
        "Its worker was lost.", "Clear the task: it continues from what is stored.", LINK,
    ]  # fmt: skip
    by_hand = (
        failed()
        | context("manual")
        | {"dag_run": SimpleNamespace(run_type="manual", run_id="m", run_after=utc(2026, 11, 22))}
    )
    assert alerts.message(by_hand)[0] == "m: load failed (twitter)"


def test_a_failure_is_told_whatever_the_context_lacks(webhook):
    whole = failed() | {"dag_run": SimpleNamespace(run_type="manual", run_id="manual__1", run_after=None)}
    cases = [set(names) for number in range(4) for names in combinations(whole, number)] + [set(whole)]
    for missing in cases:
        alerts.notify_failure({name: value for name, value in whole.items() if name not in missing})
        alerts.notify_failure(whole | dict.fromkeys(missing))
        alerts.notify_failure(whole | dict.fromkeys(missing, SimpleNamespace()) | {"exception": None})
        alerts.notify_failure(
            whole
            | dict.fromkeys(missing)
            | {"ti": SimpleNamespace(task_id="load", dag_id="twitter", log_url=None)}
        )
    told = webhook()
    assert len(told) == 4 * len(cases)
    assert not [text for text in told if text.endswith("None")]
    assert {text.splitlines()[0].endswith(" failed (twitter)") for text in told if "load" in text} == {True}
    assert all(" failed (" in text and len(text.splitlines()) >= 3 for text in told)


def test_a_text_in_the_place_of_an_exception_is_told_as_it_is():
    assert alerts.message(failed("Detected zombie job"))[1][0] == "Detected zombie job"


@pytest.mark.parametrize("error", ["\x1b[2J one\ntwo \u202e", "A" * 20_000_000], ids=["escapes", "long"])
@pytest.mark.parametrize("kind", [str, Incomplete, ValueError])
def test_what_x_has_written_is_one_bounded_and_safe_line(kind, error):
    subject, lines = alerts.message(failed(kind(error)) | {"dag_run": None, "run_id": error})
    assert len(subject) <= 300
    assert not [line for line in [subject, *lines] if UNSAFE.search(line) or len(line) > 4000]


def test_a_netrc_gives_the_webhook_no_credentials(webhook, httpserver, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login stranger password stranger-s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    alerts.notify_failure(failed())
    assert ["Authorization" in request.headers for request, _ in httpserver.log] == [False]


def test_the_login_of_the_webhooks_connection_is_sent(webhook, httpserver, monkeypatch):
    connection = {"conn_type": "http", "host": httpserver.url_for("/").rstrip("/"), "login": "me"}
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_ALERT_WEBHOOK", json.dumps(connection | {"password": PATH}))
    alerts.notify_failure(failed())
    assert [request.authorization.username for request, _ in httpserver.log] == ["me"]


def test_what_a_webhook_answers_to_a_refusal_is_one_short_and_safe_line(webhook, httpserver, caplog):
    httpserver.clear()
    httpserver.expect_request(f"/{PATH}").respond_with_data("\x1b[2J\n" + "A" * 500_000, status=403)
    alerts.notify_failure(failed())
    (said,) = [message for message in caplog.messages if message.startswith("No alert")]
    assert said.startswith("No alert was sent by webhook: Outage: the webhook answered 403: [U+001B]")
    assert len(said) < 500


def test_an_endless_answer_of_a_webhook_is_cut(webhook, monkeypatch, caplog):
    monkeypatch.setattr(alerts, "WEBHOOK_SECONDS", 0.2)
    monkeypatch.setenv("NO_PROXY", "*")
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ") as host:
        connection = {"conn_type": "http", "host": host, "password": PATH}
        monkeypatch.setenv("AIRFLOW_CONN_TWITTER_ALERT_WEBHOOK", json.dumps(connection))
        alerts.notify_failure(failed())
    assert any(
        message.startswith("No alert was sent by webhook: ConnectionError") for message in caplog.messages
    )


def test_a_redirect_of_the_webhook_is_not_followed_and_not_taken_for_success(webhook, httpserver, caplog):
    httpserver.clear()
    elsewhere = {"Location": httpserver.url_for("/elsewhere")}
    httpserver.expect_request(f"/{PATH}").respond_with_data("", status=307, headers=elsewhere)
    alerts.notify_failure(failed())
    assert [request.path for request, _ in httpserver.log] == [f"/{PATH}"]
    assert "No alert was sent by webhook: Outage: the webhook answered 307: " in caplog.messages
