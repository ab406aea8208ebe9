"""What `make run` names at its end."""

from pathlib import Path

import pytest

from include.twitter.day import Day
from include.twitter.transform import contract
from local.cli import next_steps
from local.stack import Stack

REAL = "TWITTER_AWS=real\nAIRFLOW_VAR_TWITTER_BUCKET=acme-lake\n"
TABLE = "twitter/dt=2026-11-18/refined_tweets.csv"


@pytest.mark.parametrize(
    ("env", "path"),
    [("", "{state}/s3/000000000000/twitter-local/" + TABLE), (REAL, "s3://acme-lake/" + TABLE)],
)
def test_the_next_steps_are_the_file_the_contracts_line_that_reads_it_and_the_ui(
    tmp_path: Path, env: str, path: str
) -> None:
    (tmp_path / "env").write_text(env)
    stack = Stack(state=tmp_path, env_file=tmp_path / "env", caller={}, with_airflow=False)
    file, read, look = next_steps(stack, Day.parse("2026-11-18"))
    assert file == path.format(state=tmp_path)
    assert read == contract.READ_CSV.replace("path", repr(file))
    assert look.startswith("make up ")
