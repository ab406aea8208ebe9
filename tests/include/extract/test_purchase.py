"""One purchase of a day's posts."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier, BrokenBarrierError, Semaphore, Thread

import pytest

from include.twitter.day import ACCOUNTS
from include.twitter.errors import Busy, NothingStaged
from include.twitter.extract.paid_requests import REFUSED
from include.twitter.extract.purchase import COUNTS, LOOKUPS, SEARCHED, Purchase
from include.twitter.records import Asked, Bought, KnownAccount, Manifest, decoded, encoded
from include.twitter.run import Run
from tests.include.invented import (
    DAY,
    RECEIVED,
    SUSPENDED,
    MemoryLake,
    OvertakenLake,
    account_read,
    answer,
    post,
)
from tests.include.shop import ROOT

KEY = f"{ROOT}manifest.json"
IDS = {"nasa": "11", "esa": "22"}
OLD = "twitter_raw/dt=2026-11-18/buy=1/11/0001.json.gz"


@pytest.fixture
def lake():
    return MemoryLake()


def purchase(lake, *handles, limit=0, threads=False, may_leave=False, only=(), name="c0ffee123456", **about):
    run = Run(DAY, name, **{"now": after(0)} | about)
    asked = Asked(handles or ("NASA",), limit, threads)
    return Purchase(lake, run, asked, may_leave=may_leave, only=only)


def after(seconds):
    """A clock that stands."""
    return lambda: RECEIVED + timedelta(seconds=seconds)


def close(lake, *lines, limit=0, **about):
    """A purchase that came to these lines; each account has one page with a post."""
    bought = purchase(lake, *(line.username for line in lines), limit=limit, **about)
    with bought.turn():
        for line in lines:
            line.id = IDS.get(line.username.lower(), line.id)
            line.pages = [bought.store(line.id, answer(post(1)))]
            line.posts = 1
        bought.close(lines)
    return bought


def manifest(lake, key=KEY):
    return decoded(lake.read(key), Manifest)


def counted(total):
    pieces = [{"tweet_count": total}, {"tweet_count": 0}]
    meta = {"total_tweet_count": total}
    return answer(*pieces, meta=meta, path="/2/tweets/counts/recent", kind="counts")


# What is missing


def test_of_a_new_day_everything_is_missing(lake):
    new = purchase(lake, "NASA", "esa")
    assert (new.missing, new.is_complete) == (["NASA", "esa"], False)
    assert new.name == ("2026-11-18", 1)


@pytest.mark.parametrize(
    ("line", "limit", "is_missing"),
    [
        ({}, 0, False),
        ({}, 7, False),
        ({"limit": 5}, 7, False),
        ({"outcome": "limit", "limit": 5}, 5, False),
        ({"outcome": "limit", "limit": 5}, 4, False),
        ({"outcome": "limit", "limit": 5}, 6, True),
        ({"outcome": "limit", "limit": 5}, 0, True),
        ({"outcome": "unavailable"}, 0, True),
    ],
    ids=["complete", "complete, now a limit", "complete below a limit", "the same limit", "a lower limit",
         "a higher limit", "no limit any more", "unavailable"],
)  # fmt: skip
def test_of_an_account_that_was_bought_something_is_missing_or_not(lake, line, limit, is_missing):
    close(lake, account_read(**line), limit=line.get("limit", 0))
    assert purchase(lake, "nasa", limit=limit, name="another run").missing == ["nasa"] * is_missing


@pytest.mark.parametrize(("had", "wanted", "is_missing"), [(0, 1, True), (1, 1, False), (1, 0, False)])
def test_of_an_account_that_was_bought_its_threads_are_missing_or_not(lake, had, wanted, is_missing):
    close(lake, account_read("NASA", threads=bool(had)), threads=bool(had))
    other = purchase(lake, "NASA", threads=bool(wanted))
    assert other.missing == ["NASA"] * is_missing
    assert other.wants_threads("nasa")


def test_of_a_day_that_was_bought_a_new_account_is_missing(lake):
    close(lake, account_read("NASA"))
    assert purchase(lake, "NASA", "esa").missing == ["esa"]


def test_a_day_that_was_bought_is_complete_for_whoever_asks_the_same(lake):
    close(lake, account_read("NASA"))
    assert purchase(lake, "NASA", name="another run").is_complete


@pytest.mark.parametrize("asked", [{"handles": ["NASA"], "limit": 10}, {"handles": ["esa", "NASA"]}])
def test_a_day_of_which_something_else_is_asked_is_written_down_anew_although_nothing_is_missing(lake, asked):
    close(lake, account_read("NASA"), account_read("esa"))
    other = purchase(lake, *asked.pop("handles"), **asked)
    assert (other.missing, other.is_complete) == ([], False)


def test_a_purchase_that_was_begun_again_and_not_closed_is_not_complete(lake):
    close(lake, account_read("NASA"))
    with suppress(OSError), purchase(lake).turn():
        raise OSError("killed")
    again = purchase(lake)
    assert (again.missing, again.is_complete) == ([], False)


def test_a_page_that_was_staged_after_it_was_closed_is_gone_over_and_booked(lake):
    overtaken = purchase(lake, "NASA")
    close(lake, account_read("NASA"))
    overtaken.store("22", answer(post(1), post(2)))
    again = purchase(lake, "NASA")
    assert (again.missing, again.is_complete) == ([], False)
    with again.turn():
        list(again.staged())
        again.close([])
    assert manifest(lake).bought == {"2026-11": Bought(posts=3)}
    assert purchase(lake, "NASA").is_complete


def test_purchases_of_another_day_are_none_of_this_one(lake):
    lake.write("twitter_raw/dt=2026-11-17/buy=1/manifest.json", b"no JSON")
    assert purchase(lake).missing == ["NASA"]


# Accounts that are not asked for any more


def test_accounts_with_posts_stay_in_the_day_and_those_without_leave(lake):
    close(lake, account_read("NASA"), account_read("esa"))
    lines = manifest(lake)
    lines.accounts.append(account_read("gone", outcome="unavailable"))
    lake.write(KEY, encoded(lines))
    rerun = purchase(lake, "jaxa")
    assert rerun.missing == ["jaxa"]
    with rerun.turn():
        rerun.close([account_read("jaxa")])
    assert [line.username for line in manifest(lake).accounts] == ["NASA", "esa", "jaxa"]


def test_accounts_leave_where_they_may_and_their_pages_stay_in_the_manifest(lake):
    close(lake, account_read("NASA"), account_read("esa"))
    rerun = purchase(lake, "ESA", may_leave=True)
    assert (rerun.missing, rerun.is_complete) == ([], False)
    with rerun.turn():
        rerun.close([])
    assert [line.username for line in manifest(lake).accounts] == ["esa"]
    assert manifest(lake).requests == [OLD]
    assert purchase(lake, "ESA", may_leave=True).is_complete


def test_an_account_that_comes_back_is_gone_on_with_from_its_pages_without_booking_them_again(lake):
    close(lake, account_read("NASA"), account_read("esa"))
    leaving = purchase(lake, "esa", may_leave=True)
    with leaving.turn():
        leaving.close([])
    lake.write(ACCOUNTS, encoded({"nasa": KnownAccount("11", RECEIVED)}))
    back = purchase(lake, "esa", "NASA")
    assert back.missing == ["NASA"]
    with back.turn():
        assert [key for _, key, _ in back.staged()] == [OLD]
    assert back.bought == {"2026-11": Bought(posts=2)}


# Buying again


def test_a_run_for_some_accounts_buys_no_others_and_keeps_what_the_day_has_of_them(lake):
    close(lake, account_read("esa"), account_read("gone"))
    some = purchase(lake, "NASA", "JAXA", "esa", only=("nasa",), may_leave=True)
    assert some.missing == ["NASA"]
    with some.turn():
        some.close([account_read("NASA")])
    assert [line.username for line in manifest(lake).accounts] == ["NASA", "esa", "gone"]
    assert manifest(lake).asked.handles == ("NASA", "esa")
    assert purchase(lake, "NASA", "JAXA", "esa").missing == ["JAXA"]


def test_an_account_without_posts_stays_where_others_are_bought(lake):
    close(lake, account_read("esa"))
    empty = purchase(lake, "esa", "quiet")
    with empty.turn():
        empty.close([account_read("quiet")])
    some = purchase(lake, "esa", "quiet", "NASA", only=("NASA",))
    with some.turn():
        some.close([account_read("NASA")])
    assert purchase(lake, "esa", "quiet", "NASA").missing == []


def test_some_accounts_are_bought_again_and_the_others_are_taken_along(lake):
    close(lake, account_read("NASA"), account_read("esa"))
    again = purchase(lake, "NASA", "esa", only=("NASA",), buy_again=True, name="again")
    assert (again.manifest.buy, again.missing) == (2, ["NASA"])
    assert again.line("esa").posts == 1


def test_a_purchase_names_the_plan_that_served_it(lake):
    bought = purchase(lake, plan="0a1b2c3d4e5f")
    with bought.turn():
        bought.close([account_read("NASA")])
    assert manifest(lake).plan == "0a1b2c3d4e5f"


def test_buying_again_opens_the_next_purchase_once_a_run(lake):
    close(lake, account_read("NASA"))
    wish = {"name": "wishing", "buy_again": True}
    assert purchase(lake, **wish).name == ("2026-11-18", 2)
    close(lake, account_read("NASA"), **wish)
    cleared, others = purchase(lake, **wish), purchase(lake, name="another run")
    assert [each.name[1] for each in (cleared, others)] == [2, 2]
    assert [each.is_complete for each in (cleared, others)] == [True, True]
    assert purchase(lake, name="wishing too", buy_again=True).name[1] == 3


def test_buying_again_has_nothing_of_what_is_asked_for_and_all_of_the_rest(lake):
    close(lake, account_read("NASA"), account_read("esa"))
    wish = purchase(lake, "esa", name="wishing", buy_again=True)
    assert (wish.missing, wish.bought) == (["esa"], {})
    with wish.turn():
        wish.close([account_read("esa")])
    [nasa, esa] = manifest(lake, "twitter_raw/dt=2026-11-18/buy=2/manifest.json").accounts
    assert (nasa.username, nasa.pages) == ("NASA", [OLD])
    assert (esa.username, esa.pages) == ("esa", [])


def test_the_newest_purchase_is_the_one_with_the_highest_number(lake):
    for number in (2, 9, 12):
        opened = Manifest(day=str(DAY), buy=number, opened_by=f"run {number}", opened_at=RECEIVED)
        lake.write(f"twitter_raw/dt=2026-11-18/buy={number}/manifest.json", encoded(opened))
    assert purchase(lake).name[1] == 12
    assert purchase(lake, name="run 9", buy_again=True).name[1] == 12
    assert purchase(lake, name="run 10", buy_again=True).name[1] == 13


# One at a time


def test_while_it_is_bought_for_the_manifest_names_the_writer_and_after_that_nobody(lake):
    bought = purchase(lake)
    with bought.turn():
        writer = manifest(lake).lease
        assert (writer.owner, writer.expires_at) == ("c0ffee123456", RECEIVED + timedelta(minutes=1))
    assert (manifest(lake).lease, manifest(lake).is_open) == (None, True)


@pytest.mark.parametrize(
    ("other", "may"),
    [
        ({}, False),
        ({"name": "another run"}, False),
        ({"now": after(59)}, False),
        ({"now": after(60)}, True),
        ({"name": "another run", "now": after(60)}, True),
    ],
    ids=["the same run once more", "another run", "soon", "after a minute", "another run, after a minute"],
)
def test_while_a_writer_may_be_alive_nobody_takes_over(lake, other, may):
    with purchase(lake).turn():
        late = purchase(lake, **other)
        if may:
            with late.turn():
                assert manifest(lake).lease.owner == other.get("name", "c0ffee123456")
        else:
            with pytest.raises(Busy, match="2026-11-18 is being bought") as refused, late.turn():
                pass
            assert "that shows at 01:31:07 UTC" in str(refused.value)
            assert refused.value.at == RECEIVED + timedelta(minutes=1)


class HeardLake(MemoryLake):
    """Says when something was written."""

    def __init__(self):
        super().__init__()
        self.heard = Semaphore(0)

    def swap(self, key, data, tag):
        try:
            return super().swap(key, data, tag)
        finally:
            self.heard.release()


def test_a_writer_is_heard_of_while_it_waits_for_an_answer(monkeypatch):
    monkeypatch.setattr("include.twitter.lease.LIFETIME", timedelta(milliseconds=30))
    moments = count()
    lake = HeardLake()
    with purchase(lake, now=lambda: after(next(moments))()).turn():
        first = manifest(lake).lease.expires_at
        for _ in range(3):
            assert lake.heard.acquire(timeout=10)
        assert manifest(lake).lease.expires_at > first
    assert manifest(lake).lease is None


def test_a_writer_is_heard_of_before_a_third_of_its_time_is_over(lake):
    seconds = 0
    bought = purchase(lake, now=lambda: after(seconds)())
    with bought.turn():
        for passed, until in [(20, "01:31:07"), (21, "01:31:28"), (41, "01:31:28"), (42, "01:31:49")]:
            seconds = passed
            bought.keep_turn()
            assert f"{manifest(lake).lease.expires_at:%T}" == until


def test_a_writer_that_was_taken_over_stops_and_leaves_the_manifest_to_the_other(lake):
    seconds = 0
    stale = purchase(lake, now=lambda: after(seconds)())
    with ExitStack() as other:
        with pytest.raises(Busy, match="was written by somebody else"), stale.turn():
            seconds = 180
            other.enter_context(purchase(lake, name="another run", now=after(180)).turn())
            stale.keep_turn()
        assert manifest(lake).lease.owner == "another run"


@pytest.mark.parametrize("other", [{"name": "another run"}, {}], ids=["another run", "the same try"])
@pytest.mark.parametrize("opened", [False, True])
def test_of_two_that_begin_at_once_one_has_the_turn(opened, other):
    lake = OvertakenLake()
    if opened:
        close(lake, account_read("NASA"))
    one, quicker = purchase(lake, "esa"), purchase(lake, "esa", **other)
    with ExitStack() as first:
        lake.meanwhile = lambda: first.enter_context(quicker.turn())
        with pytest.raises(Busy), one.turn():
            pass
        assert manifest(lake).lease.owner == other.get("name", "c0ffee123456")


def test_a_manifest_that_was_closed_by_another_is_not_closed_again(lake):
    stale = purchase(lake)
    with pytest.raises(Busy), stale.turn():
        lake.write(KEY, encoded(manifest(lake)) + b" ")
        stale.close([account_read("NASA")])
    assert manifest(lake).accounts == []


# Staging


def test_an_answer_is_staged_below_day_purchase_and_account(lake):
    bought = purchase(lake, "NASA", "esa")
    with bought.turn():
        bought.store("11", answer(post(1), token="t1"))
        bought.store("11", answer(post(2)))
        bought.store("22", answer(post(3)))
        bought.store(LOOKUPS, answer({"id": "1", "username": "NASA"}, kind="users"))
        bought.store(COUNTS, counted(3))
        bought.store(SEARCHED + "11", answer(post(3)))
        bought.store(REFUSED + "11", answer(post(4, text=None)))
    assert [key.removeprefix(ROOT) for key in lake.keys(ROOT)] == [
        "11/0001.json.gz",
        "11/0002.json.gz",
        "22/0001.json.gz",
        "counts-of/0001.json.gz",
        "manifest.json",
        "refused-11/0001.json.gz",
        "search-11/0001.json.gz",
        "users-by/0001.json.gz",
    ]


def test_a_page_that_another_writer_has_staged_is_not_overwritten_and_its_own_is_not_booked(lake):
    bought = purchase(lake)
    with bought.turn():
        lake.write(f"{ROOT}11/0001.json.gz", answer(post(1)).to_bytes())
        with pytest.raises(Busy):
            bought.store("11", answer(post(2)))
        assert bought.bought == {}
    assert [page.posts for page in lake.answers([f"{ROOT}11/0001.json.gz"])] == [[post(1)]]


class MeetingLake(MemoryLake):
    """Two writers meet in it, if both come: neither has finished before the other has begun."""

    def __init__(self):
        super().__init__()
        self.meeting = Barrier(2)

    def swap(self, key, data, tag):
        if "counts-of" in key:
            with suppress(BrokenBarrierError):
                self.meeting.wait(0.2)
        return super().swap(key, data, tag)


def test_an_equal_page_of_another_writer_is_not_taken_for_ones_own(lake):
    late, quicker = purchase(lake), purchase(lake)
    quicker.store("11", answer(post(1)))
    with pytest.raises(Busy, match="was written by somebody else"):
        late.store("11", answer(post(1)))
    assert (quicker.bought, late.bought) == ({"2026-11": Bought(posts=1)}, {})


def test_two_readers_that_stage_in_one_folder_at_once_never_write_the_same_key():
    lake = MeetingLake()
    bought = purchase(lake)
    with bought.turn():
        readers = [Thread(target=bought.store, args=(COUNTS, counted(n)), daemon=True) for n in (1, 2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(5)
    assert lake.keys(f"{ROOT}counts-of/") == [
        f"{ROOT}counts-of/0001.json.gz",
        f"{ROOT}counts-of/0002.json.gz",
    ]
    assert bought.bought == {"2026-11": Bought(counts=2)}


# Going on


def staged(bought):
    with bought.turn():
        return [
            (key.removeprefix(ROOT)[: -len(".json.gz")], *(each.get("id", "")[-2:] for each in page.posts))
            for _, key, page in bought.staged()
        ]


def killed(lake, *pages, **about):
    """A try that staged these answers, each with its folder, and then ended."""
    bought = purchase(lake, **about)
    with suppress(OSError), bought.turn():
        for folder, page in pages:
            bought.store(folder, page)
        raise OSError("killed")


def test_what_was_never_closed_is_gone_on_from_in_the_order_in_which_it_was_staged(lake):
    killed(lake, *(("11", answer(post(number))) for number in range(1, 12)), ("22", answer(post(20))))
    assert staged(purchase(lake, "nasa")) == [
        *((f"11/{number:04}", f"{number:02}") for number in range(1, 12)),
        ("22/0001", "20"),
    ]


def test_a_try_stages_after_the_last_page_of_the_one_before(lake):
    killed(lake, ("11", answer(post(1), token="t1")))
    killed(lake, ("11", answer(post(2))))
    assert lake.keys(f"{ROOT}11/") == [f"{ROOT}11/0001.json.gz", f"{ROOT}11/0002.json.gz"]


def test_a_try_stages_after_the_last_page_also_where_one_before_it_was_never_written(lake):
    killed(lake, (COUNTS, counted(1)), (COUNTS, counted(2)))
    del lake.objects[
        f"{ROOT}counts-of/0001.json.gz"
    ]  # two readers, and the slower one's write did not arrive
    killed(lake, (COUNTS, counted(3)))
    assert lake.keys(f"{ROOT}counts-of/") == [
        f"{ROOT}counts-of/0002.json.gz",
        f"{ROOT}counts-of/0003.json.gz",
    ]


def test_of_what_was_closed_only_the_accounts_of_which_something_is_missing_are_gone_on_from(lake):
    close(lake, account_read("NASA", outcome="limit", limit=1), account_read("esa"), limit=1)
    killed(lake, (SEARCHED + "11", answer(post(3))), limit=1)
    assert staged(purchase(lake, "NASA", "esa", limit=9)) == [
        ("11/0001", "01"),
        ("search-11/0001", "03"),
    ]
    assert staged(purchase(lake, "NASA", "esa", limit=1)) == [("search-11/0001", "03")]


def test_what_is_staged_and_not_closed_is_booked_once_over_two_resumes_and_a_close(lake):
    close(lake, account_read("NASA"))
    users = [{"id": "1", "username": "esa"}, {"id": "2", "username": "jaxa"}]
    killed(
        lake,
        (LOOKUPS, answer(*users, kind="users")),
        ("22", answer(post(1), post(2), token="t1")),
        ("22", answer()),
        ("33", answer(errors=[SUSPENDED])),
        (COUNTS, counted(700)),
        (COUNTS, replace(counted(0), kind="archive_counts")),
        (SEARCHED + "22", answer(post(1), post(2), post(3))),
        (REFUSED + "22", answer(post(4, text=None))),
        ("44", answer(post(5), kind="own_posts")),
    )
    whole = Bought(posts=7, own_posts=1, users=2, counts=1, archive_counts=1)
    for _ in range(2):
        again = purchase(lake)
        assert again.bought == {"2026-11": Bought(posts=1)}
        staged(again)
        assert again.bought == {"2026-11": whole}
    last = purchase(lake)
    with last.turn():
        list(last.staged())
        last.close([])
    assert manifest(lake).bought == {"2026-11": whole}
    assert manifest(lake).cost_usd == 0.071
    assert purchase(lake).bought == {"2026-11": whole}


def test_what_was_bought_is_told_by_the_utc_month_of_the_request(lake):
    november = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    december = datetime(2026, 12, 1, tzinfo=UTC)
    pages = [
        replace(answer(post(1), post(2), token="t1", received_at=december), sent_at=november),
        replace(answer(post(3), received_at=december), sent_at=december),
    ]
    bought = purchase(lake)
    with bought.turn():
        for page in pages:
            bought.store("11", page)
    again = purchase(lake)
    staged(again)
    assert bought.bought == again.bought == {"2026-11": Bought(posts=2), "2026-12": Bought(posts=1)}


def test_a_staged_answer_that_is_gone_says_what_to_do(lake):
    killed(lake, ("11", answer(post(1))))
    again = purchase(lake)
    with again.turn():
        del lake.objects[OLD]
        with pytest.raises(NothingStaged, match="It was paid for: restore it, or Trigger with `buy_again`"):
            list(again.staged())


# Closing


def test_the_manifest_tells_what_was_asked_and_what_is_there_account_by_account(lake):
    bought = purchase(lake, "NASA", "esa", limit=7)
    with bought.turn():
        request = bought.store(LOOKUPS, answer({"id": "1", "username": "NASA"}, kind="users"))
        pages = [bought.store("11", answer(post(1), token="t1")), bought.store("11", answer(post(2)))]
        bought.close([account_read("esa"), account_read("NASA", 2, pages=pages, limit=7)])
    closed = manifest(lake)
    assert (closed.day, closed.buy, closed.opened_by) == ("2026-11-18", 1, "c0ffee123456")
    assert (closed.is_open, closed.opened_at, closed.closed_at) == (False, RECEIVED, RECEIVED)
    assert closed.asked == Asked(("NASA", "esa"), 7)
    assert [(line.username, line.pages) for line in closed.accounts] == [("NASA", pages), ("esa", [])]
    assert closed.requests == [request]


def test_the_summary_is_the_key_of_the_manifest_with_what_was_bought_and_is_the_same_for_all(lake):
    summary = close(lake, account_read("NASA")).summary()
    assert summary == {
        "manifest": KEY,
        "posts": 1,
        "own_posts": 0,
        "users": 0,
        "counts": 0,
        "archive_counts": 0,
        "rereads": 0,
        "cost_usd": 0.005,
    }
    assert purchase(lake, name="another run").summary() == summary
