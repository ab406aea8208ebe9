"""What the run for a day reads: of each age one day, then what was missed."""

from include.twitter.day import Day, Revisit
from include.twitter.engagement.due import DAYS_BACK, due

DAY = Day.parse("2026-11-18")


def at(text: str, age: int) -> Revisit:
    return Revisit(Day.parse(text), age)


def test_each_age_has_one_day_that_is_due_on_the_evening_after_the_runs():
    found = due(DAY, [1, 7, 30], [])
    assert found == [at("2026-11-18", 1), at("2026-11-12", 7), at("2026-10-20", 30)]
    assert {f"{each.due_at:%Y-%m-%d %H:%M}" for each in found} == {"2026-11-19 22:30"}


def test_an_age_that_was_never_read_is_missed_on_no_day_before():
    assert due(DAY, [1, 7], [at("2026-11-17", 1)]) == [at("2026-11-18", 1), at("2026-11-12", 7)]


def test_what_was_missed_since_the_first_reading_comes_after_what_is_due_the_oldest_first():
    done = [at("2026-11-13", 1), at("2026-11-16", 1)]
    assert due(DAY, [1], done) == [
        at("2026-11-18", 1),
        at("2026-11-14", 1),
        at("2026-11-15", 1),
        at("2026-11-17", 1),
    ]


def test_what_was_missed_more_than_two_weeks_ago_is_left():
    found = due(DAY, [1], [at("2026-01-01", 1)])
    assert (len(found), found[1]) == (1 + DAYS_BACK, at("2026-11-04", 1))


def test_what_is_due_is_named_again_when_it_has_landed_so_that_a_clear_publishes_it_again():
    assert due(DAY, [1], [at("2026-11-18", 1)]) == [at("2026-11-18", 1)]


def test_a_receipt_tells_by_its_key_what_it_is_of():
    assert Revisit.of_receipt(at("2026-11-18", 30).receipt) == at("2026-11-18", 30)
    assert Revisit.of_receipt("twitter_engagement_receipts/dt=2026-11-18/receipt.json") is None
