"""The pictures of the README and the runbook, of a month in the live Airflow.

`make pictures` takes them, always on the same day: towards the end of a month.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tests.e2e.conftest import TODAY
from tests.e2e.test_plan import Plan

pytestmark = pytest.mark.timeout(900)

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
HANDLES = "acme_press, orbital_news, quiet_garden, posts_5_fine, posts_9_lost"


def of_month(day: int) -> str:
    return str(TODAY.replace(day=day))


@pytest.fixture
def page(browser):
    shown = browser.new_page()
    shown.set_default_timeout(60_000)
    shown.set_viewport_size({"width": 1280, "height": 800})
    yield shown
    shown.close()


def take(page: Page, name: str, ready: Locator) -> None:
    ready.wait_for()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")


def test_pictures(airflow, variables, stack, page):
    variables(twitter_handles=HANDLES, twitter_month_budget_usd="100", twitter_run_budget_usd="5")
    plan = Plan(airflow, of_month(1), of_month(25))
    plan.approval()
    page.goto(f"{stack.url}/dags/twitter_plan/runs/{plan.run}/tasks/approve/required_actions")
    take(page, "plan", page.get_by_role("button", name="Approve"))
    plan.answer("Approve")
    assert plan.wait() == "success"
    green = airflow.trigger(day=of_month(28), dag_run_id=f"manual__{of_month(28)}")
    assert airflow.wait(green) == "success"
    variables(twitter_handles=f"{HANDLES}, suspended_one")
    red = airflow.trigger(day=of_month(27), dag_run_id=f"manual__{of_month(27)}")
    assert airflow.wait(red) == "failed"

    page.goto(f"{stack.url}/dags/twitter/runs/{green}")
    page.locator('[aria-label^="Show Graph"]').click()
    take(page, "graph", page.locator(".react-flow__node").nth(2))
    page.goto(f"{stack.url}/plugin/days/twitter_days/month/{TODAY:%Y-%m}")
    frame = page.frame_locator("iframe")
    take(page, "days", frame.get_by_role("heading", name=f"{TODAY:%B %Y}"))
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{of_month(27)}")
    take(page, "day", frame.get_by_role("heading", name="What a clear costs"))
    page.goto(f"{stack.url}/dags/twitter/runs/{red}/tasks/load?log_level=error")
    page.locator('[aria-label^="Show Grid"]').click()
    last = page.get_by_text("It is not tried again by itself.").last
    last.wait_for()
    page.wait_for_load_state("networkidle")
    box = last.bounding_box()  # above it is a traceback, with paths of this machine
    line = {"x": 332, "y": box["y"] - 2, "width": 936, "height": box["height"] + 12}
    page.screenshot(path=PICTURES / "red_load.png", clip=line)
