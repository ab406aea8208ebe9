"""A bucket of stored format 1, with one invented day: `python -m tests.kept_bucket` writes it to tests/data.

Generate it again only before format 1 is released. Afterwards it shows that stored objects can still be read.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from include.twitter import object_store
from include.twitter.airflow_context import Run
from include.twitter.extract import extract
from include.twitter.layout import short_hash
from include.twitter.load import load
from include.twitter.transform import transform
from tests.include.factories import DAY, RECEIVED, MemoryStore, a_day, post
from tests.include.fake_x import open_fake_x, page, total, users

FOLDER = Path(__file__).parent / "data" / "format_1"


class KeptStore(MemoryStore):
    bucket = "acme-twitter-lake"


def checked_in() -> KeptStore:
    """The kept bucket, in memory."""
    store = KeptStore()
    store.objects = {
        file.relative_to(FOLDER).as_posix(): file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()
    }
    return store


@contextmanager
def deployment(store: MemoryStore, x_host: str, handles: str) -> Iterator[None]:
    """The pipeline's settings for this bucket and X, whichever the environment has."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AIRFLOW_VAR_TWITTER_")]:
            patch.delenv(name)
        connection = {"conn_type": "http", "host": x_host, "extra": {"bearer_token": "invented"}}
        patch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(connection))
        patch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", store.bucket)
        patch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", handles)
        patch.setenv("NO_PROXY", "*")
        patch.setattr(object_store, "from_settings", lambda: store)
        yield


def land(name: str) -> dict:
    """Run the three stages of a run with this id."""
    run = Run(DAY, short_hash(name), lambda: RECEIVED)
    return load(run, transform(run, extract(run)))


def generate() -> None:
    store = KeptStore()
    (observatory, first), (rowan, second) = a_day()
    newest, *older = [*first, post(6, created_at="2026-11-17T23:59:59.000Z"), post(7, text=None)]
    with open_fake_x() as x, deployment(store, x.recorder.host, f"{observatory}, {rowan}"):
        x.prepare(f"users {observatory},{rowan}", users(**{observatory: "42", rowan: "77"}))
        x.prepare("timeline 42", page(newest, token="t1"))
        x.prepare("timeline 42 t1", page(*older))
        x.prepare("timeline 77", page(*second))
        x.prepare("count 42,77", *[total(len(first) + 1 + len(second), 9)] * 3)
        print(land("scheduled__2026-11-18"))  # noqa: T201
    rmtree(FOLDER, ignore_errors=True)
    for key, data in store.objects.items():
        if not key.startswith("staging/"):
            file = FOLDER / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


if __name__ == "__main__":
    generate()
