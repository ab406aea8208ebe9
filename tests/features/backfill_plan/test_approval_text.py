"""A plan as people read it before they approve it."""

import pytest

from include.twitter.extract.budget import Caps
from include.twitter_features.backfill_plan import approval_text
from include.twitter_features.backfill_plan.plan import Plan, PlannedRun, days_between
from tests.include.factories import RECEIVED

MONTH_CAP = "twitter_month_budget_usd"


def plan(last="2026-10-03", unavailable=None, likely_usd=0.05):
    """The first day is complete; of each other one X counts 7 posts, and 5 would be bought."""
    days = days_between("2026-10-01", last)
    price = {"counted": 7, "posts": 5, "is_exact": True, "cost_usd": 0.025, "spent_usd": 0}
    runs = [PlannedRun(day=str(day), accounts=("NASA",), **price) for day in days[1:]]
    return Plan(
        id="0a1b2c3d4e5f",
        made_at=RECEIVED,
        first=str(days[0]),
        last=last,
        complete_days=1,
        accounts=("NASA", "esa"),
        runs=runs,
        unavailable=unavailable or {},
        own_cost_usd=0.04,
        cost_usd=0.025 * len(runs) + 0.01,
        likely_usd=likely_usd,
    )


def body(made, run_cap=0, month_cap=0, remaining_usd=0.0):
    caps = Caps(("twitter_run_budget_usd", run_cap), (MONTH_CAP, month_cap))
    return approval_text.body(made, caps, remaining_usd)


def test_the_question_names_what_is_bought_at_most():
    assert approval_text.subject(plan()) == "Buy up to 10 posts of 2 days for at most $0.060?"


def test_the_text_has_the_highest_and_the_most_likely_price():
    text = body(plan())
    for fact in ("Complete already: 1 of 3 days", "$0.060", "most likely $0.050", "has cost $0.040"):
        assert fact in text
    assert "likely" not in body(plan(likely_usd=None))


def test_a_year_has_a_row_for_each_month_and_is_short():
    text = body(plan("2027-09-30"))
    assert "| 2026-10 | 30 | 210 | 150 | $0.750 |" in text
    assert text.count("\n| 202") == 12
    assert len(text) < 4_096


@pytest.mark.parametrize(
    ("caps", "name", "is_bold"),
    [
        ({"month_cap": 60_000, "remaining_usd": 60.0}, MONTH_CAP, False),
        ({"month_cap": 60_000, "remaining_usd": 0.05}, MONTH_CAP, True),
        ({"run_cap": 24}, "twitter_run_budget_usd", True),
    ],
)
def test_a_cap_that_could_stop_the_purchases_is_in_bold(caps, name, is_bold):
    (line,) = (line for line in body(plan(), **caps).splitlines() if name in line)
    assert line.startswith("**") == is_bold
    assert "first 2026-10-02" in line or "remain" in line


def test_words_of_x_are_no_markdown():
    text = body(plan(unavailable={"a_b": "gone | [here](http://x) <b>`now`\n# so"}))
    assert r"Not bought: a\_b, gone \| \[here\]\(http://x\) \<b\>\`now\` \# so" in text
