"""A lease: the right of one process to do some work until it expires.

It is kept in the bucket, and written on condition that nobody else has written it meanwhile. Nobody takes it
over before it has expired; the lease of a killed owner expires. An owner that pauses past the end of its
lease can still send the one write that it was about to send: what must not be overwritten is written with a
condition of its own.
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
"""What is left of a lease when its owner renews it."""
MARGIN = LIFETIME / 3
"""What has to be left of a lease when a write is sent: time for the write, and for clocks that differ."""


class Lease:
    """The lease of this process for some work, as `2026-11-18 is being bought`.

    `write` keeps who holds it; it raises WriteConflict if another process has written it since.
    """

    def __init__(self, run: Run, work: str, write: Callable[[LeaseHolder], None]) -> None:
        self._run, self._work, self._write = run, work, write
        self.token = uuid4().hex
        self._expires_at: datetime | None = None
        """None while it is not held."""
        self._lock = RLock()
        self._ended = Event()

    def acquire(self, holder: LeaseHolder | None) -> None:
        """Take it over from the last holder; LeaseHeld while that holds it."""
        if holder and holder.expires_at and self._run.now() < holder.expires_at:
            raise LeaseHeld(
                f"{self._work} by another process. If that was killed, that shows at "
                f"{holder.expires_at:%H:%M:%S} UTC.",
                retry_at=holder.expires_at,
            )
        self._extend()

    def renew(self) -> None:
        """Renew it once a third of its lifetime is over; LeaseHeld if it was lost."""
        with self._lock:
            if not self._ended.is_set() and self._left < RENEWED_BELOW:
                self._extend()

    def require(self) -> None:
        """Make sure, before a write, that it is held long enough; LeaseHeld or LeaseExpired if not."""
        self.renew()
        if self._left < MARGIN:
            raise LeaseExpired(
                f"{self._work}, but the lease took too long to be renewed: nothing more is written."
            )

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Renew it meanwhile also while this process waits."""

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
        """Renew it no more."""
        with self._lock:
            self._ended.set()

    def release(self) -> None:
        """Let others have it at once; one that was lost is another's already."""
        with self._lock:
            self.end()
            if self._expires_at:
                self._write(LeaseHolder(self._run.id, self.token, None))

    @property
    def _left(self) -> timedelta:
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
    """Hold the lease that is kept at this key; LeaseHeld while another process does."""
    found = store.get(key)
    etag = found.etag if found else None

    def write(holder: LeaseHolder) -> None:
        nonlocal etag
        etag = store.put_if_match(key, encoded(holder), etag)

    lease = Lease(run, f"{store.url(key)} is held", write)
    lease.acquire(store.decoded(key, found.data, LeaseHolder) if found else None)
    try:
        yield lease
    finally:
        with suppress(PipelineError):  # one that cannot be released expires
            lease.release()
