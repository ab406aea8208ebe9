"""The page Days in the live Airflow: over HTTP, in a browser, and refused to who may not see the DAG."""

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from html import unescape

import httpx
import pytest

from local.environment import PROJECT
from tests.e2e.conftest import TODAY, day_ago
from tests.e2e.test_ui import SHOTS, browser  # noqa: F401 - a fixture
from tests.hands import eventually

pytestmark = pytest.mark.live

ROUTES = ["/", "/month/2026-11", "/year/2026", "/day/2026-11-18", "/days.css", "/days.js"]
HOSTILE = "2019-07-20"
POSTS = [
    "<script>parent.document.title = 'taken'</script><img src=x onerror=alert(1)>",
    "abc\u202edesrever\u2066 and \u2069 left",
    "{{ 7 * 7 }} {% raw %} ' \" &lt;b&gt;",
]


@pytest.fixture(scope="session")
def days(stack) -> Iterator[httpx.Client]:
    url, signed_in = f"{stack.url}/twitter_days", stack.airflow.login
    with httpx.Client(
        base_url=url, auth=signed_in, trust_env=False, timeout=30, follow_redirects=True
    ) as client:
        yield client


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_a_landed_month_says_what_has_landed_and_that_the_money_agrees(landed, days):
    answer = days.get(f"/month/{day_ago(3)[:7]}")
    said = words(answer.text)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert re.search(r"\d+ landed", said)
    assert f"{day_ago(3)}: the ledger has" not in said
    assert f"/dags/twitter/runs/{landed[day_ago(3)].replace(':', '%3A').replace('+', '%2B')}" in answer.text


def test_a_landed_day_tells_its_receipt_its_rows_and_the_price_of_each_clear(landed, days, bucket):
    day = day_ago(3)
    answer = days.get(f"/day/{day}")
    said = words(answer.text)
    receipt = bucket.json(f"twitter_receipts/dt={day}/receipt.json")
    rows = list(csv.DictReader(io.StringIO(bucket.read(f"twitter/dt={day}/refined_tweets.csv").decode())))
    assert f"{receipt['totals']['published']} rows of {len(receipt['accounts'])} accounts have landed" in said
    assert "Ledger and receipt agree." in said
    assert "load the staged files are published again free" in said
    assert "extract + downstream what is missing is bought free: nothing is missing" in said
    assert answer.text.count("Z</td><td>") == min(len(rows), 5)
    assert f'name="day" value="{day}"' in answer.text


def test_the_price_of_a_day_that_has_not_landed_is_told(days, variables):
    variables(twitter_handles="posts_5_fine, acme_press", twitter_tweet_limit="100")
    said = words(days.get("/day/2015-05-05").text)
    assert "There is no receipt: the day has not landed." in said
    assert (
        "2 accounts are missing (posts_5_fine, acme_press): up to 100 posts each, some $1.02 at most" in said
    )


def test_a_red_day_names_the_log_that_says_why(airflow, variables, empty_day, days):
    variables(twitter_handles="posts_5_fine, suspended_one")
    run = airflow.trigger(day=empty_day)
    assert airflow.wait(run) == "failed"
    page = days.get(f"/day/{empty_day}").text
    assert "Incomplete:" in words(page)
    assert "User has been suspended: [suspended_one]." in words(page)
    assert re.search(r'runs/manual__[^"]*/tasks/load" target="_top">log of load', page)
    month = words(days.get(f"/month/{empty_day[:7]}").text)
    assert re.search(r"Incomplete accounts: \d+ suspended_one", month)


def test_the_month_tells_what_x_has_counted_beside_the_ledger(airflow, landed, variables, days):
    variables(twitter_deadline="00:00", twitter_month_budget_usd="1000")
    asked = {"logical_date": None, "conf": {}}
    run = airflow.call("POST", "/dags/twitter_watch/dagRuns", json=asked)["dag_run_id"]
    path = f"/dags/twitter_watch/dagRuns/{run}/taskInstances/meter"
    eventually(lambda: airflow.call("GET", path)["state"], lambda state: state == "success", 90)
    months = dict.fromkeys([str(TODAY - timedelta(days=1))[:7], f"{TODAY:%Y-%m}"])
    said = unescape(" ".join(words(days.get(f"/month/{month}").text) for month in months))
    assert re.search(r"X's meter: X's own meter has [\d,]+ posts from \S+ to \S+, the ledger explains", said)
    assert re.search(r"At this pace, \$[\d.,]+ a day, the cap of \$1,000.00 ", said)


@pytest.mark.parametrize("path", ["/month/2009-01", "/year/2009", "/day/2009-01-01"])
def test_where_nothing_has_landed_the_page_says_so(days, path):
    answer = days.get(path)
    assert answer.status_code == 200
    assert "not landed" in words(answer.text)


