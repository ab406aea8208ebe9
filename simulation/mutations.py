"""Twenty-odd promises, each broken by one replacement in a copy of the code: the simulation has to notice.

A mutation that nobody notices is a gap of the oracle, or of what is simulated.
"""

from rehearsals.mutations import Mutation

COMMAND = ("-m", "simulation", "--seeds", "1-200", "--days", "8", "--stop")
ROOT = "include/twitter/"

MUTATIONS = (
    Mutation(
        "a page overwrites another one",
        ROOT + "extract/purchase.py",
        "self._store.put_if_match(key, data, None)",
        "self._store.write(key, data)",
    ),
    Mutation(
        "more is used than was reserved",
        ROOT + "extract/budget.py",
        "return max(self._usable - self.taken, 0)",
        "return max(self._usable - self.taken, 0) + 1000",
    ),
    Mutation(
        "the month's cap ignores other purchases",
        ROOT + "extract/budget.py",
        "at_most = min(at_most, cap - sum(map(reserved, self._others(month))))",
        "at_most = min(at_most, cap)",
    ),
    Mutation(
        "a purchase has no cap",
        ROOT + "extract/budget.py",
        "at_most = (self._caps.run[1] or sys.maxsize) - in_other_months",
        "at_most = sys.maxsize",
    ),
    Mutation(
        "a lost response is not uncertain",
        ROOT + "extract/budget.py",
        "return isinstance(error, NoResponse) or not isinstance(error, PipelineError)",
        "return False",
    ),
    Mutation(
        "the reservation of a killed process is forgotten",
        ROOT + "extract/budget.py",
        "if known.writer != self._token and (unspent := known.checked_mills - entry.charged_mills) > 0:",
        "if (unspent := 0) > 0:",
    ),
    Mutation(
        "a response that could not be stored is not booked",
        ROOT + "extract/budget.py",
        "elif response and response.billed:",
        "elif False:",
    ),
    Mutation(
        "a price is that of the month's first day",
        ROOT + "extract/budget.py",
        "self.mills[month] = self.mills.get(month, 0) + cost(units, at)",
        "self.mills[month] = self.mills.get(month, 0) + cost(units, start_of(month))",
    ),
    Mutation(
        "stored pages are not resumed from",
        ROOT + "extract/purchase.py",
        "[*keys, *self._pages.get(label, ())]",
        "keys",
    ),
    Mutation(
        "a walk restarts where a token expired",
        ROOT + "extract/cursor.py",
        'return {"token": self.token} if self.token or not self._oldest else {"until_id": self._oldest}',
        'return {"token": self.token}',
    ),
    Mutation(
        "a walk ends before its limit",
        ROOT + "extract/cursor.py",
        "if self.limit and len(self._posts) >= self.limit:",
        "if self.limit and len(self._posts) >= min(self.limit, 2):",
    ),
    Mutation(
        "each count matches",
        ROOT + "extract/reconcile.py",
        "if counted == arrived:",
        "if True:",
    ),
    Mutation(
        "an account that was away is not requested again",
        ROOT + "records.py",
        'if entry is None or entry.outcome == "unavailable" or (self.threads and not entry.threads):',
        "if entry is None or (self.threads and not entry.threads):",
    ),
    Mutation(
        "another account is accepted by itself",
        ROOT + "extract/resolver.py",
        "if self._is_blocked(handle, id_):",
        "if False:",
    ),
    Mutation(
        "accounts that left leave their days",
        ROOT + "extract/purchase.py",
        "or (entry.posts and not self._may_leave)",
        "",
    ),
    Mutation(
        "an edited post has two rows",
        ROOT + "transform/refine.py",
        " or post.cells[ORIGINAL] in originals:",
        ":",
    ),
    Mutation(
        "the first version of an edited post lands",
        ROOT + "transform/refine.py",
        "for post in reversed(ordered):",
        "for post in ordered:",
    ),
    Mutation(
        "retweets and replies land",
        ROOT + "transform/refine.py",
        "if is_unrequested(sent, fetched.unfilled) and not is_thread:",
        "if False:",
    ),
    Mutation(
        "posts of others land",
        ROOT + "transform/refine.py",
        "elif post.author_id != author_id:",
        "elif False:",
    ),
    Mutation(
        "a line break stays in the CSV",
        ROOT + "transform/contract.py",
        'if column.name == "text":',
        "if False:",
    ),
    Mutation(
        "most rows of an account may go",
        ROOT + "load/guard.py",
        "if losses and not accepted:",
        "if False:",
    ),
    Mutation(
        "losses are not recorded",
        ROOT + "load/__init__.py",
        "candidate.decreases = lost  #",
        "candidate.decreases = []  #",
    ),
    Mutation(
        "a copy takes the place of whatever is there",
        ROOT + "object_store.py",
        """        condition = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        with self._explained(source, target):""",
        """        condition: dict[str, str] = {}
        with self._explained(source, target):""",
    ),
    Mutation(
        "the receipt is written before the files",
        ROOT + "load/publish.py",
        "    etags: dict[str, str] = {}\n",
        "    etags: dict[str, str] = {}\n"
        "    replaces = store.put_if_match(key, encoded(receipt), replaces)\n",
    ),
    Mutation(
        "a day without some accounts is green",
        ROOT + "load/__init__.py",
        "if missing := [account for account in candidate.incomplete if account in requested]:",
        "if missing := []:",
    ),
    Mutation(
        "the lease of a purchase is not renewed",
        ROOT + "lease.py",
        "pool.submit(beat)",
        "pool.submit(lambda: None)",
    ),
    Mutation(
        "two buy a day at once",
        ROOT + "lease.py",
        "if holder and holder.expires_at and self._run.now() < holder.expires_at:",
        "if False:",
    ),
    Mutation(
        "old versions of erased posts stay",
        "deploy/forget.py",
        "            self._purge_all_but_the_newest(key)",
        "            pass",
    ),
    Mutation(
        "a response of one day proves a post gone",
        "deploy/evidence.py",
        "if self._is_proven(post)}",
        "if self._findings(post)}",
    ),
    Mutation(
        "much is erased without its number",
        "deploy/forget.py",
        "if above and not confirm_number(number):",
        "if False:",
    ),
    Mutation(
        "a post without its place on the map is gone",
        "include/twitter_features/compliance/responses.py",
        " and line.reason != GEO_SCRUBBED",
        "",
    ),
    Mutation(
        "an answered post is read again by the next try",
        "include/twitter_features/snapshots/fetch.py",
        """            self._add(key, response)

    def _add(""",
        """            self._add(key, response)
        self.statuses.clear()

    def _add(""",
    ),
    Mutation(
        "two Airflows stage in one place",
        ROOT + "transform/__init__.py",
        'layout.staging(run.day, f"{run.id}-{uuid4().hex[:8]}")',
        "layout.staging(run.day, run.id)",
    ),
)
