"""Everything the pipeline needs on a laptop, started together and stopped together.

    with Stack() as stack:
        print(stack.url)
        stack.wait()

It runs AWS, the instance metadata service, X, PostgreSQL and the four components of Airflow as child
processes on loopback, PostgreSQL on a Unix socket. All they keep lies below one state directory, `.local/`,
each one's output in `logs/`.
"""

import fcntl
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from sys import executable
from threading import current_thread, main_thread
from typing import IO, Any, NoReturn, Self

import httpx
import psutil
from botocore.exceptions import BotoCoreError, ClientError
from mirakuru import SimpleExecutor
from mirakuru.base import ENV_UUID
from mirakuru.exceptions import ProcessFinishedWithError, TimeoutExpired

from local import aws, environment
from local.airflow import DAG, Airflow
from local.database import Database
from local.environment import PROJECT, near
from local.running import ENV_FILE, STATE, Address, Changing, LocalStackError, Running, guest_lock

STOP_SECONDS = 10
RESTARTS, RESTART_WINDOW = 3, 600
"""How often `make up` restarts a component within so many seconds."""
MARK = "TWITTER_LOCAL_STACK"
"""Environment variable of every process of a stack: its state directory."""

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
"""Names the metadata database."""
VARIABLES = PROJECT / "deploy" / "variables.json"
"""Every setting that has a default."""
HANDLES = "acme_press, orbital_news, quiet_garden"


class Component(SimpleExecutor):
    """One child process, its output in a log file of its own."""

    def __init__(
        self, name: str, command: list[str], env: Mapping[str, str], logs: Path, is_restart: bool = False
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._env = dict(env)
        mode = os.O_APPEND if is_restart else os.O_TRUNC
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | mode, 0o600)
        self._output = output
        super().__init__(
            command,
            cwd=str(PROJECT),
            # Python takes seconds to end the API server after its last response.
            timeout=1 if name == "api-server" else STOP_SECONDS,
            # PostgreSQL waits at SIGTERM until all clients have left; at SIGINT it ends their connections.
            stop_signal=signal.SIGINT if name == "postgres" else signal.SIGTERM,
            sleep=0.05,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    @property
    def envvars(self) -> dict[str, str]:
        """Only what it was given: nothing leaks in from this process."""
        return self._env | {ENV_UUID: self._uuid}

    @property
    def environment(self) -> dict[str, str]:
        return self._env

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def start(self) -> Self:
        try:
            return super().start()
        finally:
            os.close(self._output)

    def stop(self, *_: Any, **__: Any) -> Self:
        """Ends the process group, by force after STOP_SECONDS."""
        with suppress(ProcessFinishedWithError, TimeoutExpired):
            super().stop()
        return self

    def died(self) -> LocalStackError:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-15:]
        return LocalStackError(
            f"{self.name} ended with exit code {self.exit_code}. The end of {self.log}:\n" + "\n".join(lines)
        )


class AlreadyRunning(LocalStackError):
    """The stack of this state directory runs, at `address`."""

    def __init__(self, address: Address) -> None:
        super().__init__(
            f"the local stack of this checkout is already running (pid {address.pid}, UI {address.url}). "
            + (
                "Use that one, or stop it first."
                if address.stays
                else "It is that of a `make run`: wait for its end."
            )
        )
        self.address = address


