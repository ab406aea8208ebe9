"""Every failure that the pipeline understands, each class named by what to do next.

`retry` decides by two families: a `PermanentError` needs a person, a `TransientError` ends by itself. Any
other exception is a defect or a fault of the platform. Alerts and Airflow show a class's docstring.
"""

from __future__ import annotations

from datetime import datetime

from include.twitter.safe_text import LONGEST_MESSAGE, safe_text


class PipelineError(Exception):
    """A failure that says what happened and what to do."""

    def __init__(self, message: object = "") -> None:
        # Logs, terminals and mails show it, and it may quote text of X or of a person.
        super().__init__(safe_text(message, LONGEST_MESSAGE))


class PermanentError(PipelineError):
    """A person has to act: a retry would fail in the same way."""


class BadSetting(PermanentError):
    """A Variable or Connection is missing or malformed: correct it, then clear the task."""

    def __init__(self, setting: str, problem: str, example: str) -> None:
        super().__init__(f"{setting}: {problem}. Example: {example}")


class BadDay(PermanentError):
    """The run is not for a day that can be collected: trigger a run for another day."""


class BadAccounts(PermanentError):
    """The run names accounts that are not collected: add them to twitter_handles, or name others."""


class BadKeys(PermanentError):
    """X does not accept the keys of the connection: enter valid keys, then clear the task."""


class BadRequest(PermanentError):
    """X rejected the request as malformed: report a defect of this pipeline, or a change at X."""


class NoCredits(PermanentError):
    """The X account has no credits left: buy credits or raise its cap, then clear the task."""


class OverBudget(PermanentError):
    """The next request could exceed a spending cap: raise the cap, then clear the task."""


class NoAccess(PermanentError):
    """X does not allow the app to use this endpoint: change the app's access in X's developer console."""


class NoPermission(PermanentError):
    """AWS denied a request: grant the missing permission to the instance role, then clear the task."""


class BadCredentials(PermanentError):
    """AWS did not accept the credentials: enter valid ones or sign in again, then clear the task."""


class AwsRefused(PermanentError):
    """AWS refused a request until a person acts: the message says who has to do what."""


class UnexpectedResponse(PermanentError):
    """X sent a response of an unknown form, and data could be lost: report it with the log."""


class OtherAuthors(UnexpectedResponse):
    """X sent posts of an account that was not requested: check which account has the handle now."""


class BadStore(PermanentError):
    """The object store does not support conditional writes: use a store that does."""


class MissingInput(PermanentError):
    """The input of a stage does not exist: clear the stage that writes it."""


class DamagedObject(PermanentError):
    """An object in the bucket cannot be read: restore its previous version."""


class NewerFormat(DamagedObject):
    """A newer version of the pipeline wrote this object: install that version."""


class TooManyRejected(PermanentError):
    """Too many posts break the contract, so nothing was published: X or the contract has changed."""


class AccountingMismatch(PermanentError):
    """The number of posts fetched and accounted for differ, so nothing was published: report a defect."""


class Incomplete(PermanentError):
    """Some accounts or days are missing: the message names them, and the tasks to clear."""


class NotLanded(PermanentError):
    """A day was not published by its deadline: run that day, then clear the task."""


class ComplianceJobFailed(PermanentError):
    """X does not finish the jobs that check the published posts: trigger another run later."""


class UsageMismatch(PermanentError):
    """X counted more or fewer posts than the ledger: check who else uses the keys of the X app."""


class RowLossBlocked(PermanentError):
    """Publishing would remove rows that are published: check them, then allow it for this day."""


class TransientError(PipelineError):
    """The failure ends by itself: the task is retried."""

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        """When to retry, if that is known."""


class RateLimited(TransientError):
    """X's rate limit is used up: the task is retried when it resets."""


class Outage(TransientError):
    """X cannot be reached or has an error of its own: the task is retried."""


class JobGone(Outage):
    """X no longer has a compliance job or its result: the task creates another job."""


class NoResponse(Outage):
    """X may have billed a request whose response is missing or unreadable: it is booked as uncertain."""


class PlatformOutage(TransientError):
    """S3, the role's credentials, Airflow's API server or its secrets backend cannot be reached."""


class AmbiguousError(TransientError):
    """The failure may end by itself or need a person: a few retries, then the task fails."""


class KeysInDoubt(AmbiguousError):
    """X refuses keys that it accepted before: after a few retries, enter valid keys."""


class ClockWrong(AmbiguousError):
    """The host's clock differs from X's: after a few retries, synchronize the host's clock."""


class NoCredentials(AmbiguousError):
    """No AWS credentials were found: after a few retries, attach the instance role."""


class LeaseHeld(TransientError):
    """Another process holds the lease: the task continues once the lease may have expired."""

    def __init__(self, message: str, retry_at: datetime) -> None:
        super().__init__(message, retry_at)


class LeaseExpired(TransientError):
    """The lease could not be renewed in time, so the task stopped writing: the retry acquires it again."""


class WriteConflict(TransientError):
    """Another process wrote the same object: the retry continues from the new object."""


def error_text(error: BaseException | str) -> str:
    """An error with its class; Airflow gives a string where the task did not raise it."""
    return error if isinstance(error, str) else f"{type(error).__name__}: {error}"
