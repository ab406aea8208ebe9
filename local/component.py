"""`python -m local.component scheduler`: `airflow scheduler`, which starts sooner.

Garbage collection is a fifth of the time that a component needs to start, because it scans what was just
imported. Here it runs less often.
"""

import gc

gc.set_threshold(50_000, 20, 50)

from airflow.__main__ import main  # noqa: E402

main()
