"""The guarantees of docs/guarantees.md as code, one function each.

They compare X's truth and X's bill with what a reader of the bucket sees: tables, receipts and ledger, at the
keys and with the fields that the README and docs/records.md name. They know nothing of how the pipeline keeps
its purchases. The names of the functions are the names of the promises.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet

from simulation.airflow import Attempt, Simulation
from simulation.feature_oracle import FeatureOracle
from simulation.owner import OWNER
from simulation.store import Version
from simulation.world import Account, Post, Served, unescaped

RECEIPT = re.compile(r"twitter_receipts/dt=([0-9-]+)/receipt\.json")
LEDGER = re.compile(r"twitter_ledger/month=([0-9]{4}-[0-9]{2})/.+\.json")
FATES = ("published", "rejected", "duplicates", "outside", "over_limit", "unrequested", "erased")
BREAKS = re.compile("[\r\n\v\f\x1c-\x1e\u0085\u2028\u2029]+")
LONGEST_RESPONSE = timedelta(seconds=260)
TAMPERED = {
    "x.drop_posts", "x.repeat_token", "x.empty_token", "x.gone", "x.failed_part", "x.foreign",
    "x.ignored_window", "x.drop_fields", "x.same_page", "x.empty_page", "x.repeat_posts",
}  # fmt: skip
"""Faults after which X itself has shown something else than its truth."""
POST_SETTINGS = (
    "twitter_handles",
    "twitter_tweet_limit",
    "twitter_include_threads",
    "twitter_confirmed_account_ids",
    "twitter_allow_row_loss",
)
"""The settings that say what a day has to hold."""

Row = dict[str, Any]


class Oracle:
    """Watches X, the bucket and Airflow, and notes each broken promise in the simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.s, self.world, self.bucket = simulation, simulation.world, simulation.bucket
        self.ledger: dict[str, dict[str, Any]] = {}
        self.sent: defaultdict[str, list[tuple[Served, dict[str, Any]]]] = defaultdict(list)
        """What X has sent of a post, by its id."""
        self.of_day: defaultdict[str, list[Served]] = defaultdict(list)
        """What X has answered for a day."""
        self.landed: dict[str, list[Row]] = {}
        self.landed_at: defaultdict[str, list[tuple[datetime, set[str]]]] = defaultdict(list)
        """The ids of each table that a day has had."""
        self.publishers: dict[str, Attempt] = {}
        """The load that has written a day's receipt last."""
        self.published_by: set[str] = set()
        """The processes that have written a receipt."""
        self.bytes_of: dict[Any, str] = {}
        self.greens: dict[str, Any] = {}
        """What `extract` had wanted of a day when it was green last, and since when it is."""
        self.billed: Counter[str] = Counter()
        self.billed_of_day: Counter[str] = Counter()
        self.checks = 0
        self.features = FeatureOracle(simulation, self.landed_at)
        self.bucket.watch.append(self._written)
        self.world.observers.append(self._served)
        simulation.on_load.append(self._loaded)
        simulation.on_extract.append(self.a_green_day_is_free)

    # What is watched

    def _written(self, key: str, version: Version) -> None:
        if LEDGER.fullmatch(key):
            self.ledger[key] = json.loads(version.data)
        elif (match := RECEIPT.fullmatch(key)) and version.by.startswith(OWNER):
            self._erased(match[1], json.loads(version.data), version.by)
        elif match:
            self._published(match[1], json.loads(version.data), version.by)

    def _served(self, served: Served) -> None:
        self.of_day[served.process.day].append(served)
        month = f"{served.at:%Y-%m}"
        self.billed[month] += served.mills
        self.billed_of_day[served.process.day] += served.mills
        self.caps_hold(served, month)
        self.nothing_is_bought_twice(served)
        self.nothing_of_another_account(served)
        for post in served.posts:
            self.sent[post["id"]].append((served, post))
        self.reserved_before_sent(month)

    def _published(self, day: str, receipt: dict[str, Any], by: str) -> None:
        self.checks += 1
        self.published_by.add(by)
        attempt = next(each for each in reversed(self.s.attempts) if each.process.name == by)
        self.publishers[day] = attempt
        self.receipt_is_written_last(day, receipt, by)
        table = self._table(receipt)
        if table is None:  # somebody else has replaced it meanwhile: that load checks it
            return
        self.receipts_balance(day, receipt, table)
        self.rows_are_what_x_sent(day, table)
        self.losses_are_recorded(day, receipt, table, attempt)
        self._has_landed(day, table)

    def _erased(self, day: str, receipt: dict[str, Any], by: str) -> None:
        """A receipt of a day of which posts were erased."""
        table = self._table(receipt)
        if table is not None:
            self.receipts_balance(day, receipt, table)
            self.nothing_else_is_erased(day, table, by)
            self._has_landed(day, table)

    def _has_landed(self, day: str, table: list[Row]) -> None:
        self.landed[day] = table
        self.landed_at[day].append((self.s.clock(), {row["tweet_id"] for row in table}))
        if back := sorted(self.s.owner.erased() & {row["tweet_id"] for row in table}):
            self.s.breach("erased_stays_erased", f"{day}: {back[:3]} are in the table again")

    def nothing_else_is_erased(self, day: str, table: list[Row], by: str) -> None:
        """An erasure cuts out what was named, or what X has called gone; every other row stays as it is."""
        if day not in self.landed:
            return
        now = {row["tweet_id"]: row for row in table}
        gone = [row["tweet_id"] for row in self.landed[day] if row["tweet_id"] not in now]
        if wrong := [id_ for id_ in gone if not self.s.owner.may_be_gone(id_)]:
            self.s.breach("nothing_else_is_erased", f"{by}: {wrong} of {day} went")
        if any(now.get(row["tweet_id"], row) != row for row in self.landed[day]) or now.keys() - {
            row["tweet_id"] for row in self.landed[day]
        }:
            self.s.breach("nothing_else_is_erased", f"{by}: other rows of {day} were changed")
        erasure = next(e for e in self.s.owner.begun if e.process and e.process.name == by)
        others = [each for each in self.s.owner.begun if each is not erasure]
        new = [id_ for id_ in gone if not any(self.s.owner.is_of(each, id_) for each in others)]
        if erasure.tries == 1 and not erasure.gave_number and len(new) * 10 > len(self.landed[day]):
            message = f"{by}: {len(new)} of {len(self.landed[day])} rows of {day} went"
            self.s.breach("much_takes_its_number", message)

    def _loaded(self, attempt: Attempt) -> None:
        day = attempt.run.day
        if not attempt.is_success:
            return
        if self._is_alone(attempt) and not self.s.owner.is_write_conflict:
            self.receipt_names_the_files(day, attempt.process.name)
        receipt = self._receipt(day)
        if receipt is None:
            self.s.breach("green_means_complete", f"{attempt.process.name}: green without a receipt")
            return
        # Another Airflow may have published the same bytes meanwhile: `load` accepts that receipt as its own.
        last = self.bucket.versions[f"twitter_receipts/dt={day}/receipt.json"][-1]
        if attempt.process.name not in self.published_by and last.at < attempt.began:
            self.s.breach("green_means_complete", f"{attempt.process.name}: green, and it published nothing")
        if self._is_alone(attempt) and (table := self._table(receipt)) is not None:
            self.csv_equals_parquet(day, receipt, table)
            publisher = self.publishers[day]  # another load may have published after this one
            self.green_means_complete(day, receipt, table, publisher)
            self.same_bytes(day, receipt, publisher)
            extracts = self._extracts_before(attempt)
            if publisher is attempt and len(extracts) == 1 and not receipt["totals"]["unavailable"]:
                self.greens[day] = self._settings_of(extracts[0]), attempt.began
            else:
                self.greens.pop(day, None)

    def at_the_end(self) -> None:
        """What has to hold when nothing runs any more."""
        for key in self.bucket.keys("twitter_receipts/"):
            if match := RECEIPT.fullmatch(key):
                self.receipt_names_the_files(match[1], "the end")
        self.features.at_the_end()
        self.bill_is_in_the_ledger()
        self.nothing_is_booked_twice()

    # Rows

    def rows_are_what_x_sent(self, day: str, table: list[Row]) -> None:
        """Each row is an own post of the day, once, as X has sent it at the moment that it names."""
        ids = [row["tweet_id"] for row in table]
        for id_, number in Counter(ids).items():
            if number > 1:
                self.s.breach("rows_are_what_x_sent", f"{day}: {id_} has {number} rows")
        originals = Counter((row["author_id"], row["original_tweet_id"]) for row in table)
        if (most := originals.most_common(1)) and most[0][1] > 1:
            self.s.breach("rows_are_what_x_sent", f"{day}: two versions of {most[0][0]} have rows")
        for row in table:
            if problem := self._problem_of(day, row):
                self.s.breach("rows_are_what_x_sent", f"{day}: {row['tweet_id']} {problem}")
        order = [(row["username"], row["author_id"], row["created_at"], row["tweet_id"]) for row in table]
        if order != sorted(order):
            self.s.breach("rows_are_what_x_sent", f"{day}: the rows are not in order")

    def _problem_of(self, day: str, row: Row) -> str | None:
        if f"{row['created_at']:%Y-%m-%d}" != day:
            return f"is of {row['created_at']}"
        account = self.world.accounts.get(row["author_id"])
        if account is None:
            return f"is by {row['author_id']}, who is nobody"
        if row["username"].lower() not in account.handles:
            return f"is by {row['username']}, which {account.id} never was"
        if row["tweet_id"] not in self.expected_ids(day, account):
            return "is a retweet or a reply"
        sent = [(served, post) for served, post in self.sent[row["tweet_id"]] if served.process.day == day]
        stored = [(served, post) for served, post in sent if served.stored_at]
        if not stored:
            return "was not sent for this day, or is not stored"
        then = [post for served, post in stored if -1 < _seconds(row["captured_at"] - served.at) < 260]
        if not then:
            return f"was not sent at {row['captured_at']}"
        problems = [_difference(row, post) for post in then]
        return None if None in problems else problems[-1]

    def expected_ids(self, day: str, account: Account) -> set[str]:
        """The ids of the account's own posts of a day, with its threads where somebody wanted them."""
        extracts = [each for each in self.s.attempts if each.run.day == day and each.stage == "extract"]
        threads = any(each.settings["twitter_include_threads"] == "true" for each in extracts)
        posts = self._posts(account, _start_of(day))
        return {str(post.id) for post in posts if post.is_own or (threads and post.kind == "thread")}

    def csv_equals_parquet(self, day: str, receipt: dict[str, Any], table: list[Row]) -> None:
        """The CSV has the rows of the Parquet file, cell by cell."""
        data = self.bucket.read(receipt["objects"]["csv"]["key"]) or b""
        if hashlib.sha256(data).hexdigest() != receipt["objects"]["csv"]["sha256"]:
            return
        rows = [*csv.DictReader(io.StringIO(data.decode(), newline=""))]
        if len(rows) != len(table) or data.count(b"\n") != len(table) + 1:
            self.s.breach("csv_equals_parquet", f"{day}: {len(rows)} rows in CSV, {len(table)} in Parquet")
            return
        for line, row in zip(rows, table, strict=True):
            expected = {name: _cell(name, value) for name, value in row.items()}
            if line != expected:
                wrong = [name for name in expected if line.get(name) != expected[name]]
                self.s.breach("csv_equals_parquet", f"{day}: {row['tweet_id']} differs in {wrong}")

    def green_means_complete(
        self, day: str, receipt: dict[str, Any], table: list[Row], attempt: Attempt
    ) -> None:
        """A green `load` has each account of `twitter_handles`, and each post that X has shown throughout.

        `attempt` is the load that published last; that one can be red, then it only lacks no posts.
        """
        extracts = self._extracts_before(attempt)
        if not extracts or attempt.run.accounts:
            return
        lines = {line["id"]: line for line in receipt["accounts"] if line["id"]}
        for handle in attempt.settings["twitter_handles"].split(","):
            named = [a for a in self.world.accounts.values() if handle.lower() in a.handles]
            entries = [lines[a.id] for a in named if a.id in lines]
            if attempt.is_success and not any(line["outcome"] != "unavailable" for line in entries):
                was_requested = all(handle in e.settings["twitter_handles"].split(",") for e in extracts)
                if was_requested:
                    self.s.breach("green_means_complete", f"{attempt.process.name}: {handle} is missing")
        for id_, line in lines.items():
            if line["outcome"] != "unavailable":
                self._has_all_posts(day, line, self.world.accounts[id_], table, attempt, extracts)

    def _has_all_posts(
        self,
        day: str,
        line: dict[str, Any],
        account: Account,
        table: list[Row],
        attempt: Attempt,
        extracts: list[Attempt],
    ) -> None:
        if not all(self._is_named_by(account, each.settings) for each in extracts):
            return
        first, last = _start_of(day), attempt.began
        if not account.was_active(first + timedelta(days=1), last):
            return
        threads = [each.settings["twitter_include_threads"] == "true" for each in extracts]
        limits = {int(each.settings["twitter_tweet_limit"]) for each in extracts}
        limit = min(filter(None, limits), default=0)
        posts = [p for p in self._posts(account, first) if p.is_own or p.kind == "thread"]
        newest: dict[int, Post] = {post.history[0]: post for post in posts}
        there = {row["tweet_id"] for row in table if row["author_id"] == account.id}
        missing = []
        for place, post in enumerate(sorted(newest.values(), key=lambda post: -post.id)):
            is_sure = post.gone_at > last and (post.is_own or all(threads))
            is_sure = is_sure and not self.s.owner.may_be_gone(str(post.id))
            if is_sure and (not limit or place < limit) and str(post.id) not in there:
                missing.append(str(post.id))
        if not missing:
            return
        responses = [each for each in self.of_day[day] if each.at <= last]
        faults = {fault for each in responses for fault in each.faults}
        message = f"{attempt.process.name}: {line['username']} lacks {missing}, proof {line['proof']}"
        message += f" {line['proof_reason'] or ''}"
        deleted = any(post.gone_at <= last for post in posts)
        if not faults & TAMPERED:
            self.s.breach("green_means_complete", message)
            return
        is_proven = line["proof"] in ("matched", "surplus") and "x.count_off" not in faults
        are_own = all(self._post(account, first, id_).is_own for id_ in missing)
        if is_proven and are_own and not deleted:
            self.s.breach("nothing_is_lost_in_silence", f"{message}, X's faults {sorted(faults)}")

    def _is_named_by(self, account: Account, settings: dict[str, str]) -> bool:
        """Whether a handle means the account, and not another one that took it over and was accepted."""
        accepted = dict.fromkeys(settings.get("twitter_confirmed_account_ids", "").lower().split(","))
        others = {item.split("=")[0] for item in accepted if item and item.split("=")[1] != account.id}
        named = {*settings["twitter_handles"].lower().split(",")} & {*account.handles}
        return bool({handle for handle in named if handle not in others or handle == account.handle.lower()})

    def _posts(self, account: Account, first: datetime) -> list[Post]:
        """The account's posts of a day; an edit after midnight is made with the day before."""
        before, day = first.date() - timedelta(days=1), first.date()
        both = [*self.world.posts(account, before), *self.world.posts(account, day)]
        return sorted((post for post in both if post.created.date() == day), key=lambda post: post.id)

    def _post(self, account: Account, first: datetime, id_: str) -> Post:
        return next(post for post in self._posts(account, first) if str(post.id) == id_)

    def losses_are_recorded(
        self, day: str, receipt: dict[str, Any], table: list[Row], attempt: Attempt
    ) -> None:
        """No landed row is gone, unless the receipt names it; not most of an account's, unless accepted."""
        there = {row["tweet_id"] for row in table}
        newest = {row["original_tweet_id"]: int(row["tweet_id"]) for row in table}
        recorded = {id_ for decrease in receipt.get("decreases", []) for id_ in decrease["lost"]}
        before: defaultdict[str, list[str]] = defaultdict(list)
        lost: defaultdict[str, list[str]] = defaultdict(list)
        for row in self.landed.get(day, []):
            before[row["author_id"]].append(row["tweet_id"])
            is_there = row["tweet_id"] in there or self.s.owner.may_be_gone(row["tweet_id"])
            if not is_there and newest.get(row["original_tweet_id"], 0) < int(row["tweet_id"]):
                lost[row["author_id"]].append(row["tweet_id"])
        for author, ids in lost.items():
            if unrecorded := sorted({*ids} - recorded):
                self.s.breach("losses_are_recorded", f"{day}: {unrecorded} of {author} went in silence")
            is_accepted = day in attempt.settings.get("twitter_allow_row_loss", "")
            if (len(before[author]) - len(ids)) * 2 < len(before[author]) and not is_accepted:
                message = f"{day}: {len(ids)} of {len(before[author])} rows of {author} went"
                self.s.breach("landed_data_stays", message)
            if not self._may_lose(day, attempt):
                message = f"{attempt.process.name}: {ids} of {author} went, and nobody wanted less"
                self.s.breach("landed_data_stays", message)

    def _may_lose(self, day: str, attempt: Attempt) -> bool:
        """Whether somebody wanted less of the day, or publishes an older table again.

        What was bought is kept. So nothing that X does takes a landed row away.
        """
        own = [e for e in self.s.attempts if e.run is attempt.run and e.stage == "transform"]
        extracts = [e for e in self.s.attempts if e.run.day == day and e.stage == "extract"]
        is_older = any(e.ended is None or e.ended >= own[-1].began for e in extracts)
        return is_older or self.s.loss_is_expected(day)

    # Receipts

    def receipts_balance(self, day: str, receipt: dict[str, Any], table: list[Row]) -> None:
        """fetched = published + rejected + …, an account; published is the number of its rows."""
        rows = Counter(row["username"] for row in table)
        for line in [*receipt["accounts"], receipt["totals"]]:
            if line["fetched"] != sum(line[name] for name in FATES):
                self.s.breach("receipts_balance", f"{day}: {line}")
        published = Counter({line["username"]: 0 for line in receipt["accounts"]})
        for line in receipt["accounts"]:
            published[line["username"]] += line["published"]
        if +published != +rows or receipt["totals"]["published"] != len(table):
            self.s.breach("receipts_balance", f"{day}: {published} are published, the table has {rows}")

    def receipt_is_written_last(self, day: str, receipt: dict[str, Any], by: str) -> None:
        """All files are written before their receipt: by its writer, or the same bytes by an earlier try."""
        for name, item in receipt["objects"].items():
            versions = self.bucket.versions.get(item["key"], [])
            complete = [each for each in versions if each.by == by or each is versions[-1]]
            if not any(hashlib.sha256(each.data).hexdigest() == item["sha256"] for each in complete):
                self.s.breach("receipt_is_written_last", f"{by}: {name} of {day} is not written yet")

    def receipt_names_the_files(self, day: str, when: str) -> None:
        """The SHA-256 of each file stands in the receipt, when no load of the day runs."""
        receipt = self._receipt(day)
        for name, item in (receipt["objects"] if receipt else {}).items():
            data = self.bucket.read(item["key"]) or b""
            if hashlib.sha256(data).hexdigest() != item["sha256"]:
                self.s.breach(
                    "receipt_names_the_files", f"{when}: {name} of {day} is not that of its receipt"
                )

    def same_bytes(self, day: str, receipt: dict[str, Any], attempt: Attempt) -> None:
        """The same answers give the same bytes."""
        extracts = self._extracts_before(attempt)
        if len(extracts) != 1:
            return
        serials = frozenset(each.serial for each in self.of_day[day] if each.stored_at)
        settings = tuple(extracts[0].settings.get(name, "") for name in POST_SETTINGS)
        successes = [e for e in self.s.attempts if e.run.day == day and e.stage == "extract" and e.is_success]
        last = successes[-1]
        acts = len(self.bucket.versions.get("twitter_forgotten/tombstones.json", ()))
        name = (day, serials, settings, last.ended, acts)
        sha256 = receipt["objects"]["csv"]["sha256"]
        if self.bytes_of.setdefault(name, sha256) != sha256 and last in extracts:
            self.s.breach("same_bytes", f"{attempt.process.name}: other bytes of the same answers")

    # Money

    def caps_hold(self, served: Served, month: str) -> None:
        """X bills nothing beyond a cap that the task has read."""
        if not served.mills:
            return
        settings, day = served.process.settings, served.process.day
        cap = float(settings["twitter_month_budget_usd"]) * 1000
        if cap and self.billed[month] > cap:
            message = (
                f"{served.process.name}: X has billed {self.billed[month]} of {cap:.0f} mills in {month}"
            )
            self.s.breach("caps_hold", message)
        if " " in day:  # no purchase
            return
        again = sum(run.buy_again for each in self.s.deployments for run in each.runs if run.day == day)
        cap = float(settings["twitter_run_budget_usd"]) * 1000
        if cap and self.billed_of_day[day] > cap * (1 + again):
            message = (
                f"{served.process.name}: X has billed {self.billed_of_day[day]} of {cap:.0f} mills for {day}"
            )
            self.s.breach("caps_hold", message)

    def reserved_before_sent(self, month: str) -> None:
        """At every moment the ledger has reserved, spent or as uncertain what X has billed."""
        entries = [entry for entry in self.ledger.values() if entry["month"] == month]
        known = sum(max(e["reserved_mills"], e["spent_mills"] + e.get("uncertain_mills", 0)) for e in entries)
        if known < self.billed[month]:
            message = f"{month}: X has billed {self.billed[month]} mills, the ledger knows of {known}"
            self.s.breach("reserved_before_sent", message)

    def bill_is_in_the_ledger(self) -> None:
        """In the end, what X has billed is spent or uncertain: in each month, and for each day."""
        for month, billed in self.billed.items():
            self._require_booked(month, billed, [e for e in self.ledger.values() if e["month"] == month])
        for day, billed in self.billed_of_day.items():
            own = [entry for entry in self.ledger.values() if entry["day"] == day and entry["buy"]]
            if " " not in day:  # else it is no purchase, or one entry serves several days
                self._require_booked(day, billed, own)

    def _require_booked(self, when: str, billed: int, entries: list[dict[str, Any]]) -> None:
        known = sum(entry["spent_mills"] + entry.get("uncertain_mills", 0) for entry in entries)
        if known < billed and not any(entry.get("writer") for entry in entries):
            message = f"{when}: X has billed {billed} mills, {known} are spent or uncertain"
            self.s.breach("bill_is_in_the_ledger", message)

    def nothing_is_booked_twice(self) -> None:
        """What is spent is not more than what X has billed.

        A look-up by id whose response could not be stored stays spent, and X does not bill its posts once
        more on that day: nothing says which posts were in it.
        """
        both = self.s.has_engagement and len(self.s.deployments) > 1  # the second one reads for nothing
        if self.world.bills_once_a_day or self.world.owner_id or both:
            return
        for month, billed in self.billed.items():
            entries = [entry for entry in self.ledger.values() if entry["month"] == month]
            lost = sum(entry.get("lost_mills", 0) for entry in entries if entry["age"])
            if (spent := sum(e["spent_mills"] for e in entries) - lost) > billed:
                self.s.breach("nothing_is_booked_twice", f"{month}: {spent} are spent, X has billed {billed}")

    def nothing_is_bought_twice(self, served: Served) -> None:
        """No page that S3 had when the task began is bought again for the same purchase."""
        process = served.process
        if served.faults & TAMPERED or not served.billed:
            return
        own = [each for each in self.of_day[process.day] if each.process is process]
        if any(each.faults & TAMPERED for each in own if each.request == served.request):
            return  # X itself leads over the same pages again
        attempt = next(each for each in reversed(self.s.attempts) if each.process is process)
        again = [
            each.began
            for each in self.s.attempts
            if each.run.day == process.day and each.run.buy_again and each.stage == "extract"
        ]
        for before in self.of_day[process.day][:-1]:
            is_same = (before.endpoint, before.request) == (served.endpoint, served.request)
            if not is_same or before.faults & TAMPERED or not before.stored_at or before.request == "ids":
                continue
            if before.stored_at >= attempt.began or any(before.at <= at for at in again):
                continue
            if both := sorted(before.billed.keys() & served.billed.keys()):
                message = (
                    f"{process.name}: {both[:3]} of {served.request} were bought in {before.process.name}"
                )
                self.s.breach("nothing_is_bought_twice", message)
                return

    def a_green_day_is_free(self, attempt: Attempt) -> None:
        """`extract` of a green day of which nothing else is wanted costs nothing."""
        green = self.greens.get(attempt.run.day)
        if (
            green
            and green[0] == self._settings_of(attempt)
            and green[1] < attempt.began
            and not attempt.run.buy_again
        ):
            mills = sum(s.mills for s in self.of_day[attempt.run.day] if s.process is attempt.process)
            if mills:
                self.s.breach("a_green_day_is_free", f"{attempt.process.name}: {mills} mills")

    def nothing_of_another_account(self, served: Served) -> None:
        """Nothing is bought of an account that took over a handle, until it is accepted.

        `twitter_engagement` reads whatever has landed, also what another Airflow has collected.
        """
        if " " in served.process.day:
            return
        settings = served.process.settings
        for id_ in {post["author_id"] for post in served.posts if post["author_id"] in self.world.accounts}:
            account = self.world.accounts[id_]
            named = [h for h in settings["twitter_handles"].split(",") if h.lower() in account.handles]
            if named and all(self._was_another(handle, id_, settings) for handle in named):
                message = f"{served.process.name}: {named} became {id_}, which nobody accepted"
                self.s.breach("nothing_of_another_account", message)

    def _was_another(self, handle: str, id_: str, settings: dict[str, str]) -> bool:
        if f"{handle.lower()}={id_}" in settings.get("twitter_confirmed_account_ids", "").lower().split(","):
            return False
        owners = {
            row["author_id"]
            for table in self.landed.values()
            for row in table
            if row["username"].lower() == handle.lower()
        }
        return bool(owners) and id_ not in owners

    # What the bucket has

    def _receipt(self, day: str) -> dict[str, Any] | None:
        data = self.bucket.read(f"twitter_receipts/dt={day}/receipt.json")
        return json.loads(data) if data else None

    def _table(self, receipt: dict[str, Any]) -> list[Row] | None:
        """The rows of the Parquet file; None where it is not that of the receipt."""
        item = receipt["objects"]["parquet"]
        data = self.bucket.read(item["key"]) or b""
        if hashlib.sha256(data).hexdigest() != item["sha256"]:
            return None
        return pyarrow.parquet.ParquetFile(io.BytesIO(data)).read().to_pylist()

    def _is_alone(self, attempt: Attempt) -> bool:
        """Whether no other load of the day runs, also not one that Airflow has given up."""
        return all(
            each is attempt
            or each.run.day != attempt.run.day
            or each.stage != "load"
            or all(task.is_done for task in each.process.tasks)
            for each in self.s.attempts
        )

    def _extracts_before(self, attempt: Attempt) -> list[Attempt]:
        """The tries of `extract` that may have said what the run's table holds."""
        of_day = [e for e in self.s.attempts if e.run.day == attempt.run.day]
        own = [e for e in of_day if e.run is attempt.run]
        extracts = [e for e in own if e.stage == "extract" and e.is_success]
        transforms = [e for e in own if e.stage == "transform" and e.is_success]
        if not extracts or not transforms:
            return []
        began, ended = extracts[-1].began, transforms[-1].ended or transforms[-1].began
        return [
            each
            for each in of_day
            if each.stage == "extract"
            and each.began <= ended
            and (each is extracts[-1] or each.ended is None or each.ended >= began)
            and (each.is_success or each is extracts[-1])
        ]

    def _settings_of(self, attempt: Attempt) -> Any:
        settings = tuple(attempt.settings.get(name, "") for name in POST_SETTINGS)
        return settings, attempt.run.accounts


