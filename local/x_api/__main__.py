"""Serves the stand-in: `python -m local.x_api --port 8010 --log requests.jsonl`."""

import argparse
from pathlib import Path

import uvicorn

from local.x_api.app import StandIn, create_app
from local.x_api.auth import Credentials


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.x_api", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True, help="file to append a JSON line a request to")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--latency-ms", type=float, default=0, help="wait so long before every answer")
    args = parser.parse_args()
    args.log.parent.mkdir(parents=True, exist_ok=True)
    app = create_app(StandIn(Credentials.from_environment(), args.log, args.latency_ms / 1000))
    # Idle connections outlive any client's interest in them, so that none is closed under a request.
    uvicorn.run(
        app, host=args.host, port=args.port, access_log=False, log_level="warning", timeout_keep_alive=300
    )


if __name__ == "__main__":
    main()
