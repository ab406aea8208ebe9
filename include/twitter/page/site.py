"""The routes of the page Days. Airflow mounts them without its authentication: each asks for it itself.

It only reads: what a form of the page begins goes through Airflow's own API, with the rights of who sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from include.twitter import airflow_context as run
from include.twitter import settings
from include.twitter.day import FIRST_POST, Day
from include.twitter.errors import BadDay, PipelineError
from include.twitter.page import bill, span, views
from include.twitter.page.runs import DAG
from include.twitter.page.states import Stretch
from include.twitter.safe_text import safe_text

FOLDER = Path(__file__).parent / "templates"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
LONGEST_SHOWN = 30_000
"""Characters of one text on a page: X's longest post has 25,000."""
LONGEST_FIND = 50
"""Characters of a handle to search for."""


def shown(text: Any) -> str:
    """A stranger's text with each unsafe character written out, such as one that turns its direction."""
    return safe_text(text, LONGEST_SHOWN)


def letters(stretches: Iterable[Stretch]) -> Markup:
    """A row of days, without a word of a stranger's; a template takes a quarter of a second more."""
    return Markup("".join(f'<b class="s-{state.css}">{text}</b>' for state, text in stretches))  # noqa: S704


pages = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
pages.filters |= {"dollars": bill.dollars, "letters": letters, "shown": shown}

app = FastAPI(
    title="Twitter days",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=DAG))],
    openapi_url=None,  # it and its pages would be open to everybody
)


@app.get("/")
def now(request: Request) -> Response:
    """The month of the newest day that has settled."""
    return RedirectResponse(f"{request.scope['root_path']}/month/{_latest().date:%Y-%m}")


@app.get("/month/{month}")
def month(request: Request, month: str) -> Response:
    return _page(
        request, "month.html", lambda: views.month(_first(f"{month}-01"), run.now(), _choice(request))
    )


@app.get("/year/{year}")
def year(request: Request, year: str) -> Response:
    return _page(
        request, "year.html", lambda: views.year(_first(f"{year}-01-01"), run.now(), _choice(request))
    )


@app.get("/day/{day}")
def day(request: Request, day: str) -> Response:
    return _page(request, "day.html", lambda: views.day(_first(day), run.now(), _choice(request)))


@app.get("/days.css")
def style() -> Response:
    return Response((FOLDER / "days.css").read_bytes(), media_type="text/css", headers=HEADERS)


@app.get("/days.js")
def script() -> Response:
    return Response((FOLDER / "days.js").read_bytes(), media_type="text/javascript", headers=HEADERS)


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    """Nobody's session, or a user who may not see the DAG: one sentence."""
    said = {
        401: "Nobody is signed in here, or the session has ended: sign in to Airflow.",
        403: f"Days shows the DAG {DAG} and its runs, and you may not see them: ask who administers Airflow.",
    }
    return _sentence(request, error.status_code, said.get(error.status_code, str(error.detail)))


def _latest() -> Day:
    try:
        return Day.latest_settled(run.now(), settings.settling())
    except PipelineError:  # the page itself will tell
        return Day.latest_settled(run.now())


def _first(text: str) -> Day:
    with suppress(BadDay):
        if FIRST_POST.year <= (day := Day.named(text)).date.year < 3000:
            return day
    raise HTTPException(404, f"There is no page for {text!r}. Example of a day: 2026-11-18")


def _choice(request: Request) -> views.Choice:
    """Which accounts to show: `?page=2&find=nasa`."""
    page = request.query_params.get("page", "1")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    return views.Choice(number, request.query_params.get("find", "").strip()[:LONGEST_FIND])


def _page(request: Request, template: str, look: Callable[[], dict[str, Any]]) -> Response:
    try:
        return _filled(request, template, 200, **look())
    except PipelineError as error:
        span.forget_lake()
        return _sentence(request, 503, str(error))
    except msgspec.DecodeError as error:
        return _sentence(request, 503, f"A record in the bucket is not of this version: {error}")


def _sentence(request: Request, status: int, text: str) -> Response:
    return _filled(request, "sentence.html", status, said=text)


def _filled(request: Request, template: str, status: int, **values: Any) -> HTMLResponse:
    here = request.scope["root_path"]
    text = pages.get_template(template).render(here=here, airflow=here.rpartition("/")[0], dag=DAG, **values)
    return HTMLResponse(text, status, HEADERS)
