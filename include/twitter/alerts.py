"""Alerts for a failed run: by email, by a webhook, or both, where they are set up."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from html import escape
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from requests.auth import HTTPBasicAuth

from include.twitter import settings
from include.twitter.airflow_context import day_of
from include.twitter.errors import BadDay, Outage, PipelineError, error_text
from include.twitter.safe_text import LONGEST_MESSAGE, safe_text
from include.twitter.x.http_limits import LimitedAdapter, no_netrc

log = logging.getLogger(__name__)

SECONDS = 10
"""How long a webhook may take to connect, and to send the next bytes."""
WEBHOOK_SECONDS, WEBHOOK_BYTES = 60, 1 << 20
"""Of the whole request, and of the response."""


def notify_failure(context: Any) -> None:
    """Send a task's failure by every way that is set up; one that fails does not keep it from the other."""
    for channel, send in {"email": _by_email, "webhook": _by_webhook}.items():
        try:
            send(context, *message(context))
        except Exception as error:  # each has its own, and the task's error stays the one that is logged
            log.warning("No alert was sent by %s: %s: %s", channel, type(error).__name__, safe_text(error))


# `notify` and not a call of the notifier: that would render what X has written as a template.
# Airflow's notifier for HTTP has no limits, and logs what the webhook answers as it is: this uses its hook.


def _by_email(context: Any, subject: str, lines: list[str]) -> None:
    if to := settings.alert_emails():
        html = "<br>\n".join(map(escape, lines))
        SmtpNotifier(to=to, subject=subject, html_content=html).notify(context)
        log.info("Alerted by email: %s", ", ".join(to))


def _by_webhook(context: Any, subject: str, lines: list[str]) -> None:
    if (path := settings.alert_webhook()) is not None:
        text = escape("\n".join([subject, *lines]), quote=False)  # Slack has commands in <>
        hook = HttpHook(
            http_conn_id=settings.WEBHOOK_CONNECTION,
            auth_type=lambda *login: HTTPBasicAuth(*login) if login else no_netrc,
            adapter=LimitedAdapter(WEBHOOK_BYTES, WEBHOOK_SECONDS),
        )
        # A redirect would take credentials from ~/.netrc, and turn the POST into a GET.
        options = {"timeout": SECONDS, "check_response": False, "allow_redirects": False}
        response = hook.run(endpoint=path, json={"text": text}, extra_options=options)
        if not 200 <= response.status_code < 300:
            words = safe_text(response.content[:200].decode(errors="replace"))
            raise Outage(f"the webhook answered {response.status_code}: {words}")
        log.info("Alerted by Connection %s", settings.WEBHOOK_CONNECTION)


def message(context: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What a person reads first, and the lines below it: what happened, what to do, where.

    If a worker was lost, Airflow's context may have less: what is missing is left out.
    """
    ti, error = context.get("ti"), context.get("exception")
    task, dag = (getattr(ti, name, None) or "unknown" for name in ("task_id", "dag_id"))
    subject = f"{_run_day(context)}: {task} failed ({dag})"
    if isinstance(error, PipelineError):
        lines = [str(error), str(type(error).__doc__)]
    elif error:
        lines = [error_text(error), "A defect or a fault of the platform: its log has more."]
    else:
        lines = ["Its worker was lost.", "Clear the task: it continues from what is stored."]
    return safe_text(subject), [safe_text(line, LONGEST_MESSAGE) for line in [*lines, *_link(ti)]]


def _run_day(context: Mapping[str, Any]) -> str:
    """The run's day; else the id of the run, which names it as well."""
    try:
        return str(day_of(context))
    except (BadDay, KeyError, AttributeError, TypeError):
        ids = [getattr(context.get(name), "run_id", None) for name in ("dag_run", "ti")]
        return str(next(filter(None, [*ids, context.get("run_id")]), "A run"))


def _link(ti: Any) -> list[str]:
    try:
        return [ti.log_url] if ti.log_url else []
    except Exception:  # Airflow makes it of the run's id and its own settings
        return []
