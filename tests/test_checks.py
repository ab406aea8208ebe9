"""What checks the project finds what it is there for: a planted key, a known vulnerability, no answer."""

import json
import os
import random
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LOCK = "local/ministack.lock"


# Put together here: no file of the project holds what looks like a key.
chance = random.Random("secrets")  # noqa: S311


def any_of(alphabet: str, length: int) -> str:
    return "".join(chance.choices(alphabet, k=length))


LETTERS = string.ascii_letters + string.digits
AWS_KEY = "AKIA" + any_of(string.ascii_uppercase + "234567", 16)
AWS_SECRET = any_of(LETTERS + "+/", 40)
BEARER = "A" * 21 + any_of(LETTERS, 30) + "%3D" + any_of(LETTERS, 50)
ACCESS_TOKEN = any_of("123456789", 18) + "-" + any_of(LETTERS, 30)
PASSWORD = any_of(LETTERS, 9) + "&" + any_of(string.digits, 3)


def scan(folder: Path) -> subprocess.CompletedProcess[str]:
    """The scan for secrets, as `.ci/lint` starts it."""
    lint = (ROOT / ".ci/lint").read_text()
    options = re.search(r"detect-secrets-hook (.*?) \$\(files\)", lint, re.DOTALL)[1]
    words = options.replace("\\\n", " ").replace(".ci/", f"{ROOT}/.ci/").split()
    files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    command = [ROOT / ".local/tools/bin/detect-secrets-hook", *words, *files]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


PLANTED = {
    "local/aws.py": f'KEY = "{AWS_KEY}"',
    "docs/deploy.md": f"    export AWS_ACCESS_KEY_ID={AWS_KEY}",
    "deploy/host/airflow.env": f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}",
    "tests/test_it.py": f'client("s3", "{AWS_SECRET}")',
    "include/twitter/x_api.py": f'HEADERS = {{"Authorization": "Bearer {BEARER}"}}',
    "README.md": f'curl -H "Authorization: Bearer {BEARER}" https://x.example',
    ".env.example": f'AIRFLOW_CONN_TWITTER_DEFAULT={{"extra": {{"bearer_token": "{BEARER}"}}}}',
    "airflow_settings.example.yaml": f"        access_token: {ACCESS_TOKEN}",
    "tests/include/test_settings.py": f'SECRETS = {{"password": "{PASSWORD}"}}',
    "deploy/template.yaml": f"      MasterUserPassword: {PASSWORD}",
    "deploy/key.pem": f"-----BEGIN RSA PRIVATE KEY-----\n{AWS_SECRET}",  # pragma: allowlist secret
}


INVENTED = {"tests/test_that.py": 'SECRETS = {"bearer_token": "bearer-token-c2d4"}'}


def test_a_planted_secret_is_found_wherever_it_is_and_an_invented_one_of_a_test_is_none(tmp_path):
    for name, line in (PLANTED | INVENTED).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(line + "\n")
    result = scan(tmp_path)
    assert result.returncode == 1
    assert set(re.findall(r"Location: +(.*):\d+", result.stdout)) == set(PLANTED)


# The docs


def site(folder: Path, link: str) -> subprocess.CompletedProcess[str]:
    """The site of a README and one page with a link, by the project's own settings and hooks."""
    settings, _ = (ROOT / "mkdocs.yml").read_text().split("nav:\n  - Home")
    files = {
        "mkdocs.yml": settings + "nav: [index.md, page.md]\n",
        "README.md": "# Home\n[A page](docs/page.md)\n",
        "docs/page.md": f"# A page\n[A link]({link})\n",
        "docs/hooks.py": (ROOT / "docs/hooks.py").read_text(),
        "include/code.py": "CODE = 1\n",
        "include/README.md": "# The library\n[Back](../README.md#home)\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    command = [ROOT / ".local/tools/bin/mkdocs", "build", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("../README.md#home", "index.html#home"),
        ("../include/code.py", "repository/include/code.py.txt"),
        ("../include/README.md", "repository/include/index.html"),
    ],
)
def test_a_link_out_of_the_docs_leads_to_a_place_on_the_site(link, place, tmp_path):
    built = site(tmp_path, link)
    assert built.returncode == 0, built.stderr
    assert f'href="{place}"' in (tmp_path / "site/page.html").read_text()
    assert (tmp_path / "site" / place.split("#")[0]).exists()


@pytest.mark.parametrize("link", ["gone.md", "../include/gone.py", "../README.md#gone"])
def test_a_link_that_leads_nowhere_fails_the_site(link, tmp_path):
    built = site(tmp_path, link)
    assert built.returncode != 0
    assert "gone" in built.stderr


