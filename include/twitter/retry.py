"""When Airflow tries a failed stage again: as the failure itself says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowRuntimeError, ErrorType

from include.twitter.errors import Busy, InDoubt, Refused, TryLater
from include.twitter.run import now

log = logging.getLogger(__name__)

FIRST_DELAY = timedelta(seconds=15)
LONGEST_DELAY = timedelta(minutes=30)
RETRIES = 24
"""15, 30, 60 seconds, and so on up to every half hour: nine hours. X's longest outage seen lasted eight."""

TRIES_FOR_SURPRISES = 3
"""Tries for a failure that the pipeline does not understand."""
TRIES_IN_DOUBT = 5
"""Tries, four minutes, before keys or credentials are blamed for what may be an outage."""


class AsTheErrorSays(RetryPolicy):
    """A refusal fails at once; a rate window waits for its reset; an outage and another writer back off."""

    def evaluate(self, exception, try_number, max_tries, context=None) -> RetryDecision:
        if isinstance(exception, Refused):
            return RetryDecision.fail(type(exception).__doc__)
        # Tries count on over clears; what matters is how many this clear has used.
        used = try_number - max(max_tries - context["task"].retries, 0) if context else try_number
        if isinstance(exception, InDoubt) and used >= TRIES_IN_DOUBT:
            return RetryDecision.fail(type(exception).__doc__)
        if _is_airflows_outage(exception):
            return RetryDecision.retry(backoff(used), "Airflow's API server is away")
        if isinstance(exception, TryLater):
            wait = exception.at - now() if exception.at else timedelta(0)
            if isinstance(exception, Busy):  # who buys for hours puts its time off again and again
                wait = max(wait, backoff(used))
            if wait <= timedelta(0):
                return RetryDecision.retry(backoff(used), type(exception).__doc__)
            reason = f"It is tried again at {now() + wait:%H:%M:%S} UTC"
            return RetryDecision.retry(min(wait, LONGEST_DELAY), reason)
        if used >= TRIES_FOR_SURPRISES:
            return RetryDecision.fail(f"{TRIES_FOR_SURPRISES} tries failed alike")
        return RetryDecision.default()


@contextmanager
def no_try_for_progress(has_progress: Callable[[], bool], clock: Callable[[], datetime]) -> Iterator[None]:
    """Let a try that got further and has to wait come back without having counted as one.

    With one request a rate window, a day of many accounts has more windows than Airflow has tries.
    """
    try:
        yield
    except TryLater as error:
        if isinstance(error, InDoubt) or not has_progress():
            raise
        wait = min(max((error.at or clock()) - clock(), FIRST_DELAY), LONGEST_DELAY)
        log.warning("%s Something was bought: it goes on at %s UTC", error, f"{clock() + wait:%H:%M:%S}")
        raise AirflowRescheduleException(clock() + wait) from error


def _is_airflows_outage(exception: BaseException) -> bool:
    kinds = (ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR)
    return isinstance(exception, AirflowRuntimeError) and exception.error.error in kinds


def backoff(used: int) -> timedelta:
    """The wait after the `used`th try: doubling, capped."""
    return min(FIRST_DELAY * 2 ** min(used - 1, 10), LONGEST_DELAY)
