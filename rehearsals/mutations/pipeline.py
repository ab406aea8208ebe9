"""Twenty ways in which the pipeline could go wrong: lost posts, lost money, wrong rows, an open page."""

from rehearsals.mutations import Mutation

EXTRACT, TRANSFORM = "include/twitter/extract", "include/twitter/transform"
LOAD, PAGE = "include/twitter/load", "include/twitter_features/days_page"

MUTATIONS = [
    # extract
    Mutation(
        "next day's first second is counted",
        f"{EXTRACT}/cursor.py",
        "self.day.start <= created_at < self.day.end",
        "self.day.start <= created_at <= self.day.end",
        ("tests/include/extract/test_cursor.py",),
    ),
    Mutation(
        "remembered id is not compared",
        f"{EXTRACT}/resolver.py",
        "former_ids = [before.id if before else None, known]",
        "former_ids = [before.id if before else None]",
        ("tests/include/extract/test_reader.py",),
    ),
    Mutation(
        "wrong author is accepted",
        f"{EXTRACT}/cursor.py",
        "if author_id and authors and author_id not in authors:",
        "if author_id and not authors:",
        ("tests/include/extract/test_cursor.py",),
    ),
    Mutation(
        "response is not stored",
        f"{EXTRACT}/purchase.py",
        "        self._store.put_if_match(key, data, None)\n",
        "",
        ("tests/include/extract/test_purchase.py",),
    ),
    Mutation(
        "hours of a count are ignored",
        f"{EXTRACT}/reconcile.py",
        "if count.total == posts and count.hours == hours:",
        "if count.total == posts:",
        ("tests/include/extract/test_reconcile.py",),
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
        f"{EXTRACT}/budget.py",
        "cap - sum(map(reserved, self._others(month)))",
        "cap - sum(entry.spent_mills for entry in self._others(month))",
        ("tests/include/extract/test_budget.py",),
    ),
    Mutation(
        "reservation after the request",
        f"{EXTRACT}/budget.py",
        """        reservation = Reservation(self._granted(month, kind, price, units, smallest), at)
        error: BaseException | None = None
        try:
            yield reservation
""",
        """        reservation = Reservation(units, at)
        error: BaseException | None = None
        try:
            yield reservation
            reservation.size = self._granted(month, kind, price, units, smallest)
""",
        ("tests/include/extract/test_budget.py",),
    ),
    Mutation(
        "request without a response costs nothing",
        f"{EXTRACT}/budget.py",
        "elif error and not response and _may_be_billed(error):",
        "elif error and response and _may_be_billed(error):",
        ("tests/include/extract/test_budget.py",),
    ),
    Mutation(
        "ledger entry of another writer is overwritten",
        f"{EXTRACT}/budget.py",
        "self._store.put_if_match(self.key, data, self._object and self._object.etag)",
        "self._store.put_if_match(self.key, data, self._store.etag(self.key))",
        ("tests/include/extract/test_budget.py",),
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
        "day.start <= created_at < day.end",
        "day.start <= created_at <= day.end",
        ("tests/include/transform/test_refine.py",),
    ),
    Mutation(
        "first version of an edited post is published",
        f"{TRANSFORM}/refine.py",
        "for post in reversed(ordered):",
        "for post in ordered:",
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
        "decrease.kept_rows * 2 < decrease.landed",
        "decrease.kept_rows * 2 <= decrease.landed",
        ("tests/include/load/test_guard.py",),
    ),
    Mutation(
        "accepted loss is not written down",
        f"{LOAD}/__init__.py",
        "                store.put_if_match(key, encoded(candidate), stored_candidate.etag)\n",
        "",
        ("tests/include/load/test_two_loads.py",),
    ),
    # page
    Mutation(
        "values are not escaped",
        f"{PAGE}/routes.py",
        "autoescape=True,",
        "autoescape=False,",
        ("tests/features/days_page/test_pages.py",),
    ),
    Mutation(
        "landed purchase is billed as not landed",
        f"{PAGE}/month_spend.py",
        "if landed is None or entry.buy > landed.buy:",
        "if landed is None or entry.buy >= landed.buy:",
        ("tests/features/days_page/test_month_spend.py",),
    ),
    Mutation(
        "prices of own and other posts are swapped",
        f"{PAGE}/clear_price.py",
        '"own_posts" if handle.lower() == inputs.own_handle else "posts"',
        '"posts" if handle.lower() == inputs.own_handle else "own_posts"',
        ("tests/features/days_page/test_clear_price.py",),
    ),
]
