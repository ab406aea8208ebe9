"""What a process takes, and pictures of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from time import monotonic
from typing import Any, NamedTuple

HERE = Path(__file__).parent
LOCAL = HERE.parent / ".local"


class Took(NamedTuple):
    cpu: float
    """Seconds of process time."""
    wall: float
    peak: float
    """Megabytes."""


def took(*command: object) -> Took:
    """Run it to its end. Whoever asks has to be small: a child's peak begins with its parent's."""
    begun = monotonic()
    with TemporaryFile() as output:
        process = subprocess.Popen([*map(str, command)], stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(map(str, command))}\n{output.read().decode()}")
    return Took(used.ru_utime + used.ru_stime, monotonic() - begun, used.ru_maxrss / 1024)


def medians(commands: Mapping[str, Iterable[object]], rounds: int) -> dict[str, Took]:
    """Each command once a round, in turn, so that what else runs disturbs all alike."""
    results: dict[str, list[Took]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            results[name].append(took(*command))
            print(f"round {number + 1} of {rounds}, {name}: {results[name][-1].cpu:.2f} s", file=sys.stderr)
    return {name: Took(*map(median, zip(*each, strict=True))) for name, each in results.items()}


def draw(name: str, value: Any) -> None:
    """Write NAME.svg beside this file, by the environment that has matplotlib."""
    command = [LOCAL / "bench-plot/bin/python", HERE / "peers/pictures.py", name, HERE / f"{name}.svg"]
    subprocess.run(command, input=json.dumps(value), text=True, check=True)
