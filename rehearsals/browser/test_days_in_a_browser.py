"""How the page Days looks and behaves in Chromium, at each width and colour scheme. No Airflow runs.

`make test-browser`. Screenshots go to `.local/screenshots`.
"""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn
from msgspec.structs import replace

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.layout import LEDGER
from include.twitter.records import LedgerEntry, encoded
from tests.browser import SHOTS, chromium
from tests.drivers import eventually
from tests.features.days_page.days_app import HOSTILE, PREFIX, days_app, land_hostile_day
from tests.include.factories import MemoryStore, a_receipt, account_receipt

pytestmark = pytest.mark.browser

DAY = "2026-11-18"
TEXT = "A long text, with a long link: " + "https://observatory.example/" + "a" * 200
PAGES = [f"month/{DAY[:7]}", f"year/{DAY[:4]}", f"day/{DAY}", f"day/{HOSTILE}"]


def landed() -> MemoryStore:
    """A bucket with a month of landed days, accounts in each state, and a hostile day."""
    store = MemoryStore()
    accounts = [
        account_receipt("NASA", 40, proof_reason="X counts 40 posts, and as many arrived"),
        account_receipt("esa", 3, proof="short", counted=9),
        account_receipt("orbital_news", 100, outcome="limit", proof="limited"),
        account_receipt("quiet_garden", 0),
        account_receipt("suspended_one", 0, outcome="unavailable", proof="unchecked", reason="suspended"),
    ]
    for number in range(1, 25):
        day = f"2026-11-{number:02}"
        store.write(layout.receipt(Day.parse(day)), encoded(replace(a_receipt(*accounts), day=day)))
        entry = LedgerEntry(day=day, buy=2, month="2026-11", reserved_mills=1525, spent_mills=1525)
        store.write(f"{LEDGER}month=2026-11/{day}-2.json", encoded(entry))
        rows = [f'{day}T09:{minute:02}:00Z,NASA,"{TEXT}",{minute}' for minute in range(7)]
        table = "\n".join(["created_at,username,text,likes", *rows, ""])
        store.write(layout.csv(Day.parse(day)), table.encode())
    land_hostile_day(store)
    return store


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the page is served."""
    with pytest.MonkeyPatch.context() as patch, days_app(landed()) as app:
        patch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "NASA, esa, orbital_news, quiet_garden, suspended_one")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
            thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{PREFIX}"
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser):
    shown = browser.new_page()
    shown.set_default_timeout(60_000)
    yield shown
    shown.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(page, url, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for path in PAGES:
        page.goto(f"{url}/{path}")
        page.screenshot(path=SHOTS / f"days_{path.replace('/', '_')}_{width}_{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width, path


def test_the_days_are_reached_by_keyboard(page, url):
    page.goto(f"{url}/month/{DAY[:7]}")
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").endswith(DAY):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The receipt in words").wait_for()
    assert outline == "solid"


def test_a_hostile_day_is_only_text(page, url):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{url}/day/{HOSTILE}")
    page.get_by_text("<img src=x onerror=alert(1)>").wait_for()
    page.screenshot(path=SHOTS / "hostile.png")
    assert (dialogs, page.title()) == ([], f"{HOSTILE} · Days")
