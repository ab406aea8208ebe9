"""What each process of a test finds done: the fork server imports this once, and has AWS's models read.

Their requests to X's archive do not wait for each other.
"""

from functools import cache

import botocore.session

from include.twitter.x import client as x
from tests.stages import crash_harness  # noqa: F401 - the imports take seconds

x.ARCHIVE_SECONDS = 0
botocore.session.create_loader = cache(botocore.session.create_loader)
botocore.session.get_session().create_client("s3", region_name="us-east-1")
