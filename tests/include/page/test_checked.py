"""What the page of a day says of posts that X has checked."""

import re
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.twitter import page
from include.twitter.records import Checked, LostPost

pages = Environment(
    loader=FileSystemLoader(Path(page.__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
)
pages.filters |= dict.fromkeys(("dollars", "letters", "shown"), str)

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
KEY = "twitter_compliance/dt=2026-11-20/gone.json"


def words(*gone: LostPost) -> str:
    found = Checked(day="2026-11-20", asked_at=AT, job="7", posts=1200, gone=[*gone])
    html = pages.get_template("macros.html").module.checked(found, KEY)
    return " ".join(re.sub(r"<[^>]+>", "", str(html)).split())


def test_each_post_that_is_gone_is_named_with_its_reason_escaped():
    told = words(LostPost("12", "posts_5_a", "protected", "X says: <delete>", AT))
    assert "X was asked on 2026-11-23 08:00 UTC which of 1,200 posts are gone: 1." in told
    assert "posts_5_a 12: protected, seen 2026-11-23 08:00 UTC. X says: &lt;delete&gt;" in told


def test_where_none_is_gone_it_says_so_and_of_very_many_names_some():
    assert words().endswith("of 1,200 posts are gone: none.")
    many = [LostPost(str(number), "posts_5_a", "gone", "", AT) for number in range(201)]
    assert f"and 1 more: {KEY} names them" in words(*many)
