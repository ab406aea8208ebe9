"""Cooperative tasks on a virtual clock: the order of everything follows from the latencies that a seed draws.

A task is a greenlet of one simulated process. It runs until it waits. The scheduler then resumes the task
whose wait ends next. `Lock`, `Event`, `Condition`, `ThreadPoolExecutor` and `wait` have the interfaces of the
standard library, as far as the pipeline uses them.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """The process of this task was killed: nothing of it may have an effect any more."""


class Stuck(Exception):
    """No task can go on, or more steps were taken than any sound run needs."""


@dataclass
class Process:
    """One operating system process: all of its tasks die with it."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    """The Variables of the Airflow that started it, as they were at its start."""
    day: str = ""
    stage: str = ""
    is_alive: bool = True
    paused_until: float = 0
    """A paused process runs none of its tasks until then."""
    operations: int = 0
    """Requests to S3 and X so far: faults are drawn by their number."""
    requests: int = 0
    """Requests to X alone."""
    only_writes: bool = False
    """Only its writes are open to faults and kills: of ten thousand reads one would always fail."""
    strikes: int = 0
    """Requests so far that are open to faults and kills."""
    kill_at: int = 0
    """The one of these at which it is killed; 0 is none."""
    kill_after: bool = False
    faults: bool = True
    store: Any = None
    x: Any = None
    tasks: list[Task] = field(default_factory=list)


class Task:
    """A greenlet with a place in the queue."""

    def __init__(self, scheduler: Scheduler, process: Process, work: Callable[[], Any]) -> None:
        self.scheduler, self.process, self._work = scheduler, process, work
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.wait_number = 0
        """Counts its waits: an entry of the queue that belongs to an earlier wait is void."""
        self.timed_out = False
        self.locals: dict[int, dict[str, Any]] = {}
        self._waiters: list[Task] = []
        self.greenlet = greenlet(self._run, scheduler.hub)

    def _run(self) -> None:
        try:
            if self.process.is_alive:
                self.result = self._work()
            else:
                self.error = Killed()
        except BaseException as error:  # whoever joins the task gets it
            self.error = error
        self.is_done = True
        for waiter in self._waiters:
            self.scheduler.wake(waiter)

    def join(self) -> None:
        """Wait for its end."""
        if not self.is_done:
            self._waiters.append(current())
            while not self.is_done:
                self.scheduler.park()


class Scheduler:
    """The queue and the clock. `now` is in seconds since 1970."""

    active: Scheduler

    def __init__(self, start: datetime, most_steps: int) -> None:
        self.now = start.timestamp()
        self.steps = 0
        self._most_steps = most_steps
        self._queue: list[tuple[float, int, int, Task]] = []
        self._number = 0
        self.hub = getcurrent()
        self.task: Task | None = None
        Scheduler.active = self

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def spawn(self, work: Callable[[], Any], process: Process) -> Task:
        task = Task(self, process, work)
        process.tasks.append(task)
        self._push(self.now, task)
        return task

    def _push(self, at: float, task: Task) -> None:
        self._number += 1
        heapq.heappush(self._queue, (at, self._number, task.wait_number, task))

    def wake(self, task: Task) -> None:
        """End the wait of a task."""
        task.wait_number += 1
        task.timed_out = False
        self._push(self.now, task)

    def sleep(self, seconds: float) -> None:
        self.park(max(seconds, 0))

    def park(self, timeout: float | None = None) -> bool:
        """Wait until woken, or until the timeout: then the result is False."""
        task = current()
        if not task.process.is_alive:
            raise Killed
        task.wait_number += 1
        task.timed_out = True
        if timeout is not None:
            self._push(self.now + timeout, task)
        self.hub.switch()
        if not task.process.is_alive:
            raise Killed
        return not task.timed_out

    def kill(self, process: Process) -> None:
        """End a process: each of its tasks unwinds without any effect."""
        process.is_alive = False
        process.paused_until = 0
        for task in process.tasks:
            if not task.is_done and task is not self.task:
                self.wake(task)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Run tasks until none is left, or `until` holds."""
        while self._queue and not until():
            at, _, wait_number, task = heapq.heappop(self._queue)
            if wait_number != task.wait_number or task.is_done:
                continue
            if task.process.paused_until > at:
                self._number += 1
                heapq.heappush(self._queue, (task.process.paused_until, self._number, wait_number, task))
                continue
            self.now = max(self.now, at)
            self.steps += 1
            if self.steps > self._most_steps:
                raise Stuck(f"{self.steps} steps were taken")
            self.task = task
            _exchange(task.locals)
            task.greenlet.switch()
            _exchange(task.locals)
            self.task = None


LOCALS: list[threading.local] = []
"""Objects that are one a thread: here they are one a task."""


def _exchange(saved: dict[int, dict[str, Any]]) -> None:
    """Swap what the thread-local objects hold with what was kept."""
    for number, local in enumerate(LOCALS):
        held = local.__dict__
        before = dict(held)
        held.clear()
        held.update(saved.get(number, {}))
        saved[number] = before


