"""What each process of a test finds done: the fork server imports this once, and has AWS's models read."""

from functools import cache

import botocore.session

from tests.stages import child  # noqa: F401 - the imports take seconds

botocore.session.create_loader = cache(botocore.session.create_loader)
botocore.session.get_session().create_client("s3", region_name="us-east-1")
