"""The Airflow UI as a person sees it, in a real browser. Screenshots go to `.local/screenshots`."""

import json
import shutil
from pathlib import Path

import pytest

from local.stack import VARIABLES
from tests.e2e.conftest import day_ago

pytestmark = [pytest.mark.live, pytest.mark.browser]

SHOTS = Path(__file__).parents[2] / ".local" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser(stack, airflow):
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        # One context: what a page has loaded, the next one has at hand.
        yield signed_in(running, stack, airflow)
        running.close()


def signed_in(browser, stack, airflow):
    """What a browser keeps of a person who has given the password."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    airflow.knows_the_dag()  # signs in
    context.add_cookies([{"name": "_token", "value": airflow.login.token, "url": stack.url}])
    return context


@pytest.fixture
def page(browser, stack):
    """The DAG's own page."""
    shown = browser.new_page()
    shown.set_default_timeout(60_000)
    shown.goto(f"{stack.url}/dags/twitter")
    shown.get_by_role("button", name="Trigger").first.wait_for()
    yield shown
    shown.close()


def test_the_graph_shows_extract_transform_load_from_left_to_right(page):
    page.locator('[aria-label^="Show Graph"]').click()
    nodes = page.locator(".react-flow__node")
    nodes.nth(2).wait_for()
    page.screenshot(path=SHOTS / "graph.png")
    found = sorted(
        (nodes.nth(n).bounding_box()["x"], nodes.nth(n).inner_text().split()[0]) for n in range(nodes.count())
    )
    assert [name for _, name in found] == ["extract", "transform", "load"]


def test_the_manual_begins_with_what_to_do_when_it_is_red_and_is_not_cut(page):
    page.locator('[aria-label="Dag Docs"]').click()
    manual = page.get_by_role("dialog")
    manual.get_by_text("It is red.").wait_for()
    page.screenshot(path=SHOTS / "manual.png")
    assert manual.locator("li").count() > 20
    box = manual.bounding_box()
    assert all(manual.locator("li").nth(n).bounding_box()["width"] < box["width"] for n in range(20))


def test_every_setting_is_on_the_page_of_variables_with_its_meaning(page, stack):
    page.goto(f"{stack.url}/variables")
    page.get_by_text("The latest N posts of an account's day").first.wait_for()
    page.screenshot(path=SHOTS / "variables.png")
    for name in json.loads(VARIABLES.read_text()):
        assert page.get_by_text(name, exact=True).count() == 1, name


def test_the_trigger_form_explains_the_day(page):
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.get_by_text("Day (UTC)").wait_for()
    page.screenshot(path=SHOTS / "trigger.png")
    assert form.get_by_text("for example 2026-11-18. A run without one is refused.").count() == 1
    assert form.get_by_text("Buy the whole day afresh, for $0.005 a post.").count() == 1


def test_the_log_of_extract_begins_with_its_day_and_ends_with_what_it_cost(landed, page, stack):
    page.goto(f"{stack.url}/dags/twitter/runs/{landed[day_ago(3)]}/tasks/extract?log_level=info")
    page.get_by_text(f"Day {day_ago(3)} (UTC)").wait_for()
    page.get_by_text("Bought").first.wait_for()
    page.screenshot(path=SHOTS / "extract.png")


def test_the_log_of_a_red_load_ends_in_sight_with_what_to_do(airflow, variables, empty_day, page, stack):
    variables(twitter_handles="posts_5_fine, suspended_one")
    run = airflow.trigger(day=empty_day)
    assert airflow.wait(run) == "failed"
    page.goto(f"{stack.url}/dags/twitter/runs/{run}/tasks/load")
    last = page.get_by_text("It is not tried again by itself.").last
    last.wait_for()
    page.screenshot(path=SHOTS / "red_load.png")
    where = last.bounding_box()
    assert where["x"] + where["width"] <= 1440
    assert where["y"] + where["height"] <= 1000