def words(folder: Path, page: str, text: str) -> subprocess.CompletedProcess[str]:
    (folder / page).parent.mkdir(parents=True, exist_ok=True)
    (folder / page).write_text(text)
    command = [ROOT / ".local/tools/bin/python", ROOT / ".ci/words.py", page]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


HARD_TO_READ = (
    "Notwithstanding organizational considerations, idempotent reconciliation necessitates " * 4 + "it."
)


@pytest.mark.parametrize(
    ("page", "text", "finding"),
    [
        ("docs/x.md", "# A page\n\nThe owner is told of it.\n", "docs/x.md:3: 'told'"),
        ("docs/x.md", "```text\nit is told\n```\nX sends `told` in [it](told.md).\n", ""),
        ("docs/x.md", HARD_TO_READ, ""),
        ("dags/x.py", 'told = """A DAG.\n\nIt is told."""  # told\n', "dags/x.py:3: 'told'"),
        ("docs/how-to/x.md", HARD_TO_READ, "is above 10"),
    ],
)
def test_a_word_of_a_private_dialect_and_a_page_that_is_hard_to_read_are_found(page, text, finding, tmp_path):
    checked = words(tmp_path, page, text)
    assert checked.returncode == bool(finding), checked.stderr
    assert finding in checked.stdout


# The audit of the locks


@contextmanager
def database(vulnerable: str = "") -> Iterator[tuple[str, list[str]]]:
    """A database that speaks OSV's protocol and knows one package, if any: its URL and its queries."""
    queries = []

    def respond(request: Request) -> Response:
        query = json.loads(request.get_data())
        name = query["package"]["name"]
        queries.append(f"{name}=={query['version']}")
        affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": []}
        known = {"vulns": [{"id": "PYSEC-1", "summary": "it leaks", "affected": [affected]}]}
        return Response(json.dumps(known if name == vulnerable else {}))

    with HTTPServer(threaded=True) as server:
        server.expect_request(re.compile("")).respond_with_handler(respond)
        yield server.url_for("").rstrip("/"), queries


def audit(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "AUDIT_URL": url, **environment}
    return subprocess.run(
        [ROOT / ".ci/audit", LOCK], env=environment, capture_output=True, text=True, timeout=600
    )


def test_an_audit_asks_about_every_pin_whatever_python_it_is_for():
    with database() as (url, queries):
        done = audit(url)
    assert done.returncode == 0
    locked = re.findall(r"^([\w.-]+==[^ ;\\]+)", (ROOT / LOCK).read_text(), re.MULTILINE)
    assert sorted(queries) == sorted(set(locked))
    assert done.stdout == f"No known vulnerability in the {len(queries)} pins of {LOCK}\n"


def test_a_known_vulnerability_fails_the_audit_and_is_named():
    with database(vulnerable="ministack") as (url, _):
        done = audit(url)
    assert done.returncode == 1
    assert re.search(r"^ministack +\S+ +PYSEC-1", done.stdout, re.MULTILINE)


def test_a_database_out_of_reach_fails_the_audit_and_says_so():
    nobody = "http://127.0.0.1:9"
    done = audit("https://osv.example/v1/query", HTTPS_PROXY=nobody, https_proxy=nobody)
    assert done.returncode == 2
    assert "The database of vulnerabilities could not be asked: nothing is known about" in done.stderr
    assert "No known vulnerability" not in done.stdout


# The dates that the tests are run on

ON = "2028-02-29 23:50:00 Asia/Kolkata"
CLOCKS = """
import json, sqlite3, subprocess, time
from datetime import UTC, datetime
from threading import Event
from multiprocessing import Semaphore

began = time.monotonic()
time.sleep(0.1)
Event().wait(0.1)
Semaphore(0).acquire(timeout=0.1)
print(json.dumps({
    "waited": time.monotonic() - began,
    "zone": time.tzname[0],
    "datetime": str(datetime.now(UTC)),
    "time": str(datetime.fromtimestamp(time.time(), UTC)),
    "sqlite": sqlite3.connect(":memory:").execute("select datetime('now')").fetchone()[0],
    "child": subprocess.check_output(["date", "--utc", "+%F %T"], text=True),
}))
raise SystemExit(3)
"""


def test_on_another_date_every_clock_shows_it_waits_take_as_long_as_ever_and_the_command_ends_as_it_ended():
    done = subprocess.run(
        [ROOT / ".ci/on-date", ON, sys.executable, "-c", CLOCKS], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 3, done.stderr
    clocks = json.loads(done.stdout)
    assert 0.3 <= clocks.pop("waited") < 60
    assert clocks.pop("zone") == "IST"
    assert {clock for clock, shown in clocks.items() if not shown.startswith("2028-02-29 23:5")} == set()
