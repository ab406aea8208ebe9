"""When a failed stage is tried again."""

from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from types import SimpleNamespace

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    AirflowRuntimeError,
    ErrorType,
)
from airflow.sdk.execution_time.comms import ErrorResponse

from include.twitter import errors, retry
from include.twitter.errors import (
    BadSetting,
    Busy,
    KeysInDoubt,
    NoCredentials,
    NoCredits,
    Outage,
    PlatformOutage,
    RateLimited,
    Refused,
)
from include.twitter.retry import (
    FIRST_DELAY,
    LONGEST_DELAY,
    RETRIES,
    AsTheErrorSays,
    backoff,
    last_word,
    no_try_for_progress,
)

REFUSALS = [kind for kind in Refused.__subclasses__() if kind is not BadSetting]


def decided(error, try_number=1, max_tries=RETRIES, context=True):
    """The decision in Airflow's own call; `context` False is a call without one."""
    of_the_task = {"task": SimpleNamespace(retries=RETRIES)} if context else None
    return AsTheErrorSays().evaluate(error, try_number, max_tries, of_the_task)


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)
def test_a_refusal_fails_at_once_and_says_what_to_do(kind):
    decision = decided(kind("no"))
    assert (decision.action, decision.reason) == (RetryAction.FAIL, kind.__doc__)


def test_a_bad_setting_fails_at_once():
    error = BadSetting("Variable twitter_bucket", "not set", "acme-twitter-lake")
    assert decided(error).action is RetryAction.FAIL


def test_a_rate_limit_waits_for_its_reset():
    reset = datetime.now(UTC) + timedelta(minutes=10)
    decision = decided(RateLimited("X answered 429", at=reset))
    assert decision.action is RetryAction.RETRY
    assert timedelta(minutes=9, seconds=50) < decision.retry_delay <= timedelta(minutes=10)
    assert decision.reason == f"It is tried again at {reset:%H:%M:%S} UTC"


def test_a_reset_that_is_far_away_is_not_waited_for_longer_than_the_longest_delay(at_noon):
    decision = decided(RateLimited("X answered 429", at=datetime(2026, 11, 18, 15, tzinfo=UTC)))
    assert decision.retry_delay == LONGEST_DELAY
    assert decision.reason == "It is tried again at 12:30:00 UTC"


def test_who_came_second_to_a_write_backs_off():
    assert decided(Busy("was written by somebody else meanwhile"), 3).retry_delay == 4 * FIRST_DELAY


