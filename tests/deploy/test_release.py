"""What the host installs and sets is what was tested, and what its Airflow knows."""

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from airflow.configuration import conf

from deploy.__main__ import next_steps
from local.environment import PROJECT

HOST = PROJECT / "deploy" / "host"


def test_airflow_knows_every_setting_of_the_host() -> None:
    """The unknown ones it would pass over in silence. The logins' own are checked on the rehearsed host."""
    settings = re.findall(
        r"^AIRFLOW__([A-Z_]+?)__([A-Z_]+)=", (HOST / "airflow.env").read_text(), re.MULTILINE
    )
    known = conf.configuration_description
    assert len(settings) > 10
    assert [
        (part, name) for part, name in settings if name.lower() not in known[part.lower()]["options"]
    ] == []


@pytest.mark.parametrize(
    ("stack", "with_host", "new_host", "commands"),
    [
        ("twitter", True, True, ["make secrets FILE=.env", "make connect", "make password"]),
        ("acme", True, False, ["make upgrade STACK=acme", "make secrets FILE=.env STACK=acme"]),
        ("twitter", False, False, ["make deploy SET=WithHost=true"]),
    ],
)
def test_a_deployment_ends_with_commands_that_follow(stack, with_host, new_host, commands) -> None:
    lines = next_steps(stack, with_host, new_host).splitlines()
    assert [line.partition("  #")[0].rstrip() for line in lines][: len(commands)] == commands
    assert max(map(len, lines)) <= 80


def test_the_host_has_no_default_password_and_no_key() -> None:
    settings = (HOST / "airflow.env").read_text()
    assert "auth_manager.fab_auth_manager.FabAuthManager" in settings
    assert not re.search(r"PASSWORD|FERNET|SECRET_KEY|JWT_SECRET|AWS_ACCESS", settings)


@pytest.mark.parametrize("unit", sorted(HOST.glob("*.service")), ids=lambda file: file.name)
def test_no_unit_is_stopped_because_one_of_its_processes_ran_out_of_memory(unit: Path) -> None:
    assert "\nOOMPolicy=continue\n" in unit.read_text().partition("[Service]")[2]


def test_every_timer_of_the_host_is_installed_and_has_its_service() -> None:
    timers = sorted(file.name for file in HOST.glob("*.timer"))
    assert timers == ["airflow-clean.timer", "twitter-journal.timer"]
    assert f"timers=({' '.join(timers)})" in (HOST / "install.sh").read_text()
    for name in timers:
        assert (HOST / name).with_suffix(".service").exists()


# The scripts of the host, with stand-ins for what they call


class Desk:
    """A folder that stands for the host's disk, and commands that log how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin, self.calls = folder / "bin", folder / "calls"
        self.bin.mkdir()
        self.calls.touch()
        for name in ("apt-get", "systemctl", "dpkg"):
            self.command(name, "")
        self.command("dpkg-query", "exit 1")

    def command(self, name: str, does: str) -> None:
        file = self.bin / name
        file.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.calls}\n{does}\n')
        file.chmod(0o755)

    def run(self, script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the host, its absolute paths below the folder."""
        text = script.read_text()
        for path in ("/etc/twitter", "/opt/twitter", "/run/lock"):
            (self.folder / path[1:]).mkdir(parents=True, exist_ok=True)
            text = text.replace(path, f"{self.folder}{path}")
        copy = self.folder / script.name
        copy.write_text(text)
        return subprocess.run(
            ["bash", copy], capture_output=True, text=True, timeout=600, check=False,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder), **environment},
        )  # fmt: skip

    def called(self, name: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.split()[0] == name]


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


