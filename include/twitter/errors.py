"""Every failure that the pipeline understands, named by what to do next.

Two kinds decide whether Airflow tries again (see `retry`): a `PermanentError` needs a person,
a `TransientError` ends by itself. Any other exception is a defect or a fault of the platform.
"""

from __future__ import annotations

from datetime import datetime

from include.twitter.safe_text import LONGEST_MESSAGE, safe_text


class PipelineError(Exception):
    """A failure that says what happened and what to do."""

    def __init__(self, message: object = "") -> None:
        # It goes to logs, terminals and mails, and may quote what X or a person wrote.
        super().__init__(safe_text(message, LONGEST_MESSAGE))


class PermanentError(PipelineError):
    """Trying again changes nothing: a person has to act first."""


class BadSetting(PermanentError):
    """A Variable or Connection is missing or malformed: mend it, then clear the task."""

    def __init__(self, setting: str, problem: str, example: str) -> None:
        super().__init__(f"{setting}: {problem}. Example: {example}")


class BadDay(PermanentError):
    """The run names no day that can be collected: trigger another."""


class BadAccounts(PermanentError):
    """The run names accounts that are not collected: add them to twitter_handles, or name others."""


class BadKeys(PermanentError):
    """X does not know the keys of the connection: put in valid ones."""


class BadRequest(PermanentError):
    """X calls the request malformed: a defect of this pipeline or a change at X."""


class NoCredits(PermanentError):
    """The X account has nothing left to pay with: buy credits, or wait for the month to turn."""


class OverBudget(PermanentError):
    """The next request could cross a cap: raise the cap, or leave the day unbought."""


class NoAccess(PermanentError):
    """The X app may not use this endpoint: change its access in X's developer console."""


class NoPermission(PermanentError):
    """AWS denies what the pipeline has to do: attach or mend the instance role."""


class BadCredentials(PermanentError):
    """AWS does not accept the credentials, or they cannot be used: put in valid ones, or sign in again."""


class AwsRefused(PermanentError):
    """AWS refuses until a person acts: the message says who has to do what."""


class UnexpectedAnswer(PermanentError):
    """X answered in a form that would lose data: look before buying more of it."""


class OtherAuthors(UnexpectedAnswer):
    """X sent posts of another account than the one that was asked for: look who is behind the handle."""


class BadStore(PermanentError):
    """The object store ignores the conditions of writes, or cannot keep them: use one that does."""


class MissingInput(PermanentError):
    """The objects that a stage works on are gone or were never made: clear the stage before it."""


class DamagedObject(PermanentError):
    """An object in the bucket is not what its name says: restore its earlier version, or make it again."""


class NewerFormat(DamagedObject):
    """A newer version of the pipeline wrote an object that this one has to read: install that version."""


class TooManyRejected(PermanentError):
    """So many posts break the contract that X or the contract must have changed: look before publishing."""


class AccountingMismatch(PermanentError):
    """Posts were fetched that are neither published nor accounted for: a defect; nothing is published."""


class Incomplete(PermanentError):
    """The day is published but accounts are missing from it: mend `twitter_handles` or the accounts."""


class NotLanded(PermanentError):
    """A day is not landed by its deadline: fill it, then clear the task."""


class ComplianceJobFailed(PermanentError):
    """X does not end the jobs that check the landed posts: look later, and trigger another run."""


class UsageMismatch(PermanentError):
    """X has counted other posts than the ledger has: look who else reads with the X app's keys."""


class RowLossBlocked(PermanentError):
    """Publishing would drop rows that are already landed: look, then accept the day by name."""


class TransientError(PipelineError):
    """The failure ends by itself."""

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        """When to try again, if that is known."""


class RateLimited(TransientError):
    """The rate window is used up; X names the time of its reset."""


class Outage(TransientError):
    """X cannot be reached or answers with an error of its own."""


class JobGone(Outage):
    """X no longer has a compliance job or its answer: another job is made."""


class NoResponse(Outage):
    """X may have processed and billed a request whose response did not arrive, or cannot be read."""


class PlatformOutage(TransientError):
    """S3, the role's credentials, Airflow's API server or its secrets backend cannot be reached."""


class AmbiguousError(TransientError):
    """It may pass, and it may be a person's to mend: it is tried a few times before it is a refusal."""


class KeysInDoubt(AmbiguousError):
    """X refuses keys that it took before: it may be at fault itself. Else put in valid ones."""


class ClockWrong(AmbiguousError):
    """The host has another time than X: it may correct that by itself. Else let it synchronize its clock."""


class NoCredentials(AmbiguousError):
    """There are no AWS credentials: the instance metadata may be away. Else attach the role."""


class LeaseHeld(TransientError):
    """Another process holds the lease: the task continues once the lease may have expired."""

    def __init__(self, message: str, retry_at: datetime) -> None:
        super().__init__(message, retry_at)


class LeaseExpired(TransientError):
    """The lease could not be renewed in time, so nothing more was written: the next try acquires it again."""


class WriteConflict(TransientError):
    """Another process has written the same object: the next try continues from what it wrote."""


def error_text(error: BaseException | str) -> str:
    """An error with its kind; Airflow gives a text where the task did not raise it."""
    return error if isinstance(error, str) else f"{type(error).__name__}: {error}"
