"""What people would write instead, each as its documentation shows it.

    python programs.py NAME answers.jsonl out.csv

Each reads the answers as JSON Lines, unpacked, and writes one CSV. It runs in an environment of its own, and
knows nothing of this project.
"""

import json
import sys

METRICS = ("like_count", "retweet_count", "reply_count", "quote_count", "bookmark_count", "impression_count")
FIELDS = ("id", "created_at", "text", "lang", "author_id", "conversation_id", "possibly_sensitive")
BEYOND = (
    "display_text_range,note_tweet.entities.annotations,note_tweet.entities.cashtags,note_tweet.entities.hashtags,"
    "note_tweet.entities.mentions,note_tweet.entities.urls,note_tweet.text,paid_partnership"
)
"""Columns that twarc-csv needs as an option, or it leaves out the pages that have them."""


def tutorial(responses: str, out: str) -> None:
    """Tweepy's objects, a dict of each, a DataFrame of them, `to_csv`."""
    import pandas as pd
    import tweepy

    rows = []
    with open(responses) as lines:  # noqa: PTH123
        for line in lines:
            for post in map(tweepy.Tweet, json.loads(line).get("data", [])):
                entities = post.entities or {}
                rows.append(
                    {
                        **{name: post[name] for name in FIELDS},
                        **{name: post.public_metrics.get(name) for name in METRICS},
                        "hashtags": [tag["tag"] for tag in entities.get("hashtags", [])],
                        "mentions": [user["username"] for user in entities.get("mentions", [])],
                        "urls": [link["expanded_url"] for link in entities.get("urls", [])],
                    }
                )
    pd.DataFrame(rows).to_csv(out, index=False)


def json_normalize(responses: str, out: str) -> None:
    """Every field of every post becomes a column."""
    import pandas as pd

    with open(responses) as lines:  # noqa: PTH123
        posts = [post for line in lines for post in json.loads(line).get("data", [])]
    pd.json_normalize(posts).to_csv(out, index=False)


def polars(responses: str, out: str) -> None:
    """Posts unnested, lists of names joined: a CSV of polars holds no list."""
    import polars as pl

    def names(of: str, field: str, called: str) -> pl.Expr:
        listed = pl.col("entities").struct.field(of).list.eval(pl.element().struct.field(field))
        return listed.list.join(" ").alias(called)

    posts = pl.read_ndjson(responses, infer_schema_length=None).select("data").explode("data").unnest("data")
    posts.select(
        *FIELDS,
        pl.col("public_metrics").struct.field(*METRICS),
        names("hashtags", "tag", "hashtags"),
        names("mentions", "username", "mentions"),
        names("urls", "expanded_url", "urls"),
    ).write_csv(out)


def duckdb(responses: str, out: str) -> None:
    """One statement of SQL."""
    import duckdb as db

    names = ", ".join(
        f"list_transform(post.entities.{of}, lambda each: each.{field}) AS {of}"
        for of, field in (("hashtags", "tag"), ("mentions", "username"), ("urls", "expanded_url"))
    )
    columns = ", ".join(
        [f"post.{name}" for name in FIELDS] + [f"post.public_metrics.{name}" for name in METRICS]
    )
    db.execute(
        f"COPY (SELECT {columns}, {names} FROM (SELECT unnest(data) AS post FROM read_json('{responses}', "  # noqa: S608
        f"format = 'newline_delimited', sample_size = -1))) TO '{out}' (HEADER)"
    )


def twarc_csv(responses: str, out: str) -> None:
    """As its README shows it; it is in maintenance, and does not know X's newer fields."""
    from twarc_csv import CSVConverter, DataFrameConverter

    with open(responses) as lines, open(out, "w") as written:  # noqa: PTH123
        CSVConverter(
            lines, written, DataFrameConverter(extra_input_columns=BEYOND), hide_progress=True
        ).process()


if __name__ == "__main__":
    {each.__name__: each for each in (tutorial, json_normalize, polars, duckdb, twarc_csv)}[sys.argv[1]](
        *sys.argv[2:]
    )
