"""The endpoints of X that the pipeline uses: from a request to X's body.

Not implemented, because the pipeline does not use it: expansions; query operators other than `from:`,
`-is:retweet` and `-is:reply`, except in the query for an account's replies to itself; and, except for
`limited_` accounts, the end of a timeline after its newest 3,200 posts.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice

from local.x_api import posts
from local.x_api.errors import Body, gone, invalid, too_annotated
from local.x_api.pages import chosen, older_than, page, token_below
from local.x_api.request import FIELDS, HANDLE, NUMBER, WINDOW, ApiRequest, matching

WEEK, MONTH = timedelta(days=7), timedelta(days=30)
COUNT_SPAN = timedelta(days=31)
"""The span of one response of the archive's counts, in any granularity; the newest days come first."""
TIMELINES_BEGIN = datetime(2010, 11, 6, tzinfo=UTC)
X_BEGINS = datetime(2006, 3, 21, tzinfo=UTC)
PROJECT, APP = "1", "2"
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
EXCLUDABLE = {"retweets": "retweeted", "replies": "replied_to"}
QUERY = re.compile(r"\(?(from:\w{1,19}(?: OR from:\w{1,19})*)\)?((?: -is:(?:retweet|reply))*)")

WITHHELD = {"copyright": False, "country_codes": ["DE", "FR"]}
THREADS = re.compile(r"\((from:(\w{1,19}))\) to:\2 is:reply -is:retweet")
"""An account's replies to itself."""


def users_by(call: ApiRequest) -> Body:
    call.allow("usernames", *FIELDS)
    names = call.params.get("usernames", "").split(",")
    if len(names) > 100:
        raise invalid("usernames", call.params["usernames"], "is not between 1 and 100 long")
    results = [_looked_up(call, matching("usernames", name, HANDLE)) for name in names]
    data = [user for user, error in results if not error]
    call.users = len(data)
    errors = [error for _, error in results if error]
    return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})


def timeline(call: ApiRequest) -> Body:
    """A page of all posts without the excluded ones, so short pages with a token are normal."""
    call.allow("max_results", "pagination_token", "exclude", *WINDOW, *FIELDS)
    number = matching("id", call.path["id"], NUMBER)
    size = call.number("max_results", 5, 100)
    excluded = set(filter(None, call.params.get("exclude", "").split(",")))
    for name in excluded - set(EXCLUDABLE):
        raise invalid("exclude", name, "is not one of [replies,retweets]")
    start, end = call.window(TIMELINES_BEGIN)
    low, high = call.bounds(start, end + timedelta(seconds=1) if end else None)  # end_time is inclusive
    handle = call.known.get(number)
    call.handles += [handle] if handle else []
    if not handle or posts.account(handle).state != "active":
        return {"errors": [gone(posts.account(handle).state if handle else "unknown", "id", number)]}
    low = max(low, _depth(handle, call.now, 800 if "replies" in excluded else 3200))
    slots = list(islice(posts.between(handle, low, high), size + 1))
    cut, kinds = slots[:size], {EXCLUDABLE[name] for name in excluded}
    data = chosen([posts.post(handle, slot) for slot in cut if slot.kind not in kinds], call.params)
    return page(data, older_than(cut[-1].id) if len(slots) > size else None)


def posts_by_id(call: ApiRequest) -> Body:
    """Up to 100 posts with their current counts, and an error for each that is not shown."""
    call.allow("ids", *FIELDS)
    numbers = call.params.get("ids", "").split(",")
    if len(numbers) > 100:
        raise invalid("ids", call.params["ids"], "is not between 1 and 100 long")
    results = [_post(call, matching("ids", number, NUMBER)) for number in numbers]
    data = chosen([post for post, error in results if not error], call.params)
    errors = [error for _, error in results if error]
    return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})


def search_recent(call: ApiRequest) -> Body:
    return _search(call, largest=100, longest=512, earliest=call.now - WEEK, reach=WEEK)


def search_all(call: ApiRequest) -> Body:
    call.require_bearer()
    return _search(call, largest=500, longest=1024, earliest=X_BEGINS, reach=MONTH)


def counts_recent(call: ApiRequest) -> Body:
    return _counts(call, longest=512, earliest=call.now - WEEK, reach=WEEK)


def counts_all(call: ApiRequest) -> Body:
    return _counts(call, longest=1024, earliest=X_BEGINS, reach=MONTH)


def usage(call: ApiRequest) -> Body:
    """The posts charged, by UTC day, of a project with one app and calendar months."""
    call.require_bearer()
    call.allow("days", "usage.fields")
    fields = call.params.get("usage.fields", "").split(",")
    today = call.now.date()
    days = [str(today - timedelta(days=back)) for back in range(call.number("days", 1, 90, "7"))]
    daily = [{"date": f"{day}T00:00:00.000Z", "usage": call.charged.get(day, 0)} for day in days]
    whole: Body = {
        "cap_reset_day": 1,
        "project_cap": 3_000_000,
        "project_id": PROJECT,
        "project_usage": sum(posts for day, posts in call.charged.items() if day[:7] == str(today)[:7]),
        "daily_project_usage": {"project_id": int(PROJECT), "usage": daily},
        "daily_client_app_usage": [
            {"client_app_id": APP, "usage": daily, "usage_result_count": len(daily)},
        ],
    }
    return {"data": {name: value for name, value in whole.items() if "daily" not in name or name in fields}}


