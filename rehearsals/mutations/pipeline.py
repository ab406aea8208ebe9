"""Twenty ways in which the pipeline could go wrong: lost posts, lost money, wrong rows, an open page."""

from rehearsals.mutations import Mutation

EXTRACT, TRANSFORM = "include/twitter/extract", "include/twitter/transform"
LOAD, PAGE = "include/twitter/load", "include/twitter/page"

MUTATIONS = [
    # extract
    Mutation(
        "next day's first second is counted",
        f"{EXTRACT}/walk.py",
        "day.start <= created_at < day.end",
        "day.start <= created_at <= day.end",
        ("tests/include/extract/test_walk.py",),
    ),
    Mutation(
        "remembered id is not compared",
        f"{EXTRACT}/collect.py",
        "had = [before.id if before else None, remembered]",
        "had = [before.id if before else None]",
        ("tests/include/extract/test_collect.py",),
    ),
    Mutation(
        "wrong author is accepted",
        f"{EXTRACT}/walk.py",
        "if not asked or not authors or asked in authors:",
        "if not asked or not authors or authors:",
        ("tests/include/extract/test_walk.py",),
    ),
    Mutation(
        "response is not stored",
        f"{EXTRACT}/purchase.py",
        "        self._lake.swap(key, answer.to_bytes(self._token), None)\n",
        "",
        ("tests/include/extract/test_purchase.py",),
    ),
    Mutation(
        "hours of a count are ignored",
        f"{EXTRACT}/proof.py",
        "elif counted.total == _arrived(group) and counted.hours == _hours(group):",
        "elif counted.total == _arrived(group):",
        ("tests/include/extract/test_collect.py",),
    ),
    # budget
    Mutation(
        "wrong price of a user",
        "include/twitter/pricing.py",
        '"users": 10,',
        '"users": 1,',
        ("tests/include/test_pricing.py",),
    ),
    Mutation(
        "reservations of others are ignored",
        f"{EXTRACT}/money.py",
        "left = cap - sum(reserved(entry) for entry in self._others(month))",
        "left = cap - sum(entry.spent_mills for entry in self._others(month))",
        ("tests/include/extract/test_money.py",),
    ),
    Mutation(
        "reservation after the request",
        f"{EXTRACT}/money.py",
        """        bill = Bill(self._granted(month, kind, most, wanted, smallest), at)
        is_kept = False
        try:
            yield bill
            is_kept = True
""",
        """        bill = Bill(wanted, at)
        is_kept = False
        try:
            yield bill
            is_kept = True
            bill.size = self._granted(month, kind, most, wanted, smallest)
""",
        ("tests/include/extract/test_money.py",),
    ),
    Mutation(
        "request without a response costs nothing",
        f"{EXTRACT}/money.py",
        "                if bill.is_uncertain:\n",
        "                if bill.is_uncertain and bill.number:\n",
        ("tests/include/extract/test_money.py",),
    ),
    Mutation(
        "ledger entry of another writer is overwritten",
        f"{EXTRACT}/money.py",
        "self._tag = self._lake.swap(self.key, data, self._tag)",
        "self._tag = self._lake.swap(self.key, data, getattr(self._lake.look(self.key), 'tag', None))",
        ("tests/include/extract/test_money.py",),
    ),
    # transform
    Mutation(
        "swapped columns",
        f"{TRANSFORM}/contract.py",
        'True, "public_metrics.reply_count")',
        'True, "public_metrics.quote_count")',
        ("tests/include/transform/test_refine.py",),
    ),
    Mutation(
        "next day's first second is published",
        f"{TRANSFORM}/refine.py",
        '(rows["created_at"] < day.end)',
        '(rows["created_at"] <= day.end)',
        ("tests/include/transform/test_refine.py",),
    ),
    Mutation(
        "first version of an edited post is published",
        f"{TRANSFORM}/refine.py",
        'once.drop_duplicates(["owner", "original_tweet_id"], keep="last")',
        'once.drop_duplicates(["owner", "original_tweet_id"], keep="first")',
        ("tests/include/transform/test_refine.py",),
    ),
    Mutation(
        "few rejected posts refuse a day",
        f"{TRANSFORM}/receipt.py",
        "rejected > FEW_REJECTED and rejected > SHARE_REJECTED * fetched",
        "rejected > FEW_REJECTED or rejected > SHARE_REJECTED * fetched",
        ("tests/include/transform/test_receipt.py",),
    ),
    # load
    Mutation(
        "hash of the landed table is not checked",
        f"{LOAD}/__init__.py",
        "if table is not None and sha256 == before.sha256:",
        "if table is not None:",
        ("tests/include/load/test_load.py",),
    ),
    Mutation(
        "half of an account's rows is most of them",
        f"{LOAD}/guard.py",
        "decrease.kept * 2 < decrease.landed",
        "decrease.kept * 2 <= decrease.landed",
        ("tests/include/load/test_guard.py",),
    ),
    Mutation(
        "accepted loss is not written down",
        f"{LOAD}/__init__.py",
        '                store.swap(f"{staging}receipt.json", encoded(candidate), etag)\n',
        "",
        ("tests/include/load/test_two_loads.py",),
    ),
    # page
    Mutation(
        "values are not escaped",
        f"{PAGE}/site.py",
        "autoescape=True,",
        "autoescape=False,",
        ("tests/include/page/test_pages.py",),
    ),
    Mutation(
        "landed purchase is billed as not landed",
        f"{PAGE}/bill.py",
        "elif line is None or entry.buy > line.buy:",
        "elif line is None or entry.buy >= line.buy:",
        ("tests/include/page/test_bill.py",),
    ),
    Mutation(
        "prices of own and other posts are swapped",
        f"{PAGE}/price.py",
        '"own_posts" if handle.lower() == wish.own_handle else "posts"',
        '"posts" if handle.lower() == wish.own_handle else "own_posts"',
        ("tests/include/page/test_price.py",),
    ),
]
