"""What people give to make is data: neither make nor a shell runs it, and it arrives as it was typed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make") or "make"
STUB = """#!/usr/bin/env python3
import json, os, sys
names = os.environ["SETTINGS"].split()
names.append("PYTEST_ADDOPTS")
said = {"argv": sys.argv[1:], "env": {name: os.environ[name] for name in names if name in os.environ}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(said) + "\\n")
if sys.argv[0].endswith("on-date"):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
HOSTILE = [
    "`touch pwned`",
    "$(touch pwned)",
    "$(shell touch pwned)",
    "${shell touch pwned}",
    "$(eval X := $(shell touch pwned))",
    "$(error pwned)",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "; touch pwned #",
    "| touch pwned",
    "& touch pwned",
    "> pwned",
    "12\n\ttouch pwned\n",
    "12\\\ntouch pwned",
    "--help",
    "-x *",
    "$HOME $$ ${IFS} \\ % ,)",
    "é 12",
]
ARRIVES = {
    ("forget", "POST"): "--post={}",
    ("forget", "HANDLE"): "--handle={}",
    ("forget", "BUCKET"): "--bucket={}",
    ("forget", "STACK"): "--stack={}",
    ("forget", "GONE"): "--gone",
    ("forget", "DRY"): "--dry",
    ("forget", "MOST"): "--most={}",
    ("forget", "CONFIRM"): "--confirm={}",
    ("run", "DAY"): "{}",
    ("up", "PORT"): None,  # local/cli.py reads the environment
    ("secrets", "FILE"): "--file={}",
    ("secrets", "STACK"): "--stack={}",
    ("connect", "PORT"): "--port={}",
    ("password", "STACK"): "--stack={}",
    ("upgrade", "STACK"): "--stack={}",
    ("teardown", "STACK"): "--stack={}",
    ("deploy", "SET"): "--set={}",
    ("deploy", "REPLACE_HOST"): "--replace-host",
    ("simulate", "SEEDS"): "--seeds={}",
    ("simulate", "DAYS"): "--days={}",
    ("test", "ON"): "{}",
    ("test", "ARGS"): None,
    ("test-stackless", "ARGS"): None,
    ("test-deploy", "ARGS"): None,
    ("test-wide", "ARGS"): None,
    ("test-hands", "ARGS"): None,
    ("check", "ARGS"): None,  # through a second make
    ("docs", "PYTHON"): None,
    ("lock", "UPGRADE"): "--upgrade",
    ("docs", "UV_SYSTEM_CERTS"): None,
}


def settings() -> set[str]:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    return set(re.search(r"^SETTINGS := (.*)$", text, re.MULTILINE)[1].split())


@pytest.fixture
def checkout(tmp_path):
    """The Makefile over programs that only record what they are given; all environments are installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for lock in ("requirements.lock", "local/dev.lock"):
        (tmp_path / lock).parent.mkdir(exist_ok=True)
        (tmp_path / lock).write_text("")
    for program in (".venv/bin/python", ".venv/bin/uv", ".ci/on-date", ".ci/lint"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text(STUB)
        (tmp_path / program).chmod(0o755)
    for environment in (".venv", ".local/ministack", ".local/tools", ".local/datacontract", ".local/wide"):
        (tmp_path / environment).mkdir(parents=True, exist_ok=True)
        (tmp_path / environment / ".installed").touch()
    return tmp_path


def make(checkout: Path, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nobody", "CALLS": str(checkout / "calls")}
    environment = path | {"SETTINGS": " ".join(settings())} | given
    return subprocess.run(
        [MAKE, "--no-print-directory", *words],
        cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def calls(checkout: Path) -> list[dict]:
    return [json.loads(line) for line in (checkout / "calls").read_text().splitlines()]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_value_is_run_by_nobody_and_arrives_as_it_was_given(checkout, hostile):
    for target in dict.fromkeys(target for target, _ in ARRIVES):
        (checkout / "calls").unlink(missing_ok=True)
        done = make(checkout, target, *(f"{name}={hostile}" for name in settings()))
        assert_arrived(checkout, target, hostile, done)


@pytest.mark.parametrize("hostile", HOSTILE[:4])
def test_a_value_of_the_environment_is_data_too(checkout, hostile):
    done = make(checkout, "forget", **dict.fromkeys(settings(), hostile))
    assert_arrived(checkout, "forget", hostile, done)


def assert_arrived(checkout, target: str, hostile: str, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, (target, done.stderr)
    assert not (checkout / "pwned").exists(), target
    made = calls(checkout)
    for name in (name for of, name in ARRIVES if of == target):
        assert all(call["env"][name] == hostile for call in made), name
        if place := ARRIVES[target, name]:
            assert any(place.format(hostile) in call["argv"] for call in made), (name, made)
        if name == "ARGS":
            assert any(call["env"].get("PYTEST_ADDOPTS", "").endswith(f" {hostile}") for call in made)


def test_each_setting_is_tried_and_no_recipe_gives_one_to_a_shell(checkout):
    assert {name for _, name in ARRIVES} == settings()
    recipes = re.findall(r"^(?:\t| *[A-Za-z_]+ *:?=).*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in settings():
        pasted = [line for line in recipes if re.search(rf"\$[({{]{name}[)}}]", line)]
        assert all(f"$(if $({name})," in line for line in pasted), pasted


def test_a_python_that_is_a_command_line_is_not_run(checkout):
    (checkout / ".venv/.installed").unlink()
    done = make(checkout, "docs", "PYTHON=python3; touch pwned; $(shell touch pwned) `touch pwned`")
    assert done.returncode != 0
    assert not (checkout / "pwned").exists()


@pytest.mark.parametrize("name", ["HANDEL", "day", "Day", "BIN", "VENV", "VERSIONS", "TWO_WORKERS"])
def test_what_is_no_setting_is_refused_before_anything_is_done(checkout, name):
    done = make(checkout, "forget", f"{name}=`touch pwned`")
    assert done.returncode != 0
    assert f"{name} is no setting" in done.stderr
    assert not (checkout / "calls").exists()
    assert not (checkout / "pwned").exists()


def test_without_settings_the_defaults_hold(checkout):
    for target in ("run", "secrets", "connect", "forget", "deploy"):
        assert make(checkout, target).returncode == 0
    assert [call["argv"][2:] for call in calls(checkout)] == [
        ["run"],
        ["--stack=twitter", "secrets", "--file=.env"],
        ["--stack=twitter", "connect", "--port=8080"],
        ["--stack=twitter", "--post=", "--handle="],
        ["--stack=twitter", "deploy", "--set="],
    ]


def test_the_words_of_set_are_split_as_in_a_shell():
    from deploy.__main__ import _parser

    given = _parser().parse_args(["deploy", "--set=Uptime=daily 'StartAt=cron(15 1 * * ? *)'"])
    assert given.more == ["Uptime=daily", "StartAt=cron(15 1 * * ? *)"]


@pytest.mark.parametrize("text", ["Uptime", "Uptime='daily", "`touch pwned`"])
def test_words_of_set_that_are_no_pairs_are_refused(text, capsys):
    from deploy.__main__ import _parser

    with pytest.raises(SystemExit):
        _parser().parse_args(["deploy", f"--set={text}"])
    assert "--set" in capsys.readouterr().err
