"""What keeps Airflow's sqlite from being locked."""

import sqlite3

import pytest
from sqlalchemy import create_engine, text

from local.sqlite import CONNECT


@pytest.fixture
def database(tmp_path):
    file = tmp_path / "airflow.db"
    with sqlite3.connect(file) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE run (id TEXT)")
    made.close()
    return file


def test_a_savepoint_that_reads_first_still_gets_to_write_where_another_wants_to(database):
    other = sqlite3.connect(database, timeout=0)
    engine = create_engine(f"sqlite:///{database}", connect_args=CONNECT)
    with engine.connect() as connection:
        with connection.begin_nested():
            assert connection.scalar(text("SELECT count(*) FROM run")) == 0
            with pytest.raises(
                sqlite3.OperationalError, match="locked"
            ):  # that one would wait, and has no time
                other.execute("INSERT INTO run VALUES ('other')")
            connection.execute(text("INSERT INTO run VALUES ('ours')"))
        connection.commit()
    other.execute("INSERT INTO run VALUES ('other')")
    other.commit()
    assert other.execute("SELECT id FROM run").fetchall() == [("ours",), ("other",)]
    other.close()
    engine.dispose()


def test_a_savepoint_within_a_transaction_begins_no_other(database):
    engine = create_engine(f"sqlite:///{database}", connect_args=CONNECT)
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO run VALUES ('before')"))
        with connection.begin_nested():
            connection.execute(text("INSERT INTO run VALUES ('within')"))
        connection.rollback()
        assert connection.scalar(text("SELECT count(*) FROM run")) == 0
    engine.dispose()
