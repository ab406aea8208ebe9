"""A sound deployment on the stand-ins, for the benchmarks: no Airflow, a clock that is moved by hand."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from local.stack import Stack
from tests.drivers import Bucket, X, connection_to_x


class StandIns(X, Bucket):
    """The stand-ins' controls: X's clock, faults and log, and the bucket as its owner sees it."""

    def __init__(self, stack: Stack) -> None:
        X.__init__(self, stack)
        Bucket.__init__(self, stack)


def put(**variables: Any) -> None:
    """Set Variables, as a deployment does through the environment."""
    for name, value in variables.items():
        os.environ[f"AIRFLOW_VAR_TWITTER_{name.upper()}"] = str(value)


@contextmanager
def deployed() -> Iterator[StandIns]:
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_"))]:
        del os.environ[name]
    logging.disable(logging.WARNING)
    with TemporaryDirectory() as folder:
        os.environ["AIRFLOW_HOME"] = folder
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        state = Path(folder)
        with Stack(state=state, port=None, env_file=state / "absent.env", with_airflow=False) as stack:
            for name in ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_DEFAULT_REGION"):
                os.environ[name] = stack.environment[name]
            os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"
            os.environ["AIRFLOW_CONN_TWITTER_DEFAULT"] = json.dumps(connection_to_x(stack))
            put(bucket=stack.bucket)
            yield StandIns(stack)


@contextmanager
def slow_s3(seconds: float) -> Iterator[None]:
    """S3 answers so many seconds later: by way of a proxy in front of the stand-in for AWS."""
    there = urlsplit(os.environ["AWS_ENDPOINT_URL"])

    async def connected(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent, upstream = await asyncio.open_connection(there.hostname, there.port)
        waiting = asyncio.Event()

        async def ask() -> None:
            while data := await client.read(1 << 20):
                waiting.set()
                upstream.write(data)
            upstream.close()

        async def send_responses() -> None:
            while data := await sent.read(1 << 20):
                if waiting.is_set():
                    waiting.clear()
                    await asyncio.sleep(seconds)
                writer.write(data)
            writer.close()

        await asyncio.gather(ask(), send_responses())

    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        stop = asyncio.Event()
        started.set_result((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
        await stop.wait()

    thread = Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    port, loop, stop = started.result(10)
    os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{port}"
    try:
        yield
    finally:
        del os.environ["AWS_ENDPOINT_URL_S3"]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
