"""The runbook knows every error of the pipeline, and its lines run as they stand."""

import re
from pathlib import Path

from include.twitter import errors
from include.twitter.records import LedgerEntry, encoded
from tests.docs.test_read import fenced

PAGE = Path(__file__).parents[2] / "docs" / "operate.md"
FAMILIES = {"PipelineError", "PermanentError", "TransientError", "AmbiguousError"}


def test_every_error_that_a_person_may_see_has_a_line_and_no_other():
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - {"datetime"}
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(kinds - FAMILIES)


def test_the_line_that_adds_the_ledger_up_does(tmp_path, monkeypatch):
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    for buy, mills in ((1, 525), (2, 1000)):
        entry = LedgerEntry(
            day="2026-11-18", buy=buy, month="2026-11", reserved_mills=mills, spent_mills=mills
        )
        (ledger / f"2026-11-18-{buy}.json").write_bytes(encoded(entry))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(fenced("python", PAGE, "spent_mills"), names)  # noqa: S102 - the runbook's own
    assert names["spent"] == 1.525
