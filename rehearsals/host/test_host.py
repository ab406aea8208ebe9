"""The host's first boot and its life after it, rehearsed: the template's user data in a clean Debian.

AWS is the stand-in that speaks TLS and enforces the template's role; X is a stand-in too. Packages come from
Debian and PyPI. What the rehearsal adds to a host's settings is where those stand-ins are, and a free port.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from deploy.__main__ import TEMPLATE, NotInstalled, install, install_command, release_key
from docs.tables import with_parts
from local import aws, x_api
from local.environment import PROJECT
from local.stack import free_ports
from rehearsals.deploy.conftest import Cloud
from rehearsals.host import machine
from rehearsals.host.machine import Machine
from tests.deploy.test_release import Signer
from tests.deploy.test_template import user_data
from tests.drivers import X

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(machine.missing()), reason=machine.missing() or ""),
]

UNITS = [f"airflow@{name}.service" for name in ("api-server", "scheduler", "dag-processor", "triggerer")]
TIMERS = ["airflow-clean.timer", "twitter-journal.timer"]
SECRETS = ("/etc/twitter/keys.env", "/etc/twitter/admin-password")
LOCK = "requirements.lock"
AGENTS_KEY = "deploy/host/amazon-ssm-agent.asc"
KNOWN_SETTINGS = """
import json
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()
print(json.dumps({part: list(found["options"]) for part, found in conf.configuration_description.items()}))
"""
# AWS has the real one.
AGENT = """set -e
mkdir -p /root/agent/DEBIAN /root/agent/usr/lib/systemd/system
cat > /root/agent/DEBIAN/control <<'END'
Package: amazon-ssm-agent
Version: 0
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: stands in for the agent
END
printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \\
  > /root/agent/usr/lib/systemd/system/amazon-ssm-agent.service