@pytest.mark.parametrize(
    "path", ["/day/2026-02-30", "/day/<script>", "/month/2026-13", "/year/x", "/year/9999", "/day/0001-01-01"]
)
def test_what_is_no_date_is_one_sentence(days, path):
    answer = days.get(path)
    assert answer.status_code == 404
    assert "There is no page for" in answer.text
    assert "<script>" not in answer.text


def test_a_setting_that_is_malformed_is_told_beside_what_can_be_shown(days, variables):
    variables(twitter_handles="not a handle", twitter_month_budget_usd="much")
    answer = days.get(f"/month/{TODAY:%Y-%m}")
    assert answer.status_code == 200
    assert "Variable twitter_handles" in words(answer.text)
    assert "Variable twitter_month_budget_usd" in words(answer.text)


def test_a_bucket_that_the_role_may_not_read_is_one_sentence(days, variables):
    variables(twitter_bucket="somebody-elses")
    answer = days.get(f"/month/{TODAY:%Y-%m}")
    assert answer.status_code == 503
    assert "correct Variable twitter_bucket" in words(answer.text)
    assert "Traceback" not in answer.text


@pytest.fixture(scope="session")
def hostile(stack, bucket) -> str:
    """A landed day whose posts, account and reasons were written to do harm."""
    evil = "<script>alert(2)</script>"
    account = {
        **{"username": evil, "id": "1", "outcome": "unavailable", "reason": f"{evil} \u202egone"},
        **{"proof": "unchecked", "counted": None, "fetched": 3, "published": 3},
        **dict.fromkeys(("rejected", "duplicates", "outside", "over_limit", "unasked"), 0),
        **{"rejected_by_reason": {}, "alarms": [], "drift": {}},
        **{"first_created_at": None, "last_created_at": None},
    }
    totals = {
        **{"accounts": 1, "unavailable": 1, "fetched": 3, "published": 3, "proof": {}, "drift": []},
        **dict.fromkeys(("rejected", "duplicates", "outside", "over_limit", "alarms"), 0),
    }
    receipt = {
        **{"day": HOSTILE, "versions": {}, "buy": 1, "closed_at": f"{HOSTILE}T23:00:00Z", "cost_usd": 0.01},
        **{"asked": {"handles": [evil], "tweet_limit": 0}, "bought": {}, "totals": totals},
        **{"accounts": [account], "objects": {evil: {"key": evil, "bytes": 1, "sha256": "", "etag": ""}}},
    }
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["created_at", "username", "text", "likes"])
    rows.writerows([f"{HOSTILE}T09:00:00Z", evil, post, evil] for post in POSTS)
    for key, data in (
        (f"twitter/dt={HOSTILE}/refined_tweets.csv", table.getvalue()),
        (f"twitter_receipts/dt={HOSTILE}/receipt.json", json.dumps(receipt)),
    ):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data.encode())
    return HOSTILE


def test_every_value_of_a_stranger_is_escaped(hostile, days):
    for path in (f"/day/{hostile}", f"/month/{hostile[:7]}", f"/year/{hostile[:4]}"):
        page = days.get(path).text
        assert page.count("<script") == 1  # the page's own
        assert "<img" not in page
        assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    page = days.get(f"/day/{hostile}").text
    assert "{{ 7 * 7 }} {% raw %} &#39; &#34; &amp;lt;b&amp;gt;" in page
    assert "abc[U+202E]desrever[U+2066] and [U+2069] left" in page
    assert not set("\u202e\u2066\u2069") & set(page)
    assert "the ledger has $0.00, the receipt $0.01" in page


def test_the_page_runs_no_script_but_its_own(days):
    policy = days.get("/day/2026-11-18").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


# Who may see it


@pytest.fixture(scope="session")
def guarded(stack, airflow, tmp_path_factory) -> Iterator[str]:
    """A second API server of this Airflow, which asks who one is: a viewer, or a user without any right."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("guarded")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({"viewer": "viewer", "nobody": "nobody"}))
    environment = stack.environment | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "viewer:viewer,nobody:",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "airflow", "api-server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(url), bool, 90)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v2/monitor/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def signed_in(url: str, user: str) -> Iterator[httpx.Client]:
    """As who signed in: with the session's cookie, as a browser has it."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        answer = client.post("/auth/token", json={"username": user, "password": user}).raise_for_status()
        client.cookies.set("_token", answer.json()["access_token"])
        yield client


@pytest.mark.parametrize("path", ROUTES)
def test_without_a_session_every_route_is_refused(guarded, path):
    answer = httpx.get(f"{guarded}/twitter_days{path}", trust_env=False, timeout=60)
    assert answer.status_code == 401
    assert "sign in to Airflow" in answer.text
    forged = httpx.get(f"{guarded}/twitter_days{path}", trust_env=False, cookies={"_token": "e30.e30.e30"})
    assert forged.status_code in (401, 403)


