"""The environment of the local Airflow: what a laptop needs, under what `.env` says."""

import json
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values

PROJECT = Path(__file__).parents[1]
AWS_KEYS = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
X_CONNECTION = "AIRFLOW_CONN_TWITTER_DEFAULT"
UI_USER = "admin"


class BadEnvFile(ValueError):
    """The local stack cannot use a setting of `.env`; the message says what to write instead."""


class EnvFile(dict[str, str]):
    """The settings of a `.env` file, which win over the stack's own."""

    @classmethod
    def read(cls, file: Path) -> "EnvFile":
        """Reads KEY=VALUE lines; an absent file is an empty one."""
        # JSON values hold what looks like ${…}: nothing is interpolated.
        settings = cls({k: v for k, v in dotenv_values(file, interpolate=False).items() if v is not None})
        settings._check()
        return settings

    @property
    def real_aws(self) -> bool:
        return self.get("TWITTER_AWS") == "real"

    @property
    def real_x(self) -> bool:
        return X_CONNECTION in self

    def _check(self) -> None:
        if self.get("TWITTER_AWS", "local") not in ("local", "real"):
            raise BadEnvFile(f".env: TWITTER_AWS is {self['TWITTER_AWS']!r}; it may be real or local.")
        if not self.real_aws and (names := [name for name in AWS_KEYS if name in self]):
            raise BadEnvFile(
                f".env sets {names[0]}, but AWS is the local stand-in, which takes no such key. "
                "Add TWITTER_AWS=real to use the real AWS, or take it out."
            )
        # What the local stack once seeded for its stand-ins must never reach the real ones.
        if self.real_aws and "AIRFLOW_VAR_TWITTER_BUCKET" not in self:
            raise BadEnvFile(".env says TWITTER_AWS=real: add AIRFLOW_VAR_TWITTER_BUCKET=<your bucket>.")
        if self.real_x and "AIRFLOW_VAR_TWITTER_HANDLES" not in self:
            raise BadEnvFile(
                f".env sets {X_CONNECTION}: add AIRFLOW_VAR_TWITTER_HANDLES=<accounts to collect>."
            )


def clean(caller: Mapping[str, str], keep_aws: bool = False) -> dict[str, str]:
    """The caller's environment without an Airflow or AWS of its own."""
    foreign = ("AIRFLOW_",) if keep_aws else ("AIRFLOW_", "AWS_")
    # Without compiled modules each component takes some 10 s longer to start.
    dropped = {"PYTHONDONTWRITEBYTECODE"}
    return {k: v for k, v in caller.items() if not k.startswith(foreign) and k not in dropped}


def past_proxies(caller: Mapping[str, str]) -> dict[str, str]:
    """Settings that keep requests to this machine away from the caller's proxy."""
    given = caller.get("NO_PROXY") or caller.get("no_proxy")
    spared = ",".join(filter(None, [given, "127.0.0.1", "localhost"]))
    return {"NO_PROXY": spared, "no_proxy": spared}


def airflow_settings(state: Path, port: int, dags: Path, caller: Mapping[str, str]) -> dict[str, str]:
    """What makes an `airflow` command work on this state directory, beside the address of the database."""
    home = state / "airflow"
    api = f"http://127.0.0.1:{port}"
    keys = _keys(state)
    return {
        **past_proxies(caller),
        "PYTHONPATH": str(PROJECT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
        "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES": "consumer_key",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
        # Every process and every web page on this machine can reach the port, so it needs a password.
        "AIRFLOW__CORE__AUTH_MANAGER": "local.ui_login.LocalAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{UI_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_ui_passwords(state)),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": api,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__DEFAULT_WRAP": "True",  # a log's last word is read without scrolling aside
        "AIRFLOW__API__SECRET_KEY": keys["session"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
        # The stack migrates it, and each component would spend a second on asking.
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        # The schedule starts nothing: on a laptop a day is bought when somebody triggers it.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        # A stage begins when the one before has ended, not a second later: 6 % of a core instead of 2.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # A killed task supervisor is noticed within a quarter of a minute.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        # An edited file is read within seconds, an untouched one seldom.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }


def aws_settings(
    endpoint: str, metadata: str, region: str, certificate: Path | None = None
) -> dict[str, str]:
    """What leads any AWS client to the local AWS, without keys."""
    return {
        **({"AWS_CA_BUNDLE": str(certificate)} if certificate else {}),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def near(path: Path) -> str:
    """A path as seen from the project's folder, in which make runs."""
    return str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def write_exports(file: Path, settings: Mapping[str, str]) -> None:
    """Writes the settings as shell exports, to be read with `. .local/env`."""
    unset = [name for name in AWS_KEYS if name not in settings] if "AWS_ENDPOINT_URL" in settings else []
    lines = [f"unset {' '.join(unset)}"] if unset else []
    lines += [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
    write_private(file, "\n".join(lines) + "\n")


def _keys(state: Path) -> dict[str, str]:
    """Keys this Airflow signs and encrypts with, made once."""
    file = state / "airflow_keys.json"
    if not file.exists():
        keys = {
            "fernet": Fernet.generate_key().decode(),
            "jwt": secrets.token_urlsafe(64),
            "session": secrets.token_urlsafe(32),
        }
        write_private(file, json.dumps(keys))
    return json.loads(file.read_text())


def ui_password(state: Path) -> str:
    """The password of the administrator of the UI."""
    return json.loads(_ui_passwords(state).read_text())[UI_USER]


def _ui_passwords(state: Path) -> Path:
    """Airflow's password file, created once per state directory."""
    file = state / "ui_password.json"
    if not file.exists():
        write_private(file, json.dumps({UI_USER: secrets.token_urlsafe(12)}))
    return file
