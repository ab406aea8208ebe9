"""The pictures of the README and the runbook, taken of a month in the live Airflow: `make pictures`."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import TODAY
from tests.e2e.test_plan import Plan
from tests.e2e.test_ui import browser  # noqa: F401 - a fixture

pytestmark = [pytest.mark.live, pytest.mark.pictures, pytest.mark.timeout(900)]

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
HANDLES = "acme_press, orbital_news, quiet_garden, posts_5_fine, posts_9_lost"
LAST = TODAY.replace(day=1) - timedelta(days=1)
"""Of the month before this one."""


def of_month(day: int) -> date:
    return LAST.replace(day=day)


@pytest.fixture
def page(browser):  # noqa: F811
    shown = browser.new_page()
    shown.set_default_timeout(60_000)
    shown.set_viewport_size({"width": 1280, "height": 800})
    yield shown
    shown.close()


def take(page: Page, name: str, ready: Callable[[], object]) -> None:
    ready()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")


def test_pictures(airflow, variables, stack, page):
    variables(twitter_handles=HANDLES)
    plan = Plan(airflow, str(of_month(1)), str(of_month(26)))
    plan.asks()
    page.goto(f"{stack.url}/dags/twitter_plan/runs/{plan.run}/tasks/approve/required_actions")
    take(page, "plan", page.get_by_role("button", name="Approve").wait_for)
    plan.answer("Approve")
    assert plan.wait() == "success"
    variables(twitter_handles=f"{HANDLES}, suspended_one")
    run = airflow.trigger(day=str(of_month(27)), dag_run_id=f"manual__{of_month(27)}")
    assert airflow.wait(run) == "failed"

    page.goto(f"{stack.url}/dags/twitter/runs/{run}/tasks/load")
    take(page, "red_load", page.get_by_text("It is not tried again by itself.").last.wait_for)
    page.goto(f"{stack.url}/plugin/days/twitter_days/month/{LAST:%Y-%m}")
    frame = page.frame_locator("iframe")
    take(page, "days", frame.get_by_role("heading", name=f"{LAST:%B %Y}").wait_for)
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{of_month(27)}")
    take(page, "day", frame.get_by_role("heading", name="What a clear costs").wait_for)
    page.goto(f"{stack.url}/dags/twitter")
    page.locator('[aria-label^="Show Graph"]').click()
    take(page, "graph", page.locator(".react-flow__node").nth(2).wait_for)
