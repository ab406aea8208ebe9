"""Who is told of a red run, and of a day that is late, by the real Airflow."""

import json
import re
from datetime import timedelta
from urllib.parse import quote

import pytest

from tests.e2e.conftest import TODAY
from tests.hands import ENDED, eventually
from tests.inbox import mail_server

pytestmark = pytest.mark.live

PATH = "services/T000/B000/not-so-secret"


@pytest.fixture
def told(airflow, stack, variables, httpserver):
    """Those who are told: the mails, and the texts at the webhook."""
    httpserver.expect_request(f"/{PATH}", method="POST").respond_with_data("ok")
    hook = {"conn_type": "http", "host": httpserver.url_for("/").rstrip("/"), "password": PATH}
    with mail_server() as inbox:
        extra = json.dumps(inbox.connection["extra"])
        stack.airflow.put_connection("smtp_default", **inbox.connection | {"extra": extra})
        stack.airflow.put_connection("twitter_alert_webhook", **hook)
        variables(twitter_alert_emails="data@acme.example")
        yield inbox.mails, lambda: [json.loads(request.data)["text"] for request, _ in httpserver.log]
        for name in ("smtp_default", "twitter_alert_webhook"):
            airflow.call("DELETE", f"/connections/{name}")


def test_a_red_load_is_told_with_day_reason_and_a_link_that_leads_to_its_log(
    airflow, variables, empty_day, told, stack
):
    mails, texts = told
    variables(twitter_handles="suspended_one")
    run = airflow.trigger(day=empty_day)
    assert airflow.wait(run) == "failed"
    log = airflow.log_text(run, "load")  # it is written once all have been told
    ((to, mail),) = mails
    assert to == ["data@acme.example"]
    assert mail["Subject"] == f"{empty_day}: load failed (twitter)"
    (text,) = texts()
    subject, reason, _, link = text.split("\n")
    assert subject == mail["Subject"]
    assert reason.startswith(
        f"Nothing is published: no account of {empty_day} could be read. suspended_one: "
    )
    assert link.startswith(f"{stack.url}/dags/twitter/runs/{quote(run)}/tasks/load")
    assert PATH not in log


def test_a_day_that_is_late_is_told_though_it_has_no_run(airflow, variables, landed, told):
    variables(twitter_deadline="00:00")
    asked = {"logical_date": None, "conf": {}}
    run = airflow.call("POST", "/dags/twitter_watch/dagRuns", json=asked)["dag_run_id"]
    path = f"/dags/twitter_watch/dagRuns/{run}"
    assert (
        eventually(lambda: airflow.call("GET", path)["state"], lambda state: state in ENDED, 90) == "failed"
    )
    (text,) = told[1]()
    late = re.findall(r"\d{4}-\d\d-\d\d", text.partition("Not landed by")[2].partition(". To fill")[0])[1:]
    assert str(TODAY - timedelta(days=1)) in late
    assert not set(landed) & set(late)
