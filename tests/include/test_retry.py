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
    PermanentError,
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


@pytest.fixture(autouse=True)
def at_noon(monkeypatch):
    monkeypatch.setattr(retry, "now", lambda: NOON)


def decided(error, try_number=1, max_tries=RETRIES, context=None):
    """The decision in Airflow's own call."""
    context = {"task": TASK} if context is None else context
    return ErrorDrivenRetryPolicy().evaluate(error, try_number, max_tries, context)


def delays(error, tries):
    """The delay after each try; the action where there is none."""
    decisions = [decided(error, number) for number in tries]
    return [each.retry_delay if each.action is RetryAction.RETRY else each.action.name for each in decisions]


def airflow(kind):
    return AirflowRuntimeError(ErrorResponse(error=kind))


BACKOFF = [timedelta(seconds=15 * 2**n) for n in range(7)] + [timedelta(minutes=30)] * 17
REFUSALS = [kind("no") for kind in PermanentError.__subclasses__() if kind is not BadSetting]
REFUSALS.append(BadSetting("Variable twitter_bucket", "not set", "acme-twitter-lake"))


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_permanent_error_fails_at_once_and_says_what_to_do(error):
    decision = decided(error)
    assert (decision.action, decision.reason) == (RetryAction.FAIL, type(error).__doc__)


@pytest.mark.parametrize(
    "error",
    [
        Outage("X answered 503"),
        PlatformOutage("AWS cannot do PutObject now"),
        WriteConflict("a.json"),
        RateLimited("X answered 429"),
        RateLimited("X answered 429", retry_at=NOON - timedelta(days=1)),
        airflow(ErrorType.API_SERVER_ERROR),
        airflow(ErrorType.GENERIC_ERROR),
    ],
    ids=repr,
)
def test_a_transient_error_waits_twice_as_long_each_time_and_outlives_an_outage_of_eight_hours(error):
    assert delays(error, range(1, RETRIES + 1)) == BACKOFF
    assert sum(BACKOFF, timedelta()) > timedelta(hours=8)


@pytest.mark.parametrize(
    ("wait", "delay"), [(timedelta(minutes=10), timedelta(minutes=10)), (timedelta(hours=3), LONGEST_DELAY)]
)
def test_a_rate_limit_waits_for_its_reset_but_no_longer_than_the_longest_delay(wait, delay):
    decision = decided(RateLimited("X answered 429", retry_at=NOON + wait))
    assert decision.retry_delay == delay
    assert f"{NOON + delay:%H:%M:%S} UTC" in decision.reason


def test_the_tries_before_a_clear_do_not_count():
    # Airflow counts tries on over clears: the fourth clear of a task with 24 retries may begin at try 60.
    decision = decided(Outage("X answered 503"), try_number=61, max_tries=60 + RETRIES)
    assert decision.retry_delay == FIRST_DELAY
    assert decided(ValueError("?"), try_number=61, max_tries=60 + RETRIES).action is RetryAction.DEFAULT
    assert decided(Outage("X answered 503"), 2, context={}).retry_delay == 2 * FIRST_DELAY


@pytest.mark.parametrize(
    "error",
    [ValueError("?"), OSError("disk full"), KeyboardInterrupt(), airflow(ErrorType.XCOM_NOT_FOUND)],
    ids=repr,
)
def test_an_unknown_error_is_tried_three_times(error):
    assert delays(error, range(1, 5)) == ["DEFAULT", "DEFAULT", "FAIL", "FAIL"]


@pytest.mark.parametrize("kind", [KeysInDoubt, NoCredentials, ClockWrong])
def test_an_ambiguous_error_is_tried_five_times_before_it_is_permanent(kind):
    assert delays(kind("X answered 401"), range(1, 6)) == [*BACKOFF[:4], "FAIL"]
    assert decided(kind("X answered 401"), 5).reason == kind.__doc__


# Progress


def raised_from(error, *, progress):
    with reschedule_after_progress(lambda: progress, lambda: NOON):
        raise error


@pytest.mark.parametrize(
    ("error", "progress", "wait"),
    [
        (RateLimited("X answered 429."), True, FIRST_DELAY),
        (RateLimited("X answered 429.", retry_at=NOON - timedelta(days=1)), True, FIRST_DELAY),
        (RateLimited("X answered 429.", retry_at=NOON + timedelta(seconds=1)), True, FIRST_DELAY),
        (RateLimited("X answered 429.", retry_at=NOON + timedelta(minutes=14)), True, timedelta(minutes=14)),
        (RateLimited("X answered 429.", retry_at=NOON + timedelta(days=9)), True, LONGEST_DELAY),
        (
            LeaseHeld("The day is being bought.", retry_at=NOON + timedelta(seconds=40)),
            False,
            timedelta(seconds=40),
        ),
    ],
    ids=repr,
)
def test_a_try_that_made_progress_or_finds_a_lease_held_is_rescheduled(error, progress, wait, caplog):
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        raised_from(error, progress=progress)
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
def test_a_try_without_progress_counts_and_so_does_an_error_that_may_be_permanent(error, progress):
    with pytest.raises(type(error)):
        raised_from(error, progress=progress)


# The end of a log


def last_line(caplog, error, try_number=1):
    ti = SimpleNamespace(try_number=try_number, max_tries=RETRIES)
    log_failure_summary({"exception": error, "ti": ti, "task": TASK})
    return caplog.messages[-1]


@pytest.mark.parametrize(
    ("error", "try_number", "line"),
    [
        (NoCredits("X answered 402. Buy credits."), 1,
         "NoCredits: X answered 402. Buy credits. It is not tried again by itself."),
        (Outage("X answered 503."), 1,
         "Outage: X answered 503. It is tried again at 12:00:15 UTC, try 2."),
        (Outage("X answered 503."), RETRIES + 1, "Outage: X answered 503. It is not tried again by itself."),
        (ValueError("what?"), 1, "ValueError: what?. It is tried again at 12:00:15 UTC, try 2."),
        (ValueError("what?"), 3, "ValueError: what?. It is not tried again by itself."),
        ("Detected zombie job.", 1, "Detected zombie job. It is tried again at 12:00:15 UTC, try 2."),
    ],
)  # fmt: skip
def test_a_log_ends_with_the_error_and_the_next_try(caplog, error, try_number, line):
    assert last_line(caplog, error, try_number) == line


@pytest.mark.parametrize(
    ("try_number", "next_try"),
    [(1, "tried again at 12:00:15 UTC, try 2"), (24, "try 25"), (25, "not tried again by itself")],
)
def test_the_log_of_a_lost_worker_says_so_and_what_airflow_does(caplog, try_number, next_try):
    # Airflow does not ask the policy here: the tries for an unknown error do not count.
    line = last_line(caplog, None, try_number)
    assert line.startswith("The worker was lost: ")
    assert next_try in line


def test_the_summary_is_logged_whatever_the_context_lacks(caplog):
    ti = SimpleNamespace(try_number=1, max_tries=RETRIES)
    whole = {"exception": Outage("X answered 503."), "ti": ti, "task": TASK}
    for missing in [set(names) for number in range(4) for names in combinations(whole, number)]:
        kept = {name: value for name, value in whole.items() if name not in missing}
        for context in (kept, dict.fromkeys(missing) | kept, {"ti": SimpleNamespace()} | kept):
            log_failure_summary(context)
            line = caplog.messages[-1]
            assert line.startswith("The worker was lost" if "exception" in missing else "Outage: X answered")
            assert ("The task's page in Airflow" in line) == bool(missing & {"ti", "task"})
