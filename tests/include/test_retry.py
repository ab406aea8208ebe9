"""When a failed stage is retried."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from types import SimpleNamespace

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from include.twitter import retry
from include.twitter.errors import (
    BadSetting,
    ClockWrong,
    KeysInDoubt,
    LeaseHeld,
    NoCredentials,
    NoCredits,
    Outage,
    PlatformOutage,
    RateLimited,
    WriteConflict,
)
from include.twitter.retry import (
    FIRST_DELAY,
    LONGEST_DELAY,
    RETRIES,
    ErrorDrivenRetryPolicy,
    log_failure_summary,
    reschedule_after_progress,
)

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
TASK = SimpleNamespace(retries=RETRIES, retry_delay=FIRST_DELAY)
MINUTES = timedelta(minutes=10)
BACKOFF = [timedelta(seconds=15 * 2**n) for n in range(7)] + [timedelta(minutes=30)] * 17


@pytest.fixture(autouse=True)
def at_noon(monkeypatch):
    monkeypatch.setattr(retry, "now", lambda: NOON)


def decide(error, try_number=1, max_tries=RETRIES, context=None):
    """The decision in Airflow's own call."""
    context = {"task": TASK} if context is None else context
    return ErrorDrivenRetryPolicy().evaluate(error, try_number, max_tries, context)


def delays(error, tries):
    """The delay after each of the first tries; the action if there is none."""
    decisions = [decide(error, number) for number in range(1, tries + 1)]
    return [item.retry_delay if item.action is RetryAction.RETRY else item.action.name for item in decisions]


def airflow(kind):
    return AirflowRuntimeError(ErrorResponse(error=kind))


@pytest.mark.parametrize(
    "error", [NoCredits("X answered 402"), BadSetting("Variable twitter_bucket", "not set", "acme-lake")]
)
def test_a_permanent_error_fails_at_once_with_the_remedy(error):
    decision = decide(error)
    assert (decision.action, decision.reason) == (RetryAction.FAIL, type(error).__doc__)


@pytest.mark.parametrize(
    "error",
    [
        Outage("X answered 503"),
        RateLimited("X answered 429", retry_at=NOON - timedelta(days=1)),
        airflow(ErrorType.API_SERVER_ERROR),
        airflow(ErrorType.GENERIC_ERROR),
    ],
    ids=repr,
)
def test_a_transient_error_backs_off_for_more_than_eight_hours(error):
    assert delays(error, RETRIES) == BACKOFF
    assert sum(BACKOFF, timedelta()) > timedelta(hours=8)


@pytest.mark.parametrize(("wait", "delay"), [(MINUTES, MINUTES), (timedelta(hours=3), LONGEST_DELAY)])
def test_a_rate_limit_is_retried_at_its_reset_or_after_the_longest_delay(wait, delay):
    decision = decide(RateLimited("X answered 429", retry_at=NOON + wait))
    assert decision.retry_delay == delay
    assert f"{NOON + delay:%H:%M:%S} UTC" in decision.reason


def test_the_tries_before_a_clear_do_not_count():
    # Airflow counts tries on over clears: the fourth clear of a task with 24 retries may begin at try 60.
    assert decide(Outage("X answered 503"), 61, 60 + RETRIES).retry_delay == FIRST_DELAY
    assert decide(ValueError("?"), 61, 60 + RETRIES).action is RetryAction.DEFAULT
    assert decide(Outage("X answered 503"), 2, context={}).retry_delay == 2 * FIRST_DELAY


@pytest.mark.parametrize(
    "error", [ValueError("?"), KeyboardInterrupt(), airflow(ErrorType.XCOM_NOT_FOUND)], ids=repr
)
def test_an_unknown_error_is_tried_three_times(error):
    assert delays(error, 4) == ["DEFAULT", "DEFAULT", "FAIL", "FAIL"]


