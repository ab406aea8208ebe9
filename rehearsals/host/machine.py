"""A clean Debian 13 with systemd as PID 1, under podman: stands in for an EC2 instance's disk and init.

It shares the network of this machine, where the stand-ins for AWS and X listen on loopback. All that podman
keeps lies below .local/deploy; the image is made once.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from local.environment import PROJECT

STATE = PROJECT / ".local" / "deploy"
SUITE = "trixie"
# What Debian's own cloud image holds as well, and no more.
PACKAGES = "ca-certificates,curl,dbus,iproute2,procps,python3,systemd,systemd-sysv"
NEEDED = {"podman": "podman", "runc": "runc", "conmon": "conmon", "mmdebstrap": "mmdebstrap", "gpg": "gpg"}
NAME = "twitter-host"
PODMAN = [
    "podman", "--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file",
    f"--root={STATE / 'podman'}", f"--runroot={STATE / 'run'}", f"--tmpdir={STATE / 'tmp'}",
]  # fmt: skip
# systemd makes namespaces and filters of its own for the units that it hardens.
RIGHTS = [
    "--cap-add=SYS_ADMIN,SYS_PTRACE,MKNOD,NET_ADMIN,AUDIT_WRITE",
    "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
]  # fmt: skip

Done = subprocess.CompletedProcess[str]


def missing() -> str | None:
    """Why no machine can be started here."""
    if os.geteuid() != 0:
        return "the host is rehearsed in a container, which needs root"
    if absent := [package for program, package in NEEDED.items() if not shutil.which(program)]:
        return f"apt-get install --no-install-recommends {' '.join(absent)}"
    return None


@dataclass(frozen=True)
class Machine:
    """One running container."""

    name: str = NAME

    def run(self, *command: str, seconds: float = 60, check: bool = True) -> Done:
        """What a command said, and how it ended."""
        bounded = ["exec", self.name, "timeout", str(seconds), *command]
        return _podman(*bounded, seconds=seconds + 30, check=check)

    def output(self, *command: str, seconds: float = 60) -> str:
        return self.run(*command, seconds=seconds).stdout.strip()

    def begin(self, *command: str) -> None:
        """Start a command that goes on by itself."""
        _podman("exec", "--detach", self.name, *command)

    def write(self, path: str, text: str) -> None:
        _podman("exec", "--interactive", self.name, "sh", "-c", f"cat > {path}", given=text)

    def copy_here(self, path: str, file: Path) -> None:
        _podman("cp", f"{self.name}:{path}", str(file))

    def copy_there(self, file: Path, path: str) -> None:
        _podman("cp", str(file), f"{self.name}:{path}")

    def reboot(self) -> None:
        _podman("restart", "--time=60", self.name, seconds=120)


@contextmanager
def booted() -> Iterator[Machine]:
    """A new machine, gone afterwards whatever happens."""
    image = _image()
    cache = STATE / "uv"  # spares the package index; on a host it is empty at first
    cache.mkdir(parents=True, exist_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [f"--ulimit=nofile={soft}:{hard}", "--ulimit=nproc=2000:2000"]  # podman's own may be refused
    trusted = dict.fromkeys(f"--volume={file}:{file}:ro" for file in certificates().values())
    try:
        _podman(
            "run", "--detach", "--replace", f"--name={NAME}", "--systemd=always", "--network=host",
            *RIGHTS, *limits, *trusted, f"--volume={cache}:/root/.cache/uv", image, "/sbin/init", *_cgroups(),
        )  # fmt: skip
        yield Machine()
    finally:
        _podman("rm", "--force", "--time=10", "--volumes", NAME, check=False)


def certificates() -> dict[str, str]:
    """The certificates by which this machine's own installers know their package index, if it says so."""
    names = ("SSL_CERT_FILE", "PIP_CERT")
    return {name: os.environ[name] for name in names if Path(os.environ.get(name, "")).is_file()}


def _image() -> str:
    key = sha256(f"{SUITE} {PACKAGES}".encode()).hexdigest()[:12]
    image = f"localhost/{NAME}:{key}"
    if _podman("image", "exists", image, check=False).returncode:
        root = STATE / f"root-{key}.tar"
        STATE.mkdir(parents=True, exist_ok=True)
        debian = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
        try:
            subprocess.run(debian, check=True, timeout=900)
            _podman("import", str(root), image, seconds=300)
        finally:
            root.unlink(missing_ok=True)
    return image


def _cgroups() -> list[str]:
    """systemd 257 runs on the older control groups only with an option."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return []
    return ["systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]


def _podman(*arguments: str, seconds: float = 60, check: bool = True, given: str | None = None) -> Done:
    done = subprocess.run([*PODMAN, *arguments], capture_output=True, text=True, timeout=seconds, input=given)
    assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
