"""Airflow and the people who use it: runs, retries, reschedules, clears in any order, backfills, and who
follows the advice of a message.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from simulation import edges
from simulation.faults import Draw, Faults
from simulation.owner import OWNER, Owner
from simulation.scheduler import Killed, Lock, Process, Scheduler, Stuck, Task
from simulation.store import Bucket, Client
from simulation.world import Account, World

STAGES = ("extract", "transform", "load")
PLAN = ("quote", "compare")
CHECK = ("upload", "wait_for_result", "publish_deletions")
PRICES = {"posts": 5, "own_posts": 1, "users": 10, "counts": 5, "archive_counts": 10, "rereads": 0}
LATER_PRICES = PRICES | {"posts": 7, "users": 12}
MOST_STEPS = 3_000_000
MOST_REQUESTS = 400
"""Of one try of `extract` at X: a day has some ten accounts."""
LATEST = ("twitter_tweet_limit", "twitter_include_threads")
"""The settings that say which posts of an account are wanted."""
ROUNDS = 14
"""So often the advice of messages is followed before a run counts as one that nobody can repair."""
STARTS = (
    "2026-11-20", "2026-12-20", "2027-01-25", "2028-02-20", "2026-06-14", "2027-03-22", "2028-02-27",
)  # fmt: skip
"""Over a month's end, a year's end, leap days."""


@dataclass
class Attempt:
    """One try of a stage."""

    stage: str
    run: Run
    process: Process
    began: datetime
    ended: datetime | None = None
    result: Any = None
    error: BaseException | None = None

    @property
    def is_success(self) -> bool:
        return self.ended is not None and self.error is None

    @property
    def settings(self) -> dict[str, str]:
        return self.process.settings


@dataclass(eq=False)
class Deployment:
    """One Airflow, with its Variables and its pools."""

    name: str
    variables: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    slots: defaultdict[str, Lock] = field(default_factory=lambda: defaultdict(Lock))

    @property
    def handles(self) -> list[str]:
        return [name for name in self.variables["twitter_handles"].split(",") if name]

    def set_handles(self, handles: list[str]) -> None:
        self.variables["twitter_handles"] = ",".join(handles)

    def add(self, variable: str, item: str) -> None:
        items = [each for each in self.variables.get(variable, "").split(",") if each]
        self.variables[variable] = ",".join(dict.fromkeys([*items, item]))


@dataclass(eq=False)
class Run:
    """A DAG run, and what its tasks have returned."""

    deployment: Deployment
    id: str
    """As in Airflow, two deployments give the scheduled runs of a date the same one."""
    day: str
    """The UTC day; of another DAG than `twitter` its name stands before it."""
    buy_again: bool = False
    accounts: str = ""
    first: str = ""
    """Of a plan: the first of its days, of which `day` is the last."""
    results: dict[str, Any] = field(default_factory=dict)
    tries: int = 0
    is_write_conflict: bool = False
    failed: str = ""
    """The stage that failed; empty while none has."""
    error: BaseException | None = None
    rounds: int = 0
    is_dropped: bool = False
    """Nobody cares for it any more: it named no account that is collected."""

    @property
    def name(self) -> str:
        return f"{self.deployment.name}-{self.id}"

    @property
    def plan_id(self) -> str:
        """Of the plan that it has quoted."""
        return self.results["quote"]["plan"]

    @property
    def dag(self) -> str:
        return self.day.split()[0] if " " in self.day else "twitter"

    @property
    def stages(self) -> tuple[str, ...]:
        return {"plan": PLAN, "compliance": CHECK}.get(self.dag, STAGES)


class Simulation:
    """Some weeks of one or two Airflows over one bucket."""

    def __init__(self, seed: int, days: int, off: frozenset[str] = frozenset()) -> None:
        random.seed(seed)
        self.draw = draw = Draw("seed", seed)
        self.faults = Faults(Draw("faults", seed), off, weather=draw.pick("weather", (0.5, 1, 2, 3)))
        start = datetime.fromisoformat(draw.pick("start", STARTS)).replace(tzinfo=UTC)
        self.first, self.days = start, days
        self.last = start + timedelta(days=days)
        self.scheduler = Scheduler(start - timedelta(hours=1), MOST_STEPS)
        self.clock = self.scheduler.clock
        self.price_change = start + timedelta(days=draw.below("prices", 40))
        first_list = date(2026, 4, 21)
        edges.set_prices({first_list: PRICES, self.price_change.date(): LATER_PRICES})
        self.world = World(Draw("world", seed), self.faults, self.clock, self.prices)
        self.bucket = Bucket(self.clock)
        self.bucket.watch.append(self._stored)
        self.latency = Draw("latency", seed)
        self.attempts: list[Attempt] = []
        self.breaches: list[tuple[str, str]] = []
        self.runs = 0
        self.races = 0
        self.storm = draw.pick("storm", (0.0, 0.2, 0.5, 1.0))
        """The share of tries that faults may strike."""
        self._airflow = Process("airflow")
        self.accepted: dict[str, set[str]] = {}
        """Handles with the accounts that somebody accepted for them."""
        self.deployments = self._deployments()
        self.let_go: set[str] = set()
        """Days that somebody let lose accounts, before any message advised to."""
        self.on_load: list[Callable[[Attempt], None]] = []
        self.on_extract: list[Callable[[Attempt], None]] = []
        self.on_other: list[Callable[[Attempt], None]] = []
        """Who sees the end of a try of another DAG."""
        self.owner = Owner(self)

    def prices(self, at: datetime) -> dict[str, int]:
        return LATER_PRICES if at.date() >= self.price_change.date() else PRICES

    def breach(self, promise: str, message: str) -> None:
        self.breaches.append((promise, message))

    def _stored(self, key: str, version: Any) -> None:
        if version.by.startswith(OWNER):
            return
        if "/result=" in key:
            own = (each for each in reversed(self.world.served) if each.process.name == version.by)
            served = next(each for each in own if each.asked == "verdicts")
            served.stored_at, served.key = self.clock(), key
        if key.endswith(".json.gz") and "raw" in key:
            import gzip

            if len(self.bucket.versions[key]) > 1:
                self.breach("raw_is_written_once", f"{key} was overwritten by {version.by}")
            found = re.search(rb'"sim": ?(\d+)', gzip.decompress(version.data))
            if not found:
                return
            served = self.world.by_serial[int(found[1])]
            if served.stored_at:
                self.breach("raw_is_written_once", f"response {served.serial} was stored again as {key}")
            served.stored_at, served.key = self.clock(), key

    def _deployments(self) -> list[Deployment]:
        draw, world = self.draw, self.world
        number = 1 + draw.below("accounts", 5)
        handles = []
        for place in range(number):
            a_day = draw.pick(f"a day {place}", (0, 1, 3, 6, 9))
            account = world.add(f"acct_{place}", a_day, datetime.min.replace(tzinfo=UTC))
            handles.append(account.handle)
        keys = {"bearer_token": "b"}
        if draw.happens("user keys", 0.4):
            owner = next(iter(world.accounts.values()))
            keys = dict.fromkeys(("consumer_key", "consumer_secret", "access_token_secret"), "k")
            prefix = f"{owner.id}-" if draw.happens("named token", 0.5) else ""
            keys["access_token"] = f"{prefix}token"
            world.owner_id = owner.id
        variables = {
            "twitter_bucket": "acme-twitter-lake",
            "twitter_handles": ",".join(handles),
            "twitter_tweet_limit": str(draw.pick("limit", (0, 0, 1, 3, 100))),
            "twitter_run_budget_usd": draw.pick("run budget", ("0", "0.12", "0.5", "5")),
            "twitter_month_budget_usd": draw.pick("month budget", ("0", "0.4", "2", "100")),
            "twitter_include_threads": draw.pick("include", ("false", "false", "true")),
            "x": json.dumps(keys),
        }
        if world.owner_id and draw.happens("own handle", 0.6):
            variables["twitter_own_handle"] = handles[0]
        self.has_engagement = draw.happens("engagement", 0.4)
        self.has_checks = draw.happens("checks", 0.4)
        variables["twitter_engagement_days"] = draw.pick("ages", ("1", "1, 2", "1, 7"))
        both = draw.happens("two airflows", 0.35)
        deployments = [Deployment(name, dict(variables)) for name in ("A", "B")[: 1 + both]]
        if draw.happens("another limit", 0.5):
            deployments[-1].variables["twitter_tweet_limit"] = str(draw.pick("its limit", (0, 1, 3)))
        return deployments

    # Airflow

    def simulate(self) -> None:
        """Run all of it: the days, then a calm time in which every run has to become green."""
        spawn, airflow = self.scheduler.spawn, self._airflow
        tasks = [spawn(partial(self._timetable, each), airflow) for each in self.deployments]
        for person in self._events():
            tasks.append(spawn(person, airflow))
        tasks.append(spawn(self._calm, airflow))
        if self.has_checks:
            tasks += [spawn(partial(self._checks, each), airflow) for each in self.deployments]
            tasks.append(spawn(self.owner.erases_what_is_gone, airflow))
        try:
            self.scheduler.run()
        except Stuck as error:
            self.breach("bounded", str(error))
            return
        for task in tasks:
            if not task.is_done:
                self.breach("bounded", "the simulation ended while somebody still waited: a deadlock")
            elif task.error:
                raise task.error
        for task in self._airflow.tasks:
            if task.error:
                raise task.error
            if not task.is_done:
                self.breach("bounded", "a run never ended: a deadlock")

    def _sleep_until(self, at: datetime) -> None:
        self.scheduler.sleep(max((at - self.clock()).total_seconds(), 0))

    def _calm(self) -> None:
        self._sleep_until(self.last + timedelta(hours=30))
        self.faults.calm = True
        self.world.credits_until = None
        for account in self.world.accounts.values():
            if account.state != "active":
                account.set_state(self.clock(), "active")

    def _timetable(self, deployment: Deployment) -> None:
        for number in range(self.days):
            self._sleep_until(self.first + timedelta(days=number + 1))
            day = f"{self.first + timedelta(days=number):%Y-%m-%d}"
            self.start(deployment, f"scheduled__{day}", day)
            if self.has_engagement:
                self.start(deployment, f"engagement__{day}", f"engagement {day}")

    def _checks(self, deployment: Deployment) -> None:
        """Each morning, so that a short simulation has findings of two days."""
        for number in range(1, self.days):
            self._sleep_until(self.first + timedelta(days=number + 1, hours=8))
            day = f"{self.clock():%Y-%m-%d}"
            self.start(deployment, f"check__{day}", f"compliance {day}")

    def start(self, deployment: Deployment, id_: str, day: str, **more: Any) -> Run:
        run = Run(deployment, id_, day, **more)
        deployment.runs.append(run)
        self.runs += 1
        self.scheduler.spawn(lambda: self._owned(run), self._airflow)
        return run

    def clear(self, run: Run, stage: str, *, downstream: bool = True) -> None:
        """Clear a stage of a run that does nothing at the moment, and run it again."""
        if run.is_write_conflict:
            return
        place = run.stages.index(stage)
        stages = run.stages[place:] if downstream else (stage,)
        before = run.results.get(run.stages[place - 1]) if place else {}
        if run.dag == "plan" or before is None or "skipped" in before:
            return
        run.failed = ""
        self.scheduler.spawn(lambda: self._owned(run, stages), self._airflow)

    def _owned(self, run: Run, stages: tuple[str, ...] = ()) -> None:
        """Run the stages; where one fails, a person looks, does what the message says, and clears."""
        stages = stages or run.stages
        if run.is_write_conflict:
            return
        run.is_write_conflict = True
        self._stages(run, stages)
        while run.failed and not run.is_dropped:
            run.rounds += 1
            if run.rounds > ROUNDS + 20 * (not self.faults.calm):
                self.breach("advice", f"{run.name} stays red: {type(run.error).__name__}: {run.error}")
                break
            wait = timedelta(minutes=5 + 300 * self.draw.number(f"{run.name} {run.rounds} looks"))
            self.scheduler.sleep(wait.total_seconds())
            if run.rounds > ROUNDS and not self.faults.calm:
                self._sleep_until(self.last + timedelta(hours=31))
                run.rounds = 0
            stage = self._mend(run)
            if stage:
                first = stage if stage in run.stages else run.failed
                self._stages(run, run.stages[run.stages.index(first) :])
        run.is_write_conflict = False

    def _stages(self, run: Run, stages: tuple[str, ...]) -> None:
        run.failed, run.error = "", None
        for stage in stages:
            if stage == "compare" and not self._approved(run):
                return
            if not self._until_done(run, stage):
                run.failed = stage
                return
            if "skipped" in run.results[stage]:
                return

    def _approved(self, run: Run) -> bool:
        """Say yes to a plan, and wait until its runs are done with."""
        id_ = run.results["quote"]["plan"]
        if not self.draw.happens(f"{run.name} yes", 0.8):
            return False
        process = Process(f"{run.name}/runs", dict(run.deployment.variables), run.day, "runs", faults=False)
        process.store, process.x = Client(self.bucket, self.faults, self.latency), self.world
        task = self.scheduler.spawn(lambda: edges.stage("plan", "runs")(id_), process)
        task.join()
        if task.error:
            raise task.error
        known = {each.id: each for each in run.deployment.runs}
        named = [(each["trigger_run_id"], each["conf"]) for each in task.result]
        runs = [known.get(name) or self.start(run.deployment, name, **conf) for name, conf in named]
        while any((each.failed or not each.results) and not each.is_dropped for each in runs):
            self.scheduler.sleep(1800)
        return True

    def _until_done(self, run: Run, stage: str) -> bool:
        """Try a stage as Airflow does; False where it gives up."""
        tries = 0
        reschedules = 0
        while True:
            tries += 1
            attempt = self._attempt(run, stage)
            if attempt.is_success:
                run.results[stage] = attempt.result
                return True
            error = attempt.error
            assert error is not None  # noqa: S101
            if isinstance(error, Killed):
                wait: timedelta | None = timedelta(seconds=15) if tries <= 24 else None
            elif edges.is_skip(error):
                run.results[stage] = {"skipped": str(error)}
                return True
            elif at := edges.rescheduled_to(error):
                tries -= 1
                reschedules += 1
                if reschedules > 3000:
                    self.breach("bounded", f"{run.name} {stage} came back {reschedules} times")
                    run.error = error
                    return False
                wait = max(at - self.clock(), timedelta(seconds=1))
            else:
                if not edges.is_understood(error):
                    self.breach("named_errors", f"{attempt.process.name}: {type(error).__name__}: {error}")
                if type(error).__name__ in ("AccountingMismatch", "DamagedObject", "BadStore"):
                    self.breach("no_defect", f"{attempt.process.name}: {type(error).__name__}: {error}")
                wait = edges.delay_after(error, tries)
            if wait is None:
                run.error = error
                return False
            self.scheduler.sleep(wait.total_seconds())

    def _attempt(self, run: Run, stage: str) -> Attempt:
        run.tries += 1
        name = f"{run.name}/{stage}/{run.tries}"
        slot = run.deployment.slots[f"{run.dag} {stage}"]
        if stage != "transform":
            slot.acquire()
        process = self._process(name, run, stage)
        attempt = Attempt(stage, run, process, self.clock())
        self.races += any(
            other.ended is None and other.run.day == run.day and other.stage == stage
            for other in self.attempts[-6:]
        )
        self.attempts.append(attempt)
        work = edges.stage(run.dag, stage)
        task = self.scheduler.spawn(lambda: work(*self._given(run, stage)), process)
        self._await(task, process)
        attempt.ended = self.clock()
        if task.is_done:
            attempt.error = task.error
            attempt.result = json.loads(json.dumps(task.result)) if task.error is None else None
        else:
            attempt.error = Killed()  # Airflow takes it for lost, and it continues
        if isinstance(attempt.error, Killed):
            self.scheduler.sleep(1 + 120 * self.draw.number(f"{name} noticed"))
        if process.requests > MOST_REQUESTS:
            self.breach("bounded", f"{name} sent {process.requests} requests to X")
        if stage != "transform":
            slot.release()
        seeing = {"load": self.on_load, "extract": self.on_extract}
        for see in seeing.get(stage, []) if run.dag == "twitter" else self.on_other:
            see(attempt)
        return attempt

    def _given(self, run: Run, stage: str) -> list[Any]:
        """What the function of a task is called with."""
        day, place = run.day.split()[-1], run.stages.index(stage)
        if run.dag == "plan":
            is_first = stage == "quote"
            return [edges.range_of(run.first, day, run.id, self.clock) if is_first else run.plan_id]
        if run.dag == "compliance":
            its = edges.check_of(run.id, self.clock)
            return [its, run.results[run.stages[place - 1]]] if place else [its]
        its = edges.run_of(day, run.id, self.clock, run.buy_again, run.accounts)
        return [its, run.results[run.stages[place - 1]]] if place else [its]

    def _await(self, task: Task, process: Process) -> None:
        """Wait for a try; one without a heartbeat for long is given up, and may continue all the same."""
        if not self.draw.happens(f"{process.name} heartbeat is lost", 0.02 * bool(process.faults)):
            task.join()
            return
        while not task.is_done:
            self.scheduler.sleep(7)
            if process.paused_until > self.scheduler.now and self.faults.take("process.zombie", process.name):
                return

    def _process(self, name: str, run: Run, stage: str) -> Process:
        process = Process(name, dict(run.deployment.variables), run.day, stage)
        process.faults = not self.faults.calm and self.draw.happens(f"{name} storm", self.storm)
        if process.faults and self.draw.happens(f"{name} kill", 0.3):
            most = {"extract": 60, "transform": 12, "load": 40}.get(stage, 30)
            process.kill_at = 1 + int(most * self.draw.number(f"{name} kill at") ** 1.5)
            process.kill_after = self.draw.happens(f"{name} kill after", 0.5)
        process.store = Client(self.bucket, self.faults, self.latency)
        process.x = self.world
        return process

    # What people do

    def _mend(self, run: Run) -> str | None:
        """Do what the message of a failed run says; the stage to clear, None where nothing is to be done."""
        text, deployment = str(run.error), run.deployment
        name = f"{run.name} {run.rounds}"
        if run.dag == "compliance" and "Trigger another run" in text:
            self.start(deployment, f"again__{name.replace(' ', '_')}", run.day)
            run.is_dropped = True
            return None
        if type(run.error).__name__ in ("BadAccounts", "BadDay"):
            run.is_dropped = True
            return None
        if found := re.search(r"add (\S+) to Variable twitter_allow_row_loss", text):
            if not self.less_is_wanted(found[1]):  # an older table: others have bought more meanwhile
                return "transform"
            deployment.add("twitter_allow_row_loss", found[1])
            return "load"
        if "Raise twitter_" in text:
            variable = re.search(r"Raise (twitter_\w+)", text)[1]  # type: ignore[index]
            for each in self.deployments:
                each.variables[variable] = f"{max(float(each.variables[variable]) * 3, 0.3):.2f}"
            return run.failed
        if "Buy credits" in text or "credits" in text.lower():
            self.world.credits_until = None
            return "extract"
        accepts = re.findall(r"add (\w+)=(\d+) to Variable twitter_confirmed_account_ids", text)
        for handle, id_ in accepts:
            old = self._old_account(handle, id_)
            if old and old.handle.lower() != handle.lower() and self.draw.happens(f"{name} follow", 0.5):
                for each in self.deployments:
                    self._replace(each, handle, old.handle)
            else:
                self.accepted.setdefault(handle.lower(), set()).add(id_)
                for each in self.deployments:
                    each.add("twitter_confirmed_account_ids", f"{handle}={id_}")
        if accepts:
            return "extract"
        if type(run.error).__name__ == "Incomplete":
            return self._mend_incomplete(run, text, name)
        if "clear the stage that writes it" in text:
            return run.stages[max(run.stages.index(run.failed) - 1, 0)]
        if (found := re.search(r"[Cc]lear (?:the )?`(\w+)`", text)) and found[1] in run.stages:
            return found[1]
        return run.failed

    def less_is_wanted(self, day: str) -> bool:
        """Whether somebody bought the day again, changed which posts are wanted, or let accounts leave it."""
        extracts = [each for each in self.attempts if each.run.day == day and each.stage == "extract"]
        wanted = {tuple(each.settings[name] for name in LATEST) for each in extracts}
        return any(each.run.buy_again for each in extracts) or len(wanted) > 1 or day in self.let_go

    def _mend_incomplete(self, run: Run, text: str, name: str) -> str | None:
        """Follow a renamed account, take out one that is gone, or ask again."""
        deployment, stage = run.deployment, "extract"
        left_out = [
            handle for handle in deployment.handles if handle != run.accounts and f"{handle}:" in text
        ]
        if "without `accounts`" in text and left_out and self.draw.happens(f"{name} whole", 0.5):
            self.start(deployment, f"whole__{name.replace(' ', '_')}", run.day)
            run.is_dropped = True
            return None
        for handle in re.findall(r"(\w+): it was forgotten on", text):
            stage = "extract" if "Nothing is published" in text else "load"
            for each in self.deployments:
                self.take_out(each, handle)
        for handle in deployment.handles:
            if f"{handle}:" not in text:
                continue
            account = self.world.of_handle(handle)
            former = next(
                (a for a in self.world.accounts.values() if handle.lower() in a.handles and a is not account),
                None,
            )
            if account is None and former:
                self._replace(deployment, handle, former.handle)
            is_gone = account is None or account.state != "active"
            is_last = len(deployment.handles) == 1
            if is_gone and not former and not is_last and self.draw.happens(f"{name} {handle} out", 0.5):
                self._replace(deployment, handle, "")
                stage = self.draw.pick(f"{name} which", ("load", "extract"))
        return stage

    def _old_account(self, handle: str, id_: str) -> Account | None:
        named = (a for a in self.world.accounts.values() if handle.lower() in a.handles and a.id != id_)
        return next(named, None)

    def _replace(self, deployment: Deployment, handle: str, other: str) -> None:
        handles = [other if name.lower() == handle.lower() else name for name in deployment.handles]
        deployment.set_handles([*dict.fromkeys(name for name in handles if name)])

    def take_out(self, deployment: Deployment, handle: str) -> None:
        """Take an account out of the list; another one takes the place of the last."""
        if [name.lower() for name in deployment.handles] == [handle.lower()]:
            other = self.world.add(f"in_{len(self.world.accounts)}", 3, datetime.min.replace(tzinfo=UTC))
            deployment.set_handles([*deployment.handles, other.handle])
        self._replace(deployment, handle, "")

    def _events(self) -> list[Callable[[], None]]:
        """What happens outside the schedule, each a task that waits for its time."""
        events: list[Callable[[], None]] = []
        most = self.draw.pick("busy", (0, 1, 2, 4))
        for day in range(self.days):
            for place in range(self.draw.below(f"events of {day}", most + 1)):
                name = f"event {day}.{place}"
                at = self.first + timedelta(days=1 + day, seconds=self.draw.below(f"{name} at", 86_400))
                if self.draw.happens(f"{name} early", 0.3):  # while the day before is collected
                    at = at.replace(hour=1, minute=30, second=self.draw.below(f"{name} second", 40))
                kind = self.draw.pick(f"{name} kind", EVENTS)
                events.append(partial(self._event, at, kind, name))
        erasures = self.draw.pick("erasures", (0.0, 0.1, 0.4))
        for day in range(self.days):
            if self.draw.happens(name := f"erasure {day}", erasures):
                at = self.first + timedelta(days=1 + day, seconds=self.draw.below(f"{name} at", 86_400))
                if self.draw.happens(f"{name} early", 0.3):
                    at = at.replace(hour=1, minute=30, second=self.draw.below(f"{name} second", 40))
                events.append(partial(self._event, at, self.draw.pick(f"{name} kind", ERASURES), name))
        return events

    def _event(self, at: datetime, kind: str, name: str) -> None:
        self._sleep_until(at)
        if self.faults.take(f"event.{kind}", name):
            EVENTS[kind](self, name)

    def deployment(self, name: str) -> Deployment:
        return self.draw.pick(f"{name} deployment", self.deployments)

    def account(self, name: str) -> Account:
        return self.draw.pick(f"{name} account", [*self.world.accounts.values()])

    def past_run(self, name: str) -> Run | None:
        runs = [run for run in self.deployment(name).runs if not run.is_write_conflict and not run.is_dropped]
        return self.draw.pick(f"{name} run", runs) if runs else None

    def past_day(self, name: str) -> str:
        """A day that has settled, mostly one of those that were collected."""
        back = 2 + self.draw.below(f"{name} back", 12)
        return f"{self.clock() - timedelta(days=back):%Y-%m-%d}"


def _short(name: str) -> str:
    """The number of an event as part of a handle."""
    return name.removeprefix("event ").replace(".", "_")


def _clear(simulation: Simulation, name: str) -> None:
    if run := simulation.past_run(name):
        stage = simulation.draw.pick(f"{name} stage", run.stages)
        simulation.clear(run, stage, downstream=simulation.draw.happens(f"{name} below", 0.6))


def _trigger(simulation: Simulation, name: str) -> None:
    day = simulation.past_day(name)
    simulation.start(simulation.deployment(name), f"manual__{day}__{name[6:]}", day)


def _trigger_again(simulation: Simulation, name: str) -> None:
    day = simulation.past_day(name)
    simulation.start(simulation.deployment(name), f"again__{day}__{name[6:]}", day, buy_again=True)


def _trigger_one(simulation: Simulation, name: str) -> None:
    day, deployment = simulation.past_day(name), simulation.deployment(name)
    only = simulation.draw.pick(f"{name} only", deployment.handles)
    simulation.start(deployment, f"one__{day}__{name[6:]}", day, accounts=only)


def _both(simulation: Simulation, name: str) -> None:
    """Two runs of one day at once."""
    day = simulation.past_day(name)
    for place in range(2 + simulation.draw.below(f"{name} runs", 2)):
        deployment = simulation.deployments[place % len(simulation.deployments)]
        simulation.start(deployment, f"race{place}__{day}__{name[6:]}", day)


def _backfill(simulation: Simulation, name: str) -> None:
    first = 9 + simulation.draw.below(f"{name} first", 20)
    for place in range(1 + simulation.draw.below(f"{name} days", 3)):
        day = f"{simulation.clock() - timedelta(days=first - place):%Y-%m-%d}"
        simulation.start(simulation.deployment(name), f"backfill__{day}__{name[6:]}", day)


def _plan(simulation: Simulation, name: str) -> None:
    last = 3 + simulation.draw.below(f"{name} last", 20)
    first = last + simulation.draw.below(f"{name} days", 4)
    days = [f"{simulation.clock() - timedelta(days=back):%Y-%m-%d}" for back in (first, last)]
    simulation.start(simulation.deployment(name), f"plan__{name[6:]}", f"plan {days[1]}", first=days[0])


def _variable(variable: str, values: tuple[str, ...]) -> Callable[[Simulation, str], None]:
    def change(simulation: Simulation, name: str) -> None:
        simulation.deployment(name).variables[variable] = simulation.draw.pick(f"{name} value", values)

    return change


def _new_account(simulation: Simulation, name: str) -> None:
    a_day = simulation.draw.pick(f"{name} a day", (1, 3, 9))
    always = datetime.min.replace(tzinfo=UTC)
    account = simulation.world.add(f"new_{_short(name)}", a_day, always)
    for deployment in simulation.deployments:
        deployment.set_handles([*deployment.handles, account.handle])


def _leaves(simulation: Simulation, name: str) -> None:
    deployment = simulation.deployment(name)
    if len(deployment.handles) > 1:
        leaving = simulation.draw.pick(f"{name} leaving", deployment.handles)
        simulation._replace(deployment, leaving, "")
        if simulation.draw.happens(f"{name} accept", 0.4):
            day = simulation.past_day(name)
            deployment.add("twitter_allow_row_loss", day)
            simulation.let_go.add(day)


def _renamed(simulation: Simulation, name: str) -> None:
    """An account takes another handle; who collects it may know at once, and may name both."""
    account = simulation.account(name)
    old, new = account.handle, f"re_{_short(name)}"
    simulation.world.rename(account, new)
    if simulation.draw.happens(f"{name} known", 0.5):
        for deployment in simulation.deployments:
            if simulation.draw.happens(f"{name} both", 0.2):
                deployment.set_handles([*deployment.handles, new])
            else:
                simulation._replace(deployment, old, new)


def _recycled(simulation: Simulation, name: str) -> None:
    """An account takes another handle, and somebody else takes the old one."""
    account = simulation.account(name)
    old = account.handle
    simulation.world.rename(account, f"was_{_short(name)}")
    a_day = simulation.draw.pick(f"{name} a day", (1, 3, 9))
    simulation.world.add(old, a_day, datetime.min.replace(tzinfo=UTC))


def _state(state: str) -> Callable[[Simulation, str], None]:
    def change(simulation: Simulation, name: str) -> None:
        account = simulation.account(name)
        account.set_state(simulation.clock(), state)
        simulation.scheduler.sleep(60 * 10 ** (3.5 * simulation.draw.number(f"{name} for")))
        account.set_state(simulation.clock(), "active")

    return change


def _outage(simulation: Simulation, name: str) -> None:
    hours = 12 * simulation.draw.number(f"{name} hours") ** 2
    at = simulation.clock()
    simulation.world.outages.append((at, at + timedelta(hours=hours)))


def _check(simulation: Simulation, name: str) -> None:
    day = f"{simulation.clock():%Y-%m-%d}"
    simulation.start(simulation.deployment(name), f"check__{name[6:]}", f"compliance {day}")


def _erase_posts(simulation: Simulation, name: str) -> None:
    """An author, or a policy, wants some posts erased: mostly those that have landed."""
    now = simulation.clock()
    posts = [post for post in simulation.world.by_id.values() if post.created < now]
    number = 1 + simulation.draw.below(f"{name} posts", 3)
    named = {str(simulation.draw.pick(f"{name} {place}", posts).id) for place in range(number) if posts}
    simulation.owner.erase(name, posts=named)


def _erase_account(simulation: Simulation, name: str) -> None:
    simulation.owner.erase(name, account=simulation.account(name).id)


def _erase_gone(simulation: Simulation, name: str) -> None:
    simulation.owner.erase(name, is_gone=True)


ERASURES = ("erase_posts", "erase_posts", "erase_account", "erase_gone")
EVENTS: dict[str, Callable[[Simulation, str], None]] = {
    "clear": _clear,
    "clear_again": _clear,
    "clear_once_more": _clear,
    "trigger": _trigger,
    "buy_again": _trigger_again,
    "one_account": _trigger_one,
    "race": _both,
    "race_again": _both,
    "backfill": _backfill,
    "plan": _plan,
    "limit": _variable("twitter_tweet_limit", ("0", "1", "2", "5", "100")),
    "threads": _variable("twitter_include_threads", ("false", "true")),
    "run_budget": _variable("twitter_run_budget_usd", ("0", "0.1", "1", "5")),
    "month_budget": _variable("twitter_month_budget_usd", ("0", "0.5", "3", "100")),
    "ages": _variable("twitter_engagement_days", ("1", "1, 2", "3", "")),
    "settle": _variable("twitter_settle_minutes", ("60", "90", "200")),
    "new_account": _new_account,
    "leaves": _leaves,
    "renamed": _renamed,
    "recycled": _recycled,
    "suspended": _state("suspended"),
    "protected": _state("protected"),
    "unknown": _state("unknown"),
    "outage": _outage,
    "check": _check,
    "erase_posts": _erase_posts,
    "erase_account": _erase_account,
    "erase_gone": _erase_gone,
}
