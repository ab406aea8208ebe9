"""The endpoints of X that the pipeline uses: a request in, X's body out.

Left out is what the pipeline does not ask for: expansions, query operators other than `from:`, `-is:retweet`
and `-is:reply` (both are refused) but for the one query of an account's replies to itself, and, except for
`limited_` accounts, the end of a timeline after its newest 3,200 posts.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice

from local.x_api import posts
from local.x_api.ask import FIELDS, HANDLE, NUMBER, WINDOW, Ask, matching
from local.x_api.errors import Body, gone, invalid, too_annotated
from local.x_api.pages import chosen, older_than, page, token_below

WEEK, MONTH = timedelta(days=7), timedelta(days=30)
COUNTED = timedelta(days=31)
"""What one answer of the archive's counts holds, in whatever steps: the newest days first."""
TIMELINES_BEGIN = datetime(2010, 11, 6, tzinfo=UTC)
X_BEGINS = datetime(2006, 3, 21, tzinfo=UTC)
PROJECT, APP = "1", "2"
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
EXCLUDABLE = {"retweets": "retweeted", "replies": "replied_to"}
QUERY = re.compile(r"\(?(from:\w{1,19}(?: OR from:\w{1,19})*)\)?((?: -is:(?:retweet|reply))*)")

WITHHELD = {"copyright": False, "country_codes": ["DE", "FR"]}
THREADS = re.compile(r"\((from:(\w{1,19}))\) to:\2 is:reply -is:retweet")
"""An account's replies to itself."""


def users_by(ask: Ask) -> Body:
    ask.allow("usernames", *FIELDS)
    names = ask.params.get("usernames", "").split(",")
    if len(names) > 100:
        raise invalid("usernames", ask.params["usernames"], "is not between 1 and 100 long")
    found = [_looked_up(ask, matching("usernames", name, HANDLE)) for name in names]
    data = [user for user, error in found if not error]
    ask.users = len(data)
    errors = [error for _, error in found if error]
    return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})


def timeline(ask: Ask) -> Body:
    """A page is cut from everything, then the excluded are left out: short pages with a token are normal."""
    ask.allow("max_results", "pagination_token", "exclude", *WINDOW, *FIELDS)
    number = matching("id", ask.path["id"], NUMBER)
    size = ask.number("max_results", 5, 100)
    excluded = set(filter(None, ask.params.get("exclude", "").split(",")))
    for name in excluded - set(EXCLUDABLE):
        raise invalid("exclude", name, "is not one of [replies,retweets]")
    start, end = ask.window(TIMELINES_BEGIN)
    low, high = ask.bounds(start, end + timedelta(seconds=1) if end else None)  # end_time is inclusive
    handle = ask.known.get(number)
    ask.handles += [handle] if handle else []
    if not handle or posts.account(handle).state != "active":
        return {"errors": [gone(posts.account(handle).state if handle else "unknown", "id", number)]}
    low = max(low, _depth(handle, ask.now, 800 if "replies" in excluded else 3200))
    found = list(islice(posts.between(handle, low, high), size + 1))
    cut, kinds = found[:size], {EXCLUDABLE[name] for name in excluded}
    data = chosen([posts.post(handle, slot) for slot in cut if slot.kind not in kinds], ask.params)
    return page(data, older_than(cut[-1].id) if len(found) > size else None)


def posts_by_id(ask: Ask) -> Body:
    """Up to 100 posts, with the counts that they have by now, and an error for each that is not shown."""
    ask.allow("ids", *FIELDS)
    numbers = ask.params.get("ids", "").split(",")
    if len(numbers) > 100:
        raise invalid("ids", ask.params["ids"], "is not between 1 and 100 long")
    found = [_post(ask, matching("ids", number, NUMBER)) for number in numbers]
    data = chosen([post for post, error in found if not error], ask.params)
    errors = [error for _, error in found if error]
    return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})


def search_recent(ask: Ask) -> Body:
    return _search(ask, largest=100, longest=512, earliest=ask.now - WEEK, reach=WEEK)


def search_all(ask: Ask) -> Body:
    ask.require_bearer()
    return _search(ask, largest=500, longest=1024, earliest=X_BEGINS, reach=MONTH)


def counts_recent(ask: Ask) -> Body:
    return _counts(ask, longest=512, earliest=ask.now - WEEK, reach=WEEK)


def counts_all(ask: Ask) -> Body:
    return _counts(ask, longest=1024, earliest=X_BEGINS, reach=MONTH)


def usage(ask: Ask) -> Body:
    """What the stand-in has charged, by UTC day: a project with one app, whose month is the calendar's."""
    ask.require_bearer()
    ask.allow("days", "usage.fields")
    wanted = ask.params.get("usage.fields", "").split(",")
    today = ask.now.date()
    days = [str(today - timedelta(days=back)) for back in range(ask.number("days", 1, 90, "7"))]
    found = [{"date": f"{day}T00:00:00.000Z", "usage": ask.charged.get(day, 0)} for day in days]
    whole: Body = {
        "cap_reset_day": 1,
        "project_cap": 3_000_000,
        "project_id": PROJECT,
        "project_usage": sum(posts for day, posts in ask.charged.items() if day[:7] == str(today)[:7]),
        "daily_project_usage": {"project_id": int(PROJECT), "usage": found},
        "daily_client_app_usage": [
            {"client_app_id": APP, "usage": found, "usage_result_count": len(found)},
        ],
    }
    return {"data": {name: told for name, told in whole.items() if "daily" not in name or name in wanted}}


