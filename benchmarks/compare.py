"""The pipeline beside what people would use instead, on the same 100,000 posts of 100 accounts.

    python -m benchmarks.compare        (`make bench` installs the others first)

Processes take turns, three rounds. It reports the medians of their CPU time, wall and peak memory, and how
many of the texts each has whole. It rewrites compare.md and compare.svg. It ends with exit code 1 where a
goal is missed, or where rows part that have to agree.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.measured import HERE, LOCAL, Took, draw, medians, took

ACCOUNTS, POSTS, ROUNDS = 100, 1000, 3
OURS, FLOOR, FEW, IMPORT = "this pipeline", "decoding alone", "100 posts", "import pandas"
PEERS = {
    "twarc-csv": ("twarc", "twarc_csv"),
    "tutorial: tweepy, pandas": ("pandas", "tutorial"),
    "pandas.json_normalize": ("pandas", "json_normalize"),
    "DuckDB": ("duckdb", "duckdb"),
    "polars": ("polars", "polars"),
}
"""By name: the environment, and the program of peers/programs.py."""
BREAKS = re.compile(r"(?:[\r\n\v\f\x1c-\x1e\u0085\u2028\u2029]|\\[rn])+")
"""What is one space in the pipeline's CSV; twarc-csv writes a backslash and a letter."""


class Rows(NamedTuple):
    number: int
    whole: float
    """The share of the pipeline's rows whose text is the same: whole, links expanded, escapes resolved."""
    lacks: int
    """Rows of the pipeline that are not here."""
    parts: int
    """Texts that differ although nothing of them has to be resolved."""


def main() -> int:
    with TemporaryDirectory() as folder:
        at = Path(folder)
        for name, accounts, posts in (("many", ACCOUNTS, POSTS), ("few", 1, 100)):
            took(sys.executable, "-m", "benchmarks.refine", at / name, accounts, posts)
        few = {IMPORT: [sys.executable, "-c", "import pandas"], FEW: refining(at / "few")}
        many = {OURS: refining(at / "many"), FLOOR: [sys.executable, HERE / "peers/decode.py", at / "many"]}
        many |= {name: peer(at, *which) for name, which in PEERS.items()}
        results = medians(few, 3 * ROUNDS) | medians(many, ROUNDS)
        ours, plain = texts(at / "many-out/refined_tweets.csv"), plain_ids(at / "many.jsonl")
        rows = {OURS: held(ours, ours, plain)}
        rows |= {name: held(texts(at / f"{of}.csv"), ours, plain) for name, (_, of) in PEERS.items()}
    goals = judged(results, rows)
    lines = [
        *table(results, rows),
        "",
        *(f"- {'met' if met else '**missed**'}: {goal}" for goal, met in goals),
    ]
    print("\n".join(lines))
    (HERE / "compare.md").write_text("\n".join([*HEAD, "", *lines, ""]), encoding="utf-8")
    draw("compare", {name: results[name] for name in (*PEERS, OURS, FLOOR)})
    return int(not all(met for _, met in goals))


def refining(pages: Path) -> list[object]:
    return [sys.executable, "-m", "benchmarks.refine", pages, pages.with_name(f"{pages.name}-out")]


def peer(at: Path, environment: str, program: str) -> list[object]:
    python = LOCAL / f"bench-{environment}/bin/python"
    return [python, HERE / "peers/programs.py", program, at / "many.jsonl", at / f"{program}.csv"]


def texts(file: Path) -> dict[str, str]:
    """The text of each post, by its id; of a tool that keeps the note in a column of its own, the note."""
    with file.open(encoding="utf-8", newline="") as opened:
        return {
            row.get("tweet_id") or row["id"]: BREAKS.sub(" ", row.get("note_tweet.text") or row["text"])
            for row in csv.DictReader(opened)
        }


def plain_ids(responses: Path) -> set[str]:
    """The posts whose text is the same in every tool: short, without links and escapes."""
    with responses.open(encoding="utf-8") as lines:
        posts = (post for line in lines for post in json.loads(line).get("data", ()))
        return {post["id"] for post in posts if not _is_resolved(post)}


def _is_resolved(post: Mapping[str, object]) -> bool:
    return (
        "note_tweet" in post
        or "article" in post
        or "https://t.co/" in str(post["text"])
        or "&" in str(post["text"])
    )


def held(theirs: Mapping[str, str], ours: Mapping[str, str], plain: set[str]) -> Rows:
    same = {id_ for id_, text in ours.items() if theirs.get(id_) == text}
    parts = (plain & ours.keys() & theirs.keys()) - same
    return Rows(len(theirs), len(same) / len(ours), len(ours.keys() - theirs.keys()), len(parts))


def judged(results: Mapping[str, Took], rows: Mapping[str, Rows]) -> list[tuple[str, bool]]:
    """Each goal in words, with what was measured, and whether it is met."""
    faster = results["twarc-csv"].cpu / results[OURS].cpu
    slower = results[OURS].cpu / results[FLOOR].cpu
    peak, start = results[OURS].peak, results[FEW].cpu / results[IMPORT].cpu
    agree = all(not (row.lacks or row.parts) for row in rows.values())
    return [
        (f"at least 8 times faster than twarc-csv: {faster:.1f} times", faster >= 8),
        (f"at most 4 times what decoding alone takes: {slower:.2f} times", slower <= 4),
        (f"at most 300 MB at the peak: {peak:.0f} MB", peak <= 300),
        (f"100 posts take at most 1.5 times `import pandas`: {start:.2f} times", start <= 1.5),
        ("all tools have its posts, and the same text where nothing has to be resolved", agree),
    ]


HEAD = (
    "# Beside what people would use instead",
    "",
    f"Written by `make bench`: {ACCOUNTS * POSTS:,} posts of {ACCOUNTS} accounts, medians of {ROUNDS} turns "
    "in CPU seconds of whole processes, imports included. The pipeline unpacks staged answers, checks the "
    "contract, and writes CSV, Parquet, rejected posts and receipt; the others read plain JSON Lines and "
    "write one CSV.",
    "",
    "A text is whole where it is what people read on X: the note of a long post and not its cut form, links "
    "in full, no `&amp;`. The others keep earlier versions of edited posts as rows of their own.",
    "",
    "![CPU seconds and peak memory of each](compare.svg)",
)


def table(results: Mapping[str, Took], rows: Mapping[str, Rows]) -> list[str]:
    lines = [
        "| | CPU s | of the pipeline's | wall s | peak MB | posts | whole texts |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in sorted((*rows, FLOOR), key=lambda name: -results[name].cpu):
        cpu, wall, peak = results[name]
        share = cpu / results[OURS].cpu
        ratio = f"{rows[name].number:,} | {rows[name].whole:.0%}" if name in rows else " | "
        lines.append(f"| {name} | {cpu:.2f} | {share:.2f} | {wall:.2f} | {peak:.0f} | {ratio} |")
    few, pandas = results[FEW].cpu, results[IMPORT].cpu
    return [*lines, "", f"100 posts take the pipeline {few:.2f} s, `import pandas` alone {pandas:.2f} s."]


if __name__ == "__main__":
    sys.exit(main())
