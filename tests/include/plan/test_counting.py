"""As few counts as X's limits allow."""

from include.twitter.plan.counting import windows
from include.twitter.run import days_from
from include.twitter.sources import author_query as query


def spans(lacking):
    return [(len(w.ids), str(w.days[0]), str(w.days[-1])) for w in windows(lacking)]


def ids(number):
    return [f"{1_990_000_000_000_000_000 + each}" for each in range(number)]


def test_accounts_that_lack_the_same_days_are_counted_together():
    month = tuple(days_from("2026-10-01", "2026-10-31"))
    assert spans(dict.fromkeys(ids(20), month)) == [(20, "2026-10-01", "2026-10-31")]


def test_thirty_five_accounts_are_a_query_that_x_takes_and_one_more_is_another():
    made = windows(dict.fromkeys(ids(36), tuple(days_from("2026-10-01", "2026-10-01"))))
    assert [len(window.ids) for window in made] == [35, 1]
    assert len(query(made[0].ids)) <= 1024 < len(query([*made[0].ids, made[1].ids[0]]))


def test_a_span_is_of_31_days_and_begins_where_something_is_missing():
    days = days_from("2026-09-01", "2026-10-31")
    assert spans({"1": tuple(days[:2] + days[40:])}) == [
        (1, "2026-09-01", "2026-09-02"),
        (1, "2026-10-11", "2026-10-31"),
    ]
    assert spans({"1": tuple(days)}) == [(1, "2026-09-01", "2026-10-01"), (1, "2026-10-02", "2026-10-31")]


def test_accounts_that_lack_other_days_are_counted_apart_and_whoever_lacks_none_is_not():
    days = tuple(days_from("2026-10-01", "2026-10-03"))
    assert spans({"1": days, "2": days[:1], "3": (), "4": days}) == [
        (2, "2026-10-01", "2026-10-03"),
        (1, "2026-10-01", "2026-10-01"),
    ]