def test_a_reset_that_has_passed_never_asks_for_a_wait_of_nothing():
    decision = decided(RateLimited("X answered 429", at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay >= timedelta(seconds=1)


def test_a_rate_limit_without_a_reset_backs_off():
    decision = decided(RateLimited("X answered 429"), try_number=3)
    assert decision.retry_delay == 4 * FIRST_DELAY


def test_an_outage_waits_twice_as_long_each_time_up_to_the_longest_delay():
    decisions = [decided(Outage("X answered 503"), used) for used in range(1, RETRIES + 1)]
    assert {decision.action for decision in decisions} == {RetryAction.RETRY}
    waits = [decision.retry_delay for decision in decisions]
    assert waits[0] == FIRST_DELAY
    for wait, following in pairwise(waits):
        assert following == min(2 * wait, LONGEST_DELAY)
    assert waits[-1] == LONGEST_DELAY == timedelta(minutes=30)


def test_the_first_wait_is_a_short_one():
    assert timedelta(seconds=1) <= FIRST_DELAY <= timedelta(minutes=1)


def test_the_retries_outlive_an_outage_of_eight_hours():
    waits = [decided(Outage("X answered 503"), used).retry_delay for used in range(1, RETRIES + 1)]
    assert sum(waits, timedelta()) > timedelta(hours=8)


def test_the_tries_before_a_clear_do_not_count():
    # Airflow counts tries on over clears: the fourth clear of a task with 24 retries may begin at try 60.
    decision = decided(Outage("X answered 503"), try_number=61, max_tries=60 + RETRIES)
    assert decision.retry_delay == FIRST_DELAY
    assert decided(ValueError("?"), try_number=61, max_tries=60 + RETRIES).action is RetryAction.DEFAULT


def test_a_hundredth_try_still_waits_no_longer_than_the_longest_delay():
    assert backoff(100) == LONGEST_DELAY


@pytest.mark.parametrize(
    "error", [ValueError("?"), AirflowException("?"), KeyError("?"), OSError("disk full")]
)
def test_what_the_pipeline_does_not_understand_is_tried_three_times(error):
    assert [decided(error, n).action for n in (1, 2, 3, 4)] == [
        RetryAction.DEFAULT,
        RetryAction.DEFAULT,
        RetryAction.FAIL,
        RetryAction.FAIL,
    ]


def test_a_task_that_was_stopped_from_outside_is_treated_like_any_surprise():
    assert decided(KeyboardInterrupt(), 1).action is RetryAction.DEFAULT


def test_without_a_context_the_number_of_the_try_is_what_counts():
    assert decided(Outage("X answered 503"), 2, context=False).retry_delay == 2 * FIRST_DELAY


@pytest.mark.parametrize("kind", [KeysInDoubt, NoCredentials])
def test_what_may_be_a_persons_to_mend_is_tried_five_times_before_it_is_a_refusal(kind):
    decisions = [decided(kind("X answered 401"), used) for used in (1, 2, 3, 4, 5)]
    assert [decision.action.name for decision in decisions] == ["RETRY"] * 4 + ["FAIL"]
    waits = [decision.retry_delay for decision in decisions[:4]]
    assert sum(waits, timedelta()) == timedelta(seconds=225), "the metadata may be away for a minute"
    assert decisions[4].reason == kind.__doc__


@pytest.mark.parametrize("kind", [ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR])
@pytest.mark.parametrize("used", [1, 4, 24])
def test_airflows_api_server_is_waited_for_like_x(kind, used):
    decision = decided(AirflowRuntimeError(ErrorResponse(error=kind)), used)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, backoff(used))


def test_what_airflows_api_server_does_not_find_is_a_surprise():
    gone = AirflowRuntimeError(ErrorResponse(error=ErrorType.XCOM_NOT_FOUND))
    assert decided(gone, 3).action is RetryAction.FAIL


@pytest.mark.parametrize("used", [3, 4, 24])
def test_an_outage_of_the_platform_is_no_surprise(used):
    assert decided(PlatformOutage("AWS cannot do PutObject now"), used).retry_delay == backoff(used)


# Progress

NOW = datetime(2026, 11, 19, 1, 30, tzinfo=UTC)


def comes_back(error):
    """When a try that bought something and failed so comes back without having counted."""
    with pytest.raises(AirflowRescheduleException) as back, no_try_for_progress(lambda: True, lambda: NOW):
        raise error
    return back.value.reschedule_date


def test_a_try_that_bought_something_comes_back_at_the_reset_and_says_why(caplog):
    reset = NOW + timedelta(minutes=14)
    assert comes_back(RateLimited("X answered 429.", at=reset)) == reset
    assert caplog.messages == ["X answered 429. Something was bought: it goes on at 01:44:00 UTC"]


@pytest.mark.parametrize(
    ("at", "wait"),
    [
        (None, FIRST_DELAY),
        (NOW - timedelta(days=1), FIRST_DELAY),
        (NOW + timedelta(seconds=1), FIRST_DELAY),
        (NOW + timedelta(days=9), LONGEST_DELAY),
    ],
)
def test_it_comes_back_neither_at_once_nor_late(at, wait):
    assert comes_back(RateLimited("X answered 429.", at=at)) == NOW + wait


def test_another_that_is_at_work_is_waited_for_as_long_as_it_takes(caplog):
    until = NOW + timedelta(seconds=40)
    with pytest.raises(AirflowRescheduleException) as back, no_try_for_progress(lambda: False, lambda: NOW):
        raise Busy("2026-11-18 is being bought.", at=until)
    assert back.value.reschedule_date == until
    assert caplog.messages == ["2026-11-18 is being bought. It is looked at again at 01:30:40 UTC"]


@pytest.mark.parametrize(
    ("error", "progress"),
    [
        (RateLimited("X answered 429.", at=NOW), False),
        (Busy("was written by somebody else meanwhile"), False),
        (PlatformOutage("S3 is away"), False),
        (KeysInDoubt("X answered 401."), True),
        (BadSetting("Variable twitter_bucket", "not set", "acme-twitter-lake"), True),
        (ValueError("?"), True),
    ],
)
def test_a_try_that_got_no_further_counts_and_so_does_what_does_not_pass_for_certain(error, progress):
    with pytest.raises(type(error)), no_try_for_progress(lambda: progress, lambda: NOW):
        raise error


def test_a_try_that_ended_well_has_nothing_to_come_back_for():
    with no_try_for_progress(lambda: True, lambda: NOW):
        pass


def test_a_failure_of_no_kind_of_ours_is_no_refusal():
    assert not issubclass(errors.Outage, Refused)


# The last line of a log


def last_line(caplog, error, try_number=1, retries=RETRIES):
    task = SimpleNamespace(retries=RETRIES, retry_delay=FIRST_DELAY)
    ti = SimpleNamespace(try_number=try_number, max_tries=retries)
    last_word({"exception": error, "ti": ti, "task": task})
    return caplog.messages[-1]


@pytest.fixture
def at_noon(monkeypatch):
    monkeypatch.setattr(retry, "now", lambda: datetime(2026, 11, 18, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NoCredits("X answered 402. Buy credits."),
            "NoCredits: X answered 402. Buy credits. It is not tried again by",
        ),
        (Outage("X answered 503."), "Outage: X answered 503. It is tried again at 12:00:15 UTC, try 2."),
        (ValueError("what?"), "ValueError: what?. It is tried again at 12:00:15 UTC, try 2."),
    ],
)
def test_the_last_word_says_what_happened_and_what_comes_next(caplog, at_noon, error, said):
    assert last_line(caplog, error).startswith(said)


