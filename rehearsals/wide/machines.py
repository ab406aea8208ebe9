"""An Airflow over several machines, on this one: two workers that share nothing, and what they work for.

A worker gets the settings of the stack that `WORKER_SETTINGS` names, and has folders of its own. It has no
way into the database, and none of the keys that Airflow signs and encrypts with.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from local import aws
from local.environment import PROJECT
from local.stack import Stack
from rehearsals.wide.servers import Postgres, Redis
from tests.deploy.test_wide import SETTINGS, WORKER_SETTINGS

WORKERS = ("worker-1", "worker-2")
HERE = {
    "PATH", "LANG", "LD_PRELOAD", "NO_PROXY", "no_proxy", "PYTHONPATH", "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__PLUGINS_FOLDER", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
}  # fmt: skip
"""Where the code and the stand-ins are on this machine: an image and an instance's role elsewhere."""
FORGIVEN = 5
"""How often components are restarted."""


class Wide(Stack):
    """The local stack with CeleryExecutor, PostgreSQL and two workers."""

    python = str(PROJECT / ".local" / "wide" / "bin" / "python")

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.ended: list[str] = []
        """The components that have ended, and were restarted."""

    def worker_environment(self, worker: str) -> dict[str, str]:
        """A worker's whole environment."""
        home = self.home(worker)
        for folder in ("airflow", "tmp"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        names = WORKER_SETTINGS | HERE | SETTINGS.keys()
        own = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "AIRFLOW_HOME": str(home / "airflow")}
        return {name: value for name, value in self.environment.items() if name in names} | own

    def home(self, worker: str) -> Path:
        """A worker's disk."""
        return self.state / worker

    def log_of(self, worker: str) -> str:
        return (self.logs / f"{worker}.log").read_text(errors="replace")

    def peers(self, worker: str) -> set[int]:
        """The ports that a worker and its tasks have a connection to."""
        ports = set()
        for process in self._processes(worker):
            with suppress(psutil.Error):
                ports |= {
                    connection.raddr.port for connection in process.net_connections() if connection.raddr
                }
        return ports

    def lose(self, worker: str) -> None:
        """Its machine is gone: nothing on it says a word any more."""
        self._workers = [component for component in self._workers if component.name != worker]
        gone = self._processes(worker)
        for process in gone:
            process.suspend()  # so that none of them tells of another's end
        for process in gone:
            process.kill()
        psutil.wait_procs(gone, timeout=10)

    def check(self) -> None:
        """Restarts what has ended, as every platform does, a few times."""
        for component in [one for one in self._workers if one.exit_code is not None]:
            if len(self.ended) == FORGIVEN:
                raise component.died()
            self.ended.append(component.name)
            self._workers.remove(component)
            name, env = f"{component.name}-{len(self.ended)}", component.envvars
            self._launch(self._workers, name, list(component.command_parts), env)
        super().check()

    def _start_airflow(self) -> None:
        super()._start_airflow()
        for worker in WORKERS:
            serve = ["-m", "airflow", "celery", "worker", "--skip-serve-logs", "--celery-hostname", worker]
            self._launch(self._workers, worker, [self.python, *serve], self.worker_environment(worker))

    def _processes(self, worker: str) -> list[psutil.Process]:
        processes = []
        for process in self._marked():
            with suppress(psutil.Error):
                if process.environ().get("AIRFLOW_HOME") == str(self.home(worker) / "airflow"):
                    processes.append(process)
        return processes


@contextmanager
def wide(state: Path, postgres: Postgres, redis: Redis) -> Iterator[Wide]:
    """Airflow with the settings of a deployment."""
    settings = SETTINGS | {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url("psycopg2"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": postgres.url("asyncpg"),
        "AIRFLOW__CELERY__BROKER_URL": redis.url(0),
        "AIRFLOW__CELERY__RESULT_BACKEND": redis.url(1),
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{aws.BUCKET}/airflow_logs",
    }
    file = state / "wide.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    with Wide(state=state, port=None, env_file=file) as stack:
        yield stack
