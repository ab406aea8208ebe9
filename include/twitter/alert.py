"""Who is told of a run that failed, where somebody is to be told: by email, by a webhook, or both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from html import escape
from typing import Any

from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from include.twitter import settings
from include.twitter.errors import BadDay, PipelineError
from include.twitter.run import day_of

log = logging.getLogger(__name__)

SECONDS = 10
"""How long a webhook may take to answer."""


def tell(context: Any) -> None:
    """Send a task's failure to all who are to be told; one that cannot be reached keeps it from no other."""
    for how, send in {"email": _by_email, "webhook": _by_webhook}.items():
        try:
            send(context, *message(context))
        except Exception as error:  # each has its own, and the failure stays the one that it was
            log.warning("Nobody was told by %s: %s: %s", how, type(error).__name__, error)


# `notify` and not a call of the notifier: that would render what X has written as a template.


def _by_email(context: Any, subject: str, lines: list[str]) -> None:
    if to := settings.alert_emails():
        html = "<br>\n".join(map(escape, lines))
        SmtpNotifier(to=to, subject=subject, html_content=html).notify(context)
        log.info("Told by email: %s", ", ".join(to))


def _by_webhook(context: Any, subject: str, lines: list[str]) -> None:
    if (path := settings.alert_webhook()) is not None:
        text = escape("\n".join([subject, *lines]), quote=False)  # Slack has commands in <>
        HttpNotifier(
            http_conn_id=settings.WEBHOOK_CONNECTION,
            endpoint=path,
            json={"text": text},
            extra_options={"timeout": SECONDS},
        ).notify(context)
        log.info("Told by Connection %s", settings.WEBHOOK_CONNECTION)


def message(context: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What a person reads first, and the lines below it: what happened, what to do, where."""
    ti, error = context["ti"], context.get("exception")
    subject = f"{_day(context)}: {ti.task_id} failed ({ti.dag_id})"
    if isinstance(error, PipelineError):
        lines = [str(error), str(type(error).__doc__)]
    elif error:
        lines = [f"{type(error).__name__}: {error}", "A defect or a fault of the platform: its log has more."]
    else:
        lines = ["Its worker was lost.", "Clear the task: it goes on from what is there."]
    return subject, [*lines, ti.log_url]


def _day(context: Mapping[str, Any]) -> str:
    try:
        return str(day_of(context))
    except (BadDay, KeyError):  # of a worker that was lost, less is known
        return str(context["dag_run"].run_id)
