"""A local stack that runs, as a command sees it, whoever has started it."""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

import boto3
import httpx
import psutil
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from local import aws, environment
from local.airflow import DAG, Airflow, AirflowUnreachable
from local.environment import PROJECT, BadEnvFile, EnvFile

STATE = PROJECT / ".local"
ENV_FILE = PROJECT / ".env"
START_SECONDS = 180


class LocalStackError(RuntimeError):
    """The local stack cannot start or go on; the message says why and what to do."""


class Changing(LocalStackError):
    """The stack of this state directory is starting or stopping: try again in a moment."""

    def __init__(self) -> None:
        super().__init__("the local stack of this checkout is starting or stopping: try again in a moment.")


@dataclass(frozen=True)
class Address:
    """Where a stack is, and whose AWS and X it speaks to: it stands in the lock of the state directory."""

    pid: int
    url: str
    aws: str
    metadata: str
    real_aws: bool
    real_x: bool
    stays: bool
    """Whether it runs until Ctrl-C, as that of `make up`; that of `make run` ends with the runs on it."""

    def write(self, lock: IO[str]) -> None:
        lock.write(json.dumps(asdict(self)))
        lock.flush()


class Running:
    """The stack of one state directory, with the settings of a `.env` file."""

    certificate: Path | None = None
    stays = False
    url: str
    aws: str
    metadata: str
    airflow: Airflow

    def __init__(
        self, state: Path = STATE, env_file: Path = ENV_FILE, caller: Mapping[str, str] = os.environ
    ) -> None:
        self.state = state.resolve()
        self.caller = caller
        try:
            self.env_file = EnvFile.read(env_file)
        except BadEnvFile as error:
            raise LocalStackError(str(error)) from error
        self.environment = environment.clean(caller, keep_aws=self.env_file.real_aws) | self.env_file

    def check(self) -> None:
        """Raises where a part of it has ended."""

    def until(self, condition: str, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Waits until `ready`; a component's death ends the wait at once."""

        def is_ready() -> bool:
            self.check()
            try:
                return ready()
            except (AirflowUnreachable, httpx.TransportError):
                return False

        retry = Retrying(
            retry=retry_if_result(lambda is_so: not is_so),
            stop=stop_after_delay(seconds),
            wait=wait_fixed(0.2),
        )
        try:
            retry(is_ready)
        except RetryError as error:
            raise LocalStackError(
                f"not within {seconds} s: {condition}. See {self.state / 'logs'}."
            ) from error

    @property
    def bucket(self) -> str:
        given = self.env_file.get("AIRFLOW_VAR_TWITTER_BUCKET")
        return given or self.airflow.variable("twitter_bucket") or aws.BUCKET

    @property
    def password(self) -> str:
        """The password of the administrator of the UI."""
        return environment.ui_password(self.state)

    def s3(self) -> Any:
        """An S3 client with the pipeline's own rights: the local role's, or those of `.env` and the shell."""
        if not self.env_file.real_aws:
            role, verify = aws.role_session(self.metadata), self.certificate and str(self.certificate)
            return role.client("s3", endpoint_url=self.aws, verify=verify)
        given = {name: self.environment.get(name) for name in (*environment.AWS_KEYS, "AWS_DEFAULT_REGION")}
        return boto3.Session(
            profile_name=given["AWS_PROFILE"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
            region_name=given["AWS_DEFAULT_REGION"],
        ).client("s3")


def guest_lock(state: Path, how: int) -> IO[str] | None:
    """The lock that keeps a stack from stopping: guests share it, its owner takes it alone to stop.

    None if it is locked the other way. It is released when it is closed, or when the process ends.
    """
    lock = (state / "guests").open("a")
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


class Neighbour(Running):
    """The stack that `make up` or `make run` keeps running in another terminal."""

    def __init__(self, address: Address, state: Path = STATE, env_file: Path = ENV_FILE) -> None:
        super().__init__(state, env_file)
        if (address.real_aws, address.real_x) != (self.env_file.real_aws, self.env_file.real_x):
            raise LocalStackError(
                f".env has changed since the running stack (pid {address.pid}) read it: stop that one first."
            )
        self.pid, self.url, self.stays = address.pid, address.url, address.stays
        self.aws, self.metadata = address.aws, address.metadata
        self.airflow = Airflow(self.url, self.password)

    def __enter__(self) -> Self:
        if (lock := guest_lock(self.state, fcntl.LOCK_SH)) is None:
            raise Changing
        self._lock = lock
        try:
            self.until(f"the DAG {DAG} is known there", self.airflow.knows_the_dag)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.airflow.close()
        self._lock.close()

    def check(self) -> None:
        if not psutil.pid_exists(self.pid):
            raise LocalStackError(
                f"the local stack that this run used (pid {self.pid}) was stopped. Run the command again."
            )
