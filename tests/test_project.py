"""The files that a project of this kind has to have, and that they agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def pins(text: str) -> set[str]:
    return set(re.findall(r"^([a-zA-Z0-9._-]+==[^ ;\\\n]+)", text, re.MULTILINE))


def runtime() -> re.Match[str]:
    """The Astro runtime of the Dockerfile."""
    tag = r"^FROM \S+/runtime:(?P<airflow>\d+\.\d+)-\d+-python-(?P<python>\d+\.\d+)$"
    return re.search(tag, (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_image_installs_what_the_lock_resolved():
    assert pins((ROOT / "requirements.txt").read_text()) <= pins((ROOT / "requirements.lock").read_text())


def test_the_image_brings_airflow_itself_of_the_line_that_is_tested():
    assert "apache-airflow==" not in (ROOT / "requirements.txt").read_text()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert groups["airflow"][0].startswith(f"apache-airflow=={runtime()['airflow']}.")


def test_the_image_has_a_python_that_make_versions_tests():
    tested = re.search(r"^VERSIONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert runtime()["python"] in tested[1].split()


@pytest.mark.parametrize(
    ("group", "lock"),
    [
        ("airflow", "requirements.lock"),
        ("dev", "requirements.lock"),
        ("ministack", "local/ministack.lock"),
        ("tools", "local/tools.lock"),
    ],
)
def test_the_locks_hold_what_pyproject_names(group, lock):
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    locked = pins((ROOT / lock).read_text())
    for wanted in [entry for entry in groups[group] if isinstance(entry, str)]:
        name = re.match(r"[\w.-]+", wanted)[0]
        assert any(pin == wanted if "==" in wanted else pin.startswith(f"{name}==") for pin in locked), wanted


def test_the_library_has_the_version_of_the_project():
    from include.twitter import __version__

    assert __version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_locked_package_is_pinned_by_hash():
    for lock in [*ROOT.glob("*.lock"), *ROOT.glob("local/*.lock"), *ROOT.glob("deploy/*/*.lock")]:
        for package in re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text())[1:]:
            assert "--hash=sha256:" in package


def test_the_repository_is_an_astro_project():
    for name in (
        "dags",
        "include",
        "tests",
        "Dockerfile",
        "requirements.txt",
        "packages.txt",
        ".dockerignore",
    ):
        assert (ROOT / name).exists(), name
    assert yaml.safe_load((ROOT / ".astro/config.yaml").read_text())["project"]["name"] == "twitter-to-s3"
    airflow = yaml.safe_load((ROOT / "airflow_settings.example.yaml").read_text())["airflow"]
    assert [connection["conn_id"] for connection in airflow["connections"]] == ["twitter_default"]


def test_the_example_settings_name_settings_that_exist():
    from include.twitter.settings import SETTINGS

    known = {setting.name for setting in SETTINGS}
    airflow = yaml.safe_load((ROOT / "airflow_settings.example.yaml").read_text())["airflow"]
    assert {variable["variable_name"] for variable in airflow["variables"]} <= known
    example = (ROOT / ".env.example").read_text()
    assert {name.lower() for name in re.findall(r"AIRFLOW_VAR_(\w+)", example)} <= known


def test_the_readmes_tables_are_those_of_the_code():
    from docs.tables import README, with_tables

    assert README.read_text() == with_tables(README.read_text())


def test_ci_runs_every_make_command_of_the_readme():
    said = set(re.findall(r"^make [a-z]+", (ROOT / "README.md").read_text(), re.MULTILINE))
    run_by_ci = set(re.findall(r"^make [a-z]+", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    # tests/local/test_commands.py, tests/deploy/test_commands.py
    run_by_a_test = {"make up", "make deploy", "make secrets", "make connect"}
    assert said - run_by_ci - run_by_a_test == set()


def test_no_document_names_a_path_of_somebodys_machine():
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        assert not re.search(r"/(home|root|Users|work)/", file.read_text()), file
