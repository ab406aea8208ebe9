"""The account of a day's posts at an age: what was bought, what is there, and what is no longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from include.twitter.day import Revisit
from include.twitter.engagement import table
from include.twitter.engagement.reading import Landed
from include.twitter.engagement.seen import Seen
from include.twitter.extract.money import Stored
from include.twitter.pricing import dollars, would_have_cost
from include.twitter.records import EngagementReceipt, LostPost, PublishedObject, Revisited, total

NOT_LOST = {"there", "edited", "unanswered"}


def of(
    revisit: Revisit,
    said: Revisited,
    lines: Sequence[Seen],
    posts: Mapping[str, Landed],
    objects: dict[str, PublishedObject],
) -> EngagementReceipt:
    """The receipt of the rows and files; `posts` are those of the day's table."""
    bought = total(said.bought.values())
    read_at = max((line.captured_at for line in lines), default=None)
    late = max(read_at - revisit.due_at, timedelta()) if read_at else timedelta()
    return EngagementReceipt(
        day=said.day,
        age=said.age,
        due_at=revisit.due_at,
        read_at=read_at,
        hours_late=late // timedelta(hours=1),
        contract=table.VERSION,
        bought=bought,
        cost_usd=dollars(Stored(said.bought, said.mills).total_mills),
        uncertain_usd=said.uncertain_usd,
        would_have_cost_usd=dollars(would_have_cost(said.bought)),
        posts=len(lines),
        states=dict(Counter(line.state for line in lines)),
        lost=[
            LostPost(line.tweet_id, posts[line.tweet_id].username, line.state, line.reason, line.captured_at)
            for line in lines
            if line.state not in NOT_LOST
        ],
        objects=objects,
    )


def readable(receipt: EngagementReceipt) -> Iterator[str]:
    """The receipt as lines of the log."""
    states = ", ".join(f"{number} {state}" for state, number in receipt.states.items())
    yield f"{receipt.day} at age {receipt.age}: {receipt.posts} posts ({states or 'none'})"
    for post in receipt.lost:
        yield f"{post.username}: {post.tweet_id} is {post.state}. {post.reason}"