@pytest.mark.parametrize("path", ROUTES)
def test_a_user_who_may_not_see_the_dag_is_refused_every_route(guarded, path):
    with signed_in(guarded, "nobody") as nobody:
        assert nobody.get("/api/v2/dags/twitter").status_code == 403  # Airflow's own page of it
        answer = nobody.get(f"/twitter_days{path}")
    assert answer.status_code == 403
    assert "you may not see them" in answer.text


@pytest.mark.parametrize("path", ROUTES)
def test_a_user_who_may_see_the_dag_sees_every_route(guarded, path):
    with signed_in(guarded, "viewer") as viewer:
        answer = viewer.get(f"/twitter_days{path}", follow_redirects=True)
    assert answer.status_code == 200


def test_every_route_that_the_page_has_is_tried_here():
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    asks = "from include.twitter.page.site import app; print(*[r.path for r in app.routes])"
    found = subprocess.run(
        [sys.executable, "-c", asks], env=environment, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    kinds = {re.sub(r"\{.*\}", "", path) for path in found.stdout.split("\n")[-2].split()}
    assert kinds == {re.sub(r"[0-9-]+$", "", path) for path in ROUTES}


# As a person sees it


@pytest.fixture
def page(browser, stack):  # noqa: F811
    shown = browser.new_page()
    shown.set_default_timeout(60_000)
    shown.set_viewport_size({"width": 1280, "height": 900})
    shown.goto(f"{stack.url}/")
    yield shown
    shown.close()


@pytest.mark.browser
def test_three_clicks_from_airflow_to_the_log_that_says_why(landed, airflow, variables, empty_day, page):
    variables(twitter_handles="posts_5_fine, suspended_one")
    run = airflow.trigger(day=empty_day)
    assert airflow.wait(run) == "failed"
    page.get_by_role("link", name="Days", exact=True).click()
    frame = page.frame_locator("iframe")
    if frame.get_by_role("heading", level=1).inner_text() != f"{date.fromisoformat(empty_day):%B %Y}":
        frame.get_by_role("link", name="‹").click()
    frame.get_by_role("link", name=empty_day).first.click()
    frame.get_by_role("heading", name="What a clear costs").wait_for()
    page.screenshot(path=SHOTS / "day.png")
    frame.get_by_role("link", name="log of load").first.click()
    page.wait_for_url("**/tasks/load")
    page.get_by_text("It is not tried again by itself.").last.wait_for()


@pytest.mark.browser
def test_a_day_is_triggered_from_its_page_with_the_form_filled_in(landed, airflow, page, stack):
    day = day_ago(4)
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{day}")
    frame = page.frame_locator("iframe")
    assert frame.get_by_label("Day (UTC)").input_value() == day
    frame.get_by_role("button", name="Trigger").click()
    asked = frame.get_by_role("dialog")
    asked.get_by_text("Cost: free: nothing is missing.").wait_for()
    page.screenshot(path=SHOTS / "trigger.png")
    asked.get_by_role("button", name="Trigger").click()
    run = f"manual__{day}"
    page.wait_for_url(f"**/dags/twitter/runs/{run}")
    assert airflow.run(run)["conf"] == {"day": day, "buy_again": False}
    assert airflow.wait(run) == "success"


@pytest.mark.browser
def test_nothing_is_bought_again_before_its_price_was_confirmed(landed, airflow, page, stack):
    day = day_ago(3)
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{day}")
    frame = page.frame_locator("iframe")
    frame.get_by_label("Buy again").check()
    frame.get_by_role("button", name="Trigger").click()
    asked = frame.get_by_role("dialog")
    asked.get_by_text(re.compile(r"Cost: about \$[\d.]+, as before")).wait_for()
    asked.get_by_role("button", name="Cancel").click()
    asked.wait_for(state="hidden")
    assert not [run for run in airflow.runs() if "buy_again" in run["dag_run_id"]]


@pytest.mark.browser
def test_a_hostile_day_is_only_text(hostile, page, stack):
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(f"{stack.url}/plugin/days/twitter_days/day/{hostile}")
    frame = page.frame_locator("iframe")
    frame.get_by_text("<img src=x onerror=alert(1)>").wait_for()
    page.screenshot(path=SHOTS / "hostile.png")
    assert (said, page.title()) == ([], page.title().replace("taken", ""))


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(landed, hostile, page, stack, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for path in (f"month/{day_ago(3)[:7]}", f"year/{day_ago(3)[:4]}", f"day/{day_ago(3)}", f"day/{hostile}"):
        page.goto(f"{stack.url}/twitter_days/{path}")
        page.screenshot(path=SHOTS / f"days_{path.split('/')[0]}_{width}_{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width, path


@pytest.mark.browser
def test_the_days_are_reached_by_keyboard(landed, page, stack):
    page.goto(f"{stack.url}/twitter_days/month/{day_ago(3)[:7]}")
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").endswith(day_ago(3)):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The receipt in words").wait_for()
    assert outline == "solid"
