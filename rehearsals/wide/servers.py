"""PostgreSQL and Redis as Debian has them, each on a free port of loopback, gone with the test."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from local.stack import Component, free_ports
from tests.drivers import eventually

NEEDED = "apt-get install --no-install-recommends postgresql redis-server"
PATH = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def commands() -> Path | None:
    """The folder of PostgreSQL's commands, which Debian keeps off the path; the newest."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda at: float(at.parent.name))
    return folders[-1] if folders else None


def missing() -> str | None:
    """What to do first, where one of them is not here."""
    return None if commands() and shutil.which("redis-server") else NEEDED


@dataclass(frozen=True)
class Postgres:
    """A database server."""

    port: int
    password: str

    def url(self, driver: str) -> str:
        return f"postgresql+{driver}://airflow:{self.password}@127.0.0.1:{self.port}/postgres"

    def query(self, sql: str, password: str | None) -> subprocess.CompletedProcess[str]:
        psql = [str(commands() / "psql"), "-XAtqw", "-h127.0.0.1", f"-p{self.port}", "-Uairflow"]
        given = PATH | ({"PGPASSWORD": password} if password else {})
        whole = [*psql, "-c", sql, "postgres"]
        return subprocess.run(whole, env=given, capture_output=True, text=True, timeout=30)


@contextmanager
def postgres(logs: Path) -> Iterator[Postgres]:
    """One that lets nobody in without the password, not even from this machine."""
    with TemporaryDirectory(prefix="wide-postgres-") as folder:
        server = Postgres(free_ports(1)[0], secrets.token_hex(16))
        data, secret = Path(folder) / "data", Path(folder) / "password"
        secret.write_text(server.password)
        as_owner = _given_to_its_user(folder, secret)
        login = ["--auth=scram-sha-256", "--username=airflow", f"--pwfile={secret}"]
        make = [*as_owner, str(commands() / "initdb"), *login, "--no-sync", str(data)]
        subprocess.run(make, cwd=folder, capture_output=True, check=True, timeout=60)
        settings = (
            "listen_addresses=127.0.0.1",
            f"port={server.port}",
            "unix_socket_directories=",
            "fsync=off",
        )
        options = [word for setting in settings for word in ("-c", setting)]
        serve = [*as_owner, str(commands() / "postgres"), "-D", str(data), *options]
        running = Component("postgres", serve, PATH, logs)
        running.start()
        try:
            eventually(lambda: server.query("SELECT 1", server.password).stdout)
            yield server
        finally:
            running.stop()


def _given_to_its_user(*files: str | Path) -> list[str]:
    """The words before a command of PostgreSQL's, which refuses to run as root."""
    if os.geteuid():
        return []
    for file in files:
        shutil.chown(file, "postgres", "postgres")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class Redis:
    """A broker that keeps what it was given over a restart."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.port, self.password = free_ports(1)[0], secrets.token_hex(16)
        self._folder, self._logs = folder, logs

    def url(self, number: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{number}"

    def start(self) -> None:
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        how = ["--appendonly", "yes", "--save", "", "--requirepass", self.password]
        self._server = Component("redis", ["redis-server", *where, *how], PATH, self._logs)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
