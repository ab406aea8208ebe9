"""Retries: the kind of an error decides whether and when Airflow tries a task again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import RetryAction, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowRuntimeError, ErrorType

from include.twitter.airflow_context import now
from include.twitter.errors import AmbiguousError, LeaseHeld, PermanentError, TransientError, error_text
from include.twitter.safe_text import LONGEST_MESSAGE, safe_text

log = logging.getLogger(__name__)

FIRST_DELAY = timedelta(seconds=15)
LONGEST_DELAY = timedelta(minutes=30)
RETRIES = 24
"""After 15, 30, 60 seconds, up to half an hour: nine hours. X's longest known outage lasted eight."""
TRIES_IF_UNKNOWN = 3
TRIES_IF_AMBIGUOUS = 5
"""Four minutes, until an error that may be an outage counts as permanent."""


class ErrorDrivenRetryPolicy(RetryPolicy):
    """A permanent error fails at once, a rate limit waits for its reset, other transient errors back off."""

    def evaluate(self, exception, try_number, max_tries, context=None) -> RetryDecision:
        if isinstance(exception, PermanentError):
            return RetryDecision.fail(type(exception).__doc__)
        # Airflow does not reset the number of tries when a task is cleared: count the tries since then.
        task = (context or {}).get("task")
        used = try_number - max(max_tries - task.retries, 0) if task else try_number
        if isinstance(exception, AmbiguousError) and used >= TRIES_IF_AMBIGUOUS:
            return RetryDecision.fail(type(exception).__doc__)
        if _is_airflows_outage(exception):
            return RetryDecision.retry(backoff(used), "Airflow's API server is unreachable")
        if isinstance(exception, TransientError):
            wait = exception.retry_at - now() if exception.retry_at else timedelta(0)
            if wait <= timedelta(0):
                return RetryDecision.retry(backoff(used), type(exception).__doc__)
            wait = min(wait, LONGEST_DELAY)
            return RetryDecision.retry(wait, f"It is retried at {now() + wait:%H:%M:%S} UTC")
        if used >= TRIES_IF_UNKNOWN:
            return RetryDecision.fail(f"{TRIES_IF_UNKNOWN} tries failed")
        return RetryDecision.default()


def log_failure_summary(context: Mapping[str, Any]) -> None:
    """Log the error and the next try below Airflow's traceback, where the UI opens a log.

    If a worker was lost, Airflow calls this in the DAG processor, with a context without `exception`.
    """
    error = context.get("exception")
    if error:
        summary = safe_text(error_text(error), LONGEST_MESSAGE).rstrip(". ")
    else:
        summary = "The worker was lost: it was killed, or sent no heartbeat"
    log.info("::endgroup::")  # Airflow calls this inside a folded group, Post Execute
    log.error("%s. %s", summary, _next_try(error, context))


def _next_try(error: BaseException | str | None, context: Mapping[str, Any]) -> str:
    ti, task = context.get("ti"), context.get("task")
    tries, most = getattr(ti, "try_number", None), getattr(ti, "max_tries", None)
    if tries is None or most is None or task is None:
        return "The task's page in Airflow shows whether it is retried."
    decision = RetryDecision.default()
    if isinstance(error, BaseException):  # Airflow uses the policy only then
        decision = ErrorDrivenRetryPolicy().evaluate(error, tries, most, context)
    if decision.action is RetryAction.FAIL or tries > most:
        return "Airflow does not try again."
    at = now() + (decision.retry_delay or task.retry_delay)
    return f"Airflow tries again at {at:%H:%M:%S} UTC, try {tries + 1}."


def notify_failure(context: Mapping[str, Any]) -> None:
    """Send alerts; their libraries are imported only when a task has failed."""
    from include.twitter import alerts

    alerts.send_alerts(context)


DEFAULT_ARGS = {
    "retries": RETRIES,
    "retry_delay": FIRST_DELAY,  # after a lost worker Airflow does not use the policy
    "retry_policy": ErrorDrivenRetryPolicy(),
    "on_retry_callback": log_failure_summary,
    "on_failure_callback": [log_failure_summary, notify_failure],
}
"""The `default_args` of all DAGs."""


@contextmanager
def reschedule_after_progress(
    has_progress: Callable[[], bool], clock: Callable[[], datetime]
) -> Iterator[None]:
    """Reschedule the task after a transient error if it made progress, or if another run holds the lease.

    A reschedule does not count as a try: a day of many accounts may need more rate-limit windows than there
    are tries, and another run may hold the lease for long.
    """
    try:
        yield
    except TransientError as error:
        is_held = isinstance(error, LeaseHeld)
        if isinstance(error, AmbiguousError) or not (is_held or has_progress()):
            raise
        wait = min(max((error.retry_at or clock()) - clock(), FIRST_DELAY), LONGEST_DELAY)
        why = "The task checks the lease again" if is_held else "The task made progress and continues"
        log.warning("%s %s at %s UTC", error, why, f"{clock() + wait:%H:%M:%S}")
        raise AirflowRescheduleException(clock() + wait) from error


def _is_airflows_outage(exception: BaseException) -> bool:
    kinds = (ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR)
    return isinstance(exception, AirflowRuntimeError) and exception.error.error in kinds


def backoff(used: int) -> timedelta:
    """The wait after try number `used`: doubling, up to LONGEST_DELAY."""
    return min(FIRST_DELAY * 2 ** min(used - 1, 10), LONGEST_DELAY)
