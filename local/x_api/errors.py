"""X's errors in X's words: recorded traffic and reports, 2021 to 2026."""

from typing import Any

Body = dict[str, Any]

PROBLEMS = "https://api.twitter.com/2/problems/"
NOT_A_PAGE = "<!DOCTYPE html>\n<html><head><title>X</title></head><body>Nothing to see here</body></html>\n"


class Refusal(Exception):
    """X responds to the whole request with this status and body."""

    def __init__(self, status: int, body: Body, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


def unauthorized() -> Refusal:
    return Refusal(401, _blank(401, "Unauthorized"))


def too_many_requests(headers: dict[str, str]) -> Refusal:
    return Refusal(429, _blank(429, "Too Many Requests"), headers)


def bearer_only() -> Refusal:
    detail = (
        "Authenticating with OAuth 1.0a User Context is forbidden for this endpoint.  "
        "Supported authentication types are [OAuth 2.0 Application-Only]."
    )
    problem = {"title": "Unsupported Authentication", "detail": detail, "status": 403}
    return Refusal(403, problem | {"type": PROBLEMS + "unsupported-authentication"})


def token_refused(code: int, message: str, label: str) -> Refusal:
    """An error of `/oauth2/token`, in the form of API v1."""
    return Refusal(403, {"errors": [{"code": code, "message": message, "label": label}]})


def invalid(parameter: str, value: str, problem: str) -> Refusal:
    """400 for a wrong value of a parameter."""
    return _invalid(parameter, value, f"The `{parameter}` query parameter value [{value}] {problem}")


def too_annotated(size: int) -> Refusal:
    """400 for a page of more than 100 with annotations."""
    problem = (
        "when requesting `tweet.fields=context_annotations` `max_results` must be less than or equal to `100`"
    )
    return _invalid("max_results", str(size), problem)


def invalid_time(parameter: str, value: str, problem: str) -> Refusal:
    """400 for a time that cannot be requested."""
    return _invalid(parameter, value, f"Invalid '{parameter}':'{value}'. '{parameter}' {problem}")


def gone(state: str, parameter: str, value: str, kind: str = "user") -> Body:
    """The entry in `errors`, with status 200, for a user or tweet that is unknown, suspended or protected."""
    about = {"value": value, "resource_id": value, "resource_type": kind, "parameter": parameter}
    if state == "protected":
        shown = {"tweet": "Tweet"}.get(kind, kind)
        detail = f"Sorry, you are not authorized to see the {shown} with {parameter}: [{value}]."
        problem = PROBLEMS + "not-authorized-for-resource"
        return about | {"title": "Authorization Error", "detail": detail, "section": "data", "type": problem}
    title, detail = "Not Found Error", f"Could not find {kind} with {parameter}: [{value}]."
    if state == "suspended":
        title, detail = "Forbidden", f"User has been suspended: [{value}]."
    return about | {"title": title, "detail": detail, "type": PROBLEMS + "resource-not-found"}


def one_job_at_a_time() -> Refusal:
    """400 for a job while another is open. Status and words are invented: X documents only the limit."""
    detail = "One job of a type at a time: wait until the other has ended."
    return Refusal(400, {"title": "Invalid Request", "detail": detail, "type": PROBLEMS + "invalid-request"})


def _blank(status: int, title: str) -> Body:
    return {"title": title, "type": "about:blank", "status": status, "detail": title}


def _invalid(parameter: str, value: str, message: str) -> Refusal:
    problem = {
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": PROBLEMS + "invalid-request",
    }
    return Refusal(400, {"errors": [{"parameters": {parameter: [value]}, "message": message}]} | problem)
