"""Alerts for a failed task, by email and by a webhook, whichever is configured."""

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

CHANNEL_TIMEOUT = 10
"""Seconds for a webhook to connect, and to send the next bytes."""
WEBHOOK_SECONDS, WEBHOOK_BYTES = 60, 1 << 20
"""Limits of the whole request and of the response."""


def send_alerts(context: Any) -> None:
    """Report a task's failure through every configured channel, even if another channel fails."""
    for channel, send in {"email": _by_email, "webhook": _by_webhook}.items():
        try:
            send(context, *message(context))
        except Exception as error:  # each channel has its own; the log of the task shows the task's error
            log.warning("No alert was sent by %s: %s: %s", channel, type(error).__name__, safe_text(error))


# `notify` rather than a call of the notifier, which would render text of X as a template. Airflow's HTTP
# notifier has no limits and logs the webhook's response unescaped, so its hook is used.


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
        # After a redirect, requests would use ~/.netrc and turn the POST into a GET.
        options = {"timeout": CHANNEL_TIMEOUT, "check_response": False, "allow_redirects": False}
        response = hook.run(endpoint=path, json={"text": text}, extra_options=options)
        if not 200 <= response.status_code < 300:
            words = safe_text(response.content[:200].decode(errors="replace"))
            raise Outage(f"the webhook answered {response.status_code}: {words}")
        log.info("Alerted by Connection %s", settings.WEBHOOK_CONNECTION)


def message(context: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The subject and the lines of a message: what happened, what to do, and the link to the log.

    If a worker was lost, Airflow's context may be incomplete: missing parts are omitted.
    """
    ti, error = context.get("ti"), context.get("exception")
    task, dag = (getattr(ti, name, None) or "unknown" for name in ("task_id", "dag_id"))
    subject = f"{_run_day(context)}: {task} failed ({dag})"
    if isinstance(error, PipelineError):
        lines = [str(error), str(type(error).__doc__)]
    elif error:
        lines = [
            error_text(error),
            "This is a defect or a fault of the platform. The log of the task has more.",
        ]
    else:
        lines = ["The worker was lost.", "Clear the task: it continues from the stored responses."]
    return safe_text(subject), [safe_text(line, LONGEST_MESSAGE) for line in [*lines, *_link(ti)]]


def _run_day(context: Mapping[str, Any]) -> str:
    """The run's day, or else the id of the run."""
    try:
        return str(day_of(context))
    except (BadDay, KeyError, AttributeError, TypeError):
        ids = [getattr(context.get(name), "run_id", None) for name in ("dag_run", "ti")]
        return str(next(filter(None, [*ids, context.get("run_id")]), "A run"))


def _link(ti: Any) -> list[str]:
    try:
        return [ti.log_url] if ti.log_url else []
    except Exception:  # Airflow builds it from the run's id and its own settings
        return []
