"""What Airflow shows of the Connection that holds X's keys: in its audit log and in its API."""

import json

import pytest

from local import x_api

pytestmark = pytest.mark.live

KEYS = [x_api.CONSUMER_KEY, x_api.CONSUMER_SECRET, x_api.ACCESS_TOKEN, x_api.ACCESS_TOKEN_SECRET]


def test_airflow_masks_every_key_of_the_connection_in_its_audit_log(airflow):
    response = airflow.call("GET", "/eventLogs", params={"event": "post_connection", "limit": 100})
    entry = next(e for e in response["event_logs"] if "twitter_default" in e["extra"])
    assert "consumer_key" in entry["extra"]
    assert [key for key in KEYS if key in json.dumps(response)] == []


def test_airflow_masks_every_key_to_who_reads_connections(airflow):
    shown = json.dumps(airflow.call("GET", "/connections/twitter_default"))
    assert "consumer_key" in shown
    assert [key for key in KEYS if key in shown] == []
