"""The code of the pages about reading a day runs as it is on the page."""

import csv
import re
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from include.twitter import layout
from include.twitter.layout import Snapshot
from include.twitter.records import encoded
from include.twitter.transform import contract, refine
from include.twitter.transform.files import Partition
from include.twitter_features.snapshots import contract as engagement
from include.twitter_features.snapshots.post_status import PostStatus
from tests.include.factories import DAY, METRICS, a_receipt, account_receipt, answer, post

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"
PANDAS, DUCKDB, POLARS, SPARK, SNOWFLAKE, SEVERAL_DAYS, LIKES, COMPLETE = (
    HOW_TO / f"{name}.md"
    for name in (
        "query_with_pandas",
        "query_with_duckdb",
        "query_with_polars",
        "query_with_spark",
        "query_with_snowflake",
        "query_several_days",
        "collect_likes_after_a_week",
        "is_a_day_complete",
    )
)

TEXTS = {
    'says "so", twice': 'says "so", twice',
    "one, two": "one, two",
    "three\r\nlines\n\nand\u2028more": "three lines and more",
    "ends in a backslash\\": "ends in a backslash\\",
    "ends, in a backslash\\": "ends, in a backslash\\",
    '"quoted", and a backslash\\': '"quoted", and a backslash\\',
    '\\"\\': '\\"\\',
    "👩‍🚀 tonight": "👩‍🚀 tonight",
    "a NUL \0 inside": "a NUL \ufffd inside",
    "=1+1": "=1+1",
    "+49 30": "+49 30",
    "-5 degrees": "-5 degrees",
    "@rowan_sky": "@rowan_sky",
    "": "",
    "NA": "NA",
    "null": "null",
    "\\N": "\\N",
    "true": "true",
    "123": "123",
    '"': '"',
    " spaces around ": " spaces around ",
}
"""What people write, and what the CSV says of it."""


def posts(texts):
    """A post for each text, with ids of 19 digits; every other one with all that may be missing away."""
    for number, text in enumerate(texts):
        id_ = str(1990000000000000001 + number)
        whole = post(id=id_, conversation_id=id_, edit_history_tweet_ids=[id_], text=text)
        if number % 2:
            whole |= {"public_metrics": {**METRICS, "impression_count": 9007199254740993}}
            whole |= {"referenced_tweets": [{"type": "quoted", "id": "1"}], "possibly_sensitive": True}
            yield whole
        else:
            missing = ("public_metrics", "lang", "possibly_sensitive", "conversation_id")
            yield {name: value for name, value in whole.items() if name not in missing}


def tagged(tag):
    return post(99, text=f"#{tag}", entities={"hashtags": [{"start": 0, "end": 1, "tag": tag}]})


HARD = [*posts(TEXTS), tagged('a "b", c\\d\u2028é')]
UNFILLED = post(98)
"""A post of which X could not fill the entities: its lists are empty cells."""


def land(folder, sent):
    """A folder with the landed files of a day."""
    about = {"type": "https://api.x.com/2/problems/field-hydration-failure", "resource_id": UNFILLED["id"]}
    errors = {"errors": [about | {"field": name} for name in ("entities", "referenced_tweets")]}
    answers = [answer(*sent), *([answer(UNFILLED, **errors)] if sent else [])]
    source = refine.AccountPages("ObservatoryHill", "42", answers)
    with Partition(folder) as partition:
        for batch in refine.refine_accounts([source], day=DAY, limit=0):
            partition.append(batch)
    return folder


@pytest.fixture(params=[HARD, []], ids=["what readers find hard", "nothing"])
def day(request, tmp_path, monkeypatch):
    monkeypatch.chdir(land(tmp_path, request.param))


@pytest.fixture
def long_day(tmp_path, monkeypatch):
    """More posts without a quote than DuckDB looks at, and one with quotes."""
    texts = [*(f"reading {number} is stable" for number in range(20_480)), 'it says "stop", at last']
    monkeypatch.chdir(land(tmp_path, posts(texts)))


