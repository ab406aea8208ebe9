"""No secret of the connection is in an error of the network, nor in a log at any level."""

import logging
import traceback
from base64 import b64encode
from urllib.parse import quote

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import PipelineError
from local import x_api

pytestmark = pytest.mark.live

SECRETS = {
    "consumer key": x_api.CONSUMER_KEY,
    "consumer secret": x_api.CONSUMER_SECRET,
    "access token": x_api.ACCESS_TOKEN,
    "access token secret": x_api.ACCESS_TOKEN_SECRET,
    "bearer token": x_api.BEARER_TOKEN,
    "basic credentials": b64encode(f"{x_api.CONSUMER_KEY}:{x_api.CONSUMER_SECRET}".encode()).decode(),
}


@pytest.fixture
def logs(caplog, capfd):
    """Everything that was logged so far, at every level."""
    root = logging.getLogger()
    before = root.level
    caplog.set_level(logging.DEBUG)
    root.setLevel(logging.DEBUG)
    yield lambda: caplog.text + "".join(capfd.readouterr())
    root.setLevel(before)


def leaks(text: str) -> list[str]:
    return [name for name, secret in SECRETS.items() if secret in text or quote(secret, safe="") in text]


@pytest.mark.parametrize("fault", [{"reset": True}, {"truncate": True}])
@pytest.mark.parametrize("where", ["/2/users/by", "/oauth2/token"])
def test_no_secret_is_in_an_error(pipeline, x, logs, where, fault):
    x.order({"match": where, "times": 9} | fault)

    with pytest.raises((PipelineError, AirflowRescheduleException)) as raised:
        pipeline.extract("posts_5_old", "2026-10-20")

    assert leaks("".join(traceback.format_exception(raised.value))) == []
    assert leaks(logs()) == []
