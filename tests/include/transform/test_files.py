"""The files of one day's partition."""

import gzip
import json

import pyarrow.parquet
import pytest

from include.twitter.transform import contract
from include.twitter.transform.files import Partition, fingerprint
from include.twitter.transform.refine import NOT_OWN
from tests.include.factories import DAY, a_day, account, make_response, post
from tests.include.transform import refined


def one_account(username, posts):
    author_id = posts[0]["author_id"] if posts else "42"
    return account([make_response(*posts)], username=username, author_id=author_id, day=DAY, limit=0)


def written(folder, accounts):
    folder.mkdir()
    return refined.written(folder, *(one_account(*account) for account in accounts))


def hashes(partition):
    return {name: fingerprint(file)["sha256"] for name, file in partition.files.items()}


def test_the_same_posts_give_the_same_bytes(tmp_path):
    accounts = [*a_day(), ("zz", [post(1, text=None), post(2, author_id="42")])]
    one, two = written(tmp_path / "one", accounts), written(tmp_path / "two", accounts)
    assert hashes(one) == hashes(two)
    assert len(set(hashes(one).values())) == 3


@pytest.mark.parametrize("accounts", [[], [("a", [])], [("a", []), ("b", [])]])
def test_an_empty_day_is_a_header(tmp_path, accounts):
    empty = written(tmp_path / "day", accounts)
    assert empty.csv.read_bytes() == ",".join(contract.COLUMN_NAMES).encode() + b"\n"
    table = pyarrow.parquet.read_table(empty.parquet)
    assert (table.num_rows, table.schema) == (0, contract.PARQUET_SCHEMA)
    assert gzip.decompress(empty.rejected.read_bytes()) == b""


def test_rejected_posts_are_kept_as_lines_of_json_with_the_account_and_the_reason(tmp_path):
    broken = post(1, text=None)
    day = written(tmp_path / "day", [("a", [broken, post(2), post(3, author_id="43")])])
    lines = gzip.decompress(day.rejected.read_bytes()).decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [
        {"username": "a", "reason": "text: is missing", "post": broken},
        {"username": "a", "reason": NOT_OWN, "post": post(3, author_id="43")},
    ]


def test_a_rejected_post_is_kept_even_with_half_an_emoji(tmp_path):
    odd = post(1, text="half an emoji \ud83d", created_at=None)
    day = written(tmp_path / "day", [("a", [odd])])
    (line,) = gzip.decompress(day.rejected.read_bytes()).decode().strip().split("\n")
    assert json.loads(line)["post"] == odd | {"text": "half an emoji \ufffd"}


def test_a_file_is_known_by_its_size_and_sha_256(tmp_path):
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    assert fingerprint(file) == {
        "bytes": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


def test_files_are_closed_when_a_stage_fails_half_way(tmp_path):
    with pytest.raises(ZeroDivisionError), Partition(tmp_path) as partition:
        partition.append(one_account("a", [post(1)]))
        raise ZeroDivisionError
    assert partition.csv.read_text(encoding="utf-8").count("\n") == 2