dpkg-deb --build /root/agent /root/agent.deb
"""
FIRST_BOOT_SECONDS = 900
HEALTHY_SECONDS = 240


def eventually(look, enough=bool, seconds: float = HEALTHY_SECONDS) -> Any:
    """What `look` sees once it is `enough`."""

    def lenient() -> Any:
        with suppress(httpx.TransportError):
            return look()

    waiting = retry(
        retry=retry_if_not_result(lambda seen: seen is not None and enough(seen)),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(1),
        retry_error_callback=lambda last: pytest.fail(f"not within {seconds} s; last seen: {last.outcome}"),
    )
    return waiting(lenient)()


@dataclass
class Host:
    """A machine on which the release was installed, as its operator and its users see it."""

    machine: Machine
    cloud: Cloud
    port: int
    signer: Signer
    command_lines: str = ""
    sent: str = ""
    """The name of the release that was uploaded last."""
    _token: str = ""

    def upload(self, **changed: str) -> None:
        """What `make upgrade` sends: the working tree, with some files changed and another key."""
        packed = archive({AGENTS_KEY: self.signer.key()} | changed)
        self.sent = f"{hashlib.sha256(packed).hexdigest()} rehearsed"
        self.cloud.owner().put_object(Bucket=aws.BUCKET, Key=release_key(self.sent), Body=packed)
        self.name(self.sent)

    def name(self, release: str) -> None:
        """Name a release in Parameter Store, as whoever deploys does."""
        named = {
            "Name": f"{aws.SETTINGS_PATH}/release",
            "Value": release,
            "Type": "String",
            "Overwrite": True,
        }
        self.cloud.owner("ssm").put_parameter(**named)

    def install(self) -> subprocess.CompletedProcess[str]:
        """What `make upgrade` runs on the host."""
        return self.machine.run("sh", "-c", install_command(self.sent), seconds=600, check=False)

    @property
    def release(self) -> str:
        return self.machine.output("readlink", "/opt/twitter/current")

    @property
    def pids(self) -> dict[str, str]:
        return {unit: self.state_of(unit, "MainPID") for unit in UNITS}

    def state_of(self, unit: str, part: str) -> str:
        return self.machine.output("systemctl", "show", "--value", f"--property={part}", unit)

    @property
    def password(self) -> str:
        return self.machine.output("cat", "/etc/twitter/admin-password")

    @property
    def certificate(self) -> str | None:
        """What the UI's TLS is known by; None where it speaks plain http, on loopback."""
        output = self.machine.run("cat", "/etc/twitter/tls.env", "/etc/twitter/tls.crt", check=False)
        return output.stdout[output.stdout.index("-----BEGIN") :] if output.returncode == 0 else None

    def http(self) -> httpx.Client:
        """A browser without a login."""
        certificate = self.certificate
        return httpx.Client(
            base_url=f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}",
            verify=ssl.create_default_context(cadata=certificate) if certificate else False,
            trust_env=False,
            timeout=30,
        )

    def call(self, method: str, path: str, **options: Any) -> Any:
        """A call of the REST API by the user admin."""
        with self.http() as http:
            if not self._token:  # logins are limited to five in 40 seconds
                credentials = {"username": "admin", "password": self.password}
                self._token = (
                    http.post("/auth/token", json=credentials).raise_for_status().json()["access_token"]
                )
            http.headers["Authorization"] = f"Bearer {self._token}"
            response = http.request(method, f"/api/v2{path}", **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def wait_until_healthy(self, since: datetime) -> None:
        """Every component has sent a heartbeat after `since`."""
        client = self.http()

        def healthy() -> bool:
            response = client.get("/api/v2/monitor/health")
            if not response.is_success:
                return False
            health = response.json()
            parts = ("scheduler", "dag_processor", "triggerer")
            heartbeats = [health[part][f"latest_{part}_heartbeat"] for part in parts]
            return health["metadatabase"]["status"] == "healthy" and all(
                moment and datetime.fromisoformat(moment) >= since for moment in heartbeats
            )

        with client:
            eventually(healthy)

    def land(self, day: str) -> str:
        """Land a day as a person does; returns the run's id."""
        eventually(lambda: self.call("GET", "/dags")["dags"])
        self.call("PATCH", "/dags/twitter", params={"update_mask": "is_paused"}, json={"is_paused": False})
        body = {"logical_date": None, "conf": {"day": day}}
        run = self.call("POST", "/dags/twitter/dagRuns", json=body)["dag_run_id"]
        path = f"/dags/twitter/dagRuns/{run}"
        state = eventually(lambda: self.call("GET", path)["state"], {"success", "failed"}.__contains__)
        assert state == "success", self.call("GET", f"{path}/taskInstances")
        return run


def archive(changed: dict[str, str]) -> bytes:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in sorted(set(names) - changed.keys()):
            if (PROJECT / name).is_file():
                tar.add(PROJECT / name, name)
        for name, text in changed.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def day_ago(number: int) -> str:
    return str(datetime.now(UTC).date() - timedelta(days=number))


@pytest.fixture(scope="module")
def host(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    store = cloud.owner("ssm")
    connection = {
        "conn_type": "http", "host": "http://127.0.0.1", "port": cloud.stack.x_port,
        "login": x_api.CONSUMER_KEY, "password": x_api.CONSUMER_SECRET,
        "extra": {"access_token": x_api.ACCESS_TOKEN, "access_token_secret": x_api.ACCESS_TOKEN_SECRET},
    }  # fmt: skip
    for name, value in {
        "/twitter/twitter/connections/twitter_default": json.dumps(connection),
        "/twitter/twitter/variables/twitter_handles": "acme_press, orbital_news",
    }.items():
        store.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    with machine.booted() as booted:
        signer = Signer(tmp_path_factory.mktemp("signer") / "gnupg")
        new = Host(booted, cloud, free_ports(1)[0], signer)
        first_boot(new, tmp_path_factory.mktemp("agent"))
        yield new


def first_boot(host: Host, work: Path) -> None:
    """Run the user data; the release comes only when the host already waits for it."""
    stand_ins = {
        "AWS_ENDPOINT_URL": host.cloud.stack.aws,
        "AWS_CA_BUNDLE": "/etc/twitter/stand-in.crt",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{host.cloud.stack.metadata}/",
        "AIRFLOW__API__PORT": str(host.port),
        "SSM_AGENT_URL": "file:///root/agent.deb",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{host.port}/execution/",
        **machine.certificates(),
    }
    host.machine.run("mkdir", "-p", "/etc/twitter")
    host.machine.write("/etc/twitter/stand-in.crt", host.cloud.stack.certificate.read_text())
    settings = "".join(f"{name}={value}\n" for name, value in stand_ins.items())
    template = yaml.load(with_parts(TEMPLATE.read_text()), Loader=aws.Intrinsics)  # noqa: S506 - a safe loader
    script = user_data(
        template, Bucket=aws.BUCKET, SettingsPath=aws.SETTINGS_PATH, **{"AWS::Region": aws.REGION}
    )
    where_it_is, release, rest = script.partition("cat > /usr/local/sbin/twitter-release")
    assert release
    host.machine.run("sh", "-c", AGENT)
    host.machine.copy_here("/root/agent.deb", work / "agent.deb")
    host.signer.sign(work / "agent.deb")
    host.machine.copy_there(work / "agent.deb.sig", "/root/agent.deb.sig")
    more = f"cat >> /etc/twitter/host.env <<'END'\n{settings}END\n"
    host.machine.write("/root/user-data", where_it_is + more + release + rest)

    host.machine.run("bash", "/root/user-data", seconds=FIRST_BOOT_SECONDS)
    waits = "does not name a release by its SHA-256"
    eventually(lambda: waits in journal(host, "twitter-release"), seconds=FIRST_BOOT_SECONDS)
    host.machine.reboot()  # in the middle of it
    # What anybody on the host could have seen of the commands that were run.
    watch = "until [ -e /run/seen ]; do cat /proc/[0-9]*/cmdline; sleep 0.2; done >/run/command-lines 2>&1"
    host.machine.begin("sh", "-c", watch)
    host.upload()
    output = eventually(
        lambda: journal(host, "twitter-release"),
        lambda output: "installed: /opt/twitter/releases/" in output or "FAILED" in output,
        seconds=FIRST_BOOT_SECONDS,
    )
    assert "FAILED" not in output
    host.machine.run("touch", "/run/seen")
    host.command_lines = host.machine.output("cat", "/run/command-lines")


def journal(host: Host, unit: str, *options: str) -> str:
    return host.machine.output("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *options)


def test_four_components_run_and_nothing_has_failed(host: Host) -> None:
    running = host.machine.output("systemctl", "is-active", *UNITS, "postgresql", "amazon-ssm-agent")
    assert running.split() == ["active"] * 6
    assert host.machine.output("systemctl", "is-enabled", *UNITS).split() == ["enabled"] * 4
    assert host.machine.output("systemctl", "--failed", "--no-legend") == ""
    host.wait_until_healthy(since=datetime.now(UTC) - timedelta(minutes=1))


def test_the_components_are_confined(host: Host) -> None:
    for unit in UNITS:
        checked = host.machine.run("systemd-analyze", "verify", f"/etc/systemd/system/{unit}", check=False)
        assert (checked.returncode, checked.stderr) == (0, "")
        rated = host.machine.output("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
        assert float(re.search(r"(\d+\.\d)", rated)[1]) <= 1.2, rated
    for pid in host.pids.values():
        writes = ["nsenter", f"--target={pid}", "--mount", "touch", "/etc/written"]
        assert "Read-only file system" in host.machine.run(*writes, check=False).stderr
        status = host.machine.output("cat", f"/proc/{pid}/status")
        assert "NoNewPrivs:\t1" in status
        assert "CapBnd:\t0000000000000000" in status
        assert "Uid:\t0" not in status


def test_it_fits_a_machine_of_4_gb(host: Host, record_property) -> None:
    rollups = host.machine.run("sh", "-c", "cat /proc/[0-9]*/smaps_rollup", check=False).stdout
    megabytes = sum(int(kb) for kb in re.findall(r"^Pss: +(\d+)", rollups, re.MULTILINE)) // 1024
    record_property("pss_megabytes", megabytes)
    assert 500 < megabytes < 2000


def test_nobody_gets_in_without_the_password_that_the_host_made(host: Host) -> None:
    assert len(host.password) >= 24
    with host.http() as http:
        assert http.get("/api/v2/dags").status_code == 401
        assert http.get("/api/v2/connections").status_code == 401
        for password in ("admin", "airflow", ""):
            credentials = {"username": "admin", "password": password}
            assert http.post("/auth/token", json=credentials).status_code in (400, 401)
    host.call("GET", "/connections")


def test_a_person_logs_in_with_the_form(host: Host) -> None:
    with host.http() as browser:
        page = browser.get("/auth/login/", follow_redirects=True)
        hidden = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)[1]
        given = {"csrf_token": hidden, "username": "admin", "password": host.password}
        entered = browser.post("/auth/login/", data=given)
        assert entered.status_code in (302, 303, 307), entered.text
        assert browser.get("/api/v2/dags").is_success


def test_secrets_are_roots_alone(host: Host) -> None:
    for file in SECRETS:
        assert host.machine.output("stat", "--format=%U:%G %a", file) == "root:root 600"
    keys = dict(line.split("=", 1) for line in host.machine.output("cat", SECRETS[0]).splitlines())
    assert len(keys["AIRFLOW__API_AUTH__JWT_SECRET"].encode()) >= 64
    assert "AWS_ACCESS_KEY_ID" not in host.machine.output("cat", "/etc/twitter/host.env")


def test_no_secret_was_on_a_command_line_or_in_the_journal(host: Host) -> None:
    keys = [line.split("=", 1)[1] for line in host.machine.output("cat", SECRETS[0]).splitlines()]
    secrets = [*keys, host.password, x_api.CONSUMER_SECRET, x_api.ACCESS_TOKEN_SECRET]
    assert all(len(secret) > 15 for secret in secrets)
    assert "users\0create" in host.command_lines
    seen = host.command_lines + host.machine.output(
        "journalctl", "--no-pager", "--output=verbose", seconds=120
    )
    assert [secret for secret in secrets if secret in seen] == []


def test_only_the_ui_listens_and_only_on_loopback(host: Host) -> None:
    assert (
        host.machine.output("runuser", "-u", "postgres", "--", "psql", "-Atc", "SHOW listen_addresses") == ""
    )
    listening = host.machine.output(
        "ss", "-Htlnp"
    ).splitlines()  # on this machine; only the host's have names
    ours = {line.split()[3] for line in listening if "users:" in line}
    assert ours == {f"127.0.0.1:{host.port}"}


def test_every_setting_is_one_that_airflow_knows(host: Host) -> None:
    files = "/opt/twitter/current/deploy/host/airflow.env /etc/twitter/*.env"
    names = host.machine.output("sh", "-c", f"cat {files}")
    settings = set(re.findall(r"^AIRFLOW__(\w+?)__(\w+)=", names, re.MULTILINE))
    python = ["env", "AIRFLOW_HOME=/run/none", "/opt/twitter/current/.venv/bin/python", "-c", KNOWN_SETTINGS]
    known = json.loads(host.machine.output(*python, seconds=120).splitlines()[-1])
    assert {
        (part, name) for part, name in settings if name.lower() not in known.get(part.lower(), [])
    } == set()


def test_a_killed_scheduler_comes_back(host: Host) -> None:
    before, killed = host.pids[UNITS[1]], datetime.now(UTC)
    host.machine.run("kill", "-9", before)
    eventually(lambda: host.pids[UNITS[1]] not in (before, "0"))
    host.wait_until_healthy(since=killed)


def test_an_update_of_postgresql_is_survived(host: Host) -> None:
    host.machine.run("systemctl", "stop", "postgresql")
    host.machine.run("systemctl", "start", "postgresql")
    host.wait_until_healthy(since=datetime.now(UTC))


def test_a_day_lands_under_the_role(host: Host) -> None:
    day = day_ago(2)
    run = host.land(day)
    s3 = host.cloud.owner()
    landed = (
        s3.get_object(Bucket=aws.BUCKET, Key=f"twitter/dt={day}/refined_tweets.csv")["Body"].read().decode()
    )
    authors = {row["username"] for row in csv.DictReader(io.StringIO(landed))}
    assert authors - {"quiet_garden"} == {"acme_press", "orbital_news"}  # that one posts on some days alone

    def logs_of_load() -> list[str]:  # which follow the end of the task
        logs = s3.list_objects_v2(Bucket=aws.BUCKET, Prefix="airflow_logs/")["Contents"]
        return [item["Key"] for item in logs if run in item["Key"] and "task_id=load" in item["Key"]]

    of_load = eventually(logs_of_load)
    path = f"/dags/twitter/dagRuns/{run}/taskInstances/load/logs/1"
    shown = json.dumps(host.call("GET", path, headers={"Accept": "application/json"}))
    assert of_load[0] in shown and "refined_tweets.csv" in shown
    find_logs = ("find", "/var/lib/airflow/logs", "-path", f"*{run}*", "-name", "*.log")
    eventually(
        lambda: host.machine.output(*find_logs) == ""
    )  # a stage may begin while the log before is on its way


@pytest.fixture(scope="module")
def variable_to_preserve(host: Host) -> None:
    host.call("POST", "/variables", json={"key": "kept", "value": "through upgrades"})


@pytest.mark.usefixtures("variable_to_preserve")
def test_an_upgrade_keeps_the_database_and_a_broken_one_changes_nothing(host: Host) -> None:
    before = (host.release, host.password, host.machine.output("cat", SECRETS[0]))

    host.upload(**{"UPGRADE": "first"})
    assert host.install().returncode == 0
    first = host.release
    assert first != before[0]
    assert (host.password, host.machine.output("cat", SECRETS[0])) == before[1:]
    assert host.call("GET", "/variables/kept")["value"] == "through upgrades"

    pids = host.pids
    host.upload(**{LOCK: (PROJECT / LOCK).read_text().replace("--hash=sha256:", "--hash=sha256:00")})
    refused = host.install()
    assert refused.returncode != 0
    assert "FAILED while installing Airflow" in refused.stdout and f"running: {first}" in refused.stdout
    assert (host.release, host.pids) == (first, pids)
    host.wait_until_healthy(since=datetime.now(UTC))

    host.upload(**{"UPGRADE": "second"})
    assert host.install().returncode == 0
    assert host.release not in (first, before[0])
    releases = host.machine.output(
        "find", "/opt/twitter/releases", "-mindepth", "1", "-maxdepth", "1"
    ).split()
    assert set(releases) == {first, host.release}
    assert host.call("GET", "/variables/kept")["value"] == "through upgrades"


# Releases that give way. Each brings a Variable of its own, which goes with it.

ENVIRONMENT = "deploy/host/airflow.env"
VARIABLES = "deploy/variables.json"
WITHOUT_DAG_PROCESSOR = ("PARSING_PROCESSES=1", "PARSING_PROCESSES=none")
WITHOUT_API = ("AIRFLOW__API__WORKERS=1", "AIRFLOW__API__WORKERS=1\nAIRFLOW__API__SSL_CERT=/none")


def broken(name: str, change: tuple[str, str]) -> dict[str, str]:
    """A release one component of which does not start."""
    settings = (PROJECT / ENVIRONMENT).read_text()
    assert change[0] in settings
    variables = json.loads((PROJECT / VARIABLES).read_text()) | {name: {"value": "of a broken release"}}
    return {ENVIRONMENT: settings.replace(*change), VARIABLES: json.dumps(variables)}


class RunCommand:
    """Stands in for the service that runs INSTALL on the host."""

    class exceptions:  # noqa: N801 - botocore's name
        InvocationDoesNotExist = type("InvocationDoesNotExist", (Exception,), {})

    def __init__(self, host: Host) -> None:
        self.host = host

    def send_command(self, **request: Any) -> dict[str, Any]:
        assert request["Parameters"]["commands"] == [install_command(self.host.sent)]
        return {"Command": {"CommandId": "1"}}

    def get_command_invocation(self, **request: Any) -> dict[str, str]:
        ended = self.host.install()
        return {
            "Status": "Failed" if ended.returncode else "Success",
            "StandardOutputContent": ended.stdout,
            "StandardErrorContent": ended.stderr,
        }


def assert_as_before(host: Host, before: str, name: str) -> None:
    """The release before runs, with its DAGs, its database and nothing of the one that gave way."""
    assert host.release == before
    host.wait_until_healthy(since=datetime.now(UTC))
    assert "twitter" in [dag["dag_id"] for dag in host.call("GET", "/dags")["dags"]]
    assert host.call("GET", "/variables/kept")["value"] == "through upgrades"
    assert host.call("GET", "/variables", params={"variable_key_pattern": name})["total_entries"] == 0
    databases = ["runuser", "-u", "postgres", "--", "psql", "-Atc", "SELECT datname FROM pg_database"]
    assert set(host.machine.output(*databases).split()) == {"postgres", "template0", "template1", "airflow"}
    assert host.machine.run("readlink", "/opt/twitter/former", check=False).returncode == 1


@pytest.mark.usefixtures("variable_to_preserve")
def test_a_release_that_is_not_healthy_gives_way_to_the_one_before(host: Host) -> None:
    before = host.release
    host.upload(**broken("no_dag_processor", WITHOUT_DAG_PROCESSOR))
    with pytest.raises(NotInstalled) as refused:
        install(RunCommand(host), "the host", host.sent)
    output = str(refused.value)
    assert re.search(r"airflow@dag-processor: \S+, restarted 5 times", output)
    assert re.search(r"airflow@scheduler: running, restarted 0 times", output)
    assert "failed while waiting until Airflow is healthy." in output
    assert f"The release before runs, healthy and with its database: {before}." in output
    assert output.rstrip().endswith("journalctl -u twitter-release -u 'airflow@*'")
    assert_as_before(host, before, "no_dag_processor")

    rebooted = datetime.now(UTC)
    host.machine.reboot()
    eventually(lambda: "NOT INSTALLED" in journal(host, "twitter-release"), seconds=FIRST_BOOT_SECONDS)
    assert "installing" not in journal(host, "twitter-release")
    assert host.state_of("twitter-release", "ActiveState") == "failed"  # and stays so: no retry
    host.wait_until_healthy(since=rebooted)
    assert_as_before(host, before, "no_dag_processor")

    host.upload(**{"UPGRADE": "third"})
    install(RunCommand(host), "the host", host.sent)
    assert host.release != before
    assert host.machine.output("systemctl", "--failed", "--no-legend") == ""


@pytest.mark.usefixtures("variable_to_preserve")
def test_a_release_whose_dags_cannot_be_imported_gives_way(host: Host) -> None:
    before = host.release
    host.upload(**{"dags/twitter_dag.py": "from airflow.sdk import dag\nimport absent_from_here\n"})
    refused = host.install()
    assert refused.returncode != 0
    assert "failed while importing the DAGs." in refused.stdout and "absent_from_here" in refused.stdout
    assert_as_before(host, before, "none")


def reboot_while(host: Host, moment: str) -> None:
    """Begin to install what was uploaded, and reboot at this moment of it. The journal then begins again."""
    begun = f"--since=@{datetime.now(UTC).timestamp():.0f}"
    host.machine.begin("sh", "-c", install_command(host.sent))
    eventually(lambda: moment in journal(host, "twitter-release", begun), seconds=FIRST_BOOT_SECONDS)
    host.machine.reboot()


@pytest.mark.usefixtures("variable_to_preserve")
def test_a_host_rebooted_at_any_moment_of_going_back_ends_with_the_release_before(host: Host) -> None:
    before = host.release
    host.upload(**broken("no_api", WITHOUT_API))
    for moment in ("waiting until Airflow is healthy", "going back to"):
        reboot_while(host, moment)
    eventually(lambda: "NOT INSTALLED" in journal(host, "twitter-release"), seconds=FIRST_BOOT_SECONDS)
    assert_as_before(host, before, "no_api")


@pytest.mark.usefixtures("variable_to_preserve")
def test_an_upgrade_that_a_reboot_cuts_short_goes_on_by_itself(host: Host) -> None:
    before = host.release
    host.upload(**{"UPGRADE": "fourth"})
    reboot_while(host, "showing the settings")
    installed = "installed: /opt/twitter/releases/"
    eventually(lambda: installed in journal(host, "twitter-release"), seconds=FIRST_BOOT_SECONDS)
    assert host.release != before
    assert_as_before(host, host.release, "none")


@pytest.mark.usefixtures("variable_to_preserve")
def test_what_somebody_puts_in_the_place_of_a_release_is_refused(host: Host) -> None:
    before, pids = host.release, host.pids
    host.upload(**{"UPGRADE": "fifth"})
    foreign = archive({"deploy/host/install.sh": "#!/bin/sh\ntouch /root/owned\n"})
    host.cloud.owner().put_object(Bucket=aws.BUCKET, Key=release_key(host.sent), Body=foreign)
    refused = host.install()
    assert refused.returncode != 0 and "REFUSED" in refused.stdout
    assert (host.release, host.pids) == (before, pids)
    assert host.machine.run("test", "-e", "/root/owned", check=False).returncode == 1
    host.upload(**{"UPGRADE": "fourth"})
    assert host.install().returncode == 0


def test_the_journal_survives_the_host(host: Host) -> None:
    host.machine.run("systemctl", "start", "twitter-journal", seconds=300)
    s3 = host.cloud.owner()
    keys = [
        item["Key"] for item in s3.list_objects_v2(Bucket=aws.BUCKET, Prefix="airflow_logs/host=")["Contents"]
    ]
    logs = [gzip.decompress(s3.get_object(Bucket=aws.BUCKET, Key=key)["Body"].read()) for key in keys]
    assert b"waiting until Airflow is healthy" in b"".join(logs)
    assert host.machine.output("systemctl", "is-active", *TIMERS).split() == ["active"] * 2


def test_the_weekly_clean_runs_beside_airflow(host: Host) -> None:
    host.machine.run("systemctl", "start", "airflow-clean", seconds=600)
    assert host.state_of("airflow-clean", "Result") == "success"
    host.wait_until_healthy(since=datetime.now(UTC))


def test_everything_comes_back_by_itself_after_a_reboot(host: Host) -> None:
    rebooted = datetime.now(UTC)
    host.machine.reboot()
    eventually(lambda: host.machine.run("systemctl", "is-active", *UNITS, check=False).returncode == 0)
    host.wait_until_healthy(since=rebooted)
    pids = host.pids
    since = f"--since=@{rebooted.timestamp():.0f}"
    eventually(lambda: f"{host.release} is installed" in journal(host, "twitter-release", since))
    assert host.pids == pids


def test_a_database_that_is_lost_costs_the_history_of_runs_and_nothing_else(host: Host) -> None:
    """The commands of docs/deploy.md; a machine of the rehearsal is root's and has no sudo."""
    page = (PROJECT / "docs" / "deploy.md").read_text()
    [block] = re.findall(r"```text\n(sudo .*?)```", page, re.DOTALL)
    commands = block.replace("sudo -u postgres", "runuser -u postgres --").replace("sudo ", "")
    s3, key = host.cloud.owner(), f"twitter/dt={day_ago(2)}/refined_tweets.csv"
    before = s3.get_object(Bucket=aws.BUCKET, Key=key)["Body"].read()
    with closing(X(host.cloud.stack)) as x:
        x.forget()
        host.machine.run("sh", "-ec", commands, seconds=600)
        host._token = ""
        host.wait_until_healthy(since=datetime.now(UTC))
        runs = host.call("GET", "/dags/twitter/dagRuns")
        assert runs["total_entries"] == 0
        host.land(day_ago(2))
        assert x.requests() == []
    assert s3.get_object(Bucket=aws.BUCKET, Key=key)["Body"].read() == before


def test_with_a_network_let_in_it_speaks_tls_alone(host: Host) -> None:
    listen_on(host, "0.0.0.0")  # noqa: S104
    try:
        assert host.install().returncode == 0
        assert host.certificate
        assert host.machine.output("stat", "--format=%U:%G %a", "/etc/twitter/tls.key") == "root:airflow 640"
        with pytest.raises(httpx.TransportError), httpx.Client(trust_env=False, timeout=10) as plain:
            plain.get(f"http://127.0.0.1:{host.port}/api/v2/monitor/health")
        host.land(day_ago(3))
    finally:
        listen_on(host, "127.0.0.1")
        assert host.install().returncode == 0
    assert host.certificate is None


def listen_on(host: Host, address: str) -> None:
    settings = "/etc/twitter/host.env"
    host.machine.run("sed", "-i", f"s/^AIRFLOW__API__HOST=.*/AIRFLOW__API__HOST={address}/", settings)


def test_a_first_release_that_fails_has_none_to_go_back_to(host: Host) -> None:
    host.machine.run("rm", "-r", "/opt/twitter", seconds=120)
    host.upload(**broken("no_api", WITHOUT_API))
    refused = host.install()
    assert refused.returncode != 0
    assert "No release was installed before it: there is none to go back to" in refused.stdout
    host.upload()
    assert host.install().returncode == 0
    host.wait_until_healthy(since=datetime.now(UTC))
