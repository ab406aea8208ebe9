"""`python -m simulation --seeds 1-200 --days 30`: a line for each broken promise, then a summary."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

DAYS_OF_A_MONTH = 30
MOST_LINES = 5
"""Breaches of a seed that are shown."""


@dataclass
class Outcome:
    """What a seed came to."""

    seed: int
    days: int
    seconds: float
    breaches: list[tuple[str, str]] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def promises(self) -> set[str]:
        return {name for name, _ in self.breaches}


def simulated(seed: int, days: int, off: Iterable[str] = ()) -> Outcome:
    """Simulate some days and judge them."""
    from simulation.airflow import Simulation
    from simulation.oracle import Oracle

    began = time.process_time()
    simulation = Simulation(seed, days, frozenset(off))
    oracle = Oracle(simulation)
    try:
        simulation.simulate()
        oracle.at_the_end()
    except Exception:  # a defect of the simulation, or an error that nobody has caught
        simulation.breach("no_crash", traceback.format_exc().replace("\n", " | ")[-1500:])
    kinds = simulation.faults.kinds
    counts = Counter(
        runs=simulation.runs,
        tries=len(simulation.attempts),
        requests=len(simulation.world.served),
        writes=simulation.bucket.writes,
        races=simulation.races,
        published=oracle.checks,
        readings=oracle.features.readings,
        checks=len(simulation.world.compliance.jobs),
        erasures=sum(each.ended_at is not None for each in simulation.owner.begun),
        erased=len(simulation.owner.erased()),
        faults=sum(number for kind, number in kinds.items() if not kind.startswith("event.")),
        events=sum(number for kind, number in kinds.items() if kind.startswith("event.")),
        kills=sum(number for kind, number in kinds.items() if kind.startswith("process.kill")),
    )
    seconds = time.process_time() - began
    return Outcome(seed, days, seconds, simulation.breaches, simulation.faults.struck, counts)


def shrunk(failed: Outcome, promise: str) -> Outcome:
    """The smallest run that still breaks the promise: fewer days first, then fewer faults and events."""
    days = failed.days
    while days > 1:
        shorter = simulated(failed.seed, days * 3 // 4 if days > 4 else days - 1)
        if promise not in shorter.promises:
            break
        failed, days = shorter, shorter.days
    off: list[str] = []
    size = max(len(failed.struck) // 2, 1)
    while failed.struck:
        struck = [*failed.struck]
        for at in range(0, len(struck), size):
            fewer = simulated(failed.seed, days, [*off, *struck[at : at + size]])
            if promise in fewer.promises:
                failed = fewer
                off += struck[at : at + size]
                break
        else:
            if size == 1:
                break
            size //= 2
    return failed


def end(code: int) -> NoReturn:
    """End the process without Python's finalization.

    The simulation leaves greenlets of killed tasks inside compiled code, and pyarrow threads that wait.
    About once in a hundred processes, finalization aborted them (SIGABRT) after the result had been printed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _outcomes(seeds: list[int], days: int, off: list[str], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from (simulated(seed, days, off) for seed in seeds)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(_of, [(seed, days, off) for seed in seeds])


def _of(given: tuple[int, int, list[str]]) -> Outcome:
    return simulated(*given)


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=_seeds("1-25"), help="for example 1-200, or 7,12")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--off", action="append", default=[], help="a fault, or a kind of it, left out")
    parser.add_argument("--shrink", action="store_true", help="find the smallest run of each broken promise")
    parser.add_argument("--minutes", type=float, default=600, help="begin no seed after that")
    parser.add_argument("--stop", action="store_true", help="stop at the first breach")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of texts have an order that a seed has to determine
        os.environ["PYTHONHASHSEED"] = "0"
        os.environ["PYTHONWARNINGS"] = "ignore::UserWarning"  # Airflow imports the test client of Starlette
        os.execv(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]])
    from simulation import edges

    edges.install()
    totals: Counter[str] = Counter()
    seconds, done, failed, began = 0.0, 0, 0, time.monotonic()
    for outcome in _outcomes(given.seeds, given.days, given.off, given.jobs):
        done += 1
        totals += outcome.counts
        seconds += outcome.seconds
        failed += bool(outcome.breaches)
        for promise, message in outcome.breaches[:MOST_LINES]:
            print(f"seed {outcome.seed}: {promise}: {message}", flush=True)
        for promise in sorted(outcome.promises) if given.shrink else ():
            smallest = shrunk(outcome, promise)
            print(f"  {promise} in {smallest.days} days with {smallest.struck}")
            print(f"  {next(message for name, message in smallest.breaches if name == promise)}", flush=True)
        if (outcome.breaches and given.stop) or time.monotonic() - began > given.minutes * 60:
            break
    months = done * given.days / DAYS_OF_A_MONTH
    message = ", ".join(f"{number:,} {name}" for name, number in totals.items())
    speed = months / max(seconds, 0.01) * 60
    print(
        f"{done} of {len(given.seeds)} seeds, {months:.1f} months, {speed:.1f} months a minute and core, "
        f"{message}; {failed} seeds broke a promise"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    end(main())
