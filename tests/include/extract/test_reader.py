"""A day is read: look-ups, pages in parallel, X's counts, and a second attempt after a failure."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier

import pytest

from include.twitter.airflow_context import Run
from include.twitter.errors import BadKeys, BadRequest, LeaseHeld, NoAccess, Outage, OverBudget
from include.twitter.extract import reader
from include.twitter.extract.counts import Count
from include.twitter.extract.purchase import Purchase
from include.twitter.extract.reader import Stopped
from include.twitter.records import CollectionSpec
from include.twitter.sources import Endpoint, PageRequest, SourceSet, account_sources
from include.twitter.x.client import POST_FIELDS
from tests.include.factories import DAY, RECEIVED, SUSPENDED, MemoryStore, about, post
from tests.include.fake_x import (
    FORBIDDEN,
    LIMIT,
    MALFORMED,
    OUTAGE,
    ROOT,
    Attempt,
    open_fake_x,
    page,
    total,
    users,
)

ACCOUNTS = "twitter_accounts/accounts.json"
PROBLEMS = "https://api.x.com/2/problems"
RATE_LIMITED = (429, {"title": "Too Many Requests"})
UNAUTHORIZED = (401, {"title": "Unauthorized", "type": "about:blank", "status": 401})
GONE = {"errors": [SUSPENDED]}
FAILED = {"errors": [{"type": f"{PROBLEMS}/internal-error", "title": "Internal Error"}]}
NOT_FOUND = {"errors": [about("11", "Not Found Error", "Could not find user with id: [11].")]}
OTHER_ID = "the handle has become another account: 777, and it was 11. Nothing is bought of 777"


def unknown(*names, title="Not Found Error"):
    """The response to a look-up that finds nobody."""
    return {"errors": [about(name, title, f"No {name}.", parameter="usernames") for name in names]}


class FailingStore(MemoryStore):
    """An object store whose writer is killed once, before it has written an object."""

    fails_at = "none"

    def put_if_match(self, key, data, etag):
        if key.endswith(self.fails_at):
            self.fails_at = "none"
            raise ConnectionError
        return super().put_if_match(key, data, etag)


class Attempts:
    """Attempts of `extract` for one day, with X on loopback."""

    def __init__(self, x):
        self.x, self.store = x, FailingStore()

    def knows(self, hours_ago=240, *, protected=False, **ids):
        """The accounts that were looked up before."""
        seen_at = (RECEIVED - timedelta(hours=hours_ago)).isoformat()
        known = {
            name.lower(): {"id": id_, "seen_at": seen_at, "protected": protected} for name, id_ in ids.items()
        }
        self.store.write(ACCOUNTS, json.dumps(known).encode())

    @property
    def known(self):
        return {name: account["id"] for name, account in json.loads(self.store.read(ACCOUNTS)).items()}

    def serves(self, responses):
        """X's responses by request, each once. A page may be `3 2 >t1`, a count `3`, users `NASA=11`."""

        def response(name, value):
            if isinstance(value, str) and name.startswith("users"):
                return users(**dict(pair.split("=") for pair in value.split()))
            if isinstance(value, str):
                numbers, _, token = value.partition(">")
                return page(*(post(int(number)) for number in numbers.split()), token=token or None)
            return total(value, hour=9 if "," in name else None) if isinstance(value, int) else value

        for name, several in responses.items():
            values = several if isinstance(several, list) else [several]
            self.x.prepare(name, *(response(name, value) for value in values))

    def read(self, handles, *, killed_at="", **options):
        """Buy what is missing; return id, outcome, proof and number of posts by handle."""
        self.x.requests.clear()
        self.attempt = Attempt(self.x, self.store, *handles.split(), **options)
        if killed_at:
            self.store.fails_at = killed_at
            with pytest.raises(ConnectionError):
                self.attempt.collect()
            return {}
        self.lines = self.attempt.collect()
        return {
            line.username: f"{line.id} {line.outcome} {line.proof} {line.posts}"
            for line in self.attempt.purchase.manifest.accounts
        }

    @property
    def requests(self):
        return sorted(self.x.requests)

    @property
    def billed(self):
        return self.attempt.purchase.manifest.bought["2026-11"]