def test_the_last_word_of_the_last_try_says_that_it_was_the_last(caplog, at_noon):
    said = last_line(caplog, Outage("X answered 503."), try_number=RETRIES + 1)
    assert said == "Outage: X answered 503. It is not tried again by itself."


def test_the_last_word_of_a_surprise_says_when_the_tries_for_it_are_used_up(caplog, at_noon):
    assert "not tried again" in last_line(caplog, ValueError("?"), try_number=3)


@pytest.mark.parametrize("context", [{}, {"exception": None}], ids=["no exception", "exception is None"])
@pytest.mark.parametrize(
    ("try_number", "next_step"),
    [(1, "tried again at 12:00:15 UTC, try 2"), (24, "try 25"), (25, "not tried again by itself")],
)
def test_the_last_word_of_a_lost_worker_says_so_and_what_airflow_does(
    caplog, at_noon, context, try_number, next_step
):
    # Airflow does not ask the policy here: the tries for a surprise do not count.
    task = SimpleNamespace(retries=RETRIES, retry_delay=FIRST_DELAY)
    last_word(context | {"ti": SimpleNamespace(try_number=try_number, max_tries=RETRIES), "task": task})
    assert caplog.messages[-1].startswith("The worker was lost: ")
    assert next_step in caplog.messages[-1]


def test_an_exception_that_is_a_text_is_shown_as_it_is(caplog, at_noon):
    assert last_line(caplog, "Detected zombie job.").startswith("Detected zombie job. It is tried again at")


def test_the_last_word_survives_whatever_the_context_lacks(caplog, at_noon):
    whole = {
        "exception": Outage("X answered 503."),
        "ti": SimpleNamespace(try_number=1, max_tries=RETRIES),
        "task": SimpleNamespace(retries=RETRIES, retry_delay=FIRST_DELAY),
    }
    for missing in [set(names) for number in range(4) for names in combinations(whole, number)]:
        kept = {name: value for name, value in whole.items() if name not in missing}
        for context in (kept, dict.fromkeys(missing) | kept, {"ti": SimpleNamespace()} | kept):
            last_word(context)
            words = caplog.messages[-1]
            assert words.startswith("The worker was lost" if "exception" in missing else "Outage: X answered")
            assert ("The task's page in Airflow" in words) == bool(missing & {"ti", "task"})
