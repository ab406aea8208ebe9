"""A stand-in for X's API v2: invented accounts, X's own bodies, headers and faults.

    python -m local.x_api --port 8010 --log .local/x_api.jsonl

It accepts the credentials below.
"""

# ruff: noqa: S105 - invented, for this server alone
CONSUMER_KEY = "local-consumer-key"
CONSUMER_SECRET = "local-consumer-secret"
ACCESS_TOKEN = "local-access-token"
ACCESS_TOKEN_SECRET = "local-access-token-secret"
BEARER_TOKEN = "local-bearer-token"