def archive_of(folder: Path) -> bytes:
    """A release whose scripts only say that they ran."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("ssm-agent.sh", "install.sh"):
            text = f"#!/bin/sh\necho {name} >>{folder}/installed\n".encode()
            member = tarfile.TarInfo(f"deploy/host/{name}")
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text))
    return packed.getvalue()


@pytest.fixture
def fetch(desk: Desk):
    """Run twitter-release with this in Parameter Store and this in the bucket."""

    def run(named: str, in_bucket: bytes) -> subprocess.CompletedProcess[str]:
        (desk.folder / "etc/twitter").mkdir(parents=True)
        settings = ["AIRFLOW_VAR_TWITTER_BUCKET=acme-lake", "TWITTER_RELEASE=/airflow/release"]
        (desk.folder / "etc/twitter/host.env").write_text("\n".join([*settings, ""]))
        (desk.folder / "archive").write_bytes(in_bucket)
        (desk.folder / "parameter").write_text(f"{named}\n" if named else "")
        desk.command(
            "aws",
            f'if [ "$1" = ssm ]; then cat {desk.folder}/parameter\n'
            f'elif [ "$2" = get-object ]; then cp {desk.folder}/archive "${{@: -1}}"; fi',
        )
        return desk.run(HOST / "twitter-release.sh")

    return run


def test_the_host_installs_the_archive_that_parameter_store_names_by_its_hash(desk: Desk, fetch) -> None:
    archive = archive_of(desk.folder)
    sha256 = hashlib.sha256(archive).hexdigest()
    ended = fetch(f"{sha256} v1.2", archive)
    assert ended.returncode == 0, ended.stderr
    assert "release v1.2 in " in ended.stdout
    assert desk.called("aws")[0].startswith("aws ssm get-parameter --name /airflow/release ")
    assert f"--bucket acme-lake --key releases/{sha256}.tar.gz " in desk.called("aws")[1]
    assert (desk.folder / "installed").read_text().split() == ["ssm-agent.sh", "install.sh"]
    assert [file.name for file in (desk.folder / "opt/twitter/releases").iterdir()] == [sha256[:12]]


def test_an_archive_with_another_hash_is_refused_before_it_is_unpacked(desk: Desk, fetch) -> None:
    archive = archive_of(desk.folder)
    ended = fetch(f"{hashlib.sha256(b'what was uploaded').hexdigest()} v1.2", archive)
    assert ended.returncode == 1
    assert ended.stderr.startswith("REFUSED: s3://acme-lake/releases/")
    assert hashlib.sha256(archive).hexdigest() in ended.stderr
    assert not (desk.folder / "installed").exists()
    assert not (desk.folder / "opt/twitter/releases").exists()


@pytest.mark.parametrize("named", ["", "None", "current", "../../payroll", "0a" * 31, f"{'0A' * 32} v1"])
def test_without_a_sha256_in_parameter_store_nothing_is_fetched(desk: Desk, fetch, named: str) -> None:
    ended = fetch(named, archive_of(desk.folder))
    assert ended.returncode == 1
    assert "does not name a release by its SHA-256" in ended.stderr
    assert len(desk.called("aws")) == 1


GPG = pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("gpgv")), reason="needs gpg and gpgv")


class Signer:
    """Somebody with a key, as AWS has one. Its clock is the machine's, as that of the scripts under test."""

    def __init__(self, home: Path) -> None:
        self._environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        self._gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
        home.mkdir(mode=0o700)
        make = ["--passphrase", "", "--quick-generate-key", "signer@acme.example", "rsa2048", "sign", "0"]
        self._run(*make)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._gpg, *arguments],
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done.stdout

    def key(self) -> str:
        return self._run("--armor", "--export")

    def sign(self, file: Path) -> None:
        self._run("--detach-sign", str(file))


@pytest.fixture
def agent(desk: Desk):
    """Run ssm-agent.sh: a package, what happens to it after AWS signed it, whose key the release has."""

    def run(package: bytes = b"the agent", *, signed_by: str = "aws") -> subprocess.CompletedProcess[str]:
        file = desk.folder / "agent.deb"
        file.write_bytes(b"the agent")
        aws = Signer(desk.folder / "aws")
        (aws if signed_by == "aws" else Signer(desk.folder / "other")).sign(file)
        file.write_bytes(package)
        (desk.folder / "amazon-ssm-agent.asc").write_text(aws.key())
        return desk.run(
            HOST / "ssm-agent.sh", AWS_DEFAULT_REGION="eu-central-1", SSM_AGENT_URL=f"file://{file}"
        )

    return run


