"""The index of days: what it saves reading, what it is not believed about, and who may keep it at once."""

from msgspec.structs import replace

from include.twitter import days
from include.twitter.day import Day
from include.twitter.errors import NoPermission
from include.twitter.records import AccountLine, LedgerEntry, encoded
from tests.include.invented import DAY, MemoryLake, OvertakenLake, a_receipt, account_receipt

INDEX = "twitter_days/month=2026-11/index.json"


class ReadLake(OvertakenLake):
    """Remembers which objects were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_keys: list[str] = []

    def look_each(self, keys):
        self.read_keys += (keys := list(keys))
        return super().look_each(keys)


def land(lake: MemoryLake, day: str, rows: int = 3, **changes) -> None:
    receipt = replace(a_receipt(account_receipt("NASA", rows)), day=day, **changes)
    lake.write(Day.parse(day).receipt, encoded(receipt))


def spend(lake: MemoryLake, day: str, month: str, mills: int = 1525, buy: int = 2) -> LedgerEntry:
    entry = LedgerEntry(day=day, buy=buy, month=month, reserved_mills=mills, spent_mills=mills)
    lake.write(f"twitter_ledger/month={month}/{day}-{buy}.json", encoded(entry))
    return entry


def kept() -> ReadLake:
    """Two landed days and what they cost, one of them billed in December, with the index of their month."""
    lake = ReadLake()
    for day, month in (("2026-11-18", "2026-11"), ("2026-11-30", "2026-12")):
        land(lake, day)
        spend(lake, day, month)
    days.keep(lake, DAY)
    lake.read_keys.clear()
    return lake


def test_a_month_with_its_index_is_one_read():
    lake = kept()
    landed, ledger = days.read(lake, {"2026-11"})
    assert lake.read_keys == [INDEX]
    assert landed["2026-11-18"].accounts == [AccountLine("NASA", "complete", "matched", 3, "42")]
    assert (landed["2026-11-18"].buy, landed["2026-11-18"].cost_usd) == (2, 1.525)
    assert sorted((entry.day, entry.month) for entry in ledger.values()) == [
        ("2026-11-18", "2026-11"),
        ("2026-11-30", "2026-12"),
    ]


def test_a_day_that_was_published_since_is_read_from_its_receipt():
    lake = kept()
    land(lake, "2026-11-18", rows=9)
    landed, _ = days.read(lake, {"2026-11"})
    assert lake.read_keys == [INDEX, "twitter_receipts/dt=2026-11-18/receipt.json"]
    assert {day: line.published for day, line in landed.items()} == {"2026-11-18": 9, "2026-11-30": 3}


def test_a_day_whose_receipt_is_gone_has_not_landed():
    lake = kept()
    del lake.objects["twitter_receipts/dt=2026-11-18/receipt.json"]
    landed, ledger = days.read(lake, {"2026-11"})
    assert list(landed) == ["2026-11-30"]
    assert len(ledger) == 2


def test_what_was_bought_since_is_read_from_the_ledger():
    lake = kept()
    spend(lake, "2026-11-18", "2026-11", mills=2000)
    _, ledger = days.read(lake, {"2026-11"})
    assert lake.read_keys == [INDEX, "twitter_ledger/month=2026-11/2026-11-18-2.json"]
    assert sorted(entry.spent_mills for entry in ledger.values()) == [1525, 2000]


def test_days_that_were_bought_in_a_month_are_shown_with_it():
    lake = kept()
    landed, ledger = days.read(lake, {"2026-12"})
    assert (list(landed), [entry.day for entry in ledger.values()]) == (["2026-11-30"], ["2026-11-30"])


def test_without_an_index_the_receipts_are_read():
    lake = kept()
    with_index = days.read(lake, {"2026-11"})
    del lake.objects[INDEX]
    landed, ledger = days.read(lake, {"2026-11"})
    assert ledger == with_index.ledger
    assert {day: (line.etag, line.accounts) for day, line in landed.items()} == {
        day: (line.etag, line.accounts) for day, line in with_index.landed.items()
    }


def test_an_index_that_cannot_be_read_is_made_anew():
    lake = kept()
    whole = lake.objects[INDEX]
    for broken in (b"", b"{", b'{"days": {"2026-11-18": {"etag": 5}}}', b"[]"):
        lake.write(INDEX, broken)
        assert len(days.read(lake, {"2026-11"}).landed) == 2
        days.keep(lake, DAY)
        assert lake.objects[INDEX] == whole


def test_of_two_who_keep_it_at_once_neither_loses_the_others_day():
    lake = kept()

    def another() -> None:
        land(lake, "2026-11-19")
        days.keep(lake, Day.parse("2026-11-19"))

    land(lake, "2026-11-20")
    lake.meanwhile = another
    days.keep(lake, Day.parse("2026-11-20"))
    lake.read_keys.clear()
    assert sorted(days.read(lake, {"2026-11"}).landed)[:3] == ["2026-11-18", "2026-11-19", "2026-11-20"]
    assert lake.read_keys == [INDEX]


def test_an_index_that_may_not_be_written_is_told_and_nothing_else(caplog):
    class Locked(MemoryLake):
        def swap(self, key, data, tag):
            raise NoPermission(f"AWS denies PutObject on {key}.")

    lake = Locked()
    land(lake, "2026-11-18")
    days.keep(lake, DAY)
    assert caplog.messages == ["The index of 2026-11 is not kept, so Days reads its receipts."]


def test_an_empty_bucket_has_no_days():
    assert days.read(MemoryLake(), {"2026-11"}) == ({}, {})
