"""How much an erasure would remove: counted so that a version with added rows hides nothing."""

import pytest

from deploy.shares import Shares, table_of

DAY, NEXT = "2026-11-15", "2026-11-16"


def table(day: str, erased: set[str], **posts: str):
    """A version of a day's table: for each account id its posts."""
    rows = [f"{post},{of.removeprefix('a')},name{of}" for of, ids in posts.items() for post in ids.split()]
    text = "\n".join(["tweet_id,author_id,username", *rows, ""])
    return table_of(f"twitter/dt={day}/refined_tweets.csv", text.encode(), erased)


def test_a_share_is_of_the_day_of_the_account_and_of_the_accounts_day():
    shares = Shares([table(DAY, {"1"}, a7="1 2", a8="3 4"), table(NEXT, set(), a7="5 6 7 8 9 10")])
    assert {day: tuple(share) for day, share in shares.days.items()} == {DAY: (1, 4)}
    assert {of: tuple(share) for of, share in shares.accounts.items()} == {"7": (1, 8)}
    assert {of: tuple(share) for of, share in shares.accounts_days.items()} == {("7", DAY): (1, 2)}
    assert [*shares.lines()] == ["  namea7 (7): 1 of 8 posts (12.5%)", "    2026-11-15: 1 of 2 posts (50.0%)"]


@pytest.mark.parametrize(
    ("most", "above"),
    [(25, []), (24, ["2026-11-15"]), (12, ["2026-11-15", "namea7 (7)"]), (13, ["2026-11-15"]), (100, [])],
)
def test_what_is_above_the_ceiling_is_named(most, above):
    shares = Shares([table(DAY, {"1"}, a7="1 2", a8="3 4"), table(NEXT, set(), a7="5 6 7 8 9 10")])
    assert [line.partition(":")[0] for line in shares.above(most)] == above


def test_a_version_with_added_rows_makes_no_share_smaller():
    before = table(DAY, {"1", "2"}, a7="1 2")
    diluted = table(DAY, {"1", "2"}, a7=" ".join(map(str, range(1, 1000))))
    moved = table(DAY, {"1", "2"}, a9="1 2", a7="3 4 5")
    for versions in ([before, diluted], [diluted, before], [before, moved, diluted]):
        shares = Shares(versions)
        assert tuple(shares.days[DAY]) == (2, 2)
        assert shares.accounts["7"].is_above(99) or tuple(shares.accounts["7"]) == (2, 2)


def test_what_goes_from_an_older_version_alone_counts():
    shares = Shares([table(DAY, {"1"}, a7="1 2"), table(DAY, {"1"}, a7="2")])
    assert tuple(shares.days[DAY]) == (1, 2)


def test_where_nothing_goes_nothing_is_above():
    shares = Shares([table(DAY, set(), a7="1 2")])
    assert (shares.above(0), [*shares.lines()], shares.posts) == ([], [], 0)


@pytest.mark.parametrize(
    "key",
    [
        "twitter_engagement/dt=2026-11-15/age=1/engagement.csv",
        "staging/x.csv",
        "twitter/dt=2026-13-45/refined_tweets.csv",
        "twitter/dt=٢٠٢٦-11-15/refined_tweets.csv",
    ],
)
def test_no_other_object_is_a_days_table(key):
    assert table_of(key, b"tweet_id\n1\n", {"1"}) is None


def test_an_account_is_shown_with_every_handle_that_a_version_gives_it():
    text = "tweet_id,author_id,username\n1,7,{}\n"
    tables = [
        table_of(f"twitter/dt={day}/refined_tweets.csv", text.format(name).encode(), {"1"})
        for day, name in ((DAY, "nasa"), (DAY, "spam"), (NEXT, "spam"))
    ]
    (line,) = [line for line in Shares(tables).lines() if "(7)" in line]
    assert line.startswith("  nasa, spam (7): ")
    both = table_of(
        f"twitter/dt={DAY}/refined_tweets.csv", (text.format("nasa") + "2,7,spam\n").encode(), {"1"}
    )
    assert Shares([both]).name("7") == "nasa, spam (7)"
    rows = "".join(f"{number},7,name{number}\n" for number in range(9))
    many = table_of(
        f"twitter/dt={DAY}/refined_tweets.csv", f"tweet_id,author_id,username\n{rows}".encode(), {"1"}
    )
    assert Shares([many]).name("7") == "name0, name1, name2, name3, name4, 4 more (7)"


def test_a_handle_that_is_none_is_escaped():
    text = "tweet_id,author_id,username\n1,7,\x1b[2Jnasa\n"
    shares = Shares([table_of(f"twitter/dt={DAY}/refined_tweets.csv", text.encode(), {"1"})])
    assert "\x1b" not in "".join([*shares.lines(), *shares.above(0)])
