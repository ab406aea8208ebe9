"""The page Days in the live Airflow, over HTTP. It requires the right to see the DAG.

Its texts are tested in tests/features/days_page, its links in test_ui.py, its appearance in
rehearsals/browser.
"""

import json
import re

import httpx
import pytest

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
    ("user_name", "codes", "message"),
    [
        ("", {401}, "sign in to Airflow"),
        ("forged", {401, 403}, ""),
        ("nobody", {403}, "ask your Airflow administrator"),
        ("viewer", {200}, ""),
    ],
)
def test_every_route_requires_the_right_to_see_the_runs_of_the_dag(stack, user_name, codes, message):
    from include.twitter_features.days_page.routes import app

    passwords = json.loads((stack.state / "ui_password.json").read_text())
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60, follow_redirects=True) as client:
        if user_name in passwords:
            user = {"username": user_name, "password": passwords[user_name]}
            token = client.post("/auth/token", json=user).raise_for_status().json()["access_token"]
            client.cookies.set("_token", token)
        elif user_name:
            client.cookies.set("_token", "e30.e30.e30")  # pragma: allowlist secret
        responses = [client.get(f"/twitter_days{route.path.format(**SAMPLES)}") for route in app.routes]
    assert {response.status_code for response in responses} <= codes
    assert all(message in response.text for response in responses)