def _start_of(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def _seconds(difference: timedelta) -> float:
    return difference.total_seconds()


def _difference(row: Row, post: dict[str, Any]) -> str | None:
    """How a row differs from the post that X sent, if it does."""
    metrics = post.get("public_metrics") or {}
    versions = post["edit_history_tweet_ids"]
    lang = post.get("lang")
    expected = {
        "text": unescaped(post["text"]),
        "author_id": post["author_id"],
        "likes": metrics.get("like_count"),
        "retweets": metrics.get("retweet_count"),
        "impressions": metrics.get("impression_count"),
        "bookmarks": metrics.get("bookmark_count"),
        "lang": lang if isinstance(lang, str) else None,
        "is_quote": any(each["type"] == "quoted" for each in post.get("referenced_tweets", [])),
        "hashtags": [each["tag"] for each in post.get("entities", {}).get("hashtags", [])],
        "mentions": [],
        "urls": [],
        "conversation_id": post["conversation_id"],
        "original_tweet_id": versions[0],
        "is_edited": any(id_ != post["id"] for id_ in versions),
        "possibly_sensitive": post["possibly_sensitive"],
        "url": f"https://x.com/{row['username']}/status/{row['tweet_id']}",
    }
    wrong = [f"{name} {row[name]!r} for {value!r}" for name, value in expected.items() if row[name] != value]
    return ", ".join(wrong) or None


def _cell(name: str, value: Any) -> str:
    """A cell of the Parquet file as it has to stand in the CSV."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case list():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return BREAKS.sub(" ", str(value)) if name == "text" else str(value)


def kinds(breaches: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({name for name, _ in breaches})