def current() -> Task:
    task = Scheduler.active.task
    if task is None:
        raise Stuck("something waits outside of a task")
    return task


class Lock:
    """`threading.Lock` and, by the same task, `threading.RLock`."""

    is_recursive = False

    def __init__(self) -> None:
        self._owner: Task | None = None
        self._depth = 0
        self._waiters: deque[Task] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = Scheduler.active.task
        while self._owner is not None and not (self.is_recursive and self._owner is task):
            if not blocking:
                return False
            self._waiters.append(current())
            if not Scheduler.active.park(None if timeout < 0 else timeout):
                return False
        self._owner = task
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth <= 0:
            self._owner, self._depth = None, 0
            if self._waiters:
                Scheduler.active.wake(self._waiters.popleft())

    def locked(self) -> bool:
        return self._owner is not None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    is_recursive = True


class Condition:
    """`threading.Condition` over an `RLock`."""

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = lock or RLock()
        self._waiters: list[Task] = []

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        task = current()
        self._waiters.append(task)
        depth, self._lock._depth = self._lock._depth, 1
        self._lock.release()
        try:
            return Scheduler.active.park(timeout)
        finally:
            if task in self._waiters:
                self._waiters.remove(task)
            if task.process.is_alive:
                self._lock.acquire()
            self._lock._depth = depth

    def notify(self, n: int = 1) -> None:
        woken, self._waiters = self._waiters[:n], self._waiters[n:]
        for task in woken:
            Scheduler.active.wake(task)

    def notify_all(self) -> None:
        self.notify(len(self._waiters))


class Event:
    def __init__(self) -> None:
        self._is_set = False
        self._waiters: list[Task] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        woken, self._waiters = self._waiters, []
        for task in woken:
            Scheduler.active.wake(task)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            task = current()
            self._waiters.append(task)
            Scheduler.active.park(timeout)
            if task in self._waiters:
                self._waiters.remove(task)
        return self._is_set


class Future:
    def __init__(self) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._is_done = self._is_cancelled = False
        self._waiters: list[Task] = []

    def done(self) -> bool:
        return self._is_done

    def cancelled(self) -> bool:
        return self._is_cancelled

    def running(self) -> bool:
        return not self._is_done

    def cancel(self) -> bool:
        if self._is_done:
            return False
        self._is_cancelled = True
        self.finish()
        return True

    def finish(self, value: Any = None, error: BaseException | None = None) -> None:
        self._value, self._error, self._is_done = value, error, True
        woken, self._waiters = self._waiters, []
        for task in woken:
            Scheduler.active.wake(task)

    def add_waiter(self) -> None:
        if (task := current()) not in self._waiters:
            self._waiters.append(task)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        while not self._is_done:
            self.add_waiter()
            Scheduler.active.park(timeout)
        return self._error

    def result(self, timeout: float | None = None) -> Any:
        if error := self.exception(timeout):
            raise error
        return self._value


class ThreadPoolExecutor:
    """At most `max_workers` jobs at once, each a task of the process that submits them."""

    def __init__(self, max_workers: int | None = None, *_: object, **__: object) -> None:
        self._free = max_workers or 8
        self._waiting: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._running: dict[Task, None] = {}

    def submit(self, work: Callable[..., Any], *args: Any, **options: Any) -> Future:
        future = Future()
        self._waiting.append((future, lambda: work(*args, **options)))
        self._start()
        return future

    def map(self, work: Callable[..., Any], *items: Iterable[Any]) -> Iterator[Any]:
        futures = [self.submit(work, *each) for each in zip(*items, strict=False)]
        return (future.result() for future in futures)

    def _start(self) -> None:
        while self._free and self._waiting:
            future, work = self._waiting.popleft()
            if future.done():
                continue
            self._free -= 1
            task = Scheduler.active.spawn(partial(self._do, future, work), current().process)
            self._running[task] = None

    def _do(self, future: Future, work: Callable[[], Any]) -> None:
        try:
            future.finish(work())
        except Killed:
            raise
        except BaseException as error:  # the caller gets it by `result`
            future.finish(error=error)
        finally:
            self._free += 1
            self._running.pop(current(), None)
            if current().process.is_alive:
                self._start()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for future, _ in self._waiting:
                future.cancel()
            self._waiting.clear()
        while wait and (self._running or self._waiting) and current().process.is_alive:
            for task in [*self._running]:
                task.join()

    def __enter__(self) -> ThreadPoolExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def wait(futures: Iterable[Future], timeout: float | None = None, return_when: str = "ALL_COMPLETED") -> None:
    """`concurrent.futures.wait`; the pipeline does not use its result."""
    pending = [*futures]
    while not all(future.done() for future in pending):
        failed = any(f.done() and not f.cancelled() and f._error for f in pending)
        if failed and return_when == "FIRST_EXCEPTION":
            return
        for future in pending:
            if not future.done():
                future.add_waiter()
        Scheduler.active.park(timeout)
