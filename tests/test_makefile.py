"""What people give to make is data: neither make nor a shell runs it, and it arrives as it was typed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make") or "make"
STUB = r"""#!/bin/sh
{ printf '%s\0' "$#" "$@"; env -0; printf '\0'; } >"$CALLS.$$"
cat "$CALLS.$$" >>"$CALLS"  # in one write: two may be called at once
case $0 in *on-date) shift; exec "$@" ;; esac
"""
"""Appends a call to CALLS: the number of arguments, the arguments, the environment, an empty string."""
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
    ("test-interventions", "ARGS"): None,
    ("test-properties", "ARGS"): None,
    ("test-kills", "ARGS"): None,
    ("test-kills", "KILLS"): None,  # the tests read the environment
    ("test-kills", "RACES"): None,
    ("test-kills", "MONTHS"): None,
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
    for lock in ("requirements.lock", "local/local.lock", "local/dev.lock"):
        (tmp_path / lock).parent.mkdir(exist_ok=True)
        (tmp_path / lock).write_text("")
    programs = (".venv/bin/python", ".venv/bin/uv", ".ci/on-date", ".ci/lint", ".ci/versions", "began")
    for program in programs:
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text(STUB)
        (tmp_path / program).chmod(0o755)
    shutil.copy(ROOT / ".ci/nightly", tmp_path / ".ci")
    for environment in ("ministack", "tools", "datacontract", "wide", "py3.11", "py3.12", "py3.13"):
        (tmp_path / ".local" / environment).mkdir(parents=True)
        (tmp_path / ".local" / environment / ".installed").touch()
    for stamp in (".installed", ".dev-installed"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def rehearsals() -> list[str]:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    return re.search(r"^NIGHTLY := (.*)$", text, re.MULTILINE)[1].split()


def make(checkout: Path, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nobody", "CALLS": str(checkout / "calls")}
    return subprocess.run(
        [MAKE, "--no-print-directory", *words],
        cwd=checkout, env=path | given, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def calls(checkout: Path) -> list[dict]:
    made, words = [], iter((checkout / "calls").read_text().split("\0")[:-1])
    for number in words:
        argv = [next(words) for _ in range(int(number))]
        made.append({"argv": argv, "env": dict(word.split("=", 1) for word in iter(words.__next__, ""))})
    return made


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_value_is_run_by_nobody_and_arrives_as_it_was_given(checkout, hostile):
    targets = list(dict.fromkeys(target for target, _ in ARRIVES))
    # One make runs all targets, and a goal before each tells their calls apart.
    (checkout / "goals").write_text("began-%:\n\t@./began $@\n")
    goals = [goal for target in targets for goal in (f"began-{target}", target)]
    files = ("--file=Makefile", "--file=goals")
    done = make(checkout, *files, *goals, *(f"{name}={hostile}" for name in settings()))
    assert done.returncode == 0, done.stderr
    assert not (checkout / "pwned").exists()
    made: dict[str, list[dict]] = {}
    for call in calls(checkout):
        if call["argv"] and call["argv"][0].startswith("began-"):
            made[call["argv"][0].removeprefix("began-")] = some = []
        else:
            some.append(call)
    assert list(made) == targets
    for target in targets:
        assert_arrived(made[target], target, hostile)


@pytest.mark.parametrize("hostile", HOSTILE[:4])
def test_a_value_of_the_environment_is_data_too(checkout, hostile):
    done = make(checkout, "forget", **dict.fromkeys(settings(), hostile))
    assert done.returncode == 0, done.stderr
    assert not (checkout / "pwned").exists()
    assert_arrived(calls(checkout), "forget", hostile)


def assert_arrived(made: list[dict], target: str, hostile: str) -> None:
    assert made, target
    for name in (name for of, name in ARRIVES if of == target):
        assert all(call["env"][name] == hostile for call in made), (target, name)
        if place := ARRIVES[target, name]:
            assert any(place.format(hostile) in call["argv"] for call in made), (target, name, made)
        if name == "ARGS":
            assert any(call["env"].get("PYTEST_ADDOPTS", "").endswith(f" {hostile}") for call in made), target


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


@pytest.mark.parametrize("name", ["HANDEL", "day", "Day", "BIN", "VENV", "VERSIONS", "WORKERS"])
def test_what_is_no_setting_is_refused_before_anything_is_done(checkout, name):
    done = make(checkout, "forget", f"{name}=`touch pwned`")
    assert done.returncode != 0
    assert f"{name} is no setting" in done.stderr
    assert not (checkout / "calls").exists()
    assert not (checkout / "pwned").exists()


# What is installed, and when


def synced(checkout: Path) -> list[list[str]]:
    """The locks of each `uv pip sync`."""
    made = [call["argv"] for call in calls(checkout)] if (checkout / "calls").exists() else []
    return [[word for word in argv if word.endswith(".lock")] for argv in made if argv[:2] == ["pip", "sync"]]


RUNS, DEV = ["requirements.lock", "local/local.lock"], "local/dev.lock"
"""The locks of what runs, and the one of what tests and lints."""


def renew(checkout: Path, lock: str) -> None:
    stamps = [stamp.stat().st_mtime for stamp in (checkout / ".venv").glob(".*installed")]
    os.utime(checkout / lock, (max(stamps) + 1,) * 2)


def test_make_run_installs_what_runs_and_the_first_check_adds_what_tests(checkout, tmp_path):
    for stamp in (checkout / ".venv").glob(".*installed"):
        stamp.unlink()
    python = {"PYTHON": str(checkout / ".venv/bin/python")}
    assert make(checkout, "run", **python).returncode == 0
    assert synced(checkout) == [RUNS]
    assert make(checkout, "lint", **python).returncode == 0
    assert synced(checkout) == [RUNS, [*RUNS, DEV]]
    assert make(checkout, "run", **python).returncode == make(checkout, "lint", **python).returncode == 0
    assert len(synced(checkout)) == 2


@pytest.mark.parametrize("lock", RUNS)
def test_after_a_changed_lock_make_run_renews_what_tests_too_where_it_is_installed(checkout, lock):
    renew(checkout, lock)
    assert make(checkout, "run", PYTHON=str(checkout / ".venv/bin/python")).returncode == 0
    assert synced(checkout) == [[*RUNS, DEV]]


def test_a_changed_lock_of_what_tests_does_not_concern_make_run(checkout):
    renew(checkout, DEV)
    assert make(checkout, "run").returncode == 0
    assert synced(checkout) == []
    assert make(checkout, "lint").returncode == 0
    assert synced(checkout) == [[*RUNS, DEV]]


# All rehearsals


def test_nightly_names_each_rehearsal_once_and_each_has_a_rule():
    rules = re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(rehearsals()) == sorted(set(rehearsals()) & set(rules))
    folders = {file.name for file in (ROOT / "rehearsals").iterdir() if any(file.glob("test_*.py"))}
    assert folders - {"pictures"} <= {name.removeprefix("test-") for name in rehearsals()}


@pytest.mark.parametrize("root", [True, False])
def test_nightly_goes_on_after_a_failure_and_ends_with_how_each_ended(checkout, root):
    fails = '#!/bin/sh\ncase "$*" in *rehearsals/deploy*) exit 1;; esac\n'
    (checkout / ".venv/bin/python").write_text(fails)
    (checkout / "id").write_text(f"#!/bin/sh\necho {0 if root else 1000}\n")
    (checkout / "id").chmod(0o755)
    done = make(checkout, "nightly", PATH=f"{checkout}:/usr/local/bin:/usr/bin:/bin")
    assert done.returncode != 0
    ended = [line.split(",")[0].split()[:2] for line in done.stdout.split("\n\n")[-1].splitlines()]
    assert [name.rstrip(":") for _, name in ended] == rehearsals()
    results = {name.rstrip(":"): result for result, name in ended}
    assert results.pop("test-deploy") == "failed"
    as_root = {results.pop(name) for name in ("test-host", "test-image")}
    assert as_root == {"passed" if root else "skipped"}
    assert set(results.values()) == {"passed"}


# Without settings


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