@GPG
def test_an_agent_that_aws_signed_is_installed(desk: Desk, agent) -> None:
    ended = agent()
    assert ended.returncode == 0, ended.stderr
    assert [call.split()[-3:-1] for call in desk.called("apt-get")] == [["install", "--yes"]]
    assert desk.called("systemctl") == ["systemctl enable --quiet --now amazon-ssm-agent"]


@GPG
@pytest.mark.parametrize(
    "tampered", [{"package": b"another agent"}, {"signed_by": "somebody"}], ids=["changed", "foreign"]
)
def test_an_agent_without_a_valid_signature_is_not_installed(desk: Desk, agent, tampered) -> None:
    ended = agent(**tampered)
    assert ended.returncode == 1
    assert ended.stderr.startswith("REFUSED: ") and "amazon-ssm-agent.asc" in ended.stderr
    assert desk.called("apt-get") == desk.called("systemctl") == []


@GPG
def test_the_key_of_the_agent_is_that_of_aws(tmp_path) -> None:
    shown = ["gpg", "--homedir", str(tmp_path), "--with-colons", "--show-keys", HOST / "amazon-ssm-agent.asc"]
    output = subprocess.run(shown, check=True, capture_output=True, text=True, timeout=600).stdout
    [fingerprint] = re.findall(r"^fpr:+(\w+):", output, re.MULTILINE)
    assert fingerprint == "1C5B 395C BE5E 74E2 F1CA 2159 2784 DBF3 88D1 9D46".replace(" ", "")
    assert "<ssm-agent-signer@amazon.com>" in output


@pytest.fixture
def journal(desk: Desk):
    """Upload the journal: `gained` is what it has gained, and `aws` what the upload does."""
    desk.command(
        "journalctl",
        f"for a; do case $a in --cursor-file=*) f=${{a#*=}}; esac; done\ncat {desk.folder}/gained\n"
        'echo "after $(cat "$f" 2>/dev/null)" >"$f"',
    )
    state = desk.folder / "state"
    state.mkdir()

    def run(gained: str, aws: str = "") -> subprocess.CompletedProcess[str]:
        (desk.folder / "gained").write_text(gained)
        desk.command("aws", aws or f'[ "$1" != s3api ] || cp "${{8}}" {desk.folder}/uploaded.gz')
        return desk.run(
            HOST / "journal.sh", STATE_DIRECTORY=str(state), AIRFLOW_VAR_TWITTER_BUCKET="acme-lake"
        )

    return run


def test_what_the_journal_has_gained_is_uploaded_where_the_role_may_write(desk: Desk, journal) -> None:
    assert journal("a line\n").returncode == 0
    [call] = desk.called("aws")
    key = rf"airflow_logs/host={re.escape(os.uname().nodename)}/dt=\d{{4}}-\d\d-\d\d/\d{{6}}\.log\.gz"
    assert re.search(f"--bucket acme-lake --key {key} ", call)
    assert gzip.decompress((desk.folder / "uploaded.gz").read_bytes()) == b"a line\n"
    assert (desk.folder / "state/cursor").read_text() == "after \n"


def test_what_could_not_be_uploaded_comes_with_the_next_upload(desk: Desk, journal) -> None:
    assert journal("a line\n", aws="exit 1").returncode == 1
    assert not (desk.folder / "state/cursor").exists()
    assert journal("a line\n").returncode == 0
    assert (desk.folder / "state/cursor").read_text() == "after \n"


def test_nothing_is_uploaded_where_nothing_was_logged(desk: Desk, journal) -> None:
    assert journal("").returncode == 0
    assert desk.called("aws") == []