def fenced(language, page, containing):
    """The one block of a language on a page that has these words."""
    blocks = re.findall(rf"^```{language}\n(.*?)\n```$", page.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return block


def landed():
    """The rows of the day, typed, with the text as the CSV has it."""
    rows = pyarrow.parquet.read_table("refined_tweets.parquet").to_pylist()
    return [row | {"text": contract.LINE_BREAKS.sub(" ", row["text"])} for row in rows]


def records(dialect):
    """The records of the day, by Python's own reader."""
    with Path("refined_tweets.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, strict=True, **dialect))


def run(lines):
    """The frame that the lines make."""
    names = {}
    exec(lines, names)  # noqa: S102 - the documentation's own lines
    return names["tweets"]


def types(tweets):
    return {name: str(tweets[name].dtype) for name in tweets.columns}


def test_pandas_reads_the_rows_with_their_types(day):
    tweets = run(fenced("python", PANDAS, "pd.read_csv"))
    kinds = {column.name: column.kind.pandas for column in contract.COLUMNS}
    assert types(tweets) == {name: "str" if kind == "string" else kind for name, kind in kinds.items()}
    read = pyarrow.Table.from_pandas(tweets, contract.PARQUET_SCHEMA, preserve_index=False)
    assert read.to_pylist() == landed()


def test_what_people_write_is_this_to_who_reads_the_csv(tmp_path, monkeypatch):
    monkeypatch.chdir(land(tmp_path, HARD))
    tweets = run(fenced("python", PANDAS, "pd.read_csv"))
    assert tweets["text"].tolist()[:-2] == list(TEXTS.values())
    assert tweets["tweet_id"].tolist()[0] == "1990000000000000001"
    assert tweets["is_quote"].tolist()[:3] == [False, True, False]
    assert tweets["impressions"].tolist()[:2] == [pd.NA, 9007199254740993]
    assert tweets["hashtags"].tolist()[-2:] == [None, ['a "b", c\\d\u2028é']]


def test_the_line_of_pandas_is_the_one_that_a_run_shows():
    shown = contract.READ_CSV.replace("path", '"refined_tweets.csv"')
    assert shown in fenced("python", PANDAS, "pd.read_csv")


@pytest.mark.parametrize("page", [ROOT / "README.md", PANDAS], ids=["README", "how-to"])
def test_pandas_reads_parquet_with_its_types(page, day):
    tweets = run(fenced("python", page, "read_parquet"))
    assert types(tweets) == {column.name: column.kind.pandas for column in contract.COLUMNS}


def by_duckdb(containing):
    """The rows that the page's line with these words gives."""
    (line,) = [line for line in fenced("sql", DUCKDB, "refined_tweets.csv").split("\n") if containing in line]
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        read = database.sql(line)
        return [dict(zip(read.columns, row, strict=True)) for row in read.fetchall()]


def test_duckdb_reads_the_rows_of_both_files(day):
    assert by_duckdb(".parquet") == pyarrow.parquet.read_table("refined_tweets.parquet").to_pylist()
    read = [{name: cell or "" for name, cell in row.items()} for row in by_duckdb("read_csv")]
    assert read == records({})


def test_duckdb_reads_a_day_whose_last_post_alone_has_quotes(long_day):
    read = by_duckdb("read_csv")
    assert len(read) == 20_481
    assert read[-1]["text"] == 'it says "stop", at last'


def test_duckdb_takes_no_hash_of_a_post_for_a_comment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = refine.AccountPages("ObservatoryHill", "42", [answer(*posts(["clear skies", " #stars"]))])
    with Partition(tmp_path) as partition:
        for batch in refine.refine_accounts([source], day=DAY, limit=0):
            partition.append(batch)
    assert [row["text"] for row in by_duckdb("read_csv")] == [row["text"] for row in landed()]


def test_polars_reads_the_rows_with_their_types(day):
    assert run(fenced("python", POLARS, "read_csv")).to_dicts() == landed()


def test_polars_reads_both_files_alike(day):
    typed = run(fenced("python", POLARS, "read_parquet"))
    assert typed.drop("text").equals(run(fenced("python", POLARS, "read_csv")).drop("text"))


def spark():
    options = dict(re.findall(r"(quote|escape)='(.)'", fenced("python", SPARK, "escape")))
    doubled = options["escape"] == options["quote"]
    return {"quotechar": options["quote"], "escapechar": None if doubled else options["escape"]}


def snowflake():
    options = dict(re.findall(r"(\w+) = '?([^\s';]+)'?", fenced("sql", SNOWFLAKE, "SKIP_HEADER")))
    assert (options["ESCAPE"], options["ESCAPE_UNENCLOSED_FIELD"], options["NULL_IF"]) == (
        "NONE",
        "NONE",
        "()",
    )
    return {"quotechar": options["FIELD_OPTIONALLY_ENCLOSED_BY"]}


@pytest.mark.parametrize("dialect", [spark, snowflake])
def test_a_reader_with_the_dialect_that_is_told_reads_every_text(day, dialect):
    assert [row["text"] for row in records(dialect())] == [row["text"] for row in landed()]


@pytest.fixture
def an_edit_over_midnight(tmp_path, monkeypatch):
    """Two landed days: one has the first version of a post, the next the second, whose id has more digits."""
    versions = ["999", "1000"]
    for day, id_ in ((DAY, "999"), (DAY.plus(1), "1000")):
        sent = post(1, id=id_, edit_history_tweet_ids=versions, created_at=f"{day}T09:01:00.000Z")
        folder = tmp_path / f"twitter_parquet/dt={day}"
        folder.mkdir(parents=True)
        source = refine.AccountPages(
            "ObservatoryHill", "42", [answer(sent, post(2, created_at=sent["created_at"]))]
        )
        with Partition(folder) as partition:
            for batch in refine.refine_accounts([source], day=day, limit=0):
                partition.append(batch)
    monkeypatch.chdir(tmp_path)


def test_over_several_days_the_lines_keep_the_latest_version_of_each_post(an_edit_over_midnight):
    files = sorted(Path("twitter_parquet").glob("dt=*/*.parquet"))
    whole = pd.concat([pd.read_parquet(file, dtype_backend="numpy_nullable") for file in files])
    assert sorted(whole["tweet_id"]) == ["1000", post(2)["id"], post(2)["id"], "999"]
    assert whole.set_index("tweet_id")["is_edited"].loc[["999", "1000"]].tolist() == [True, True]
    names = {}
    exec(fenced("python", SEVERAL_DAYS, "drop_duplicates"), names)  # noqa: S102 - the documentation's own lines
    assert names["tweets"].equals(whole)
    assert sorted(names["latest"]["tweet_id"]) == ["1000", post(2)["id"]]
    with duckdb.connect() as database:
        read = database.sql(fenced("sql", SEVERAL_DAYS, "QUALIFY"))
        assert sorted(row[read.columns.index("tweet_id")] for row in read.fetchall()) == [
            "1000",
            post(2)["id"],
        ]


def test_the_receipts_name_the_accounts_that_are_not_complete(tmp_path, monkeypatch):
    limited = {"outcome": "limit", "proof": "limited"}
    gone = {"outcome": "unavailable", "proof": "unchecked", "reason": "suspended"}
    accounts = [
        account_receipt("NASA", 3),
        account_receipt("esa", 100, **limited),
        account_receipt("gone", 0, **gone),
        account_receipt("hidden", 9, proof="short"),
    ]
    file = tmp_path / layout.receipt(DAY)
    file.parent.mkdir(parents=True)
    file.write_bytes(encoded(a_receipt(*accounts)))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(fenced("python", COMPLETE, "receipts"), names)  # noqa: S102 - the documentation's own lines
    assert names["accounts"]["username"].tolist() == ["NASA", "esa", "gone", "hidden"]
    assert names["incomplete"][["day", "username"]].to_numpy().tolist() == [
        [str(DAY), "esa"],
        [str(DAY), "gone"],
        [str(DAY), "hidden"],
    ]


@pytest.fixture
def a_week_later(tmp_path, monkeypatch):
    """A day's files and those of a week later, as they lie in the lake; the last post is gone."""
    monkeypatch.chdir(tmp_path)
    snapshot = Snapshot(DAY, 7)
    folders = [Path(key).parent for key in (layout.parquet(DAY), snapshot.parquet)]
    for folder in folders:
        folder.mkdir(parents=True)
    land(folders[0], [post(number) for number in (1, 2, 3)])
    at = snapshot.due_at
    lines = [PostStatus(post(number)["id"], (10 * number, *[0] * 5), at, "there") for number in (1, 2)]
    lines.append(PostStatus(post(3)["id"], (None,) * 6, at, "gone", "deleted"))
    engagement.write_files(folders[1], lines)
    return folders


def test_pandas_puts_the_counts_of_a_week_later_in_the_place_of_the_first(a_week_later, monkeypatch):
    for folder in a_week_later:
        for file in folder.iterdir():
            file.rename(file.name)
    tweets = run(fenced("python", LIKES, "week"))
    assert tweets["likes"].tolist() == [10, 20, pd.NA]
    assert tweets["state"].tolist() == ["there", "there", "gone"]
    assert {*tweets.columns} == {*contract.COLUMN_NAMES, "state"}
    assert tweets["captured_at"].unique().tolist() == [pd.Timestamp("2026-11-25 22:30", tz="UTC")]


def test_duckdb_has_the_likes_after_a_week_in_one_query(a_week_later):
    with duckdb.connect() as database:
        assert database.sql(fenced("sql", LIKES, "week")).fetchall() == [("ObservatoryHill", 3, 15.0)]


ATHENA = HOW_TO / "query_from_athena.md"
QUERIES = [
    block
    for block in re.findall(r"^```sql\n(.*?)\n```$", ATHENA.read_text(), re.MULTILINE | re.DOTALL)
    if "FROM twitter." in block
]


def test_athenas_queries_run_over_tables_with_its_columns(tmp_path):
    land(tmp_path, HARD)
    with duckdb.connect() as database:
        database.execute(
            f"""CREATE SCHEMA twitter;
            CREATE VIEW twitter.tweets AS SELECT *, '2026-11-21' AS dt FROM '{tmp_path}/*.parquet';
            CREATE VIEW twitter.tweets_csv AS FROM twitter.tweets;
            CREATE VIEW twitter.tweets_at_7_days AS SELECT *, 'there' AS state FROM twitter.tweets"""
        )
        week, later, tags, differing = (database.sql(query).fetchall() for query in QUERIES)
    assert week[0][:2] == later[0][:2] == ("ObservatoryHill", len(HARD) + 1)
    assert ('a "b", c\\d\u2028é', 1) in tags
    assert differing == []
