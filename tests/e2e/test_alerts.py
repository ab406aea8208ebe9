"""The alerts of a red run and of a late day, sent by the real Airflow."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest

from tests.drivers import ENDED, eventually
from tests.e2e.conftest import TODAY, WEBHOOK_PATH, words

pytestmark = pytest.mark.live


def test_a_red_load_is_alerted_with_day_reason_and_a_link_that_leads_to_its_log(airflow, red, stack):
    ((to, mail),) = red.mails
    assert to == ["data@acme.example"]
    assert mail["Subject"] == f"{red.day}: load failed (twitter)"
    (text,) = red.texts
    subject, reason, _, link = text.split("\n")
    assert subject == mail["Subject"]
    assert "suspended_one: Forbidden: User has been suspended" in reason
    assert link.startswith(f"{stack.url}/dags/twitter/runs/{quote(red.run)}/tasks/load")
    assert WEBHOOK_PATH not in airflow.log_text(red.run, "load")
    sent = airflow.call("GET", "/assets/events", params={"source_run_id": red.run})
    assert sent["asset_events"] == []  # an incomplete day starts no consumer


def test_a_day_without_a_run_is_alerted_and_the_month_shows_what_x_has_counted_beside_the_ledger(
    airflow, variables, landed, alerts, days
):
    variables(twitter_deadline="00:00", twitter_month_budget_usd="1000")
    body = {"logical_date": None, "conf": {}}
    run = airflow.call("POST", "/dags/twitter_watch/dagRuns", json=body)["dag_run_id"]
    path = f"/dags/twitter_watch/dagRuns/{run}"
    assert eventually(lambda: airflow.call("GET", path)["state"], lambda state: state in ENDED) == "failed"
    (text,) = alerts.texts()
    late = re.findall(r"\d{4}-\d\d-\d\d", text.partition("Not landed by")[2].partition(". To fill")[0])[1:]
    assert str(TODAY - timedelta(days=1)) in late
    assert not set(landed) & set(late)

    assert airflow.call("GET", f"{path}/taskInstances/meter")["state"] == "success"
    months = dict.fromkeys([str(TODAY - timedelta(days=1))[:7], f"{TODAY:%Y-%m}"])
    shown = unescape(" ".join(words(days.get(f"/month/{month}").text) for month in months))
    assert re.search(r"X has counted [\d,]+ posts from \S+ to \S+, the ledger explains", shown)
