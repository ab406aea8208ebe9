"""The Airflow UI as a person sees it, in a real browser. Screenshots go to `.local/screenshots`."""

import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.browser]

SHOTS = Path(__file__).parents[2] / ".local" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def page():
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        shown = browser.new_page(viewport={"width": 1440, "height": 1000})
        shown.set_default_timeout(WAIT_MS)
        yield shown
        browser.close()


@pytest.fixture(scope="module")
def finished(airflow):
    run = airflow.backfill("2026-11-14", "2026-11-14")["2026-11-14"]
    assert airflow.wait(run) == "success"
    return run


def test_the_graph_shows_extract_transform_load(page, stack, finished):
    page.goto(f"{stack.url}/dags/twitter/runs/{finished}")
    page.wait_for_selector("text=load")
    page.locator('[aria-label="Graph"], button:has-text("Graph")').first.click()
    nodes = page.locator(".react-flow__node")
    nodes.nth(2).wait_for()
    page.wait_for_function("document.querySelectorAll('.react-flow__node').length >= 3")
    page.screenshot(path=SHOTS / "graph.png")
    places = {}
    for index in range(nodes.count()):
        text = nodes.nth(index).inner_text()
        for stage in ("extract", "transform", "load"):
            if stage in text.split():
                places[stage] = nodes.nth(index).bounding_box()
    assert places["extract"]["x"] < places["transform"]["x"] < places["load"]["x"]
