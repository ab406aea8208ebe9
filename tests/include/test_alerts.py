"""The alerts of a failure, with a real mail server and a real webhook on loopback."""

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
def mails(monkeypatch):
    """The emails that were received."""
    with mail_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(server.connection))
        monkeypatch.setenv("AIRFLOW_VAR_TWITTER_ALERT_EMAILS", "data@acme.example, night@acme.example")
        yield server.mails


@pytest.fixture
def set_webhook(monkeypatch):
    def put(host, **fields):
        connection = {"conn_type": "http", "host": host, "password": PATH} | fields
        monkeypatch.setenv("AIRFLOW_CONN_TWITTER_ALERT_WEBHOOK", json.dumps(connection))

    return put


@pytest.fixture
def webhook(set_webhook, httpserver):
    """The texts that the webhook received."""
    httpserver.expect_request(f"/{PATH}", method="POST").respond_with_data("ok")
    set_webhook(httpserver.url_for("/").rstrip("/"))
    return lambda: [json.loads(request.data)["text"] for request, _ in httpserver.log]


def failed(error=None):
    scheduled = context("scheduled", logical_date=utc(2026, 11, 18), start=utc(2026, 11, 18))
    ti = SimpleNamespace(task_id="load", dag_id="twitter", log_url=LINK)
    return scheduled | {
        "ti": ti,
        "exception": error or Incomplete("2026-11-18 is published without 1 account."),
    }


def test_nothing_is_sent_without_a_configured_channel(caplog):
    alerts.send_alerts(failed())
    assert caplog.messages == []


def test_a_message_has_day_stage_reason_remedy_and_link(mails, webhook):
    alerts.send_alerts(failed())
    subject = "2026-11-18: load failed (twitter)"
    lines = ["2026-11-18 is published without 1 account.", Incomplete.__doc__, LINK]
    ((recipients, mail),) = mails
    assert recipients == ["data@acme.example", "night@acme.example"]
    assert (mail["From"], mail["Subject"]) == ("airflow@acme.example", subject)
    assert mail.get_body().get_content().splitlines() == [f"{lines[0]}<br>", f"{lines[1]}<br>", LINK]
    assert webhook() == ["\n".join([subject, *lines])]


def test_text_of_x_is_neither_markup_nor_a_template(mails, webhook):
    alerts.send_alerts(failed(Incomplete("X says <!channel> <script>{{ 7 * 7 }} & so on.")))
    escaped = "X says &lt;!channel&gt; &lt;script&gt;{{ 7 * 7 }} &amp; so on."
    assert escaped in mails[0][1].get_body().get_content()
    assert escaped in webhook()[0]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("CONN_SMTP_DEFAULT", '{"conn_type": "smtp", "host": "127.0.0.1", "port": 1}', ""),
        ("VAR_TWITTER_ALERT_EMAILS", "data at acme", "BadSetting: Variable twitter_alert_emails: 'data at"),
    ],
)
def test_a_channel_that_fails_does_not_affect_the_other(
    mails, webhook, monkeypatch, caplog, name, value, problem
):
    monkeypatch.setenv(f"AIRFLOW_{name}", value)
    alerts.send_alerts(failed())
    assert any(line.startswith(f"No alert was sent by email: {problem}") for line in caplog.messages)
    assert len(webhook()) == 1


@pytest.mark.parametrize(
    ("error", "first_line"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        ("Detected zombie job", "Detected zombie job"),
        (None, "The worker was lost."),
    ],
)
def test_an_unknown_error_and_a_lost_worker_are_reported(error, first_line):
    assert alerts.message(failed() | {"exception": error})[1][0] == first_line


def test_a_triggered_run_without_a_day_is_named_by_its_id():
    dag_run = SimpleNamespace(run_type="manual", run_id="m", run_after=utc(2026, 11, 22))
    subject, _ = alerts.message(failed() | context("manual") | {"dag_run": dag_run})
    assert subject == "m: load failed (twitter)"


def test_a_failure_is_reported_whatever_the_context_lacks(webhook):
    whole = failed() | {"dag_run": SimpleNamespace(run_type="manual", run_id="manual__1", run_after=None)}
    without_link = {"ti": SimpleNamespace(task_id="load", dag_id="twitter", log_url=None)}
    cases = [set(names) for number in range(4) for names in combinations(whole, number)] + [set(whole)]
    for missing in cases:
        alerts.send_alerts({name: value for name, value in whole.items() if name not in missing})
        alerts.send_alerts(whole | dict.fromkeys(missing))
        alerts.send_alerts(whole | dict.fromkeys(missing, SimpleNamespace()) | {"exception": None})
        alerts.send_alerts(whole | dict.fromkeys(missing) | without_link)
    texts = webhook()
    assert len(texts) == 4 * len(cases)
    assert not [text for text in texts if text.endswith("None")]
    assert all(" failed (" in text and len(text.splitlines()) >= 3 for text in texts)


@pytest.mark.parametrize("error", ["\x1b[2J one\ntwo \u202e", "A" * 2_000_000], ids=["escapes", "long"])
@pytest.mark.parametrize("kind", [str, Incomplete, ValueError])
def test_text_of_x_is_one_bounded_and_safe_line(kind, error):
    subject, lines = alerts.message(failed(kind(error)) | {"dag_run": None, "run_id": error})
    assert len(subject) <= 300
    assert not [line for line in [subject, *lines] if UNSAFE.search(line) or len(line) > 4000]


def test_the_webhook_gets_the_login_of_its_connection_and_none_of_netrc(
    webhook, set_webhook, httpserver, tmp_path, monkeypatch
):
    (tmp_path / "netrc").write_text("default login stranger password stranger-s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    alerts.send_alerts(failed())
    set_webhook(httpserver.url_for("/").rstrip("/"), login="me")
    alerts.send_alerts(failed())
    logins = [request.authorization and request.authorization.username for request, _ in httpserver.log]
    assert logins == [None, "me"]


@pytest.mark.parametrize(
    ("status", "headers"), [(403, {}), (307, {"Location": "/elsewhere"})], ids=["refused", "redirect"]
)
def test_a_refusal_of_the_webhook_is_one_short_and_safe_line_and_no_redirect_is_followed(
    webhook, httpserver, caplog, status, headers
):
    httpserver.clear()
    body = "\x1b[2J\n" + "A" * 500_000
    httpserver.expect_request(f"/{PATH}").respond_with_data(body, status=status, headers=headers)
    alerts.send_alerts(failed())
    assert [request.path for request, _ in httpserver.log] == [f"/{PATH}"]
    [line] = [line for line in caplog.messages if line.startswith("No alert was sent by webhook")]
    assert f"answered {status}: [U+001B]" in line
    assert len(line) < 500


def test_an_endless_response_of_the_webhook_is_ended(set_webhook, monkeypatch, caplog):
    monkeypatch.setattr(alerts, "WEBHOOK_SECONDS", 0.2)
    monkeypatch.setenv("NO_PROXY", "*")
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ") as host:
        set_webhook(host)
        alerts.send_alerts(failed())
    assert any(line.startswith("No alert was sent by webhook: ConnectionError") for line in caplog.messages)
