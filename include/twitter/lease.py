"""A lease: the right of one process to do some work until it expires.

It is stored in the bucket, by conditional writes. No process takes it over before it has expired; the lease
of a killed owner expires. A lease alone does not protect data: an owner that pauses past its end can still
send one write. So every write that must not overwrite another one is conditional too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, RLock
from uuid import uuid4

from include.twitter.airflow_context import Run
from include.twitter.errors import LeaseExpired, LeaseHeld, PipelineError, WriteConflict
from include.twitter.object_store import ObjectStore
from include.twitter.records import LeaseHolder, encoded

LIFETIME = timedelta(minutes=1)
RENEWED_BELOW = LIFETIME * 2 / 3
"""Remaining time below which the owner renews its lease."""
MARGIN = LIFETIME / 3
"""Remaining time that a write requires: for the write itself, and for clocks that differ."""


class Lease:
    """The lease of this process for some work.

    `work` begins its messages: `2026-11-18 is being bought`. `write` stores the holder; it raises
    WriteConflict if another process has written it since.
    """

    def __init__(self, run: Run, work: str, write: Callable[[LeaseHolder], None]) -> None:
        self._run, self._work, self._write = run, work, write
        self.token = uuid4().hex
        self._expires_at: datetime | None = None
        """None while it is not held."""
        self._lock = RLock()
        self._ended = Event()

    def acquire(self, holder: LeaseHolder | None) -> None:
        """Acquire the lease; LeaseHeld if its last holder still holds it."""
        if holder and holder.expires_at and self._run.now() < holder.expires_at:
            raise LeaseHeld(
                f"{self._work} by another process. If that process was killed, its lease ends at "
                f"{holder.expires_at:%H:%M:%S} UTC.",
                retry_at=holder.expires_at,
            )
        self._extend()

    def renew(self) -> None:
        """Renew it once a third of its lifetime is over; LeaseHeld if it was lost."""
        with self._lock:
            if not self._ended.is_set() and self._remaining < RENEWED_BELOW:
                self._extend()

    def require(self) -> None:
        """Renew it for a write that follows; LeaseHeld or LeaseExpired if it is not held long enough."""
        self.renew()
        if self._remaining < MARGIN:
            raise LeaseExpired(
                f"{self._work}, but the lease was not renewed in time: nothing more is written."
            )

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Renew it in the background until the context ends."""

        def beat() -> None:
            while not self._ended.wait(LIFETIME.total_seconds() / 6):
                self.renew()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(beat)
            try:
                yield
            finally:
                self.end()

    def end(self) -> None:
        """Stop renewing it."""
        with self._lock:
            self._ended.set()

    def release(self) -> None:
        """Let other processes acquire it at once; nothing if another process has taken it over."""
        with self._lock:
            self.end()
            if self._expires_at:
                self._write(LeaseHolder(self._run.id, self.token, None))

    @property
    def _remaining(self) -> timedelta:
        return self._expires_at - self._run.now() if self._expires_at else timedelta(0)

    def _extend(self) -> None:
        expires_at = self._run.now() + LIFETIME
        try:
            self._write(LeaseHolder(self._run.id, self.token, expires_at))
        except WriteConflict as error:
            self._expires_at = None
            raise LeaseHeld(
                f"{self._work} by another process, which took the lease.", retry_at=expires_at
            ) from error
        self._expires_at = expires_at


@contextmanager
def held(store: ObjectStore, key: str, run: Run) -> Iterator[Lease]:
    """Hold the lease that is stored at this key; LeaseHeld while another process does."""
    stored = store.get(key)
    etag = stored.etag if stored else None

    def write(holder: LeaseHolder) -> None:
        nonlocal etag
        etag = store.put_if_match(key, encoded(holder), etag)

    lease = Lease(run, f"{store.url(key)} is held", write)
    lease.acquire(store.decoded(key, stored.data, LeaseHolder) if stored else None)
    try:
        yield lease
    finally:
        with suppress(PipelineError):  # a lease that cannot be released expires
            lease.release()
