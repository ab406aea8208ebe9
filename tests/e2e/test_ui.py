"""The Airflow UI as a person sees it, in a real browser. Screenshots go to `.local/screenshots`."""

import re
from datetime import date

import pytest

from tests.browser import SHOTS
from tests.e2e.conftest import RED_HANDLES, day_ago

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
    positions = sorted(
        (nodes.nth(n).bounding_box()["x"], nodes.nth(n).inner_text().split()[0]) for n in range(nodes.count())
    )
    assert [name for _, name in positions] == ["extract", "transform", "load"]

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
    last = page.get_by_text("Airflow does not try again.").last
    last.wait_for()
    page.screenshot(path=SHOTS / "red_load.png")
    where = last.bounding_box()  # in sight, without scrolling
    assert where["x"] + where["width"] <= 1440
    assert where["y"] + where["height"] <= 1000


def test_a_day_is_triggered_from_its_page_with_the_form_filled_in(landed, airflow, page, stack):
    day = day_ago(4)
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{day}")
    frame = page.frame_locator("iframe")
    assert frame.get_by_label("Day (UTC)").input_value() == day

    # Nothing is bought again before its price was confirmed.
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
