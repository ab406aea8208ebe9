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

from include.twitter.airflow_context import now
from include.twitter.errors import Busy, InDoubt, Refused, TryLater
from include.twitter.safe_text import LONGEST_MESSAGE, safe_text

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
        task = (context or {}).get("task")
        used = try_number - max(max_tries - task.retries, 0) if task else try_number
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
    """Say below Airflow's traceback what happened and what comes next: a log opens at its end.

    Where a worker was lost, Airflow calls this in the DAG processor, with a context without `exception`.
    """
    error = context.get("exception")
    log.info("::endgroup::")  # Airflow calls in a folded group, Post Execute
    log.error("%s %s", what_happened(error), _what_comes_next(error, context))


def what_happened(error: BaseException | str | None) -> str:
    """An error in one line; Airflow gives none, or a text, where the task did not raise it."""
    if not error:
        return "The worker was lost: it was killed, or sent no heartbeat. Airflow has no error of this try."
    text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else error
    return f"{safe_text(text, LONGEST_MESSAGE).rstrip('. ')}."


def _what_comes_next(error: BaseException | str | None, context: Mapping[str, Any]) -> str:
    ti, task = context.get("ti"), context.get("task")
    tries, most = getattr(ti, "try_number", None), getattr(ti, "max_tries", None)
    if tries is None or most is None or task is None:
        return "The task's page in Airflow shows whether it is tried again."
    decision = RetryDecision.default()
    if isinstance(error, BaseException):  # else Airflow does not ask the policy
        decision = AsTheErrorSays().evaluate(error, tries, most, context)
    if decision.action is RetryAction.FAIL or tries > most:
        return "It is not tried again by itself."
    at = now() + (decision.retry_delay or task.retry_delay)
    return f"It is tried again at {at:%H:%M:%S} UTC, try {tries + 1}."


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
