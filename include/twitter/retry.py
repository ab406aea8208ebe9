"""When Airflow tries a failed stage again: as the failure itself says; and the last word of its log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryAction, RetryDecision
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
            if wait <= timedelta(0):
                return RetryDecision.retry(backoff(used), type(exception).__doc__)
            wait = min(wait, LONGEST_DELAY)
            return RetryDecision.retry(wait, f"It is tried again at {now() + wait:%H:%M:%S} UTC")
        if used >= TRIES_FOR_SURPRISES:
            return RetryDecision.fail(f"{TRIES_FOR_SURPRISES} tries failed alike")
        return RetryDecision.default()


def last_word(context: Mapping[str, Any]) -> None:
    """Say below Airflow's traceback what happened and what comes next: a log opens at its end."""
    error, ti, task = context["exception"], context["ti"], context["task"]
    said = f"{type(error).__name__}: {str(error).rstrip('. ')}."
    log.info("::endgroup::")  # Airflow calls in a folded group, Post Execute
    decision = AsTheErrorSays().evaluate(error, ti.try_number, ti.max_tries, context)
    if decision.action is RetryAction.FAIL or ti.try_number > ti.max_tries:
        log.error("%s It is not tried again by itself.", said)
        return
    at = now() + (decision.retry_delay or task.retry_delay)
    log.error("%s It is tried again at %s UTC, try %d.", said, f"{at:%H:%M:%S}", ti.try_number + 1)


def tell(context: Mapping[str, Any]) -> None:
    """Alert those who are to be told; what it takes for that is loaded when a task has failed."""
    from include.twitter import alert

    alert.tell(context)


EVERY_TASK = {
    "retries": RETRIES,
    "retry_delay": FIRST_DELAY,  # a worker that was lost never asks the policy
    "retry_policy": AsTheErrorSays(),
    "on_retry_callback": last_word,
    "on_failure_callback": [last_word, tell],
}
"""What all DAGs give their tasks: `default_args`."""


@contextmanager
def no_try_for_progress(has_progress: Callable[[], bool], clock: Callable[[], datetime]) -> Iterator[None]:
    """Let a try that got further and has to wait, or that finds another at work, come back uncounted.

    With one request a rate window, a day of many accounts has more windows than Airflow has tries; and who
    buys the day beside it takes as long as it takes, or is found to be gone at the end of a turn.
    """
    try:
        yield
    except TryLater as error:
        is_anothers_turn = isinstance(error, Busy) and error.at is not None
        if isinstance(error, InDoubt) or not (is_anothers_turn or has_progress()):
            raise
        wait = min(max((error.at or clock()) - clock(), FIRST_DELAY), LONGEST_DELAY)
        why = "It is looked at again" if is_anothers_turn else "Something was bought: it goes on"
        log.warning("%s %s at %s UTC", error, why, f"{clock() + wait:%H:%M:%S}")
        raise AirflowRescheduleException(clock() + wait) from error


def _is_airflows_outage(exception: BaseException) -> bool:
    kinds = (ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR)
    return isinstance(exception, AirflowRuntimeError) and exception.error.error in kinds


def backoff(used: int) -> timedelta:
    """The wait after the `used`th try: doubling, capped."""
    return min(FIRST_DELAY * 2 ** min(used - 1, 10), LONGEST_DELAY)
