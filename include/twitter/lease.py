"""A lease: an object in the lake that names the one process that may do some work now, and until when.

It is written on the condition that nobody else has written it meanwhile. Nobody takes it over before it has
expired, so a holder makes sure of it before each write; the lease of a killed holder expires. A holder that
pauses past the end of its lease can still send the one write that it was about to send: what must not be
overwritten has to be written with a condition of its own, and checked afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec

from include.twitter.airflow_context import Run
from include.twitter.errors import Busy, PipelineError
from include.twitter.lake import Lake

LIFETIME = timedelta(minutes=1)
RENEWED_BELOW = LIFETIME * 2 / 3
"""What is left of a lease when its holder renews it."""
MARGIN = LIFETIME / 3
"""What has to be left of a lease when a write is sent: time for the write, and for clocks that differ."""


class Holder(msgspec.Struct, frozen=True):
    """What the object holds."""

    owner: str
    """A hash of its run's id."""
    token: str
    """Random: it tells two processes apart."""
    expires_at: datetime | None
    """Null once it was released."""


class Lease:
    """A lease that this process holds; `held` makes it."""

    def __init__(self, lake: Lake, key: str, run: Run) -> None:
        self._lake, self._key, self._run = lake, key, run
        self._token = uuid4().hex
        self._tag: str | None = None
        self._expires_at = run.now()

    def acquire(self) -> None:
        """Take it where nobody holds it; else Busy, with the time at which it expires."""
        found = self._lake.look(self._key)
        expires_at = self._lake.decoded(self._key, found.data, Holder).expires_at if found else None
        if expires_at and self._run.now() < expires_at:
            raise Busy(
                f"Another run works on the same thing at this moment ({self._lake.url(self._key)}). "
                f"If it was killed, that shows at {expires_at:%H:%M:%S} UTC.",
                at=expires_at,
            )
        self._tag = found.tag if found else None
        self._extend()

    def require(self) -> None:
        """Make sure, before a write, that the lease is held long enough; Busy where it was taken over."""
        if self._left < RENEWED_BELOW:
            self._extend()
        if self._left < MARGIN:
            raise Busy(f"{self._lake.url(self._key)} took too long to be renewed: nothing more is written.")

    def release(self) -> None:
        """Let others have it at once; one that was lost is another's already."""
        self._write(None)

    @property
    def _left(self) -> timedelta:
        return self._expires_at - self._run.now()

    def _extend(self) -> None:
        expires_at = self._run.now() + LIFETIME
        try:
            self._write(expires_at)
        except Busy as error:
            raise Busy(
                f"Another run has taken over {self._lake.url(self._key)}: nothing more is written.",
                at=expires_at,
            ) from error
        self._expires_at = expires_at

    def _write(self, expires_at: datetime | None) -> None:
        holder = Holder(self._run.id, self._token, expires_at)
        self._tag = self._lake.swap(self._key, msgspec.json.encode(holder), self._tag)


@contextmanager
def held(lake: Lake, key: str, run: Run) -> Iterator[Lease]:
    """Hold the lease that is kept at this key; Busy where another process does."""
    lease = Lease(lake, key, run)
    lease.acquire()
    try:
        yield lease
    finally:
        with suppress(PipelineError):  # one that cannot be released expires
            lease.release()
