"""A plan as people read it."""

from datetime import date, timedelta

import pytest

from include.twitter.plan import told
from include.twitter.records import Asked, Bought, Plan, PlannedDay
from include.twitter.run import days_from
from tests.include.invented import RECEIVED


def plan(first="2026-10-01", last="2026-10-03", gone=None, **alone):
    days = [
        PlannedDay(
            day=str(day),
            landed=1,
            accounts=("NASA",),
            counted=7,
            posts=5,
            alone=alone,
            requests=1,
            cost_usd=0.025,
            had_usd=0,
        )
        for day in days_from(first, last)
    ]
    days[0].accounts, days[0].posts, days[0].counted, days[0].cost_usd = (), 0, 0, 0
    return Plan(
        id="0a1b2c3d4e5f",
        made_at=RECEIVED,
        asked=Asked(("NASA", "esa"), 100),
        days=days,
        unavailable=gone or {},
        users=[],
        counts=[],
        bought=Bought(),
        own_cost_usd=0.04,
        cost_usd=round(sum(day.cost_usd for day in days), 3),
    )


def test_the_question_says_what_is_bought_of_how_many_days_and_for_how_much():
    assert told.subject(plan()) == "Buy 10 posts of 2 days for $0.050?"


def test_the_table_has_a_row_for_each_day():
    assert told.table(plan().days)[-2:] == [
        "| 2026-10-02 | 1 | 1 | 7 | 5 | 1 | $0.025 |",
        "| 2026-10-03 | 1 | 1 | 7 | 5 | 1 | $0.025 |",
    ]


def test_a_year_has_a_row_for_each_month_and_is_still_short():
    body = told.body(plan("2025-10-01", "2026-09-30", **{f"account_{n}": n for n in range(90)}), [])
    assert "| 2025-11 | 30 | 30 | 210 | 150 | 30 | $0.750 |" in body
    assert "| 70 others |" in body
    assert len(body) < 4_096


def test_the_approval_says_why_fewer_posts_are_bought_than_x_counts_and_how_long_it_takes():
    partly = plan()
    partly.days[1].over_limit, partly.days[2].had = 2, 1
    body = told.body(partly, [], month_cap="Of the cap $60.000 are left now, $10.000 once it is bought.")
    assert (
        "\nNot bought of what X counts: 2 posts over the limit of 100 an account and day, 1 post that was "
        "bought before. Of the cap $60.000 are left now, $10.000 once it is bought. It takes some 1 minute.\n"
    ) in body
    assert "Not bought of what X counts" not in told.body(plan(), [])


@pytest.mark.parametrize(
    ("days", "requests", "said"),
    [
        (30, 3, "some 3 minutes"),
        (30, 60, "some 80 minutes"),
        (365, 5, "some 2 hours"),
        (2, 1, "some 1 minute"),
    ],
)
def test_a_purchase_takes_as_long_as_the_archive_or_airflow_needs(days, requests, said):
    whole = plan("2025-10-01", str(date(2025, 10, 1) + timedelta(days=days)))
    for day in whole.days:
        day.requests = requests
    assert told.duration(whole) == said


def test_what_accounts_would_bring_is_told_the_dearest_first():
    lines = told.accounts(plan(NASA=1, esa=9).days[1:])
    assert lines[-2:] == ["| esa | 18 | $0.090 |", "| NASA | 2 | $0.010 |"]


def test_words_of_x_are_no_markdown():
    body = told.body(plan(gone={"a_b": "gone | [here](http://x) <b>`now`\n# so"}), ["raise it"])
    assert r"Not bought: a\_b, gone \| \[here\]\(http://x\) \<b\>\`now\` \# so" in body
    assert "**raise it**" in body
