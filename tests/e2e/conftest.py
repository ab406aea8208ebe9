"""The local stack, started once for all tests that need it, and a hand on its Airflow."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
import psutil
import pytest
from pytest_httpserver import HTTPServer

from local.stack import MARK, Stack
from tests.browser import chromium
from tests.drivers import Airflow, Bucket, X, eventually
from tests.smtp_sink import mail_server

TODAY = datetime.now(UTC).date()
"""The day on which the tests began: midnight may pass while they run."""


def day_ago(number: int) -> str:
    """A day that has settled, and that timelines and counts still show after midnight: 2 to 5 days ago.

    Tests that land a day of their own share the fifth: `empty_day`.
    """
    assert 2 <= number <= 5
    return str(TODAY - timedelta(days=number))


class WarmStack(Stack):
    """A stack whose scheduler has imported the stages before it forks its workers: tasks begin sooner.

    The stacks of tests/local and the rehearsals import them in each task, as the product does.
    """

    @property
    def _airflow(self) -> list[str]:
        return [self.python, "-m", "tests.e2e.warm"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("stack")
    settings = state / "tests.env"
    settings.write_text(
        "AIRFLOW__LOGGING__LOGGING_LEVEL=DEBUG\n"  # what logs may give away, they give away at DEBUG
        # Nobody edits a DAG file while the tests run: each is read once.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=3600\n"
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=3600\n"
        # Beside the administrator one who may see the DAG, and one who may see nothing.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=admin:admin,viewer:viewer,nobody:\n"
    )
    with WarmStack(state=state, port=None, env_file=settings) as running:
        yield running


def running_task(stack) -> psutil.Process:
    """The process that runs a task's code; its parent is the supervisor."""

    def find_task() -> psutil.Process | None:
        for process in psutil.process_iter():
            try:
                above = " ".join(process.parent().cmdline()) if process.parent() else ""
                ours = process.environ().get(MARK) == str(stack.state)
            except psutil.Error:
                continue
            if ours and above.startswith("airflow worker -- LocalExecutor"):
                return process
        return None

    return eventually(find_task, lambda process: process is not None)


@pytest.fixture(scope="session")
def airflow(stack) -> Iterator[Airflow]:
    """The live Airflow, with no cap on what all the tests together buy."""
    with closing(Airflow(stack.url, stack.password, stack.check)) as client:
        client.set_variable("twitter_run_budget_usd", "0")
        client.set_variable("twitter_month_budget_usd", "0")
        yield client


@pytest.fixture(scope="session")
def landed(airflow) -> dict[str, str]:
    """Three days, backfilled at once with the handles that the stack is seeded with: the run of each."""
    runs = airflow.backfilled(day_ago(4), day_ago(2))
    assert [airflow.wait(run) for run in runs.values()] == ["success"] * 3
    return runs


@contextmanager
def changed_variables(airflow: Airflow) -> Iterator[Callable[..., None]]:
    before: dict[str, str | None] = {}

    def put(**values: str | None) -> None:
        for name, value in values.items():
            before.setdefault(name, airflow.variable(name))
            airflow.set_variable(name, value)

    yield put
    for name, value in before.items():
        airflow.set_variable(name, value)


@pytest.fixture
def variables(airflow):
    """Sets Variables for one test: `variables(twitter_handles="a, b")`; None deletes one."""
    with changed_variables(airflow) as put:
        yield put


class Alerts(NamedTuple):
    """What was sent by email, and the texts that the webhook got."""

    mails: list
    texts: Callable[[], list[str]]


WEBHOOK_PATH = "services/T000/B000/not-so-secret"


@contextmanager
def alerts_of(stack: Stack, airflow: Airflow) -> Iterator[Alerts]:
    with mail_server() as smtp_sink, HTTPServer() as webhook, changed_variables(airflow) as put:
        webhook.expect_request(f"/{WEBHOOK_PATH}", method="POST").respond_with_data("ok")
        extra = json.dumps(smtp_sink.connection["extra"])
        stack.airflow.put_connection("smtp_default", **smtp_sink.connection | {"extra": extra})
        host = webhook.url_for("/").rstrip("/")
        stack.airflow.put_connection(
            "twitter_alert_webhook", conn_type="http", host=host, password=WEBHOOK_PATH
        )
        put(twitter_alert_emails="data@acme.example")
        yield Alerts(
            smtp_sink.mails, lambda: [json.loads(request.data)["text"] for request, _ in webhook.log]
        )
        for name in ("smtp_default", "twitter_alert_webhook"):
            airflow.call("DELETE", f"/connections/{name}")


@pytest.fixture
def alerts(stack, airflow) -> Iterator[Alerts]:
    with alerts_of(stack, airflow) as sent:
        yield sent


RED_HANDLES = "posts_5_fine, suspended_one"


class RedRun(NamedTuple):
    """A run whose load has failed, since X does not show one of two accounts; five rows have landed."""

    run: str
    day: str
    mails: list
    texts: list[str]


@pytest.fixture(scope="session")
def red(stack, airflow) -> RedRun:
    """One red run for all tests that only look at one. No other test lands its day."""
    day = str(TODAY - timedelta(days=6))
    with alerts_of(stack, airflow) as sent, changed_variables(airflow) as put:
        put(twitter_handles=RED_HANDLES)
        run = airflow.trigger(day=day)
        assert airflow.wait(run) == "failed"
        airflow.log_text(run, "load")  # it is written after the alerts were sent
        return RedRun(run, day, sent.mails, sent.texts())


@pytest.fixture(scope="session")
def days(stack) -> Iterator[httpx.Client]:
    """The page Days, as the administrator sees it."""
    url, signed_in = f"{stack.url}/twitter_days", stack.airflow.login
    with httpx.Client(
        base_url=url, auth=signed_in, trust_env=False, timeout=60, follow_redirects=True
    ) as client:
        yield client


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.fixture(scope="module")  # Playwright keeps an event loop running: no test beside it could run its own
def browser(stack, airflow):
    """What a browser keeps of a person who has given the password: what a page has loaded, the next has."""
    with chromium() as running:
        context = running.new_context(viewport={"width": 1440, "height": 1000})
        airflow.knows_the_dag()  # signs in
        context.add_cookies([{"name": "_token", "value": airflow.login.token, "url": stack.url}])
        yield context


@pytest.fixture
def page(browser):
    """An empty page."""
    shown = browser.new_page()
    shown.set_default_timeout(180_000)
    yield shown
    shown.close()


@pytest.fixture
def x(stack) -> Iterator[X]:
    """The stand-in for X, with an empty request log and no fault ordered."""
    with closing(X(stack)) as control:
        control.forget()
        yield control
        control.behave()


@pytest.fixture(scope="session")
def bucket(stack) -> Bucket:
    return Bucket(stack)


@pytest.fixture
def empty_day(bucket) -> str:
    """A day of which nothing has been bought or landed."""
    day = day_ago(5)
    everything = bucket.keys()
    for key in everything:
        if f"dt={day}/" in key:
            bucket.delete(key)
    return day