class Stack(Running):
    """The local stack of one state directory. `port` is the UI's, None any free one.

    Without Airflow it is the stand-ins alone; without the triggerer `twitter` runs, not all of the others, as
    `make run` needs it;
    with `tls`, AWS speaks TLS and refuses plain http.
    """

    python = executable
    """What runs Airflow; the stand-ins run with this one."""

    def __init__(
        self,
        state: Path = STATE,
        port: int | None = 8080,
        dags: Path = PROJECT / "dags",
        env_file: Path = ENV_FILE,
        caller: Mapping[str, str] = os.environ,
        with_airflow: bool = True,
        with_triggerer: bool = True,
        tls: bool = False,
    ) -> None:
        super().__init__(state, env_file, caller)
        self.logs = self.state / "logs"
        self.port = port
        self.dags = dags
        self._with_airflow = with_airflow
        self._with_triggerer = with_triggerer
        self.certificate = aws.certificate(self.state) if tls else None
        self._database = Database(self.state)
        self._lock: IO[str] | None = None
        self._guests: IO[str] | None = None
        self._restarts: dict[str, list[float]] = defaultdict(list)
        self._closing = ExitStack()
        self._databases: list[Component] = []
        self._servers: list[Component] = []
        self._workers: list[Component] = []

    def __enter__(self) -> Self:
        return self if self._lock else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts everything and returns when the DAG can run. On any failure nothing is left running."""
        try:
            self._lock = self._take_lock()
            self._end_killed_stack()
            self._prepare(self._lock)
            self._start_stand_ins()
            if self._with_airflow:
                self._start_database()
                self._migrate()
                self._start_airflow()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, clients before servers. May be called twice."""
        with _undisturbed():
            for components in (self._workers, self._servers, self._databases):
                with ThreadPoolExecutor() as pool:
                    ended = pool.map(Component.stop, components)
                    self._end_tasks()
                    list(ended)
                components.clear()
            if self._lock:
                _end(self._marked())
                self._database.remove_socket_folder()
                self._lock.truncate(0)
                self._lock.close()
                self._lock = None
            if self._guests:
                self._guests.close()
                self._guests = None
            self._closing.close()

    def _end_tasks(self) -> None:
        """Kills running tasks, each of which leads a process group.

        The scheduler would wait for their end; so it records that they failed, and their next try comes with
        the next start.
        """
        groups = {component.pid for component in self._components}
        if groups:
            _end([process for process in self._marked() if _group(process) not in groups])

    def _end_killed_stack(self) -> None:
        """Ends the processes of a stack on this state directory that was killed.

        Those of PostgreSQL write over their environment, so over the mark: they are found as its children.
        """
        marked = self._marked()
        children: list[psutil.Process] = []
        for process in marked:
            with suppress(psutil.Error):
                children += process.children()
        _end([*marked, *children])

    @property
    def _components(self) -> list[Component]:
        return self._databases + self._servers + self._workers

    def check(self) -> None:
        """Raises the error of the first component that has ended."""
        for component in self._components:
            if component.exit_code is not None:
                raise component.died()

    def wait(self, report: Callable[[str], None]) -> NoReturn:
        """Restarts components that end, and reports it, until somebody interrupts."""
        while True:
            self.restart_ended(report)
            time.sleep(1)

    def restart_ended(self, report: Callable[[str], None]) -> None:
        """Restarts the components that have ended, each at most RESTARTS times in RESTART_WINDOW."""
        for group in (self._databases, self._servers, self._workers):
            for component in [one for one in group if one.exit_code is not None]:
                group.remove(component)
                self._restart(component, group, report)

    def _restart(self, ended: Component, group: list[Component], report: Callable[[str], None]) -> None:
        event = f"{ended.name} ended with exit code {ended.exit_code}"
        ended.stop()  # the processes that it started
        now = time.monotonic()
        recent = [at for at in self._restarts[ended.name] if at > now - RESTART_WINDOW]
        if len(recent) == RESTARTS:
            report(
                f"{event}, for the {RESTARTS + 1}th time in {RESTART_WINDOW // 60} minutes. It is not "
                f"restarted; the rest keeps running. See {near(ended.log)}, press Ctrl-C and run `make up` "
                "again."
            )
            return
        self._restarts[ended.name] = [*recent, now]
        command = list(ended.command_parts)
        restarted = Component(ended.name, command, ended.environment, self.logs, is_restart=True)
        group.append(restarted)
        restarted.start()
        report(f"{event}; it was restarted. See {near(ended.log)}.")
        if ended.name == "aws":
            self._restore_aws(report)

    def _restore_aws(self, report: Callable[[str], None]) -> None:
        """Applies bucket and role again, which the local AWS keeps in memory.

        It has lost temporary credentials too: a task that was running may fail, and has to be cleared.
        """
        try:
            self._wait_for_aws()
        except (LocalStackError, BotoCoreError, ClientError) as error:
            report(f"the local AWS has no bucket and no role: {error}")

    @property
    def _aws_settings(self) -> dict[str, str]:
        return environment.aws_settings(self.aws, self.metadata, aws.REGION, self.certificate)

    @property
    def bucket(self) -> str:
        given = self.env_file.get("AIRFLOW_VAR_TWITTER_BUCKET")
        return given or (super().bucket if self._with_airflow else aws.BUCKET)

    @property
    def _airflow(self) -> list[str]:
        return [self.python, "-m", "local.component"]

    # Starting

    def _take_lock(self) -> IO[str]:
        self.state.mkdir(parents=True, exist_ok=True)
        try:
            lock = (self.state / "lock").open("a+")
        except PermissionError as error:
            raise LocalStackError(
                f"{error.filename} belongs to another user, perhaps because `sudo make` has made it. "
                f"Run this command as that user, or remove {self.state} as that user."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            address = lock.read()
            lock.close()
            if not address:
                raise Changing from error
            raise AlreadyRunning(Address(**json.loads(address))) from error
        lock.truncate(0)  # the address of an earlier stack
        return lock

    def lock_guests_out(self) -> bool:
        """Whether no other command uses this stack; from then on none can begin to."""
        if self._guests is None:
            self._guests = guest_lock(self.state, fcntl.LOCK_EX)
        return self._guests is not None

    def _prepare(self, lock: IO[str]) -> None:
        for name in ("airflow", "aws", "logs", "s3", "tmp", "x_api"):
            (self.state / name).mkdir(mode=0o700, exist_ok=True)
        free = free_ports(4)
        if self.port is None:
            self.port = free.pop()
        elif not _is_free(self.port):
            raise LocalStackError(
                f"port {self.port} is taken. Choose another one: make up PORT={self.port + 10}"
            )
        self.x_port, aws_port, metadata_port = free[:3]
        self.aws = f"http{'s' if self.certificate else ''}://127.0.0.1:{aws_port}"
        self.metadata = f"http://127.0.0.1:{metadata_port}"
        self._ports = {"aws": aws_port, "metadata": metadata_port}
        self.url = f"http://127.0.0.1:{self.port}"
        settings = environment.airflow_settings(self.state, self.port, self.dags, self.caller)
        if not self.env_file.real_aws:
            settings |= self._aws_settings
        if self._own_database:
            settings |= self._database.urls()
        settings |= self.env_file
        environment.write_exports(self.state / "env", settings)
        self.environment |= settings
        self.airflow = Airflow(self.url, self.password)
        self._closing.callback(self.airflow.close)
        real = self.env_file.real_aws, self.env_file.real_x
        Address(os.getpid(), self.url, self.aws, self.metadata, *real, self._with_triggerer).write(lock)

    def _component(self, name: str, command: list[str], env: Mapping[str, str]) -> Component:
        # Else the title that a process gives itself is written over the environment that holds the mark.
        marks = {MARK: str(self.state), "SPT_NOENV": "1"}
        return Component(name, command, {**env, **marks}, self.logs)

    def _start_stand_ins(self) -> None:
        """AWS and X, unless `.env` names the real ones."""
        base = environment.clean(self.caller) | environment.past_proxies(self.caller)
        base |= {"PYTHONPATH": str(PROJECT)}
        python = [executable, "-m"]
        if not self.env_file.real_aws:
            if not aws.MINISTACK.exists():
                raise LocalStackError("ministack is not installed: `make run` and `make up` install it.")
            self.root = aws.RootKey.of(self.state)
            bare = {name: base[name] for name in ("PATH", "HOME", "LANG", "LD_PRELOAD") if name in base}
            tls = self.certificate is not None
            server = aws.ministack_environment(self.state, self._ports["aws"], self.root, tls)
            self._launch(self._servers, "aws", aws.SERVE, bare | server)
            serve = [*python, "local.instance_metadata", "--port", str(self._ports["metadata"])]
            self._launch(self._servers, "metadata", serve, base | self._aws_settings | self.root.environment)
        if not self.env_file.real_x:
            requests = self.state / "x_api" / "requests.jsonl"
            serve = [*python, "local.x_api", "--port", str(self.x_port), "--log", str(requests)]
            self._launch(self._servers, "x", serve, base)

    @property
    def _own_database(self) -> bool:
        return DATABASE not in self.env_file

    def _start_database(self) -> None:
        """PostgreSQL, unless `.env` names another database."""
        if not self._own_database:
            return
        self._database.prepare()
        env = self._database.environment(self.caller)
        if not self._database.exists:
            self._finish("initdb", self._database.init(), env)
        self._launch(self._databases, "postgres", self._database.serve(), env)
        self.until("PostgreSQL answers", self._database.answers)

    def _migrate(self) -> None:
        """Brings the metadata database to this Airflow's schema, once for each version."""
        release = version("apache-airflow-core")
        if self._own_database and self._database.is_migrated_to(release):
            return
        self._finish("migrate", [*self._airflow, "db", "migrate"], self.environment)
        if self._own_database:
            self._database.note_migrated_to(release)

    def _finish(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        """Runs a command to its end, and raises where it fails."""
        running = self._component(name, command, env)
        try:
            running.start()
            self.until(f"{name} has ended", lambda: running.exit_code is not None)
            if running.exit_code:
                raise running.died()
        finally:
            running.stop()

    def _start_airflow(self) -> None:
        self._started = datetime.now(UTC)
        self._launch(self._servers, "api-server", [*self._airflow, "api-server"], self.environment)
        self._launch(self._workers, "dag-processor", [*self._airflow, "dag-processor"], self.environment)
        for name in ("scheduler", "triggerer") if self._with_triggerer else ("scheduler",):
            # Their log servers would listen on every interface.
            self._launch(self._workers, name, [*self._airflow, name, "--skip-serve-logs"], self.environment)

    def _launch(self, group: list[Component], name: str, command: list[str], env: Mapping[str, str]) -> None:
        component = self._component(name, command, env)
        group.append(component)
        component.start()

    def _wait_until_ready(self) -> None:
        if not self.env_file.real_aws:
            self._wait_for_aws()
            self.until("the metadata service answers", lambda: _get(f"{self.metadata}/health"))
        if not self.env_file.real_x:
            self.until("X answers", lambda: _get(f"http://127.0.0.1:{self.x_port}/_control/health"))
        if not self._with_airflow:
            return
        self.until("Airflow's API answers", self.airflow.answers)
        self._seed()
        self.until("Airflow's API answers tasks", self.airflow.answers_tasks)
        beating = {"dag_processor", "scheduler"} | ({"triggerer"} if self._with_triggerer else set())
        self.until(
            "Airflow's components are healthy", lambda: self.airflow.healthy_since(self._started, beating)
        )
        self.until(f"the DAG {DAG} is known", self._dag_is_known)

    def _wait_for_aws(self) -> None:
        self.until("AWS answers", lambda: _get(f"{self.aws}/_ministack/health", self.certificate))
        aws.apply(self.aws, self.root, self.certificate)

    def _dag_is_known(self) -> bool:
        if error := self.airflow.import_error_since(self._started):
            raise LocalStackError(error)
        return self.airflow.dag_parsed_since(self._started)

    def _seed(self) -> None:
        """Create the Variables and the Connection of the stand-ins. Changed Variables keep their values."""
        variables = json.loads(VARIABLES.read_text())
        variables["twitter_handles"] = {
            "value": HANDLES,
            "description": "Accounts to collect, with commas between.",
        }
        if not self.env_file.real_aws:
            variables["twitter_bucket"] = {
                "value": aws.BUCKET,
                "description": "The S3 bucket, the pipeline's own.",
            }
        given = (name for name in self.env_file if name.startswith("AIRFLOW_VAR_"))
        for name in given:
            variables.pop(name.removeprefix("AIRFLOW_VAR_").lower(), None)
        self.airflow.add_variables(variables)
        if not self.env_file.real_x:
            from local import x_api

            self.airflow.put_connection(
                "twitter_default",
                conn_type="http",
                description="The stand-in for X of the local stack, created again at each start.",
                host="http://127.0.0.1",
                port=self.x_port,
                extra=json.dumps(
                    {
                        "consumer_key": x_api.CONSUMER_KEY,
                        "consumer_secret": x_api.CONSUMER_SECRET,
                        "access_token": x_api.ACCESS_TOKEN,
                        "access_token_secret": x_api.ACCESS_TOKEN_SECRET,
                    }
                ),
            )

    def _marked(self) -> list[psutil.Process]:
        """Living processes of a stack on this state directory."""
        processes = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == str(self.state) and process.pid != os.getpid():
                    processes.append(process)
        return processes


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_SECONDS)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not interrupt the stopping, which is bounded."""
    if current_thread() is not main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _get(url: str, certificate: Path | None = None) -> bool:
    try:
        verify = ssl.create_default_context(cafile=certificate) if certificate else True
    except (FileNotFoundError, ssl.SSLError):  # not yet made, or not yet written to its end
        return False
    return httpx.get(url, trust_env=False, timeout=5, verify=verify).is_success


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that the system gives to nobody else for the next minute.

    A port whose last connection was closed by the server stays in TIME_WAIT for 60 s: a server that names it
    can listen there, and the system does not choose it for another socket.
    """
    with ExitStack() as open_sockets:
        servers = [open_sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        for server in servers:
            client = open_sockets.enter_context(socket.create_connection(server.getsockname()))
            accepted, _ = server.accept()
            accepted.close()
            client.recv(1)  # returns at the end that the server has sent: its side waits, not this one
        return [server.getsockname()[1] for server in servers]
