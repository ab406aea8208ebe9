"""The metadata database of the local stack, alone: Airflow and the stand-ins do not start."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from local import database
from local.database import Database
from local.running import LocalStackError
from local.stack import Stack

pytestmark = [pytest.mark.live, pytest.mark.slow]


class Alone(Stack):
    """A stack whose only component is the database."""

    def __init__(self, state: Path, env: Path | None = None) -> None:
        super().__init__(state=state, port=None, env_file=env or state / "absent", caller=dict(os.environ))

    def _start_stand_ins(self) -> None:
        pass

    def _finish(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        if name != "migrate":
            super()._finish(name, command, env)

    def _start_airflow(self) -> None:
        pass

    def _wait_until_ready(self) -> None:
        pass


def query(state: Path, sql: str) -> list[tuple]:
    where = Database(state.resolve()).socket
    connection = psycopg2.connect(host=str(where), user=database.USER, dbname=database.NAME)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def servers(state: Path) -> list[psutil.Process]:
    """The server's processes on a state directory."""
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        if str(state / "postgres" / "data") in (process.info["cmdline"] or []):
            processes += [process, *process.children()]
    return processes


@contextmanager
def preserved(state: Path) -> Iterator[None]:
    """What one start has written is there after the next; then nothing is left running."""
    with Alone(state):
        query(state, "CREATE TABLE run AS SELECT 7 AS number")
    yield
    with Alone(state):
        assert query(state, "SELECT number FROM run") == [(7,)]
    assert servers(state) == []


def test_it_listens_on_a_socket_alone_that_only_its_user_reaches_and_leaves_nothing_running(tmp_path):
    with Alone(tmp_path):
        running = servers(tmp_path)
        assert len(running) > 1
        assert [one.net_connections("inet") for one in running] == [[]] * len(running)
        assert (tmp_path / "postgres").stat().st_mode & 0o777 == 0o700
    assert servers(tmp_path) == []


def test_a_killed_stack_is_ended_by_the_next_start_which_recovers_what_was_committed(tmp_path):
    killed = Alone(tmp_path).start()
    query(tmp_path, "CREATE TABLE run AS SELECT 7 AS number")
    killed._lock.close()  # as the kernel does, at the end of its process
    orphans = servers(tmp_path)
    with Alone(tmp_path):
        assert not any(process.is_running() for process in orphans)
        assert query(tmp_path, "SELECT number FROM run") == [(7,)]
    killed._lock = None
    killed.stop()


@pytest.mark.parametrize("content", ["{pid}\n/elsewhere\n1\n5432\n\n\n", ""])
def test_locks_that_name_another_process_or_none_do_not_keep_it_from_starting(tmp_path, content):
    # Of the server's own user: PostgreSQL itself disregards the others'.
    with subprocess.Popen([*database._as_owner(), "sleep", "280"]) as another:
        try:
            with preserved(tmp_path):
                for file in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
                    (tmp_path / "postgres" / file).write_text(content.format(pid=another.pid))
        finally:
            another.kill()


def test_what_an_interrupted_first_start_left_is_made_again(tmp_path):
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    with preserved(tmp_path):
        assert (data / "global").exists()


def test_data_of_another_major_version_are_kept_and_the_error_says_what_to_remove(tmp_path):
    with preserved(tmp_path):
        file = tmp_path / "postgres" / "data" / "PG_VERSION"
        now = file.read_text()
        file.write_text("17\n")
        with pytest.raises(LocalStackError, match=rf"PostgreSQL 17 .*rm -rf {tmp_path}/postgres"):
            Alone(tmp_path).start()
        file.write_text(now)


@pytest.mark.parametrize("name", ["a" * 90, "comma,", "50% of $HOME a~b"])
def test_whatever_the_path_of_the_checkout_both_drivers_of_the_host_reach_it(tmp_path, name):
    state = tmp_path / name
    socket = Database(state).socket
    assert len(str(socket / database.SOCKET)) <= database.LONGEST_SOCKET
    with Alone(state) as stack:
        engine = create_engine(stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 7")) == 7
        engine.dispose()
        asyncio.run(_reached(stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"]))
    assert socket.exists() == (socket.parent == state)


async def _reached(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT 7")) == 7
    await engine.dispose()


def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path):
    state = tmp_path / ("a" * 90)
    squatted = Database(state).socket
    squatted.symlink_to(tmp_path)
    try:
        with pytest.raises(LocalStackError, match=f"{squatted} belongs to another user"):
            Alone(state).start()
    finally:
        squatted.unlink()


def test_a_database_that_the_env_file_names_takes_its_place(tmp_path):
    env = tmp_path / "env"
    env.write_text("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql://elsewhere/airflow\n")
    with Alone(tmp_path / "state", env) as stack:
        assert servers(tmp_path / "state") == []
        assert stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql://elsewhere/airflow"
        assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC" not in stack.environment