@pytest.mark.parametrize("kind", [KeysInDoubt, NoCredentials, ClockWrong])
def test_an_ambiguous_error_is_tried_five_times(kind):
    assert delays(kind("X answered 401"), 5) == [*BACKOFF[:4], "FAIL"]
    assert decide(kind("X answered 401"), 5).reason == kind.__doc__


# Progress


def raise_within(error, *, progress):
    with reschedule_after_progress(lambda: progress, lambda: NOON):
        raise error


@pytest.mark.parametrize(
    ("error", "progress", "wait"),
    [
        (RateLimited("X answered 429."), True, FIRST_DELAY),
        (RateLimited("X answered 429.", retry_at=NOON - timedelta(days=1)), True, FIRST_DELAY),
        (RateLimited("X answered 429.", retry_at=NOON + MINUTES), True, MINUTES),
        (RateLimited("X answered 429.", retry_at=NOON + timedelta(days=9)), True, LONGEST_DELAY),
        (LeaseHeld("The day is being bought.", retry_at=NOON + MINUTES), False, MINUTES),
    ],
    ids=repr,
)
def test_a_try_with_progress_or_a_held_lease_is_rescheduled(error, progress, wait, caplog):
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        raise_within(error, progress=progress)
    assert rescheduled.value.reschedule_date == NOON + wait
    assert str(error) in caplog.messages[0]
    assert f"{NOON + wait:%H:%M:%S} UTC" in caplog.messages[0]


@pytest.mark.parametrize(
    ("error", "progress"),
    [
        (RateLimited("X answered 429."), False),
        (WriteConflict("a.json was written by another run"), False),
        (PlatformOutage("S3 is unreachable"), False),
        (KeysInDoubt("X answered 401."), True),
        (NoCredits("X answered 402."), True),
        (ValueError("?"), True),
    ],
    ids=repr,
)
def test_a_try_without_progress_or_with_another_error_counts(error, progress):
    with pytest.raises(type(error)):
        raise_within(error, progress=progress)


# The end of a log


@pytest.mark.parametrize(
    ("error", "try_number", "line"),
    [
        (NoCredits("X answered 402. Buy credits."), 1,
         "NoCredits: X answered 402. Buy credits. Airflow does not try again."),
        (Outage("X answered 503."), 1, "Outage: X answered 503. Airflow tries again at 12:00:15 UTC, try 2."),
        (Outage("X answered 503."), RETRIES + 1, "Outage: X answered 503. Airflow does not try again."),
        (ValueError("what?"), 3, "ValueError: what?. Airflow does not try again."),
        # Airflow does not use the policy without an exception: the tries for an unknown error do not count.
        ("Detected zombie job.", 4, "Detected zombie job. Airflow tries again at 12:00:15 UTC, try 5."),
        (None, RETRIES, f"no heartbeat. Airflow tries again at 12:00:15 UTC, try {RETRIES + 1}."),
        (None, RETRIES + 1, "no heartbeat. Airflow does not try again."),
    ],
)  # fmt: skip
def test_a_log_ends_with_the_error_and_the_next_try(caplog, error, try_number, line):
    ti = SimpleNamespace(try_number=try_number, max_tries=RETRIES)
    log_failure_summary({"exception": error, "ti": ti, "task": TASK})
    assert caplog.messages[-1].endswith(line)


def test_the_summary_is_logged_whatever_the_context_lacks(caplog):
    ti = SimpleNamespace(try_number=1, max_tries=RETRIES)
    whole = {"exception": Outage("X answered 503."), "ti": ti, "task": TASK}
    for missing in [set(names) for number in range(4) for names in combinations(whole, number)]:
        partial_context = {name: value for name, value in whole.items() if name not in missing}
        for context in (
            partial_context,
            dict.fromkeys(missing) | partial_context,
            {"ti": SimpleNamespace()} | partial_context,
        ):
            log_failure_summary(context)
            line = caplog.messages[-1]
            assert line.startswith("The worker was lost" if "exception" in missing else "Outage: X answered")
            assert ("The task's page in Airflow" in line) == bool(missing & {"ti", "task"})
