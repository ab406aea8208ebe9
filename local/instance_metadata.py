"""The laptop's EC2 instance metadata service: IMDSv2 on loopback, handing out the role's credentials.

A token is required, as with HttpTokens=required. Each request for credentials assumes the role again, so
clients, which ask again well before the hour is over, never hold stale ones.

    python -m local.instance_metadata --port 1338

It finds STS at AWS_ENDPOINT_URL and the root key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import argparse
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import boto3
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.aws import ACCOUNT, REGION, ROLE
from local.hosts import LoopbackOnly

INSTANCE = "i-00000000000000001"
LONGEST_TOKEN = 21_600
EC2_TIME = "%Y-%m-%dT%H:%M:%SZ"

_sts: Any = None
_tokens: dict[str, float] = {}


def give_token(request: Request) -> Response:
    seconds = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
    if (
        not seconds.isdecimal()
        or not 1 <= int(seconds) <= LONGEST_TOKEN
        or "x-forwarded-for" in request.headers
    ):
        return PlainTextResponse("", 400)
    now = time.monotonic()
    for token in [token for token, end in list(_tokens.items()) if end < now]:
        _tokens.pop(token, None)
    token = secrets.token_urlsafe(32)
    _tokens[token] = now + int(seconds)
    return PlainTextResponse(token, headers={"x-aws-ec2-metadata-token-ttl-seconds": seconds})


def respond(request: Request) -> Response:
    token = request.headers.get("x-aws-ec2-metadata-token", "")
    if _tokens.get(token, 0) < time.monotonic():
        return PlainTextResponse("", 401)
    match request.path_params["path"].strip("/"):
        case "meta-data/iam/security-credentials":
            return PlainTextResponse(ROLE)
        case path if path == f"meta-data/iam/security-credentials/{ROLE}":
            return JSONResponse(credentials())
        case "meta-data/instance-id":
            return PlainTextResponse(INSTANCE)
        case "meta-data/placement/region":
            return PlainTextResponse(REGION)
        case "meta-data/placement/availability-zone":
            return PlainTextResponse(f"{REGION}a")
        case "dynamic/instance-identity/document":
            return JSONResponse({"accountId": ACCOUNT, "instanceId": INSTANCE, "region": REGION})
    return PlainTextResponse("", 404)


def credentials() -> dict[str, str]:
    role = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
    given = _sts.assume_role(RoleArn=role, RoleSessionName=INSTANCE)["Credentials"]
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": datetime.now(UTC).strftime(EC2_TIME),
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "Token": given["SessionToken"],
        "Expiration": given["Expiration"].strftime(EC2_TIME),
    }


app = Starlette(
    routes=[
        Route("/health", lambda request: PlainTextResponse("ok")),
        Route("/latest/api/token", give_token, methods=["PUT"]),
        Route("/latest/{path:path}", respond),
    ]
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    _sts = boto3.client("sts", region_name=REGION)
    uvicorn.run(LoopbackOnly(app), host="127.0.0.1", port=parser.parse_args().port, log_level="warning")
