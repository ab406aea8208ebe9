"""The Airflow UI as a person sees it, in a real browser. Screenshots go to `.local/screenshots`."""

import json

import pytest

from local.stack import VARIABLES
from tests.browser import SHOTS
from tests.e2e.conftest import day_ago

pytestmark = [pytest.mark.live, pytest.mark.browser]


def test_the_page_of_the_dag_shows_graph_manual_and_trigger_form(page, stack):
    page.goto(f"{stack.url}/dags/twitter")
    trigger = page.get_by_role("button", name="Trigger").first
    trigger.wait_for()

    # The graph shows extract, transform, load from left to right.
    page.locator('[aria-label^="Show Graph"]').click()
    nodes = page.locator(".react-flow__node")
    nodes.nth(2).wait_for()
    page.screenshot(path=SHOTS / "graph.png")
    found = sorted(
        (nodes.nth(n).bounding_box()["x"], nodes.nth(n).inner_text().split()[0]) for n in range(nodes.count())
    )
    assert [name for _, name in found] == ["extract", "transform", "load"]

    # The manual begins with what to do when it is red, and is not cut.
    page.locator('[aria-label="Dag Docs"]').click()
    manual = page.get_by_role("dialog")
    manual.get_by_text("It is red.").wait_for()
    page.screenshot(path=SHOTS / "manual.png")
    assert manual.locator("li").count() > 20
    box = manual.bounding_box()
    assert all(manual.locator("li").nth(n).bounding_box()["width"] < box["width"] for n in range(20))
    page.keyboard.press("Escape")
    manual.wait_for(state="hidden")

    # The form of Trigger explains the day.
    trigger.click()
    form = page.get_by_role("dialog")
    form.get_by_text("Day (UTC)").wait_for()
    page.screenshot(path=SHOTS / "trigger.png")
    assert form.get_by_text("for example 2026-11-18. A run without it fails.").count() == 1
    assert form.get_by_text("Buy the whole day again, for $0.005 a post.").count() == 1


def test_every_setting_is_on_the_page_of_variables_with_its_meaning(page, stack):
    page.goto(f"{stack.url}/variables")
    page.get_by_text("The latest N posts of an account's day").first.wait_for()
    page.screenshot(path=SHOTS / "variables.png")
    for name in json.loads(VARIABLES.read_text()):
        assert page.get_by_text(name, exact=True).count() == 1, name


def test_the_log_of_extract_begins_with_its_day_and_ends_with_what_it_cost(landed, page, stack):
    page.goto(f"{stack.url}/dags/twitter/runs/{landed[day_ago(3)]}/tasks/extract?log_level=info")
    page.get_by_text(f"Day {day_ago(3)} (UTC)").wait_for()
    page.get_by_text("Bought").first.wait_for()
    page.screenshot(path=SHOTS / "extract.png")
