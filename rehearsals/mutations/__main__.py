"""python -m rehearsals.mutations [LIST] [--only NAME …] [--timeout SECONDS]

LIST is a module with `MUTATIONS`, and with `COMMAND` where it is not pytest: arguments of Python, to which
each mutation adds its `tests`. The unchanged code has to pass first. A mutation is caught when its command
fails or does not end in time. The exit status is 1 if a mutation survives.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from rehearsals.mutations import Mutation

PROJECT = Path(__file__).parents[2]
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header")
INSTALLED = (".venv", ".local/ministack", ".local/tools", ".local/datacontract")
"""Linked into the copy: tests start programs of these environments."""


def copy_of_the_code(folder: Path) -> None:
    """Copy what git tracks, and what is new and not ignored, as it stands in the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    for name in INSTALLED:
        if (PROJECT / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to((PROJECT / name).resolve())


def run(folder: Path, arguments: Sequence[str], timeout: float) -> tuple[int | None, str]:
    """The status of the command, None where it did not end in time, and its output."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also the servers that it started


def caught_by(output: str) -> str:
    """The first failing test, or the last line of another command."""
    if match := re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", output, re.MULTILINE):
        return match[1]
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def changed(text: str, mutation: Mutation) -> str:
    if (number := text.count(mutation.before)) != 1:
        raise SystemExit(f"{mutation.name}: `before` occurs {number} times in {mutation.file}, not once")
    return text.replace(mutation.before, mutation.after)


def rehearse(mutations: list[Mutation], command: Sequence[str], timeout: float) -> list[Mutation]:
    """Try each mutation; those that survive."""
    survivors = []
    with TemporaryDirectory(prefix="mutations-") as name:
        folder = Path(name)
        copy_of_the_code(folder)
        whole = {one.name: changed((folder / one.file).read_text(), one) for one in mutations}
        paths = list(dict.fromkeys(path for one in mutations for path in one.tests))
        status, output = run(folder, [*command, *paths], timeout * len(mutations))
        if status != 0:
            raise SystemExit(f"The unchanged code fails: {caught_by(output)}\n{output[-3000:]}")
        for one in mutations:
            file = folder / one.file
            before = file.read_text()
            began = time.monotonic()
            file.write_text(whole[one.name])
            try:
                status, output = run(folder, [*command, *one.tests], timeout)
            finally:
                file.write_text(before)
            if status == 0:
                survivors.append(one)
            message = "SURVIVED" if status == 0 else "did not end" if status is None else caught_by(output)
            print(f"{one.name} | {one.file} | {message} | {time.monotonic() - began:.0f} s", flush=True)
    return survivors


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rehearsals.mutations", description=__doc__)
    parser.add_argument("list", nargs="?", default="rehearsals.mutations.pipeline")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--timeout", type=float, default=180, metavar="SECONDS")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the copy and what runs in it are removed
    module = import_module(given.list)
    mutations = [one for one in module.MUTATIONS if not given.only or one.name in given.only]
    if given.only and len(mutations) != len(set(given.only)):
        raise SystemExit(f"{given.list} has: {', '.join(one.name for one in module.MUTATIONS)}")
    survivors = rehearse(mutations, getattr(module, "COMMAND", PYTEST), given.timeout)
    print(f"{len(mutations) - len(survivors)} of {len(mutations)} mutations are caught.")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
