"""The commands of README and docs, each block in a checkout of its own, with stubs for the pipeline."""

import json
import re
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from deploy.__main__ import _parser as deploy_parser
from deploy.forget import _argument_parser as forget_parser
from include.twitter.records import LedgerEntry, encoded
from include.twitter.settings import SETTINGS, parse
from local.cli import _parser as local_parser
from tests.docs.test_read import HOW_TO, fenced
from tests.test_makefile import calls, checkout  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.relative_to(ROOT)} {number}": dedent(block)
    for page in PAGES
    for number, block in enumerate(re.findall(r"(?ms)^ *```(?:sh|bash)\n(.*?)^ *```$", page.read_text()))
}
CONTRACT = "docs/how-to/check_the_data_contract.md 0"  # rehearsals/datacontract runs it
DOWNLOAD, UPLOAD = "docs/how-to/read_the_ledger.md 0", "docs/how-to/add_an_account.md 0"
PARSERS = {"local": local_parser, "deploy": deploy_parser, "deploy.forget": forget_parser}
AWS = ROOT / ".local/tools/bin/aws"
ONE_OBJECT = """<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>{prefix}1.json</Key>
<Size>2</Size><LastModified>2026-11-18T00:00:00.000Z</LastModified><ETag>"1"</ETag></Contents></ListBucketResult>"""


@pytest.fixture
def s3(httpserver: HTTPServer) -> HTTPServer:
    """A store with one object below each prefix, which accepts every upload."""

    def respond(request: Request) -> Response:
        if "prefix" in request.args:
            return Response(ONE_OBJECT.format(prefix=request.args["prefix"]), content_type="application/xml")
        headers = {"ETag": '"1"', "Last-Modified": "Wed, 18 Nov 2026 00:00:00 GMT"}
        return Response(b"{}" if request.method != "PUT" else b"", headers=headers)

    httpserver.expect_request(re.compile("")).respond_with_handler(respond)
    return httpserver


@pytest.fixture
def shell(checkout, s3):  # noqa: F811
    """Runs a block as a person would in a new checkout; returns what it printed."""
    (checkout / ".env.example").write_text("")
    (checkout / "airflow_settings.example.yaml").write_text("")
    (checkout / "accounts.csv").write_text("handle\nNASA\n")
    (checkout / ".local/env").write_text("")
    (checkout / ".local/aws_root_key.json").write_text(json.dumps({"id": "root", "secret": "local-root"}))
    (checkout / "aws").symlink_to(AWS)
    (checkout / "airflow").symlink_to(checkout / ".venv/bin/python")  # a stub
    environment = {
        "PATH": f"{checkout}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(checkout),
        "CALLS": str(checkout / "calls"),
        "NO_PROXY": "127.0.0.1,localhost",
        "AWS_ENDPOINT_URL": s3.url_for("").rstrip("/"),
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "local-secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }

    def run(block: str) -> None:
        command = ["bash", "-euo", "pipefail", "-c", block]
        subprocess.run(command, cwd=checkout, env=environment, check=True, timeout=60, capture_output=True)

    return run


@pytest.mark.parametrize("block", sorted(BLOCKS.keys() - {CONTRACT, DOWNLOAD, UPLOAD}))
def test_the_commands_of_a_page_run_and_their_programs_accept_the_arguments(block, shell, checkout):  # noqa: F811
    shell(BLOCKS[block])
    if not (checkout / "calls").exists():
        return
    for call in calls(checkout):
        match call["argv"]:
            case ["-m", module, *arguments] if module in PARSERS:
                PARSERS[module]().parse_args(arguments)


def test_the_commands_about_objects_copy_them(shell, checkout, s3):  # noqa: F811
    shell(BLOCKS[DOWNLOAD])
    assert (checkout / "ledger/1.json").read_bytes() == b"{}"
    shell(BLOCKS[UPLOAD])
    uploads = [request.path for request, _ in s3.log if request.method == "PUT"]
    assert [path.removeprefix("/acme-twitter-lake") for path in uploads] == ["/twitter_accounts/accounts.csv"]


def test_on_the_local_stack_forget_has_the_root_key(shell, checkout):  # noqa: F811
    shell(BLOCKS["docs/how-to/delete_a_users_posts.md 2"])
    (call,) = (call for call in calls(checkout) if "deploy.forget" in call["argv"])
    assert (call["env"]["AWS_ACCESS_KEY_ID"], call["env"]["AWS_SECRET_ACCESS_KEY"]) == ("root", "local-root")


def test_the_caps_of_the_first_day_are_settings_with_valid_values():
    lines = re.findall(r"(?m)^AIRFLOW_VAR_(\w+)=(.*)$", (ROOT / "docs/start/first_day.md").read_text())
    kinds = {setting.name: setting.kind for setting in SETTINGS}
    assert [parse(kinds[name.lower()], value) for name, value in lines] == [500, 5000]


def test_the_code_that_adds_up_the_ledger(tmp_path, monkeypatch):
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    for buy, mills in ((1, 525), (2, 1000)):
        entry = LedgerEntry(
            day="2026-11-18", buy=buy, month="2026-11", reserved_mills=mills, spent_mills=mills
        )
        (ledger / f"2026-11-18-{buy}.json").write_bytes(encoded(entry))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(fenced("python", HOW_TO / "read_the_ledger.md", "spent_mills"), names)  # noqa: S102
    assert names["spent"] == 1.525
