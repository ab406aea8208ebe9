"""What the local Airflow sees of the caller's shell and of `.env`."""

import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from local import environment
from local.environment import BadEnvFile, EnvFile
from local.running import Changing, Neighbour
from local.stack import RESTARTS, AlreadyRunning, LocalStackError, Stack, _get, free_ports

CALLER = {
    "PATH": "/usr/bin",
    "AWS_PROFILE": "work",
    "AWS_ACCESS_KEY_ID": "AKIAWORK",
    "AIRFLOW_HOME": "/home/me/airflow",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def env_file(tmp_path: Path, text: str) -> EnvFile:
    file = tmp_path / ".env"
    file.write_text(text)
    return EnvFile.read(file)


def test_the_callers_aws_and_airflow_do_not_reach_the_local_stack() -> None:
    assert environment.clean(CALLER) == {"PATH": "/usr/bin"}


def test_with_the_real_aws_the_callers_keys_are_kept() -> None:
    environ = environment.clean(CALLER, keep_aws=True)
    assert environ == {"PATH": "/usr/bin", "AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "AKIAWORK"}


def test_the_env_file_is_read_as_it_stands(tmp_path: Path) -> None:
    connection = '{"conn_type": "http", "password": "a${b}c"}'
    text = f"# mine\nAIRFLOW_VAR_TWITTER_HANDLES=nasa, esa\nAIRFLOW_CONN_TWITTER_DEFAULT='{connection}'\n"
    read = env_file(tmp_path, text)
    assert read == {"AIRFLOW_VAR_TWITTER_HANDLES": "nasa, esa", "AIRFLOW_CONN_TWITTER_DEFAULT": connection}
    assert read.real_x
    assert not read.real_aws


def test_no_env_file_means_both_stand_ins(tmp_path: Path) -> None:
    read = EnvFile.read(tmp_path / "absent")
    assert (read.real_x, read.real_aws) == (False, False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("TWITTER_AWS=yes", "may be real or local"),
        ("AWS_PROFILE=work", "Add TWITTER_AWS=real"),
        ("TWITTER_AWS=real", "add AIRFLOW_VAR_TWITTER_BUCKET"),
        ("AIRFLOW_CONN_TWITTER_DEFAULT=http://x", "add AIRFLOW_VAR_TWITTER_HANDLES"),
    ],
)
def test_an_env_file_that_cannot_be_meant_says_what_to_write(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(BadEnvFile, match=problem):
        env_file(tmp_path, text)


def test_airflow_listens_on_loopback_and_starts_no_day_by_itself(tmp_path: Path) -> None:
    settings = environment.airflow_settings(tmp_path, 8081, Path("dags"), {})
    assert settings["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert settings["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] == "False"
    assert settings["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8081/execution/"


def test_airflows_keys_outlive_a_restart_and_differ_between_checkouts(tmp_path: Path) -> None:
    def key(state: Path) -> str:
        state.mkdir(exist_ok=True)
        return environment.airflow_settings(state, 1, state, {})["AIRFLOW__CORE__FERNET_KEY"]

    assert key(tmp_path / "one") == key(tmp_path / "one")
    assert key(tmp_path / "one") != key(tmp_path / "two")
    assert (tmp_path / "one" / "airflow_keys.json").stat().st_mode & 0o777 == 0o600


def test_a_callers_proxy_exceptions_are_kept_beside_loopback(tmp_path: Path) -> None:
    settings = environment.airflow_settings(tmp_path, 1, tmp_path, {"no_proxy": "intranet"})
    assert settings["NO_PROXY"] == settings["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_a_shell_that_reads_the_exports_reaches_the_local_aws_without_keys(tmp_path: Path) -> None:
    file = tmp_path / "env"
    found_at = environment.aws_settings("http://127.0.0.1:1", "http://127.0.0.1:2", "us-east-1")
    environment.write_exports(file, found_at | {"QUOTED": "it's $HOME"})
    assert file.stat().st_mode & 0o777 == 0o600

    script = f'. {file}; echo "${{AWS_PROFILE-none}} $AWS_ENDPOINT_URL $QUOTED"'
    shell = subprocess.run(["/bin/sh", "-c", script], env=CALLER, capture_output=True, text=True, check=True)
    assert shell.stdout == "none http://127.0.0.1:1 it's $HOME\n"


def test_a_taken_port_is_named_with_the_way_to_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = Stack(state=tmp_path, port=port, env_file=tmp_path / "absent", caller={})
        with pytest.raises(LocalStackError, match=f"port {port} is taken.*make up PORT={port + 10}"):
            stack.start()


def test_the_system_gives_the_ports_of_a_stack_to_nobody_else_before_its_servers_start() -> None:
    ports = free_ports(3)
    waiting = [
        each.laddr.port for each in psutil.net_connections("tcp4") if each.status == psutil.CONN_TIME_WAIT
    ]
    assert set(ports) <= set(waiting)
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_second_stack_on_the_same_state_names_who_runs_the_first(tmp_path: Path) -> None:
    first, second = (Stack(state=tmp_path, port=None, env_file=tmp_path / "absent", caller={}) for _ in "ab")
    first._lock = first._take_lock()
    first._prepare(first._lock)
    with pytest.raises(LocalStackError, match=rf"already running \(pid \d+, UI {first.url}\)"):
        second.start()
    first.stop()


def test_a_command_while_a_stack_starts_or_stops_ends_with_try_again(tmp_path: Path) -> None:
    first, second = (Stack(state=tmp_path, port=None, env_file=tmp_path / "absent", caller={}) for _ in "ab")
    (tmp_path / "lock").write_text('{"pid": 1, "url": "of a killed stack"}')
    first._lock = first._take_lock()
    with pytest.raises(Changing):
        second.start()
    first._prepare(first._lock)
    assert first.lock_guests_out()
    with pytest.raises(Changing), neighbour(second, tmp_path):
        pass
    first.stop()


def test_a_stack_knows_whether_another_command_uses_it(tmp_path: Path, monkeypatch) -> None:
    first, second = (Stack(state=tmp_path, port=None, env_file=tmp_path / "absent", caller={}) for _ in "ab")
    first._lock = first._take_lock()
    first._prepare(first._lock)
    monkeypatch.setattr("local.airflow.Airflow.knows_the_dag", lambda self: True)
    with neighbour(second, tmp_path):
        assert not first.lock_guests_out()
        with neighbour(second, tmp_path):
            assert not first.lock_guests_out()
        assert not first.lock_guests_out()
    assert first.lock_guests_out()
    first.stop()
    assert (tmp_path / "lock").read_text() == ""


def neighbour(second: Stack, state: Path) -> Neighbour:
    """A command that finds the stack of another one."""
    with pytest.raises(AlreadyRunning) as raised:
        second.start()
    return Neighbour(raised.value.address, state=state, env_file=state / "absent")


@pytest.mark.slow
def test_a_component_that_ends_is_restarted_a_few_times_and_the_rest_goes_on(tmp_path: Path) -> None:
    reports: list[str] = []

    def kill(name: str) -> None:
        (component,) = [one for one in stack._servers if one.name == name]
        component.process.kill()
        component.process.wait(60)
        stack.restart_ended(reports.append)

    absent = tmp_path / "absent"
    with Stack(state=tmp_path, port=None, env_file=absent, with_airflow=False) as stack:
        rows = {"Bucket": stack.bucket, "Key": "twitter/dt=2026-11-18/refined_tweets.csv"}
        stack.s3().put_object(**rows, Body=b"rows")
        kill("aws")
        assert reports[-1].startswith("aws ended with exit code -9; it was restarted.")
        assert len(reports) == 1
        assert stack.s3().get_object(**rows)["Body"].read() == b"rows"
        for _ in range(RESTARTS):
            kill("x")
            assert reports[-1].startswith("x ended with exit code -9; it was restarted.")
        kill("x")
        assert "It is not restarted; the rest keeps running." in reports[-1]
        assert [one.name for one in stack._servers] == ["metadata", "aws"]
        stack.check()


def test_a_state_directory_of_another_user_is_named_with_what_to_do(tmp_path: Path, monkeypatch) -> None:
    def denied(file: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(LocalStackError, match=rf"{tmp_path}/lock belongs to another user.*remove {tmp_path}"):
        Stack(state=tmp_path, port=None, env_file=tmp_path / "absent", caller={})._take_lock()


@pytest.mark.parametrize("written", [None, "", "-----BEGIN CERTIFICATE-----\nMIIB"])
def test_aws_does_not_answer_before_its_certificate_is_written_to_its_end(tmp_path, written) -> None:
    certificate = tmp_path / "server.crt"
    if written is not None:
        certificate.write_text(written)
    assert not _get("https://127.0.0.1:1", certificate)
