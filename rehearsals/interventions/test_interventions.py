"""What people and platforms do to a running day: each ends with the day bought once, and says what to do."""

from datetime import timedelta

import psutil
import pytest

from include.twitter import layout
from include.twitter.day import Day
from local.stack import MARK
from local.x_api.posts import user_id
from tests.drivers import eventually
from tests.e2e.conftest import TODAY, running_task
from tests.e2e.test_buying import buy_and_kill

pytestmark = pytest.mark.timeout(900)


def bought_once(bucket, day: str, handle: str, posts: int) -> None:
    """The day's receipt has all of the account, no page was written twice, and X served what was paid for."""
    totals = bucket.json(layout.receipt(Day.parse(day)))["totals"]
    assert totals["published"] + totals["duplicates"] >= posts
    pages = [key for key in bucket.keys(f"twitter_raw/dt={day}/") if f"/{user_id(handle)}/" in key]
    versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=pages[0].rsplit("/", 1)[0])
    assert sorted(version["Key"] for version in versions["Versions"]) == pages


def served(x, handle: str) -> list[str]:
    pages = [page for page in x.pages() if handle in page["handles"] and page["status"] == 200]
    return [page["query"].get("pagination_token") or page["query"].get("until_id") or "" for page in pages]


def test_extract_marked_failed_and_cleared_buys_the_day_once(airflow, stack, bucket, x, variables, empty_day):
    handle, day = "posts_990_mark", empty_day
    variables(twitter_handles=handle, twitter_tweet_limit="0")
    x.latency(500)
    run = airflow.trigger(day=day)
    eventually(lambda: len(x.pages()), lambda pages: pages >= 2)
    task = running_task(stack)
    airflow.call(
        "PATCH",
        f"/dags/twitter/dagRuns/{run}/taskInstances/extract",
        json={"new_state": "failed"},
    )
    # Cleared before its worker knows, Airflow 3.3.2's own scheduler ends with a StaleDataError.
    eventually(task.is_running, lambda running: not running)
    airflow.clear_run(run)
    x.latency(0)
    assert airflow.wait(run) == "success"
    bought_once(bucket, day, handle, 990)
    requested = served(x, handle)
    assert len(requested) - len(set(requested)) <= 1, "at most the page in flight is asked for twice"


def test_extract_marked_success_by_hand_says_what_to_do_and_is_gone_on_with(
    airflow, bucket, x, variables, empty_day
):
    handle, day = "posts_590_hand", empty_day
    variables(twitter_handles=handle, twitter_tweet_limit="0")
    x.latency(500)
    run = airflow.trigger(day=day)
    eventually(lambda: len(x.pages()), lambda pages: pages >= 2)
    airflow.call(
        "PATCH",
        f"/dags/twitter/dagRuns/{run}/taskInstances/extract",
        json={"new_state": "success"},
    )
    x.latency(0)
    assert airflow.wait(run) == "failed"
    assert "was it marked success by hand? Clear it" in airflow.log_text(run, "transform")
    airflow.clear_run(run)
    assert airflow.wait(run) == "success"
    bought_once(bucket, day, handle, 590)


def test_a_purchase_whose_task_alone_is_killed_buys_no_page_twice(
    airflow, stack, bucket, x, variables, empty_day
):
    buy_and_kill(airflow, stack, bucket, x, variables, empty_day, with_supervisor=False)


def test_a_run_deleted_while_it_buys_leaves_its_pages_to_the_next(airflow, bucket, x, variables, empty_day):
    handle, day = "posts_490_gone", empty_day
    variables(twitter_handles=handle, twitter_tweet_limit="0")
    x.latency(500)
    run = airflow.trigger(day=day)
    eventually(lambda: len(x.pages()), lambda pages: pages >= 2)
    airflow.call("PATCH", f"/dags/twitter/dagRuns/{run}", json={"state": "failed"})
    airflow.call("DELETE", f"/dags/twitter/dagRuns/{run}")
    x.latency(0)
    other = airflow.trigger(day=day)
    assert airflow.wait(other) == "success"
    bought_once(bucket, day, handle, 490)


def test_a_backfill_cancelled_and_run_again_buys_each_day_once(airflow, bucket, x, variables):
    handle = "posts_290_stop"
    first, last = (str(TODAY - timedelta(days=back)) for back in (20, 19))  # read from the archive
    variables(twitter_handles=handle, twitter_tweet_limit="0")
    x.latency(500)
    airflow.backfilled(first, last)
    eventually(lambda: len(x.requests()), lambda requests: requests >= 2)
    for backfill in airflow.call("GET", "/backfills", params={"dag_id": "twitter"})["backfills"]:
        if backfill["completed_at"] is None:
            airflow.call("PUT", f"/backfills/{backfill['id']}/cancel")
    x.latency(0)
    eventually(lambda: ended(airflow, first, last))
    runs = airflow.backfilled(first, last)
    assert [airflow.wait(run) for run in runs.values()] == ["success", "success"]
    for day in runs:
        bought_once(bucket, day, handle, 290)
    requested = [str(page["query"]) for page in x.requests() if "/search/" in page["path"]]
    assert len(requested) == len(set(requested))


def ended(airflow, first: str, last: str) -> bool:
    of_days = {"logical_date_gte": f"{first}T00:00:00Z", "logical_date_lte": f"{last}T00:00:00Z"}
    runs = airflow.call("GET", "/dags/twitter/dagRuns", params=of_days)["dag_runs"]
    return not {run["state"] for run in runs} & {"queued", "running"}


def test_an_api_server_that_is_away_while_a_day_is_bought_costs_nothing(
    airflow, stack, bucket, x, variables, empty_day
):
    handle, day = "posts_790_away", empty_day
    variables(twitter_handles=handle, twitter_tweet_limit="0")
    x.latency(1000)
    run = airflow.trigger(day=day)
    eventually(lambda: len(x.pages()), lambda pages: pages >= 1)
    task = running_task(stack)
    servers = [process for process in psutil.process_iter() if is_api_server(process, stack)]
    assert servers
    for server in servers:
        server.suspend()
    try:
        # Its worker gives it up after three heartbeats, each of which is tried for up to 40 seconds.
        eventually(task.is_running, lambda running: not running)
    finally:
        for server in servers:
            server.resume()
    x.latency(0)
    assert airflow.wait(run) == "success"
    bought_once(bucket, day, handle, 790)
    requested = served(x, handle)
    assert len(requested) - len(set(requested)) <= 1, "at most the page in flight is asked for twice"


def is_api_server(process: psutil.Process, stack) -> bool:
    try:
        ours = process.environ().get(MARK) == str(stack.state)
        return ours and any("api-server" in word or "api_server" in word for word in process.cmdline())
    except psutil.Error:
        return False
