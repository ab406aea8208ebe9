"""The page Days in the live Airflow: over HTTP, in a browser, and refused to who may not see the DAG.

What it shows of a bucket is tested in tests/features/days_page, how it looks in rehearsals/browser.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import httpx
import pytest

from tests.browser import SHOTS
from tests.e2e.conftest import RED_HANDLES, day_ago, words

pytestmark = pytest.mark.live

SAMPLES = {"month": "2026-11", "year": "2026", "day": "2026-11-18"}


def test_a_landed_month_says_what_has_landed_and_that_the_money_agrees(landed, days):
    answer = days.get(f"/month/{day_ago(3)[:7]}")
    said = words(answer.text)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert re.search(r"\d+ landed", said)
    assert f"{day_ago(3)}: the ledger has" not in said
    assert f"/dags/twitter/runs/{landed[day_ago(3)].replace(':', '%3A').replace('+', '%2B')}" in answer.text


def test_a_landed_day_tells_its_receipt_its_rows_and_the_price_of_each_clear(landed, days, bucket):
    day = day_ago(3)
    answer = days.get(f"/day/{day}")
    said = words(answer.text)
    receipt = bucket.json(f"twitter_receipts/dt={day}/receipt.json")
    rows = list(csv.DictReader(io.StringIO(bucket.read(f"twitter/dt={day}/refined_tweets.csv").decode())))
    assert f"{receipt['totals']['published']} rows of {len(receipt['accounts'])} accounts have landed" in said
    assert "Ledger and receipt agree." in said
    assert "load the staged files are published again free" in said
    assert "extract + downstream what is missing is bought free: nothing is missing" in said
    assert answer.text.count("Z</td><td>") == min(len(rows), 5)
    assert f'name="day" value="{day}"' in answer.text


def test_a_red_day_names_the_log_that_says_why(red, variables, days):
    variables(twitter_handles=RED_HANDLES)
    page = days.get(f"/day/{red.day}").text
    assert "Incomplete:" in words(page)
    assert "User has been suspended: [suspended_one]." in words(page)
    assert re.search(r'runs/manual__[^"]*/tasks/load" target="_top">log of load', page)
    month = words(days.get(f"/month/{red.day[:7]}").text)
    assert re.search(r"Incomplete accounts: \d+ suspended_one", month)


# Who may see it


@pytest.fixture(scope="module")
def routes() -> list[str]:
    """A path of each route that the page has."""
    from include.twitter_features.days_page.routes import app

    return [f"/twitter_days{route.path.format(**SAMPLES)}" for route in app.routes]


@contextmanager
def signed_in(stack, user: str) -> Iterator[httpx.Client]:
    """As who signed in: with the session's cookie, as a browser has it."""
    password = json.loads((stack.state / "ui_password.json").read_text())[user]
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60, follow_redirects=True) as client:
        answer = client.post("/auth/token", json={"username": user, "password": password}).raise_for_status()
        client.cookies.set("_token", answer.json()["access_token"])
        yield client


def test_without_a_session_every_route_is_refused(stack, routes):
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60) as stranger:
        found = {path: stranger.get(path) for path in routes}
    assert {path: answer.status_code for path, answer in found.items()} == dict.fromkeys(routes, 401)
    assert all("sign in to Airflow" in answer.text for answer in found.values())


def test_with_a_forged_session_every_route_is_refused(stack, routes):
    with httpx.Client(
        base_url=stack.url,
        trust_env=False,
        timeout=60,
        cookies={"_token": "e30.e30.e30"},  # pragma: allowlist secret
    ) as forger:
        assert {forger.get(path).status_code for path in routes} <= {401, 403}


def test_a_user_who_may_not_see_the_dag_is_refused_every_route(stack, routes):
    with signed_in(stack, "nobody") as nobody:
        assert nobody.get("/api/v2/dags/twitter").status_code == 403  # Airflow's own page of it
        found = {path: nobody.get(path) for path in routes}
    assert {path: answer.status_code for path, answer in found.items()} == dict.fromkeys(routes, 403)
    assert all("you may not see them" in answer.text for answer in found.values())


def test_a_user_who_may_see_the_dag_sees_every_route(stack, routes):
    with signed_in(stack, "viewer") as viewer:
        found = {path: viewer.get(path).status_code for path in routes}
    assert found == dict.fromkeys(routes, 200)


# As a person sees it


@pytest.mark.browser
def test_three_clicks_from_airflow_to_the_log_that_says_why(red, variables, page, stack):
    variables(twitter_handles=RED_HANDLES)
    page.goto(f"{stack.url}/")
    page.get_by_role("link", name="Days", exact=True).click()
    frame = page.frame_locator("iframe")
    if frame.get_by_role("heading", level=1).inner_text() != f"{date.fromisoformat(red.day):%B %Y}":
        frame.get_by_role("link", name="‹").click()
    frame.get_by_role("link", name=red.day).first.click()
    frame.get_by_role("heading", name="What a clear costs").wait_for()
    page.screenshot(path=SHOTS / "day.png")
    frame.get_by_role("link", name="log of load").first.click()
    page.wait_for_url("**/tasks/load")
    last = page.get_by_text("It is not tried again by itself.").last
    last.wait_for()
    page.screenshot(path=SHOTS / "red_load.png")
    where = last.bounding_box()  # in sight, without scrolling
    assert where["x"] + where["width"] <= 1440
    assert where["y"] + where["height"] <= 1000


@pytest.mark.browser
def test_a_day_is_triggered_from_its_page_with_the_form_filled_in(landed, airflow, page, stack):
    day = day_ago(4)
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{day}")
    frame = page.frame_locator("iframe")
    assert frame.get_by_label("Day (UTC)").input_value() == day

    # Nothing is bought again before its price was confirmed.
    frame.get_by_label("Buy again").check()
    frame.get_by_role("button", name="Trigger").click()
    asked = frame.get_by_role("dialog")
    asked.get_by_text(re.compile(r"Cost: about \$[\d.]+, as before")).wait_for()
    asked.get_by_role("button", name="Cancel").click()
    asked.wait_for(state="hidden")
    assert not [run for run in airflow.runs() if "buy_again" in run["dag_run_id"]]

    frame.get_by_label("Buy again").uncheck()
    frame.get_by_role("button", name="Trigger").click()
    asked.get_by_text("Cost: free: nothing is missing.").wait_for()
    page.screenshot(path=SHOTS / "trigger_day.png")
    asked.get_by_role("button", name="Trigger").click()
    run = f"manual__{day}"
    page.wait_for_url(f"**/dags/twitter/runs/{run}")
    assert airflow.run(run)["conf"] == {"day": day, "buy_again": False}
    assert airflow.wait(run) == "success"