# Path, family of rate limits, endpoint.
ENDPOINTS: tuple[tuple[str, str, Callable[[ApiRequest], Body]], ...] = (
    ("/2/users/by", "users", users_by),
    ("/2/users/{id}/tweets", "timeline", timeline),
    ("/2/tweets", "posts", posts_by_id),
    ("/2/tweets/search/recent", "recent", search_recent),
    ("/2/tweets/search/all", "archive", search_all),
    ("/2/tweets/counts/recent", "archive", counts_recent),
    ("/2/tweets/counts/all", "archive", counts_all),
    ("/2/usage/tweets", "archive", usage),
)


def _looked_up(call: ApiRequest, name: str) -> tuple[Body, Body | None]:
    """A user and no error, or the error. X ignores the case of handles."""
    handle = call.owners.get(name.lower(), name.lower())
    call.handles.append(handle)
    state = posts.account(handle).state
    if state in ("unknown", "suspended"):
        return {}, gone(state, "usernames", name)
    call.known[posts.user_id(handle)] = handle
    fields = {"id", "name", "username", *call.params.get("user.fields", "").split(",")}
    user = posts.user(handle) | {"username": name.lower()}
    return {field: value for field, value in user.items() if field in fields}, None


def _post(call: ApiRequest, number: str) -> tuple[Body, Body | None]:
    """A post and no error, or the error."""
    id_, state = int(number), call.states.get(number)
    shown = () if id_ >= posts.id_at(call.now) or state not in (None, "withheld") else call.known.values()
    for handle in shown:
        for slot in posts.between(handle, id_, id_ + 1):
            post = posts.grown(posts.post(handle, slot), call.now)
            return post | ({"withheld": WITHHELD} if state else {}), None
    return {}, gone(state or "deleted", "ids", number, "tweet")


def _depth(handle: str, now: datetime, most: int) -> int:
    """The id of the oldest post in the timeline."""
    if not posts.account(handle).shallow:
        return 0
    reached = list(islice(posts.between(handle, 0, posts.id_at(now)), most))
    return reached[-1].id if reached else 0


def _search(call: ApiRequest, largest: int, longest: int, earliest: datetime, reach: timedelta) -> Body:
    call.allow("query", "max_results", "next_token", *WINDOW, *FIELDS)
    shown = _query(call, longest)
    size = call.number("max_results", 10, largest)
    if size > 100 and "context_annotations" in call.params.get("tweet.fields", ""):
        raise too_annotated(size)
    start, end = call.window(earliest)
    low, high = call.bounds(start or (end or call.now) - reach, end)
    matches = list(islice(_matches(call.handles, shown, low, high), size + 1))
    data = chosen([posts.post(handle, slot) for slot, handle in matches[:size]], call.params)
    return page(data, older_than(matches[size - 1][0].id) if len(matches) > size else None)


def _counts(call: ApiRequest, longest: int, earliest: datetime, reach: timedelta) -> Body:
    call.require_bearer()
    call.allow("query", "granularity", "next_token", *WINDOW)
    shown = _query(call, longest)
    granularity = call.params.get("granularity", "hour")
    if granularity not in STEPS:
        raise invalid("granularity", granularity, "is not one of [hour,day]")
    start, end = call.window(earliest)
    end = end or (call.now - timedelta(seconds=30)).replace(microsecond=0)
    start = start or end - reach
    if call.token:
        end = posts.time_of(token_below(call.token))
    first = max(start, end - COUNT_SPAN)
    data = []
    for opens, closes in _buckets(first, end, STEPS[granularity]):
        count = sum(1 for _ in _matches(call.handles, shown, posts.id_at(opens), posts.id_at(closes)))
        data.append({"end": posts.stamp(closes), "start": posts.stamp(opens), "tweet_count": count})
    meta: Body = {"total_tweet_count": sum(bucket["tweet_count"] for bucket in data)}
    return {
        "data": data,
        "meta": meta | ({"next_token": older_than(posts.id_at(first))} if first > start else {}),
    }


def _query(call: ApiRequest, longest: int) -> Callable[[posts.Slot], bool]:
    """Read `(from:a OR from:42) -is:retweet -is:reply`: record the accounts, return a filter of posts."""
    query = call.params.get("query", "")
    if not 1 <= len(query) <= longest:
        raise invalid("query", query, f"is not between 1 and {longest} characters long")
    match = QUERY.fullmatch(query) or THREADS.fullmatch(query)
    if not match:
        raise invalid("query", query, "is more than this stand-in reads: from:, OR, -is:retweet, -is:reply")
    handles = [call.account(clause.removeprefix("from:")) for clause in match[1].split(" OR ")]
    call.handles += dict.fromkeys(handles)
    call.known.update((posts.user_id(handle), handle) for handle in handles)
    if match.re is THREADS:
        return posts.is_thread
    hidden = {{"-is:retweet": "retweeted", "-is:reply": "replied_to"}[clause] for clause in match[2].split()}
    return lambda slot: slot.kind not in hidden


def _matches(
    handles: list[str], shown: Callable[[posts.Slot], bool], low: int, high: int
) -> Iterator[tuple[posts.Slot, str]]:
    """The slots of several accounts with their handles, newest first."""

    def slots_of(handle: str) -> Iterator[tuple[posts.Slot, str]]:
        return ((slot, handle) for slot in posts.between(handle, low, high) if shown(slot))

    return merge(*map(slots_of, handles), reverse=True)


def _buckets(start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Whole steps of the UTC clock, the first and the last cut to the window."""
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    while start < end:
        closes = min(zero + ((start - zero) // step + 1) * step, end)
        yield start, closes
        start = closes
