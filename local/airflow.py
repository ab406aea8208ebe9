"""The few REST calls that the local stack makes to its Airflow."""

import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

from include.twitter.safe_text import LONGEST_MESSAGE, safe_text
from local.environment import UI_USER

DAG = "twitter"


class AirflowRefused(RuntimeError):
    """Airflow's API responded with an error."""


class AirflowUnreachable(RuntimeError):
    """Airflow's API gave no response."""


class AirflowHasIt(AirflowRefused):
    """What a request creates exists already."""


AT_WORK = ("queued", "running")
"""States of a task that a worker runs, or is about to run."""
COMES_BACK = ("up_for_retry", "up_for_reschedule")
"""States of a task that Airflow starts again by itself."""


@dataclass(frozen=True)
class Stage:
    """One task instance of a run."""

    name: str
    state: str
    attempt: int
    started: datetime | None
    seconds: float | None

    @classmethod
    def read(cls, instance: dict[str, Any]) -> Self:
        return cls(
            name=instance["task_id"],
            state=instance["state"] or "waiting",
            attempt=instance["try_number"],
            started=_moment(instance["start_date"]),
            seconds=instance["duration"],
        )


class Login(httpx.Auth):
    """Signs in before the first request, and again after the token has expired."""

    requires_response_body = True

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.token = ""
        self._given = {"username": UI_USER, "password": password}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self.token:
            yield from self._sign_in(request)
        if (yield self._signed(request)).status_code == httpx.codes.UNAUTHORIZED:
            yield from self._sign_in(request)
            yield self._signed(request)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def _sign_in(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        url, timeouts = f"{self.url}/auth/token", request.extensions
        response = yield httpx.Request("POST", url, json=self._given, extensions=timeouts)
        self.token = _content(response)["access_token"]


class Airflow:
    """A client of one local Airflow; it signs in as the administrator."""

    def __init__(self, url: str, password: str) -> None:
        self.login = Login(url, password)
        self._http = httpx.Client(base_url=f"{url}/api/v2", auth=self.login, trust_env=False, timeout=60)

    def close(self) -> None:
        self._http.close()

    def answers(self) -> bool:
        return self._request("GET", "/monitor/health", auth=None).is_success

    def answers_tasks(self) -> bool:
        """Whether the API for tasks responds; the first request takes seconds."""
        health = str(self._http.base_url.join("/execution/health"))
        return self._request("GET", health, auth=None).is_success

    def healthy_since(self, moment: datetime, components: Iterable[str]) -> bool:
        """Whether each component has sent a heartbeat since `moment`; older ones are another stack's."""
        health = self.call("GET", "/monitor/health")
        return health["metadatabase"]["status"] == "healthy" and all(
            (heartbeat := _moment(health[name][f"latest_{name}_heartbeat"])) and heartbeat >= moment
            for name in components
        )

    def knows_the_dag(self) -> bool:
        return self._request("GET", f"/dags/{DAG}").is_success

    def dag_parsed_since(self, moment: datetime) -> bool:
        dag = self._request("GET", f"/dags/{DAG}")
        return dag.is_success and (_moment(_content(dag)["last_parsed_time"]) or moment) > moment

    def import_error_since(self, moment: datetime) -> str | None:
        """The error of a DAG file that cannot be imported, if there is one."""
        for error in self.call("GET", "/importErrors")["import_errors"]:
            if (_moment(error["timestamp"]) or moment) >= moment:
                return f"{error['filename']} cannot be imported:\n{error['stack_trace'].strip()}"
        return None

    def variable(self, name: str) -> str | None:
        entry = self._find(f"/variables/{name}")
        return entry["value"] if entry else None

    def add_variables(self, variables: dict[str, dict[str, str]]) -> None:
        """Creates Variables; one that exists keeps the value that somebody gave it."""
        existing = self.call("GET", "/variables", params={"limit": 100})["variables"]
        for name in variables.keys() - {variable["key"] for variable in existing}:
            self.call("POST", "/variables", json={"key": name, **variables[name]})

    def put_connection(self, name: str, **fields: Any) -> None:
        """Creates a Connection, or replaces it."""
        body = {"connection_id": name} | fields
        if self._find(f"/connections/{name}"):
            self.call("PATCH", f"/connections/{name}", json=body)
        else:
            self.call("POST", "/connections", json=body)

    def unpause(self, dag: str = DAG) -> None:
        self.call("PATCH", f"/dags/{dag}", params={"update_mask": "is_paused"}, json={"is_paused": False})

    def backfill(self, first: str, last: str, **more: Any) -> None:
        """Starts the runs of all days from the first to the last, landed ones too."""
        days = {"from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
        body = {"dag_id": DAG, "reprocess_behavior": "completed"} | days | more
        self.call("POST", "/backfills", json=body)

    def runs(self) -> list[dict[str, Any]]:
        return self.call("GET", f"/dags/{DAG}/dagRuns", params={"limit": 1000})["dag_runs"]

    def run_day(self, day: str, restart: bool = True) -> str:
        """Triggers the run that is named by the day, or clears it, so that it goes through again.

        Without `restart`, a run whose task is queued or running is left alone.
        """
        self.unpause()
        run = f"manual__{day}"
        try:
            body = {"dag_run_id": run, "logical_date": None, "conf": {"day": day}}
            self.call("POST", f"/dags/{DAG}/dagRuns", json=body)
        except AirflowHasIt:
            if restart or not any(stage.state in AT_WORK for stage in self.stages(run)):
                self.call("POST", f"/dags/{DAG}/dagRuns/{run}/clear", json={"dry_run": False})
        return run

    def run_state(self, run: str) -> str:
        return self.call("GET", f"/dags/{DAG}/dagRuns/{run}")["state"]

    def stages(self, run: str) -> list[Stage]:
        instances = self.call("GET", f"/dags/{DAG}/dagRuns/{run}/taskInstances")["task_instances"]
        return [Stage.read(instance) for instance in instances]

    def error_of(self, run: str, stage: Stage) -> str:
        """The message that the stage's last try failed with."""
        return _error(self.log_of(run, stage)) or "its log holds no error; the worker may have been killed"

    def why_it_waits(self, run: str, stage: Stage) -> str | None:
        """The reason in the log of a task that starts again: its error, or the line that names the time."""
        events = self.log_of(run, stage)
        if stage.state == "up_for_retry":
            return _error(events)
        loggers = ("include.twitter.airflow_context", "include.twitter.retry")
        messages = [event["event"] for event in events if event.get("logger") in loggers]
        return messages[-1] if messages else None

    def log_of(self, run: str, stage: Stage) -> list[dict[str, Any]]:
        """The log of the stage's last try, an event a line."""
        path = f"/dags/{DAG}/dagRuns/{run}/taskInstances/{stage.name}/logs/{stage.attempt}"
        return self.call("GET", path, headers={"Accept": "application/json"})["content"]

    def call(self, method: str, path: str, **request: Any) -> Any:
        return _content(self._request(method, path, **request))

    def _find(self, path: str) -> Any:
        """The resource at the path, None if there is none."""
        response = self._request("GET", path)
        return None if response.status_code == 404 else _content(response)

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx.RequestError as error:
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise AirflowUnreachable(
                f"{method} {error.request.url}: Airflow gave no response ({reason}). The machine is "
                "overloaded, or the API server has ended: see .local/logs/api-server.log, then try again."
            ) from error


def _content(response: httpx.Response) -> Any:
    request = f"{response.request.method} {response.url}: {response.status_code}"
    if response.is_error:
        refusal = AirflowHasIt if response.status_code == 409 else AirflowRefused
        raise refusal(f"{request} {_detail(response)}")
    try:
        return response.json() if response.content else None
    except ValueError as error:
        raise AirflowRefused(
            f"{request}, but the body is not JSON: {response.text[:100]!r}. Is this port Airflow's?"
        ) from error


def _error(events: list[dict[str, Any]]) -> str | None:
    """The last error of a log, on one line."""
    for event in reversed(events):
        if details := event.get("error_detail"):
            text = " ".join(f"{details[0]['exc_type']}: {details[0]['exc_value']}".split())
            return safe_text(text, LONGEST_MESSAGE)
    errors = [event["event"] for event in events if event.get("level") in ("error", "critical")]
    return safe_text(errors[-1], LONGEST_MESSAGE) if errors else None


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return response.text[:500]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
