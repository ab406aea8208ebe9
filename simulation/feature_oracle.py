"""More promises as code: of the readings of engagement, of X's checks, and of what was erased.

As in oracle.py, they compare X's truth with the objects of the bucket that readers see.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import combinations
from typing import Any

import pyarrow.parquet

from simulation.airflow import Attempt, Simulation
from simulation.owner import OWNER, Erasure
from simulation.store import Version
from simulation.world import Served, marker

SNAPSHOT_RECEIPT = re.compile(r"twitter_engagement_receipts/dt=([0-9-]+)/age=(\d+)/receipt\.json")
GONE_LIST = re.compile(r"twitter_compliance/dt=([0-9-]+)/gone\.json")
PAGE = re.compile(r"(twitter_raw/dt=[0-9-]+/age=\d+/)\d+\.json\.gz")
MARKER = re.compile(r"zq[0-9a-f]{12}")
LISTED = re.compile(rb'"tweet_id": ?"(\d+)"')
COUNTS = {
    "likes": "like_count",
    "retweets": "retweet_count",
    "replies": "reply_count",
    "quotes": "quote_count",
    "bookmarks": "bookmark_count",
    "impressions": "impression_count",
}
NOT_LOST = ("there", "edited", "unanswered")
MOST_JOBS = 3

Row = dict[str, Any]
Landed = defaultdict[str, list[tuple[datetime, set[str]]]]


class FeatureOracle:
    """Checks what the features beyond the daily tables write."""

    def __init__(self, simulation: Simulation, landed: Landed) -> None:
        self.s, self.world, self.bucket = simulation, simulation.world, simulation.bucket
        self._landed = landed
        self.readings = 0
        self._pages: defaultdict[str, list[Served]] = defaultdict(list)
        """The stored look-ups of a day at an age."""
        self._held: dict[str, set[str]] = {}
        """Ids and markers of posts in a version of an object, by the version's id."""
        self.bucket.watch.append(self._written)
        self.world.observers.append(self.only_landed_posts_are_read)
        simulation.on_other.append(self._tried)
        simulation.owner.on_try.append(self._begins_to_erase)
        simulation.owner.on_end.append(self.nothing_erased_is_left)

    def at_the_end(self) -> None:
        for key in self.bucket.keys("twitter_engagement_receipts/"):
            if SNAPSHOT_RECEIPT.fullmatch(key):
                self.reading_names_its_files(key)
        for erasure in self.s.owner.begun:
            if erasure.ended_at:
                self.nothing_erased_is_left(erasure)
        if self.world.compliance.carried_keys:
            self.s.breach("no_key_in_sight", "X's keys were sent to its job storage")

    def _written(self, key: str, version: Version) -> None:
        if match := PAGE.fullmatch(key):
            if not version.by.startswith(OWNER):
                self.a_post_is_fetched_once(match[1], version)
        elif (match := SNAPSHOT_RECEIPT.fullmatch(key)) and not version.by.startswith(OWNER):
            self._read(match[1], int(match[2]), json.loads(version.data), version.by)
        elif match := GONE_LIST.fullmatch(key):
            self.only_what_x_named_is_listed(match[1], json.loads(version.data))

    # Readings of engagement

    def only_landed_posts_are_read(self, served: Served) -> None:
        """`twitter_engagement` pays for no post that never landed."""
        if served.process.day.startswith("engagement"):
            landed = set().union(*(ids for tables in self._landed.values() for _, ids in tables))
            if others := sorted({*served.ids} - landed):
                message = f"{served.process.name}: {others[:3]} never landed"
                self.s.breach("only_landed_posts_are_read", message)

    def a_post_is_fetched_once(self, place: str, version: Version) -> None:
        """No post is requested again of which S3 has X's answer at that age."""
        serial = re.search(rb'"sim": ?(\d+)', gzip.decompress(version.data))
        served = self.world.by_serial[int(serial[1])] if serial else None
        if not served:
            return
        attempt = next(each for each in reversed(self.s.attempts) if each.process is served.process)
        for before in self._pages[place]:
            both = sorted({*before.ids} & {*served.ids})
            if both and before.stored_at and before.stored_at < attempt.began:
                message = f"{served.process.name}: {both[:3]} were read by {before.process.name}"
                self.s.breach("a_post_is_fetched_once", f"{message} as {before.key}")
        self._pages[place].append(served)

    def _read(self, day: str, age: int, receipt: dict[str, Any], by: str) -> None:
        self.readings += 1
        attempt = next(each for each in reversed(self.s.attempts) if each.process.name == by)
        for name, item in receipt["objects"].items():
            own = [version for version in self.bucket.versions.get(item["key"], []) if version.by == by]
            if not any(_sha256(version.data) == item["sha256"] for version in own):
                self.s.breach("reading_is_written_last", f"{by}: {name} of {day} is not written yet")
        data = {name: self.bucket.read(item["key"]) or b"" for name, item in receipt["objects"].items()}
        if any(_sha256(data[name]) != item["sha256"] for name, item in receipt["objects"].items()):
            return
        rows = pyarrow.parquet.ParquetFile(io.BytesIO(data["parquet"])).read().to_pylist()
        message = f"{by}: {day} at age {age}"
        self._csv_equals_parquet(message, data["csv"], rows)
        self.a_reading_balances(message, receipt, rows)
        place = f"twitter_raw/dt={day}/age={age}/"
        for row in rows:
            if problem := self._problem_of(row, self._pages[place]):
                self.s.breach("a_reading_is_what_x_said", f"{message}: {row['tweet_id']} {problem}")
        self.a_reading_is_complete(message, day, {row["tweet_id"] for row in rows}, attempt)
        self.what_was_bought_is_recorded(message, receipt, place, attempt)
        if back := sorted(self.s.owner.erased() & {row["tweet_id"] for row in rows}):
            self.s.breach("erased_stays_erased", f"{message}: {back[:3]} are in the table again")

    def _csv_equals_parquet(self, message: str, data: bytes, rows: list[Row]) -> None:
        lines = [*csv.DictReader(io.StringIO(data.decode(), newline=""))]
        expected = [{name: _cell(value) for name, value in row.items()} for row in rows]
        if lines != expected:
            self.s.breach("a_reading_is_its_twin", f"{message}: CSV and Parquet differ")

    def a_reading_balances(self, message: str, receipt: dict[str, Any], rows: list[Row]) -> None:
        """The receipt counts the rows by their state, and names each post that is lost."""
        lost = sorted(row["tweet_id"] for row in rows if row["state"] not in NOT_LOST)
        states = Counter(row["state"] for row in rows)
        if receipt["posts"] != len(rows) or Counter(receipt["states"]) != states:
            self.s.breach(
                "a_reading_balances", f"{message}: {receipt['posts']} {receipt['states']} for {states}"
            )
        if sorted(post["tweet_id"] for post in receipt["lost"]) != lost:
            self.s.breach("a_reading_balances", f"{message}: {receipt['lost']} are lost, and not {lost}")
        if len({row["tweet_id"] for row in rows}) != len(rows):
            self.s.breach("a_reading_balances", f"{message}: a post has two rows")

    def _problem_of(self, row: Row, pages: Iterable[Served]) -> str | None:
        """How a row differs from what X said at the moment that it names, if it does."""
        then = [
            served
            for served in pages
            if row["tweet_id"] in served.ids and -1 < (row["captured_at"] - served.at).total_seconds() < 260
        ]
        if not then:
            return f"was not read at {row['captured_at']}"
        problems = [self._difference(row, served) for served in then]
        return None if None in problems else problems[-1]

    def _difference(self, row: Row, served: Served) -> str | None:
        post = next((each for each in served.posts if each["id"] == row["tweet_id"]), None)
        metrics = post.get("public_metrics", {}) if post else {}
        state = "there" if post else served.gone.get(row["tweet_id"], "unanswered")
        if post and max(map(int, post["edit_history_tweet_ids"])) != int(post["id"]):
            state = "edited"
        wrong = [name for name, field in COUNTS.items() if row[name] != metrics.get(field)]
        if wrong or row["state"] != state:
            return f"is {row['state']} for {state}, and differs in {wrong}"
        return None

    def a_reading_is_complete(self, message: str, day: str, ids: set[str], attempt: Attempt) -> None:
        """It has each post that was in the day's table from the beginning of its run on, and no other."""
        own = [each for each in self.s.attempts if each.run is attempt.run]
        began = min(each.began for each in own)
        tables = self._landed[day]
        first = max((number for number, (at, _) in enumerate(tables) if at <= began), default=0)
        throughout = set.intersection(*(held for _, held in tables[first:]))
        missing = {id_ for id_ in throughout - ids if not self.s.owner.may_be_gone(id_)}
        if missing:
            self.s.breach("a_reading_is_complete", f"{message}: {sorted(missing)} are missing")
        if others := ids - set().union(*(held for _, held in tables)):
            self.s.breach("a_reading_is_complete", f"{message}: {sorted(others)} never landed")

    def what_was_bought_is_recorded(
        self, message: str, receipt: dict[str, Any], place: str, attempt: Attempt
    ) -> None:
        """The receipt has as many posts as X has sent, where no other run has read them."""
        pages = self._pages[place]
        ended = max(e.ended or e.began for e in self.s.attempts if e.run is attempt.run and e.is_success)
        if len({page.process.name.partition("/")[0] for page in pages}) > 1 or not ended:
            return
        sent = sum(len(page.posts) for page in pages)
        bought = receipt["bought"].get("posts", 0) + receipt["bought"].get("rereads", 0)
        if bought != sent:
            self.s.breach("what_was_bought_is_recorded", f"{message}: {bought} posts, X has sent {sent}")

    def reading_names_its_files(self, key: str) -> None:
        receipt = json.loads(self.bucket.read(key) or b"{}")
        for name, item in receipt["objects"].items():
            if _sha256(self.bucket.read(item["key"]) or b"") != item["sha256"]:
                self.s.breach("reading_names_its_files", f"{name} is not that of {key}")

    # X's checks

    def only_what_x_named_is_listed(self, day: str, listed: dict[str, Any]) -> None:
        """Each listed post is one that X named in that check, with its state."""
        job = self.world.compliance.jobs[listed["job"]]
        verdicts = job.verdicts or {}
        wrong = [post for post in listed["gone"] if verdicts.get(post["tweet_id"]) != post["state"]]
        if wrong:
            self.s.breach("a_check_lists_what_x_named", f"{day}: {wrong} for job {job.id}")

    def _tried(self, attempt: Attempt) -> None:
        if attempt.run.dag == "compliance" and attempt.is_success and "skipped" not in (attempt.result or {}):
            if attempt.stage == "upload":
                self.all_landed_posts_are_checked(attempt)
            if attempt.stage == "publish_deletions":
                self.a_check_is_complete(attempt)

    def _jobs_of(self, attempt: Attempt) -> list[Any]:
        """The jobs whose making or ids were sent by the run, or by the other Airflow's run of the same id."""
        runs = [(e.process.name, e.run) for e in self.s.attempts]
        own = {name for name, run in runs if (run.dag, run.id) == (attempt.run.dag, attempt.run.id)}
        made = [served for served in self.world.served if served.process.name in own]
        names = {served.job for served in made if served.job}
        return [job for job in self.world.compliance.jobs.values() if job.id in names]

    def all_landed_posts_are_checked(self, attempt: Attempt) -> None:
        """A job has the ids of all landed posts, none twice, and none that was erased before."""
        jobs = [job for job in self._jobs_of(attempt) if job.uploaded_at]
        if len(jobs) > MOST_JOBS:
            self.s.breach("a_check_is_made_once", f"{attempt.run.name} made {len(jobs)} jobs")
        for name, number in Counter(job.name for job in self.world.compliance.jobs.values()).items():
            if number > 1:
                self.s.breach("a_check_is_made_once", f"{number} jobs are called {name}")
        if not jobs or jobs[-1].uploaded_at < attempt.began:
            return
        ids = set(jobs[-1].ids)
        throughout, ever = self._landed_since(attempt.began, jobs[-1].uploaded_at)
        missing = {id_ for id_ in throughout - ids if not self.s.owner.may_be_gone(id_)}
        if missing or ids - ever or len(ids) != len(jobs[-1].ids):
            message = (
                f"{attempt.process.name}: {sorted(missing)[:3]} are missing, {sorted(ids - ever)[:3]} are"
            )
            self.s.breach("all_landed_posts_are_checked", f"{message} no landed posts")

    def _landed_since(self, began: datetime, ended: datetime) -> tuple[set[str], set[str]]:
        """The ids that had landed from the one moment to the other, and those that ever had."""
        throughout: set[str] = set()
        ever: set[str] = set()
        for tables in self._landed.values():
            first = max((number for number, (at, _) in enumerate(tables) if at <= began), default=None)
            held = [of for at, of in tables[first or 0 :] if at <= ended]
            ever.update(*held)
            if first is not None:
                throughout |= set.intersection(*held)
        return throughout, ever

    def a_check_is_complete(self, attempt: Attempt) -> None:
        """In the end each landed post that X named is listed, or a later check's list stands there."""
        fetched = [job for job in self._jobs_of(attempt) if job.verdicts is not None]
        if not fetched:
            self.s.breach("a_check_is_complete", f"{attempt.process.name}: X was never asked for its answer")
            return
        job = fetched[-1]
        for day, tables in self._landed.items():
            after = [held for at, held in tables if at >= attempt.began]
            before = [held for at, held in tables if at < attempt.began][-1:]
            if not before:
                continue
            named = set.intersection(*before, *after) & (job.verdicts or {}).keys()
            data = self.bucket.read(f"twitter_compliance/dt={day}/gone.json")
            listed: dict[str, Any] = json.loads(data) if data else {"job": "", "gone": []}
            newer = self.world.compliance.jobs.get(listed["job"])
            if newer and newer.made_at > job.made_at:
                continue
            there = {post["tweet_id"] for post in listed["gone"]}
            missing = {id_ for id_ in named - there if not self.s.owner.may_be_gone(id_)}
            if missing or (named and listed["job"] != job.id):
                message = f"{attempt.process.name}: {sorted(missing or named)[:3]} of {day} are not listed"
                self.s.breach("a_check_is_complete", f"{message} for job {job.id} but {listed['job']!r}")

    # What was erased

    def _begins_to_erase(self, erasure: Erasure) -> None:
        """Find what X's stored responses prove gone at this moment: the most, and the least of it."""
        if erasure.is_gone:
            lenient, strict = self._proven()
            erasure.named |= self.s.owner.versions(lenient)
            erasure.required = self.s.owner.versions(strict)

    def _proven(self) -> tuple[set[str], set[str]]:
        """Posts that two responses of different days call gone, and that no later one shows.

        In the least of it a check that does not name a post shows it, and all dates have to differ: those of
        the job, of the response, and of the object as it is now.
        """
        evidence: defaultdict[str, list[tuple[Served, set[Any]]]] = defaultdict(list)
        shown: defaultdict[str, list[datetime]] = defaultdict(list)
        checks = []
        for served in self.world.served:
            if not served.stored_at or not (PAGE.fullmatch(served.key) or served.job):
                continue
            version = self.bucket.newest(served.key)
            if version is None:
                continue
            days = {served.at.date(), version.at.date()}
            if served.job:
                checks.append(served)
                days.add(self.world.compliance.jobs[served.job].made_at.date())
            for id_ in served.gone:
                evidence[id_].append((served, days))
            for post in served.posts:
                shown[post["id"]].append(served.at)
        lenient, strict = set(), set()
        for id_, entries in evidence.items():
            since = max(shown[id_], default=None)
            later = [(served, days) for served, days in entries if since is None or served.at > since]
            if len({served.at.date() for served, _ in later}) > 1:
                lenient.add(id_)
            silent = [check.at for check in checks if id_ not in check.gone]
            made = max(silent, default=None)
            days_of = [days for served, days in later if made is None or served.at > made]
            if any(one.isdisjoint(other) for one, other in combinations(days_of, 2)):
                strict.add(id_)
        return lenient, strict

    def nothing_erased_is_left(self, erasure: Erasure) -> None:
        """When the command has ended, no version of any object holds the posts; nor does one ever after."""
        erased = self.s.owner.erased()
        words = {marker(int(id_)): id_ for id_ in erased} | {id_: id_ for id_ in erased}
        for key, versions in self.bucket.versions.items():
            for version in versions:
                if held := words.keys() & self._held_by(key, version):
                    began = next((e.began for e in self.s.attempts if e.process.name == version.by), None)
                    message = f"{erasure.name} ended at {erasure.ended_at}: {words[min(held)]} is in {key}"
                    message += f", written at {version.at} by {version.by}, which began at {began}"
                    self.s.breach("erased_stays_erased", message)

    def _held_by(self, key: str, version: Version) -> set[str]:
        if version.id not in self._held:
            self._held[version.id] = _held(key, version.data)
        return self._held[version.id]


def _held(key: str, data: bytes) -> set[str]:
    """Markers and ids of the posts of which an object has more than the id."""
    if key.endswith(".parquet"):
        table = pyarrow.parquet.ParquetFile(io.BytesIO(data)).read()
        return {*table["tweet_id"].to_pylist(), *MARKER.findall(str(table.to_pydict()))}
    if key.endswith(".csv"):
        text = data.decode()
        ids = {row["tweet_id"] for row in csv.DictReader(io.StringIO(text, newline=""))}
        return ids | {*MARKER.findall(text)}
    if key.endswith(".gz"):
        return {*MARKER.findall(gzip.decompress(data).decode())}
    if GONE_LIST.fullmatch(key) or SNAPSHOT_RECEIPT.fullmatch(key):
        return {match.decode() for match in LISTED.findall(data)}
    return {*MARKER.findall(data.decode())}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else str(value)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