@pytest.fixture
def day(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("include.twitter.x.client.ARCHIVE_SECONDS", 0)
    with open_fake_x() as x:
        yield Attempts(x)


def counted(number, *ids, hour="2026-11-18T09", hours_ago=2):
    """A cached count, by default of two hours ago."""
    return {ids: Count(number, Counter({hour: number}), RECEIVED - timedelta(hours=hours_ago))}


# One attempt on a recent day

LONG_AGO = 24 * 31
KNOWN = {"NASA": "11", "esa": "22"}
ONE_OF_ESA = {"timeline 22": "1", "count 22": 1}


def case(name, responses, *lines, reason="", known=KNOWN, hours_ago=1, **options):
    """An attempt with X's responses, the entries of NASA and esa after it, and a part of NASA's reason."""
    return pytest.param(responses, lines, reason, known, hours_ago, options, id=name)


@pytest.mark.parametrize(
    ("responses", "lines", "reason", "known", "hours_ago", "options"),
    [
        case("a known account is not looked up, and a batch that matches is counted once",
             {"users esa": "esa=22", "timeline 11": "2 1", "timeline 22": "", "count 11,22": 2},
             "11 complete matched 2", "22 complete matched 0", reason="2 posts of 2 accounts",
             known={"NASA": "11"}),
        case("an id that is none enters no request",
             {"users NASA,esa": "NASA=../../1.1/account esa=22", **ONE_OF_ESA},
             "None unavailable unchecked 0", "22 complete matched 1", reason="../../1.1/account", known={}),
        case("a handle with another id is blocked, alone",
             {"users NASA,esa": "NASA=777 esa=22", **ONE_OF_ESA},
             "11 unavailable unchecked 0", "22 complete matched 1", reason=OTHER_ID, hours_ago=LONG_AGO),
        case("a third id is confirmed", {"users NASA": "NASA=777"}, "11 unavailable unchecked 0",
             reason=OTHER_ID, hours_ago=LONG_AGO, accepted=[("nasa", "778")]),
        case("another id is confirmed", {"users NASA": "NASA=777", "timeline 777": "1", "count 777": 1},
             "777 complete matched 1", hours_ago=LONG_AGO, accepted=[("nasa", "777")]),
        case("an unknown id is looked up by its handle", {"timeline 11": NOT_FOUND, "users NASA": "NASA=777"},
             "11 unavailable unchecked 0", reason=OTHER_ID),
        case("an unknown id whose handle has a confirmed one",
             {"timeline 11": "9 >t1", "timeline 11 t1": NOT_FOUND, "users NASA": "NASA=777",
              "timeline 777": "2 1", "count 777": 2},
             "777 complete matched 2", accepted=[("nasa", "777")]),
        case("neither id nor handle are known", {"timeline 11": NOT_FOUND, "users NASA": unknown("NASA")},
             "11 unavailable unchecked 0", reason="Could not find user with id: [11]."),
        case("X returns the user and does not find its timeline",
             {"timeline 11": NOT_FOUND, "users NASA": "NASA=11"}, "11 unavailable unchecked 0",
             reason="Could not find"),
        case("the same after a look-up", {"users NASA": "NASA=11", "timeline 11": NOT_FOUND},
             "11 unavailable unchecked 0", reason="Could not", known={}),
        case("a known account that is gone keeps its id", {"users NASA": unknown("NASA")},
             "11 unavailable unchecked 0", reason="No NASA.", hours_ago=LONG_AGO),
        case("X finds a suspended account, so it is not looked up", {"timeline 11": GONE},
             "11 unavailable unchecked 0", reason="User has been suspended"),
        case("a page of other authors",
             {"timeline 11": "9 >t1", "timeline 11 t1": page(post(2, author_id="777"), token="t2"),
              **ONE_OF_ESA},
             "11 unavailable unchecked 1", "22 complete matched 1", reason="777"),
        case("a verification with other authors",
             {"timeline 11": "1", "count 11": 2, "search 11": page(post(2, author_id="777"))},
             "11 complete short 1", reason="777"),
        case("a surplus", {"timeline 11": "2 1", "count 11": 1}, "11 complete surplus 2",
             reason="X counts 1 posts, 2 arrived"),
        case("a verification ends at the limit",
             {"timeline 11": "90", "count 11": 50, "search 11": "12 11 10 9 8 7 6 5 4 3 >s1"},
             "11 limit limited 11", limit=10),
        case("a limited account is not counted", {"timeline 11": "3 2 >t1"}, "11 limit limited 2",
             limit=2, cached=counted(323, "11")),
        case("a timeline shows who is gone, so it is read although X counts nothing", {"timeline 11": GONE},
             "11 unavailable unchecked 0", reason="suspended", cached=counted(0, "11")),
    ],
)  # fmt: skip
def test_an_account_of_a_recent_day(day, responses, lines, reason, known, hours_ago, options):
    day.knows(hours_ago, **known)
    day.serves(responses)
    assert tuple(day.read("NASA esa" if len(lines) == 2 else "NASA", **options).values()) == lines
    assert day.requests == sorted(responses), "each is requested once, and nothing else"
    nasa = day.lines["NASA"]
    assert reason in f"{nasa.reason} {nasa.proof_reason}"
    assert all(f"/{nasa.id}/" in key or f"-{nasa.id}/" in key for key in nasa.pages)
    assert day.known.get("nasa") in ((known["NASA"],) if reason == OTHER_ID else (nasa.id, None))
    assert nasa.counted == (323 if nasa.outcome == "limit" and "cached" in options else nasa.counted)


def test_a_look_up_beyond_the_budget_does_not_stop_the_others(day, monkeypatch):
    monkeypatch.setattr(reader, "READERS", 1)  # one account after the other: the cap fits this order alone
    day.knows(1, NASA="11", esa="22")
    day.serves({"timeline 11": NOT_FOUND, "timeline 22": "9 8 7 6 5 4 3 2 1", "count 22": 9})
    lines = {"NASA": "11 unavailable unchecked 0", "esa": "22 complete matched 9"}
    assert day.read("NASA esa", cap=54) == lines
    assert "Could not find" in day.lines["NASA"].reason


def test_more_than_a_hundred_handles_are_looked_up_in_hundreds(day):
    names = [f"u{number}" for number in range(101)]
    day.serves({f"users {','.join(names[:100])}": unknown(*names[:100]), "users u100": unknown("u100")})
    assert {line.split()[1] for line in day.read(" ".join(names)).values()} == {"unavailable"}
    assert len(day.requests) == 2


def test_only_inside_a_batch_that_does_not_match_is_each_account_counted_alone(day):
    ids = {f"u{number:02}": f"1{number:02}" for number in range(1, 23)}
    day.knows(1, **ids)
    day.serves({f"timeline {id_}": page(post(int(id_[1:]))) for id_ in ids.values()})
    counts = {
        f"count {','.join([*ids.values()][:20])}": 20, "count 121,122": 3,
        "count 121": 1, "count 122": 2, "search 122": "22 50",
    }  # fmt: skip
    day.serves(counts)
    day.read(" ".join(ids))
    assert [name for name in day.requests if not name.startswith("timeline")] == sorted(counts)
    assert {line.proof for line in day.lines.values()} == {"matched"}
    assert {name for name, line in day.lines.items() if len(line.pages) == 2} == {"u22"}


# Renamed accounts

WHETHER_KNOWN = pytest.mark.parametrize("renamed", [{"NASA_new": "11"}, {}], ids=["known", "not known"])


@WHETHER_KNOWN
def test_two_handles_of_one_account_are_collected_once(day, caplog, renamed):
    day.knows(1, NASA="11", **renamed)
    day.serves({"users NASA_new": "NASA_new=11", "timeline 11": "1", "count 11": 1})
    assert day.read("NASA NASA_new") == {"NASA": "11 complete matched 1"}
    assert "NASA_new and NASA are one account, 11" in caplog.text
    purchase = Attempt(day.x, day.store, "NASA", "NASA_new").purchase
    assert (purchase.missing, purchase.duplicate_handles) == ([], [("NASA_new", "NASA")])


@WHETHER_KNOWN
def test_a_raised_limit_continues_a_renamed_account_under_the_handle_of_the_day(day, renamed):
    day.knows(1, NASA="11", **renamed)
    day.serves({"timeline 11": ["3 2 >t1", "1"]})
    assert day.read("NASA", limit=2) == {"NASA": "11 limit limited 2"}
    before = day.lines["NASA"].pages
    day.serves({"users NASA_new": "NASA_new=11", "count 11": 3})
    assert day.read("NASA_new", limit=9) == {"NASA": "11 complete matched 3"}
    assert day.lines["NASA"].pages[: len(before)] == before
    assert day.requests == ["count 11", "timeline 11", *["users NASA_new"] * (not renamed)]
    assert day.x.recorder.requests[-2].query["until_id"] == post(2)["id"]


@WHETHER_KNOWN
def test_an_account_that_was_gone_continues_under_its_new_handle(day, renamed):
    day.knows(1, NASA="11", **renamed)
    day.serves(
        {"timeline 11": ["3 2 >t1", "1"], "timeline 11 t1": GONE,
         "users NASA_new": "NASA_new=11", "count 11": 3}
    )  # fmt: skip
    assert day.read("NASA") == {"NASA": "11 unavailable unchecked 2"}
    assert day.read("NASA_new") == {"NASA": "11 complete matched 3"}
    assert len(day.lines["NASA"].pages) == 3, "also the one that says that it was suspended"


@pytest.mark.parametrize("handles", ["NASA_new", "NASA_new NASA"])
@WHETHER_KNOWN
def test_pages_of_a_killed_attempt_are_used_under_one_handle(day, renamed, handles):
    day.knows(1, NASA="11", **renamed)
    day.serves(
        {"timeline 11": ["3 2 >t1", "1"], "timeline 11 t1": "1",
         "users NASA_new": "NASA_new=11", "count 11": 3}
    )  # fmt: skip
    day.read("NASA", killed_at="/11/0002.json.gz")
    [line] = day.read(handles).values()
    assert line == "11 complete matched 3"
    assert day.requests == ["count 11", "timeline 11", *["users NASA_new"] * (not renamed)]
    assert all(not Attempt(day.x, day.store, name).purchase.missing for name in ("NASA", "NASA_new"))


def test_a_look_up_of_a_killed_attempt_is_not_requested_again(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": "", "count 11": 0, "users NASA_new": "NASA_new=11"})
    before = day.read("NASA")
    day.read("NASA_new", killed_at="accounts.json")
    assert day.requests == ["users NASA_new"]
    assert day.read("NASA_new") == before
    assert (day.requests, day.known) == ([], {"nasa": "11", "nasa_new": "11"})


def test_a_look_up_of_a_failed_attempt_is_compared_with_the_known_id_too(day):
    day.knows(LONG_AGO, **KNOWN)
    day.serves({"users NASA,esa": "NASA=777 esa=22", "timeline 22": [OUTAGE, ""]})
    with pytest.raises(Outage):
        day.read("NASA esa")
    day.serves({"count 22": 0})
    day.read("NASA esa")
    assert day.lines["NASA"].reason.startswith(OTHER_ID)


def test_the_former_account_of_a_handle_stays_beside_the_confirmed_one(day):
    day.knows(1, NASA="11")
    day.serves(
        {"timeline 11": ["3 2 >t1", NOT_FOUND], "timeline 11 t1": GONE,
         "users NASA": "NASA=777", "timeline 777": "5", "count 777": 1}
    )  # fmt: skip
    day.read("NASA")
    day.read("NASA", accepted=[("nasa", "777")])
    lines = day.attempt.purchase.manifest.accounts
    assert [(line.id, line.outcome, line.posts) for line in lines] == [
        ("11", "unavailable", 2), ("777", "complete", 1)
    ]  # fmt: skip


def test_an_unfinished_purchase_of_the_former_account_reads_the_confirmed_one(day):
    day.serves(
        {"users NASA": ["NASA=11", "NASA=777"], "search-all 11": "9",
         "count-all 11": 1, "search-all 777": "1", "count-all 777": 1}
    )  # fmt: skip
    day.read("NASA", old=True, killed_at="counts-of/0001.json.gz")
    day.knows(NASA="777")  # another day has confirmed it
    del day.store.objects[f"{ROOT}users-by/0001.json.gz"]  # it is older than this purchase
    lines = day.read("NASA", old=True, accepted=[("nasa", "777")])
    assert lines == {"NASA": "777 complete matched 1"}


# A second attempt


def test_a_verification_that_was_cut_off_continues_below_its_oldest_post(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": "9", "count 11": 3, "search 11 s1": "2", "search 11": ["3 >s1", "2"]})
    day.read("NASA", killed_at="search-11/0002.json.gz")
    assert day.read("NASA") == {"NASA": "11 complete matched 3"}
    assert day.requests == ["search 11"], "the count is stored"
    assert day.x.recorder.requests[-1].query["until_id"] == post(3)["id"]


def test_a_day_that_has_become_old_continues_in_the_archive(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": "3 2 >t1", "timeline 11 t1": OUTAGE})
    with pytest.raises(Outage):
        day.read("NASA")
    day.serves({"search-all 11": "1", "count-all 11": 3})
    assert day.read("NASA", old=True) == {"NASA": "11 complete matched 3"}
    assert day.x.recorder.requests[-2].query["until_id"] == post(2)["id"]


def test_a_complete_account_is_neither_counted_nor_looked_up_again(day):
    day.knows(1, NASA="11", out="42")
    day.serves({"timeline 11": "1", "timeline 42": GONE, "count 11": 1})
    day.read("NASA out")
    day.serves({"users out": "out=42", "search-all 42": "2 >t1"})
    lines = day.read("NASA out", old=True, limit=1)
    assert lines == {"NASA": "11 complete matched 1", "out": "42 limit limited 1"}
    assert day.requests == ["search-all 42", "users out"]


def test_threads_that_are_collected_later_leave_the_proof_as_it_is(day):
    day.knows(1, **KNOWN)
    day.serves({"timeline 11": "2 1", "timeline 22": "3", "count 11,22": 3})
    before = day.read("NASA esa")
    day.serves({"search 11": "", "search 22": ""})
    assert day.read("NASA esa", threads=True) == before
    assert day.requests == ["search 11", "search 22"]
    assert "of 2 accounts" in day.lines["NASA"].proof_reason


# Requests that are sent in another way


@pytest.mark.parametrize(("most", "sizes"), [(100, [500, 250, 125, 100]), (0, [500, 250, 125, 100])])
def test_an_archive_page_that_fails_is_requested_smaller(day, most, sizes):
    requested = []

    def serve():
        requested.append(day.x.sizes["search-all 11"])
        return page(post(1)) if requested[-1] <= most else OUTAGE

    day.knows(1, NASA="11")
    day.serves({"search-all 11": [serve] * 9, "count-all 11": 1})
    if most:
        assert day.read("NASA", old=True) == {"NASA": "11 complete matched 1"}
    else:
        with pytest.raises(Outage):
            day.read("NASA", old=True)
    assert requested == sizes


def test_a_page_that_would_cross_the_cap_is_requested_smaller(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": "2 1"})
    with pytest.raises(OverBudget, match="at least 10 posts"):
        day.read("NASA", cap=36, threads=True)
    assert day.x.sizes["timeline 11"] == 7


def test_a_token_that_expired_continues_below_the_oldest_post(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": ["3 2 >t1", "1"], "timeline 11 t1": MALFORMED, "count 11": 3})
    assert day.read("NASA") == {"NASA": "11 complete matched 3"}
    assert day.x.recorder.requests[2].query["until_id"] == post(2)["id"]
    assert day.lines["NASA"].pages == [f"{ROOT}11/0001.json.gz", f"{ROOT}11/0002.json.gz"]


def test_a_malformed_request_without_a_token_is_an_error(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": MALFORMED})
    with pytest.raises(BadRequest):
        day.read("NASA")
    assert day.requests == ["timeline 11"]


@pytest.mark.parametrize(
    ("response", "is_stored"),
    [
        (users(NASA="11") | FAILED, True),
        *(({"errors": errors}, False) for errors in ([], [None, "odd"])),
        ({"meta": {}}, False),
    ],
)
def test_a_look_up_in_which_x_failed_is_an_outage_and_nobody_is_missing(day, response, is_stored):
    day.serves({"users NASA,esa": response})
    with pytest.raises(Outage):
        day.read("NASA esa")
    assert bool(day.store.keys(f"{ROOT}users-by/")) == day.attempt.purchase.made_progress == is_stored


# Readers in parallel


def test_accounts_are_read_in_parallel(day):
    ids = {f"u{number}": f"1{number}" for number in range(8)}
    together = Barrier(8)
    day.knows(1, **ids)
    day.serves({f"timeline {id_}": lambda: together.wait(LIMIT) * 0 or page() for id_ in ids.values()})
    day.serves({"count 10,11,12,13,14,15,16,17": 0})
    day.read(" ".join(ids))
    assert {line.proof for line in day.lines.values()} == {"matched"}


@pytest.mark.parametrize(
    ("response", "error"), [(OUTAGE, Outage), (FORBIDDEN, NoAccess), (UNAUTHORIZED, BadKeys)]
)
def test_the_first_error_keeps_other_readers_from_buying_more(day, response, error):
    day.knows(1, bad="33", **KNOWN)

    def after_the_error():
        assert day.attempt.stopped.wait(LIMIT)
        return page(post(1), token="t1")

    day.serves({"timeline 11": after_the_error, "timeline 22": after_the_error, "timeline 33": response})
    with pytest.raises(error):
        day.read("NASA esa bad")
    assert day.requests == ["timeline 11", "timeline 22", "timeline 33"]
    stored = [key.removeprefix(ROOT) for key in day.store.keys(ROOT)]
    assert stored == ["11/0001.json.gz", "22/0001.json.gz", "manifest.json"], "they were on their way"


def test_of_several_errors_the_permanent_one_is_raised(day):
    day.knows(1, bad="33", **KNOWN)
    together = Barrier(3)
    responses = {"11": OUTAGE, "22": RATE_LIMITED, "33": UNAUTHORIZED}
    day.serves(
        {f"timeline {id_}": lambda response=response: together.wait(LIMIT) * 0 or response
         for id_, response in responses.items()}
    )  # fmt: skip
    with pytest.raises(BadKeys):
        day.read("NASA esa bad")


def test_a_reader_that_was_stopped_or_lost_its_lease_sends_nothing(day):
    attempt = Attempt(day.x, day.store, "NASA")
    attempt.stopped.set()
    with pytest.raises(Stopped):
        attempt.collect()
    late = Run(DAY, "another run", now=lambda: RECEIVED + timedelta(minutes=3))
    stale = Attempt(day.x, day.store, "NASA")
    with pytest.raises(LeaseHeld), stale.buying() as (x, budget):
        stale.now += timedelta(minutes=3)
        with Purchase(day.store, late, CollectionSpec(("NASA",), 0), may_leave=False).hold_lease():
            stale.collection.collect(x, budget)
    assert day.requests == []


# The archive: it returns nothing of an account that is gone, and no error

PROTECTED = {"data": [{"id": "22", "username": "esa", "protected": True}]}


def old_case(name, hours_ago, responses, esa, *counts):
    """An attempt with X's responses besides NASA's one post, the entry of esa, and cached counts."""
    cached = {ids: count for several in counts for ids, count in several.items()}
    return pytest.param(hours_ago, {"search-all 11": "1", **responses}, cached, f"22 {esa}", id=name)


EMPTY, ALONE, NASA = {"search-all 22": ""}, {"count-all 11": 1}, counted(1, "11")
LEFT, SHOWN = {"users esa": unknown("esa")}, {"users esa": "esa=22"}
MATCHED, AWAY = "complete matched 0", "unavailable unchecked 0"


@pytest.mark.parametrize(
    ("hours_ago", "responses", "cached", "esa"),
    [
        old_case("accounts are looked up once a day", 25,
                 {"users NASA,esa": "NASA=11 esa=22", "search-all 22": "2", "count-all 11,22": 2},
                 "complete matched 1"),
        *(old_case(f"empty, {name}", 1, {**EMPTY, **ALONE, "users esa": response}, AWAY)
          for name, response in {"suspended": unknown("esa", title="Forbidden"), "protected": PROTECTED,
                                 "another account": "esa=99", "not looked up": FORBIDDEN}.items()),
        old_case("empty, shown", 1, {**EMPTY, **SHOWN, "count-all 11,22": 1}, MATCHED),
        old_case("counted together, shown later", 1, EMPTY, MATCHED, counted(1, "11", "22")),
        old_case("counted alone, shown later", 1, {}, MATCHED, NASA, counted(0, "22")),
        old_case("counted together, gone before", 2, EMPTY | ALONE | LEFT, AWAY, counted(1, "11", "22")),
        old_case("counted alone, gone before", 3, LEFT, AWAY, NASA, counted(0, "22")),
        old_case("counted together, another number", 1,
                 {**EMPTY, **ALONE, **SHOWN, "count-all 22": 0}, MATCHED, counted(2, "11", "22")),
        old_case("counted alone, gone since", 1, {**EMPTY, **LEFT}, AWAY, NASA, counted(5, "22")),
        old_case("short, not searched again", 1,
                 {**ALONE, "search-all 22": "2", "count-all 11,22": 9, "count-all 22": 2, **SHOWN},
                 "complete short 1"),
        old_case("short, looked up in this attempt", 25,
                 {"users NASA,esa": "NASA=11 esa=22", **ALONE, "search-all 22": "2", "count-all 11,22": 9,
                  "count-all 22": 2},
                 "complete short 1"),
    ],
)  # fmt: skip
def test_an_account_of_an_old_day(day, hours_ago, responses, cached, esa):
    day.knows(hours_ago, **KNOWN)
    day.serves(responses)
    lines = day.read("NASA esa", old=True, cached=cached)
    assert lines == {"NASA": "11 complete matched 1", "esa": esa}
    assert day.requests == sorted(responses)


def test_an_account_that_was_counted_after_its_stored_look_up_is_looked_up_again(day):
    day.serves({"users esa": ["esa=22", unknown("esa")], "search-all 22": "1"})
    day.read("esa", old=True, killed_at="/22/0001.json.gz")
    cached = counted(0, "22", hours_ago=-1)
    assert day.read("esa", old=True, cached=cached) == {"esa": "22 unavailable unchecked 0"}
    assert day.requests == ["users esa"]


@pytest.mark.parametrize(("hours", "outcome"), [(23, "complete"), (25, "unavailable")])
def test_a_stored_look_up_shows_an_empty_account_for_a_day(day, hours, outcome):
    day.serves({"users esa": ["esa=22", unknown("esa")], "search-all 22": ["1", ""], "count-all 22": 0})
    day.read("esa", old=True, killed_at="/22/0001.json.gz")
    attempt = Attempt(day.x, day.store, "esa", old=True)
    attempt.now = RECEIVED + timedelta(hours=hours)
    assert attempt.collect()["esa"].outcome == outcome


def test_a_protected_account_is_looked_up_again_on_the_next_attempt(day):
    hidden = {"data": [{"id": "11", "username": "NASA", "protected": True}]}
    day.serves({"users NASA": [hidden, "NASA=11"], "search-all 11": "1 >t1"})
    assert day.read("NASA", old=True, limit=1) == {"NASA": "11 unavailable unchecked 0"}
    assert "the account is protected" in day.lines["NASA"].reason
    assert day.read("NASA", old=True, limit=1) == {"NASA": "11 limit limited 1"}


def test_a_protected_account_is_known_to_other_old_days(day):
    day.knows(1, protected=True, NASA="11")
    assert day.read("NASA", old=True) == {"NASA": "11 unavailable unchecked 0"}
    assert day.requests == []


# Another kind of source


@dataclass(frozen=True)
class Hashtag:
    """The posts of a hashtag: one class is all it takes."""

    tag: str
    author_id = None

    @property
    def label(self):
        return f"tag-{self.tag}"

    def resolve(self, id_):
        return self

    def page_request(self):
        return PageRequest(Endpoint.RECENT_SEARCH, f"#{self.tag} -is:retweet")

    def count_query(self):
        return self.page_request().target

    def owns(self, post, unfilled=()):
        return any(tag["tag"] == self.tag for tag in post.get("entities", {}).get("hashtags", ()))


def test_the_posts_of_a_hashtag_are_read_resumed_and_counted_beside_an_account(day):
    def sources(name):
        return SourceSet(Hashtag("mars")) if name == "mars" else account_sources(name)

    tagged = {"author_id": "9", "entities": {"hashtags": [{"tag": "mars"}]}}
    day.knows(1, NASA="11")
    day.serves(
        {"timeline 11": "1", "search 11": "", "count 11": 1, "count #mars": 2,
         "search #mars": [page(post(4, **tagged), post(3), token="t1"), page(post(2, **tagged))],
         "search #mars t1": page(post(2, **tagged))}
    )  # fmt: skip
    options = {"threads": True, "sources": sources}
    day.read("NASA mars", killed_at="/tag-mars/0002.json.gz", **options)
    lines = {"NASA": "11 complete matched 1", "mars": "None complete matched 3"}
    assert day.read("NASA mars", **options) == lines
    assert {key.split("/")[-2] for key in day.lines["mars"].pages} == {"tag-mars"}
    assert day.read("NASA mars", **options) == lines
    assert (day.requests, day.attempt.purchase.is_complete) == ([], True)


# Fields that X could not fill

ONE = post(1)["id"]
WHOLE = {"data": [post(1, author_id="11", entities={"hashtags": [{"tag": "Mars"}]})]}
FILLED = post(2, entities={"hashtags": [{"tag": "Moon"}]})


def lacking(*posts, field="entities", **more):
    problem = {"type": f"{PROBLEMS}/field-hydration-failure", "field": field} | more
    return page(*posts) | {"errors": [problem]}


@pytest.fixture
def incomplete(day):
    """A day with a post whose field X could not fill."""
    day.knows(1, NASA="11")
    day.serves({"timeline 11": lacking(FILLED, post(1)), "count 11": 2})
    return day


def test_a_post_with_an_unfilled_field_is_read_again_with_all_fields_for_free(incomplete):
    incomplete.serves({f"posts {ONE}": WHOLE})
    assert incomplete.read("NASA") == {"NASA": "11 complete matched 3"}
    assert incomplete.lines["NASA"].pages == [f"{ROOT}11/0001.json.gz", f"{ROOT}reread-11/0001.json.gz"]
    assert (incomplete.billed.posts, incomplete.billed.rereads) == (2, 1)
    (reread,) = [request for request in incomplete.x.recorder.requests if request.path == "/2/tweets"]
    assert set(reread.query["tweet.fields"].split(",")) == set(POST_FIELDS)


@pytest.mark.parametrize(
    "response",
    [
        OUTAGE,
        FORBIDDEN,
        {},
        {"data": [post(7, author_id="11")]},
        {"data": [post(1, author_id="99")]},
        FAILED,
    ],
)
def test_a_day_does_not_wait_for_posts_that_cannot_be_read_again(incomplete, response, caplog):
    incomplete.serves({f"posts {ONE}": [response] * 2})
    assert incomplete.read("NASA") == {"NASA": "11 complete matched 2"}
    assert "could not fill" in caplog.text
    assert incomplete.requests.count(f"posts {ONE}") == 1


def test_posts_are_not_read_again_beyond_the_budget(day):
    day.knows(1, NASA="11")
    day.serves({"timeline 11": lacking(*map(post, range(5, 0, -1))), "count 11": 5})
    assert day.read("NASA", cap=30) == {"NASA": "11 complete matched 5"}
    assert day.requests == ["count 11", "timeline 11"]


def test_posts_are_read_again_once_in_several_attempts(incomplete):
    incomplete.serves({f"posts {ONE}": WHOLE})
    first = Attempt(incomplete.x, incomplete.store, "NASA")
    with first.buying() as (x, budget):
        first.collection.collect(x, budget)  # and it is killed before it closes
    assert incomplete.read("NASA") == {"NASA": "11 complete matched 3"}
    assert (incomplete.requests, incomplete.billed.rereads) == ([], 1)


def test_posts_are_not_read_again_on_the_next_utc_day_since_x_would_charge_them(incomplete):
    incomplete.serves({f"posts {ONE}": WHOLE})
    incomplete.read("NASA", killed_at="reread-11/0001.json.gz")
    second = Attempt(incomplete.x, incomplete.store, "NASA")
    second.now = RECEIVED + timedelta(days=1)
    incomplete.x.requests.clear()
    assert second.collect()["NASA"].outcome == "complete"
    assert incomplete.requests == ["count 11"]


def test_a_presumed_reply_counts_once_x_shows_that_it_is_none(day):
    day.knows(1, NASA="11")
    presumed = post(1, in_reply_to_user_id="77")
    quote = presumed | {"author_id": "11", "referenced_tweets": [{"type": "quoted", "id": "7"}]}
    day.serves(
        {"timeline 11": lacking(presumed, field="referenced_tweets", resource_id=ONE),
         "count 11": 1, f"posts {ONE}": {"data": [quote]}}
    )  # fmt: skip
    assert day.read("NASA") == {"NASA": "11 complete matched 2"}
