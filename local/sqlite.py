"""What keeps Airflow's sqlite from being locked: named by `AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS`.

A savepoint begins a transaction that reads first. When it comes to write and anybody has written meanwhile,
sqlite refuses at once, whatever the timeout; Airflow then answers 503 to a backfill, and its clean-up deletes
runs that had ended. So such a transaction takes its turn to write before it reads.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event

CONNECT = {"timeout": 60}
"""Seconds to wait for others to have written, instead of 5."""


@event.listens_for(Engine, "savepoint")
def take_a_turn(connection: Connection, name: str) -> None:
    database: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and not database.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
