"""Serves the stand-in: `python -m local.x_api --port 8010 --log requests.jsonl`."""

import argparse
from pathlib import Path

import uvicorn

from local.hosts import LoopbackOnly
from local.x_api.app import StandIn, create_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.x_api", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True, help="file to append a JSON line a request to")
    args = parser.parse_args()
    args.log.parent.mkdir(parents=True, exist_ok=True)
    app = LoopbackOnly(create_app(StandIn(log=args.log)))
    # Idle connections stay open longer than any client keeps them, so that none is closed during a request.
    uvicorn.run(app, port=args.port, access_log=False, log_level="warning", timeout_keep_alive=300)


if __name__ == "__main__":
    main()
