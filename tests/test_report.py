"""A run of the tests ends with what became of them; in CI a skip is a failure."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_passes():
    pass

def test_skips():
    pytest.skip("nothing to test with")

def test_skips_what_ci_accepts():
    pytest.skip("no docker compose here: install it")

def test_fails_as_expected():
    pytest.xfail("known")
"""


def run(folder: Path, ci: str) -> tuple[int, str]:
    (folder / "test_some.py").write_text(TESTS)
    (folder / "test_none.py").write_text('import pytest\n\npytest.importorskip("no_such_module")\n')
    (folder / "pytest.ini").touch()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-ra",
        "--continue-on-collection-errors",
        "-p",
        "tests.report",
        "-p",
        "no:cacheprovider",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(
        [*command, str(folder)],
        env=environment | {"CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(
    ("ci", "status", "counts"),
    [("", 0, "1 passed, 0 failed, 3 skipped"), ("true", 1, "1 passed, 2 failed, 1 skipped")],
)
def test_a_skip_is_a_failure_in_ci_but_for_those_that_it_accepts(tmp_path, ci, status, counts):
    ended, output = run(tmp_path, ci)
    assert re.fullmatch(rf"{counts}: \d+ s, \d+ s of CPU", output.splitlines()[-1])
    assert "nothing to test with" in output
    assert "no_such_module" in output
    assert ended == status
