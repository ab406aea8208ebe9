"""A backfill that waits for approval in the live Airflow: over REST, like the UI's buttons."""

from datetime import timedelta
from operator import itemgetter
from typing import Any

import pytest
from more_itertools import map_reduce

from tests.drivers import ENDED, Airflow, eventually
from tests.e2e.conftest import TODAY

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

HANDLES = "acme_press, quiet_garden, posts_5_plan"


def archived(number: int) -> str:
    """A day that only the full archive shows, and that no other test lands."""
    return str(TODAY - timedelta(days=40 + number))


class Plan:
    """One run of `twitter_plan`."""

    def __init__(self, airflow: Airflow, first: str, last: str) -> None:
        self._call = airflow.call
        request = {"logical_date": None, "conf": {"first": first, "last": last}}
        self.run = self._call("POST", "/dags/twitter_plan/dagRuns", json=request)["dag_run_id"]
        self._path = f"/dags/twitter_plan/dagRuns/{self.run}"

    def tasks(self) -> dict[str, list[dict[str, Any]]]:
        instances = self._call("GET", f"{self._path}/taskInstances")["task_instances"]
        return map_reduce(instances, itemgetter("task_id"))

    def states(self) -> dict[str, set[str]]:
        return {name: {task["state"] for task in tasks} for name, tasks in self.tasks().items()}

    def required_action(self) -> dict[str, Any]:
        """The text for approval, once the run waits for it."""
        eventually(lambda: self.states().get("approve"), lambda states: states == {"awaiting_input"}, 120)
        return self._call("GET", f"{self._path}/taskInstances/approve/-1/hitlDetails")

    def respond(self, option: str) -> None:
        response = {"chosen_options": [option], "params_input": {}}
        self._call("PATCH", f"{self._path}/taskInstances/approve/-1/hitlDetails", json=response)

    def wait(self) -> str:
        return eventually(lambda: self._call("GET", self._path)["state"], ENDED.__contains__)

    def xcom(self, task: str) -> Any:
        return self._call("GET", f"{self._path}/taskInstances/{task}/xcomEntries/return_value")["value"]


def test_a_plan_waits_without_a_worker_slot_and_a_rejection_buys_nothing_and_is_green(
    airflow, bucket, variables, x
):
    variables(twitter_handles=HANDLES)
    plan = Plan(airflow, archived(3), archived(1))
    action = plan.required_action()
    assert action["subject"].startswith("Buy ")
    assert "Complete already: 0 of 3 days." in action["body"]
    (approve,) = plan.tasks()["approve"]
    assert approve["triggerer_job"] is None
    assert set().union(*plan.states().values()) == {"success", "awaiting_input", None}
    plan.respond("Reject")
    assert plan.wait() == "success"
    skipped = {key: {"skipped"} for key in ("runs", "start", "compare")}
    assert plan.states() == {"quote": {"success"}, "approve": {"success"}} | skipped
    assert not [request for request in x.requests() if "/search/" in request["path"]]
    assert not bucket.keys(f"twitter_raw/dt={archived(2)}/")


def test_an_approval_starts_a_run_named_after_each_day_within_the_approved_price(
    airflow, bucket, variables, x
):
    variables(twitter_handles=HANDLES)
    plan = Plan(airflow, archived(5), archived(4))
    plan.required_action()
    plan.respond("Approve")
    assert plan.wait() == "success"
    id_ = plan.xcom("quote")["plan"]
    days = [archived(5), archived(4)]
    for day in days:
        assert airflow.run(f"manual__{day}__plan_{id_}")["state"] == "success"
        assert bucket.json(f"twitter_receipts/dt={day}/receipt.json")["totals"]["accounts"] == 3
    compared = plan.xcom("compare")
    assert compared["days"] == 2
    assert 0 < compared["bought_usd"] <= compared["approved_usd"]
    assert sum("/counts/" in request["path"] for request in x.requests()) == 1
    assert sorted(task["rendered_map_index"] for task in plan.tasks()["start"]) == days

    again = Plan(airflow, archived(5), archived(4))
    assert again.wait() == "success"
    assert again.states()["quote"] == {"skipped"}
