"""`PaidRequests.ask`, the only function that can cost money: reserves, sends, validates, stores and settles.

Purchases, plans and snapshots send all their requests through it. What differs is where their responses are
stored, and when a request may no longer be sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from include.twitter.errors import PipelineError
from include.twitter.extract.budget import Budget
from include.twitter.object_store import ObjectStore, response_in
from include.twitter.response import Response

REFUSED_PREFIX = "refused-"
"""Prefix of the names of responses that were paid for and cannot be used."""


class Responses(Protocol):
    """Where the responses to a set of requests are stored."""

    def find(self, name: str) -> tuple[str, Response] | None:
        """The stored response to the request of this name, with its key.

        A purchase always returns None: its names are folders, whose pages its reader reads first.
        """

    def store(self, name: str, response: Response) -> str:
        """Write a response, on condition that nobody else has; returns its key."""


@dataclass
class PaidRequests:
    """Sends the requests that cost money."""

    budget: Budget
    responses: Responses
    before_sending: Callable[[], object] = lambda: None
    """Raises if nothing may be sent any more: the lease was lost, or another reader failed."""

    def ask(
        self,
        name: str,
        kind: str,
        units: int,
        smallest: int,
        send: Callable[[int], Response],
        problem: Callable[[Response], PipelineError | None] = lambda _: None,
    ) -> tuple[str, Response]:
        """Return the stored response with its key, or request `units` from X and store the response.

        `kind` is a price kind, such as `posts`. If the budget does not cover `units`, fewer are requested,
        down to `smallest`; `send` receives the number. What X bills is booked even if it cannot be stored.

        `problem` judges the response. It raises if the response must not be stored, such as an outage: the
        next attempt requests it again. It returns an error if the response cannot be used but has to be
        stored, as `refused-<name>`; the error is raised afterwards. Only a purchase may return one: it
        numbers its pages, while `NamedResponses` writes each name once.
        """
        if stored := self.responses.find(name):
            return stored
        with self.budget.reserve(kind, units, smallest) as reservation:
            self.before_sending()
            response = reservation.settle(send(reservation.size))
            error = problem(response)
            key = self.responses.store(f"{REFUSED_PREFIX}{name}" if error else name, response)
        if error:
            raise error
        return key, response


@dataclass
class NamedResponses:
    """Responses below a prefix, each by the name of its request: `<prefix><name>.json.gz`."""

    object_store: ObjectStore
    prefix: str
    made_progress: bool = False
    """Whether a response was stored."""

    def find(self, name: str) -> tuple[str, Response] | None:
        key = self._key(name)
        data = self.object_store.read(key)
        return None if data is None else (key, response_in(data, self.object_store.url(key)))

    def store(self, name: str, response: Response) -> str:
        self.object_store.put_if_match(key := self._key(name), response.to_bytes(), None)
        self.made_progress = True
        return key

    def _key(self, name: str) -> str:
        return f"{self.prefix}{name}.json.gz"
