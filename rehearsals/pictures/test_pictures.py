"""The pictures of the README and the docs, of a month in the live Airflow: light, and dark as `…-dark.png`.

`make pictures` takes them, always on the same day: towards the end of a month.
"""

from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Locator, Page, TimeoutError

from tests.drivers import eventually
from tests.e2e.conftest import TODAY
from tests.e2e.test_plan import Plan

pytestmark = pytest.mark.timeout(1200)

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
HANDLES = "acme_press, orbital_news, quiet_garden, posts_5_fine, posts_9_lost"
# Controls that cover what a picture shows.
OVERLAYS = ".react-flow__panel, button[aria-label*='scroll to'] { display: none !important; }"
# Airflow's menu on the left stays; its panel on the right goes.
GRAPH: FloatRect = {"x": 0, "y": 0, "width": 890, "height": 290}


def of_month(day: int) -> str:
    return str(TODAY.replace(day=day))


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture
def page(browser, scheme):
    shown = browser.new_page()
    shown.emulate_media(color_scheme=scheme)
    shown.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    shown.set_default_timeout(60_000)
    yield shown
    shown.close()


def settle(page: Page) -> None:
    """Wait until the page loads nothing more, or polls for too long."""
    with suppress(TimeoutError):
        page.wait_for_load_state("networkidle", timeout=15_000)


@pytest.fixture
def take(page, scheme):
    """Saves a picture once `ready` is visible: all of the window, or a part of it."""

    def save(name: str, ready: Locator, part: FloatRect | None = None) -> None:
        ready.wait_for()
        settle(page)
        page.add_style_tag(content=OVERLAYS)
        file = f"{name}.png" if scheme == "light" else f"{name}-dark.png"
        page.screenshot(path=PICTURES / file, clip=part)

    return save


@pytest.fixture(scope="module")
def plan(airflow):
    """A plan of half of the month that waits for its approval."""
    airflow.set_variable("twitter_handles", HANDLES)
    airflow.set_variable("twitter_month_budget_usd", "100")
    airflow.set_variable("twitter_run_budget_usd", "5")
    waiting = Plan(airflow, of_month(12), of_month(25))
    waiting.approval()
    return waiting


@pytest.fixture(scope="module")
def month(airflow, plan):
    """The runs of a green day and of one that lacks an account, after the days of the plan have landed."""
    plan.make_response("Approve")
    eventually(lambda: plan.states()["compare"], lambda states: states == {"success"}, 800)
    green = airflow.trigger(day=of_month(28), dag_run_id=f"manual__{of_month(28)}")
    assert airflow.wait(green) == "success"
    airflow.set_variable("twitter_handles", f"{HANDLES}, suspended_one")
    red = airflow.trigger(day=of_month(27), dag_run_id=f"manual__{of_month(27)}")
    assert airflow.wait(red) == "failed"
    return green, red


def test_a_plan_before_its_approval(plan, stack, page, take):
    page.set_viewport_size({"width": 1100, "height": 600})
    page.goto(f"{stack.url}/dags/twitter_plan/runs/{plan.run}/tasks/approve/required_actions")
    take("plan", page.get_by_role("button", name="Approve"))


def test_the_graph_of_a_green_day(month, stack, page, take):
    green, _ = month
    page.set_viewport_size({"width": 1280, "height": 290})
    page.goto(f"{stack.url}/dags/twitter/runs/{green}")
    page.locator('[aria-label^="Show Graph"]').click()
    take("graph", page.locator(".react-flow__node").nth(2), GRAPH)


def test_the_days_of_a_month(month, stack, page, take):
    page.set_viewport_size({"width": 900, "height": 748})
    page.goto(f"{stack.url}/plugin/days/twitter_days/month/{TODAY:%Y-%m}")
    take("days", page.frame_locator("iframe").get_by_role("heading", name=f"{TODAY:%B %Y}"))


def test_a_day_with_a_missing_account(month, stack, page, take):
    page.set_viewport_size({"width": 900, "height": 760})
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{of_month(27)}")
    take("day", page.frame_locator("iframe").get_by_role("heading", name="What a clear costs"))


def test_the_end_of_the_log_of_a_red_load(month, stack, page, take):
    _, red = month
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{stack.url}/dags/twitter/runs/{red}/tasks/load?log_level=error")
    page.locator('[aria-label^="Show Grid"]').click()
    last = page.get_by_text("Airflow does not try again.").last
    last.wait_for()
    settle(page)
    last.scroll_into_view_if_needed()
    box = last.bounding_box()  # above it is a traceback, with paths of this machine
    line: FloatRect = {"x": 332, "y": box["y"] - 2, "width": 936, "height": box["height"] + 12}
    take("red_load", last, line)
