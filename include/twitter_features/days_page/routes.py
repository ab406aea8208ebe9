"""The routes of the page Days. Airflow mounts them without authentication: each checks Airflow's rights.

The page only reads: its forms call Airflow's API, with the rights of the person who sends them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from more_itertools import run_length

from include.twitter import airflow_context, layout
from include.twitter.airflow_compat import DagAccessEntity, requires_access_dag
from include.twitter.day import FIRST_POST, Day
from include.twitter.errors import BadDay, PipelineError
from include.twitter.pricing import format_usd
from include.twitter.records import latest_in_words
from include.twitter.safe_text import safe_text
from include.twitter_features.days_page import day_range, status, view_models
from include.twitter_features.days_page.airflow_db import DAG
from include.twitter_features.days_page.month_spend import ONLY_IN_LEDGER
from include.twitter_features.days_page.status import Status

TEMPLATES = Path(__file__).parent / "templates"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MAX_TEXT = 30_000
"""Characters of one text on a page: X's longest post has 25,000."""
MAX_FIND = 50
"""Characters of a handle to search for."""


def letters(statuses: Iterable[Status]) -> Markup:
    """A row of days; a template would take a quarter of a second longer. No text is from outside."""
    runs = run_length.encode(statuses)
    return Markup("".join(f'<b class="s-{s.css}">{s.letter * number}</b>' for s, number in runs))  # noqa: S704


pages = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
pages.filters |= {
    "usd": format_usd,
    "shown": lambda text: safe_text(text, MAX_TEXT),
    "letters": letters,
    "in_words": status.status_counts,
    "latest": latest_in_words,
}
pages.globals |= {"dag": DAG, "layout": layout, "status": status, "in_ledger_alone": ONLY_IN_LEDGER}

app = FastAPI(
    title="Twitter days",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=DAG))],
    openapi_url=None,  # FastAPI serves it and its pages without these dependencies
)


@app.get("/")
def latest(request: Request) -> Response:
    """The month of the newest day that has settled."""
    day = Day.latest_settled(airflow_context.now())
    return RedirectResponse(f"{request.scope['root_path']}/month/{day.date:%Y-%m}")


@app.get("/month/{month}")
def month(request: Request, month: str) -> Response:
    return _page(request, "month.html", view_models.month_view, f"{month}-01")


@app.get("/year/{year}")
def year(request: Request, year: str) -> Response:
    return _page(request, "year.html", view_models.year_view, f"{year}-01-01")


@app.get("/day/{day}")
def day(request: Request, day: str) -> Response:
    return _page(request, "day.html", view_models.day_view, day)


@app.get("/days.css")
def style() -> Response:
    return Response((TEMPLATES / "days.css").read_bytes(), media_type="text/css", headers=HEADERS)


@app.get("/days.js")
def script() -> Response:
    return Response((TEMPLATES / "days.js").read_bytes(), media_type="text/javascript", headers=HEADERS)


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    message = {
        401: "You are not signed in, or the session has ended: sign in to Airflow.",
        403: f"Days needs the right to see runs of the DAG {DAG}: ask your Airflow administrator.",
    }.get(error.status_code, str(error.detail))
    return _render(request, "message.html", error.status_code, message=message)


def _page(request: Request, template: str, view: Callable[..., dict[str, Any]], first: str) -> Response:
    """A page of the days from `first` on, with the accounts of a query such as `?page=2&find=nasa`."""
    try:
        day = Day.named(first)
    except BadDay:
        day = None
    if not day or not FIRST_POST.year <= day.date.year < 3000:
        raise HTTPException(404, f"There is no page for {first!r}. Example of a day: 2026-11-18")
    page, find = request.query_params.get("page", "1"), request.query_params.get("find", "")
    number = int(page) if re.fullmatch("[0-9]{1,6}", page) else 1
    choice = view_models.Choice(number, find.strip()[:MAX_FIND])
    try:
        return _render(request, template, 200, **view(day, airflow_context.now(), choice))
    except PipelineError as error:
        day_range.store_of.cache_clear()  # the connection may be corrected before the next request
        return _render(request, "message.html", 503, message=str(error))


def _render(request: Request, template: str, code: int, **values: Any) -> HTMLResponse:
    root = request.scope["root_path"]
    text = pages.get_template(template).render(root=root, airflow=root.rpartition("/")[0], **values)
    return HTMLResponse(text, code, HEADERS)
