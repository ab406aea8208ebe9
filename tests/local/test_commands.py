"""`make run` and `make up` as the README gives them, in a checkout of their own."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from local import environment
from local.stack import MARK, free_ports
from tests.drivers import PATIENCE, Airflow, eventually
from tests.e2e.conftest import day_ago

pytestmark = [pytest.mark.live, pytest.mark.slow]

DAY = day_ago(3)
ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make") or "make"
OUTAGE = {"match": "/2/", "status": 503, "body": "Service Unavailable"}


@pytest.fixture(scope="module")
def make_checkout(tmp_path_factory):
    """The files of this checkout, beside its installed packages."""
    there = tmp_path_factory.mktemp("checkout")
    listed = [shutil.which("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, there / name)
    (there / ".venv").symlink_to(ROOT / ".venv")
    (there / ".local").mkdir()
    (there / ".local" / "ministack").symlink_to(ROOT / ".local" / "ministack")
    return there


def make(make_checkout, *words, **more):
    return subprocess.run(
        [MAKE, *words], cwd=make_checkout, capture_output=True, text=True, timeout=3 * PATIENCE, **more
    )


@contextmanager
def begun(make_checkout, *words, **more) -> Iterator[tuple[subprocess.Popen, Path]]:
    """A make command that runs beside the test, and the file of what it has printed; Ctrl-C ends it."""
    output = make_checkout / ".local" / f"{words[0]}.out"
    with output.open("w") as out:
        running = subprocess.Popen(
            [MAKE, *words],
            cwd=make_checkout,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **more,
        )
    try:
        yield running, output
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGINT)
            running.wait(PATIENCE)


def order(make_checkout, fault) -> None:
    """Orders a fault at the stand-in for X of a stack that is starting, long before Airflow runs a stage."""

    def listening() -> set[tuple[str, int]]:
        return listeners([one for one in processes(make_checkout) if "local.x_api" in one.info["cmdline"]])

    ((_, port),) = eventually(listening)
    faults = f"http://127.0.0.1:{port}/_control/faults"
    httpx.put(faults, json=[fault], trust_env=False, timeout=60).raise_for_status()


def processes(make_checkout) -> list[psutil.Process]:
    """What a stack of the checkout has left running."""
    running = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if process.environ().get(MARK) == str(make_checkout / ".local"):
                running.append(process)
        except psutil.Error:
            continue
    return running


def listeners(running) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in running
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_two_runs_at_once_share_a_stack_land_show_their_days_and_leave_nothing_running(make_checkout):
    other = day_ago(5)
    no_proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9")
    with begun(make_checkout, "run", f"DAY={other}", env=os.environ | no_proxy) as (first, output):
        _shown(output, "started in", first)
        order(make_checkout, OUTAGE)  # whichever sends the first request waits, so one outlives the other
        second = make(make_checkout, "run", f"DAY={DAY}")
        first.wait(PATIENCE)
    outputs = {other: output.read_text(), DAY: second.stdout}
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert "on the stack that runs already" in second.stdout
    # A try that had bought something by then comes back as the same one.
    why = r"extract waits: (?:Outage: )?X answered 503 to GET /2/"
    (waited,) = [text for text in outputs.values() if re.search(why, text)]
    assert len(re.findall(why, waited)) == 1
    assert waited.index("waits") < waited.index("extract    success")
    for day, text in outputs.items():
        for line in (
            r"extract +success",
            r"transform +success",
            r"load +success",
            rf"KB  s3://twitter-local/twitter/dt={day}/refined_tweets\.csv",
            r"of \d+ rows",
            r"\d+ posts of \d+ accounts for \$[\d.]+ \(pretend money",
            r"orbital_news: latest 100 of about \d+",
        ):
            assert re.search(line, text), line
        pasted = re.search(r"^ls .*$", text, re.MULTILINE)[0]
        listed = subprocess.run(
            ["sh", "-c", pasted], cwd=make_checkout, capture_output=True, text=True, check=True
        )
        assert {"refined_tweets.csv", "refined_tweets.parquet", "receipt.json"} <= {*listed.stdout.split()}
    assert processes(make_checkout) == []


def test_make_up_serves_loopback_alone_buys_nothing_takes_runs_in_and_leaves_nothing_behind(make_checkout):
    [port] = free_ports(1)
    log = make_checkout / ".local/x_api/requests.jsonl"
    bought = log.read_text() if log.exists() else ""
    (make_checkout / ".env").write_text("AIRFLOW_VAR_TWITTER_TWEET_LIMIT=7\n")
    with begun(make_checkout, "up", f"PORT={port}") as (up, output):
        url = f"http://127.0.0.1:{port}"
        _shown(output, f":{port}/dags/twitter", up)
        health = httpx.get(f"{url}/api/v2/monitor/health", trust_env=False, timeout=60).json()
        assert health["scheduler"]["status"] == "healthy"
        running = processes(make_checkout)
        assert {ip for ip, _ in listeners(running)} == {"127.0.0.1"}
        exported = (make_checkout / ".local/env").read_text()
        assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in exported
        assert "SECRET_ACCESS_KEY=" not in exported
        assert (log.read_text() if log.exists() else "") == bought

        with closing(Airflow(url, environment.ui_password(make_checkout / ".local"))) as airflow:
            handles = airflow.variable("twitter_handles")
            airflow.set_variable("twitter_handles", "@bad handle!")
            red = make(make_checkout, "run", f"DAY={day_ago(4)}")
            airflow.set_variable("twitter_handles", handles)
        assert red.returncode != 0
        failure = "extract failed: BadSetting: Variable twitter_handles: '@bad handle!' is not a handle"
        assert failure in " ".join(red.stdout.split())
        assert "Traceback" not in red.stdout + red.stderr

        done = make(make_checkout, "run", f"DAY={day_ago(4)}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"orbital_news: latest 7 of about \d+", done.stdout)  # as .env says
        lines = done.stdout.splitlines()
        assert f"on the stack that runs already: {url}" in lines
        assert any(line.startswith(f"{url}/dags/twitter/runs/manual__{day_ago(4)} ") for line in lines)
        assert up.poll() is None
    (make_checkout / ".env").unlink()
    assert processes(make_checkout) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/", trust_env=False, timeout=60)


@retry(
    retry=retry_if_exception_type(AssertionError),
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.5),
    reraise=True,
)
def _shown(output: Path, text: str, process: subprocess.Popen) -> None:
    if process.poll() is not None:
        pytest.fail(output.read_text())
    assert text in output.read_text()