# Path, family of rate limits, answer.
ENDPOINTS: tuple[tuple[str, str, Callable[[Ask], Body]], ...] = (
    ("/2/users/by", "users", users_by),
    ("/2/users/{id}/tweets", "timeline", timeline),
    ("/2/tweets", "posts", posts_by_id),
    ("/2/tweets/search/recent", "recent", search_recent),
    ("/2/tweets/search/all", "archive", search_all),
    ("/2/tweets/counts/recent", "archive", counts_recent),
    ("/2/tweets/counts/all", "archive", counts_all),
    ("/2/usage/tweets", "archive", usage),
)


def _looked_up(ask: Ask, name: str) -> tuple[Body, Body | None]:
    """A user and no error, or the error. X finds handles whatever their case."""
    handle = ask.owners.get(name.lower(), name.lower())
    ask.handles.append(handle)
    state = posts.account(handle).state
    if state in ("unknown", "suspended"):
        return {}, gone(state, "usernames", name)
    ask.known[posts.user_id(handle)] = handle
    fields = {"id", "name", "username", *ask.params.get("user.fields", "").split(",")}
    user = posts.user(handle) | {"username": name.lower()}
    return {field: value for field, value in user.items() if field in fields}, None


def _post(ask: Ask, number: str) -> tuple[Body, Body | None]:
    """A post and no error, or the error."""
    id_, state = int(number), ask.states.get(number)
    shown = () if id_ >= posts.id_at(ask.now) or state not in (None, "withheld") else ask.known.values()
    for handle in shown:
        for slot in posts.between(handle, id_, id_ + 1):
            post = posts.grown(posts.post(handle, slot), ask.now)
            return post | ({"withheld": WITHHELD} if state else {}), None
    return {}, gone(state or "deleted", "ids", number, "tweet")


def _depth(handle: str, now: datetime, most: int) -> int:
    """The id of the oldest post that the timeline still reaches."""
    if not posts.account(handle).shallow:
        return 0
    reached = list(islice(posts.between(handle, 0, posts.id_at(now)), most))
    return reached[-1].id if reached else 0


def _search(ask: Ask, largest: int, longest: int, earliest: datetime, reach: timedelta) -> Body:
    ask.allow("query", "max_results", "next_token", *WINDOW, *FIELDS)
    shown = _query(ask, longest)
    size = ask.number("max_results", 10, largest)
    if size > 100 and "context_annotations" in ask.params.get("tweet.fields", ""):
        raise too_annotated(size)
    start, end = ask.window(earliest)
    low, high = ask.bounds(start or (end or ask.now) - reach, end)
    found = list(islice(_found(ask.handles, shown, low, high), size + 1))
    data = chosen([posts.post(handle, slot) for slot, handle in found[:size]], ask.params)
    return page(data, older_than(found[size - 1][0].id) if len(found) > size else None)


def _counts(ask: Ask, longest: int, earliest: datetime, reach: timedelta) -> Body:
    ask.require_bearer()
    ask.allow("query", "granularity", "next_token", *WINDOW)
    shown = _query(ask, longest)
    granularity = ask.params.get("granularity", "hour")
    if granularity not in STEPS:
        raise invalid("granularity", granularity, "is not one of [hour,day]")
    start, end = ask.window(earliest)
    end = end or (ask.now - timedelta(seconds=30)).replace(microsecond=0)
    start = start or end - reach
    if ask.token:
        end = posts.time_of(token_below(ask.token))
    first = max(start, end - COUNTED)
    data = []
    for opens, closes in _buckets(first, end, STEPS[granularity]):
        count = sum(1 for _ in _found(ask.handles, shown, posts.id_at(opens), posts.id_at(closes)))
        data.append({"end": posts.stamp(closes), "start": posts.stamp(opens), "tweet_count": count})
    meta: Body = {"total_tweet_count": sum(bucket["tweet_count"] for bucket in data)}
    return {
        "data": data,
        "meta": meta | ({"next_token": older_than(posts.id_at(first))} if first > start else {}),
    }


def _query(ask: Ask, longest: int) -> Callable[[posts.Slot], bool]:
    """Reads `(from:a OR from:42) -is:retweet -is:reply`: notes the accounts, returns which posts it shows."""
    query = ask.params.get("query", "")
    if not 1 <= len(query) <= longest:
        raise invalid("query", query, f"is not between 1 and {longest} characters long")
    match = QUERY.fullmatch(query) or THREADS.fullmatch(query)
    if not match:
        raise invalid("query", query, "is more than this stand-in reads: from:, OR, -is:retweet, -is:reply")
    handles = [ask.account(clause.removeprefix("from:")) for clause in match[1].split(" OR ")]
    ask.handles += dict.fromkeys(handles)
    ask.known.update((posts.user_id(handle), handle) for handle in handles)
    if match.re is THREADS:
        return posts.is_thread
    hidden = {{"-is:retweet": "retweeted", "-is:reply": "replied_to"}[clause] for clause in match[2].split()}
    return lambda slot: slot.kind not in hidden


def _found(
    handles: list[str], shown: Callable[[posts.Slot], bool], low: int, high: int
) -> Iterator[tuple[posts.Slot, str]]:
    """The slots of several accounts, newest first, each with its handle."""

    def walk(handle: str) -> Iterator[tuple[posts.Slot, str]]:
        return ((slot, handle) for slot in posts.between(handle, low, high) if shown(slot))

    return merge(*map(walk, handles), reverse=True)


def _buckets(start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Whole steps of the UTC clock, the first and the last cut to the window."""
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    while start < end:
        closes = min(zero + ((start - zero) // step + 1) * step, end)
        yield start, closes
        start = closes
