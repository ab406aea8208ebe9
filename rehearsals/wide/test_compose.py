"""Docker compose reads the file of a wide deployment, and starts nothing without its secrets."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from tests.deploy.test_wide import COMPOSE, SECRETS, SETTINGS


def compose() -> list[str] | None:
    """The command that reads a compose file, as plugin of Docker or as a program of its own."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run([*command, "version"], capture_output=True).returncode
        ):
            return command
    return None


def read(given: Path) -> subprocess.CompletedProcess[str]:
    if not (command := compose()):
        pytest.skip("no docker compose here: apt-get install --no-install-recommends docker-compose")
    arguments = [*command, "--env-file", str(given), "--file", str(COMPOSE), "config"]
    return subprocess.run(
        arguments, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60
    )


def test_compose_takes_the_file(tmp_path):
    given = tmp_path / "given.env"
    given.write_text("".join(f"{name}=a-{name.lower()}\n" for name in dotenv_values(SECRETS)))
    whole = read(given)
    assert whole.returncode == 0, whole.stderr
    worker = yaml.safe_load(whole.stdout)["services"]["worker"]["environment"]
    assert worker.items() >= SETTINGS.items()
    assert worker["AIRFLOW__CELERY__BROKER_URL"] == "redis://:a-redis_password@redis:6379/0"


def test_compose_refuses_to_start_without_the_secrets():
    assert read(SECRETS).returncode != 0
