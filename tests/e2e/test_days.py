"""The page Days in the live Airflow: over HTTP, in a browser, and refused without the right to see the DAG.

Its texts are tested in tests/features/days_page, its appearance in rehearsals/browser.
"""

import json
import re
from datetime import date

import httpx
import pytest

from tests.browser import SHOTS
from tests.e2e.conftest import RED_HANDLES, day_ago, words

pytestmark = pytest.mark.live

SAMPLES = {"month": "2026-11", "year": "2026", "day": "2026-11-18"}


def test_a_landed_month_links_to_the_runs_of_its_days(landed, days):
    html = days.get(f"/month/{day_ago(3)[:7]}").text
    assert re.search(r"\d+ landed", words(html))
    assert f"{day_ago(3)}: the ledger has" not in words(html)
    assert f"/dags/twitter/runs/{landed[day_ago(3)].replace(':', '%3A').replace('+', '%2B')}" in html


def test_a_red_day_links_to_the_log_with_the_reason(red, variables, days):
    variables(twitter_handles=RED_HANDLES)
    page = days.get(f"/day/{red.day}").text
    assert "Incomplete:" in words(page)
    assert "User has been suspended: [suspended_one]." in words(page)
    assert re.search(r'runs/manual__[^"]*/tasks/load" target="_top">log of load', page)
    month = words(days.get(f"/month/{red.day[:7]}").text)
    assert re.search(r"Incomplete accounts: \d+ suspended_one", month)


@pytest.mark.parametrize(
    ("who", "codes", "message"),
    [
        ("", {401}, "sign in to Airflow"),
        ("forged", {401, 403}, ""),
        ("nobody", {403}, "ask your Airflow administrator"),
        ("viewer", {200}, ""),
    ],
)
def test_every_route_requires_the_right_to_see_the_runs_of_the_dag(stack, who, codes, message):
    from include.twitter_features.days_page.routes import app

    passwords = json.loads((stack.state / "ui_password.json").read_text())
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60, follow_redirects=True) as client:
        if who in passwords:
            user = {"username": who, "password": passwords[who]}
            token = client.post("/auth/token", json=user).raise_for_status().json()["access_token"]
            client.cookies.set("_token", token)
        elif who:
            client.cookies.set("_token", "e30.e30.e30")  # pragma: allowlist secret
        responses = [client.get(f"/twitter_days{route.path.format(**SAMPLES)}") for route in app.routes]
    assert {response.status_code for response in responses} <= codes
    assert all(message in response.text for response in responses)


@pytest.mark.browser
def test_three_clicks_from_airflow_to_the_log_with_the_reason(red, variables, page, stack):
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
    box = last.bounding_box()  # visible without scrolling
    assert box["x"] + box["width"] <= 1440
    assert box["y"] + box["height"] <= 1000


@pytest.mark.browser
def test_a_day_is_triggered_from_its_page_with_the_form_filled_in(landed, airflow, page, stack):
    day = day_ago(4)
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{day}")
    frame = page.frame_locator("iframe")
    assert frame.get_by_label("Day (UTC)").input_value() == day

    # Nothing is bought again before the price is confirmed.
    frame.get_by_label("Buy again").check()
    frame.get_by_role("button", name="Trigger").click()
    dialog = frame.get_by_role("dialog")
    dialog.get_by_text(re.compile(r"Cost: about \$[\d.]+, as before")).wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="hidden")
    assert not [run for run in airflow.runs() if "buy_again" in run["dag_run_id"]]

    frame.get_by_label("Buy again").uncheck()
    frame.get_by_role("button", name="Trigger").click()
    dialog.get_by_text("Cost: free: nothing is missing.").wait_for()
    page.screenshot(path=SHOTS / "trigger_day.png")
    dialog.get_by_role("button", name="Trigger").click()
    run = f"manual__{day}"
    page.wait_for_url(f"**/dags/twitter/runs/{run}")
    assert airflow.run(run)["conf"] == {"day": day, "buy_again": False}
    assert airflow.wait(run) == "success"
