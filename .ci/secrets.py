"""What the scan for secrets has to know of this project: how X's keys look, and what only looks like a key.

detect-secrets-hook --plugin .ci/secrets.py --filter .ci/secrets.py::is_no_secret FILE ...
"""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class XKeyDetector(RegexBasedDetector):
    secret_type = "Key of X"  # noqa: S105  # pragma: allowlist secret
    denylist = (
        re.compile(r"\bA{18,}[\w%+/=-]{40,}"),  # a bearer token
        re.compile(r"\b\d{6,20}-[A-Za-z0-9]{30,}\b"),  # an access token: the user's id goes before
        re.compile(r"[Bb]earer\s+([\w%.~+/=-]{20,})"),
    )


ANYWHERE = re.compile(
    r"local-[a-z-]+"  # the keys of the stand-ins, which nothing else accepts
    r"|[A-Za-z_]+(\.[A-Za-z_]+)+[)}]*"  # code: a dotted name
    r"|[A-Za-z]+(,? [A-Za-z]+)+"  # words of a sentence
    r"|bearer|required"  # `token_type: bearer`; `HttpTokens: required` asks the host for IMDSv2
)
IN_TESTS = re.compile(
    r"[a-z]+(-[a-z]+)+(-[0-9a-f]{4})?"  # invented keys, such as access-token-55de
    r"|[a-z_]{1,16}\d?"  # tokens of pages and made-up words: t1, next_token, nonsense
    r"|[0-9a-f]{12}|[0-9a-f]{64}"  # short hashes of runs, SHA-256 of files
    r"|[A-Z_]+=[a-z0-9-]+"  # a setting and its plain value, pragma: allowlist secret
    r"|a\$\{b\}c|7140dibdnow1"  # a password that a shell would expand; a page's token as X writes one
)


IN_THE_RECORDS = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}")
"""The example's SHA-256 and tags."""
IN_HELMS_VALUES = re.compile(r"twitter-(airflow|workers)|broker-url|result-backend")
"""The names of Secrets and of what is in them."""
PLACES = {
    "tests/": IN_TESTS,
    "rehearsals/": IN_TESTS,
    "docs/records.md": IN_THE_RECORDS,
    "deploy/wide/helm-values.yaml": IN_HELMS_VALUES,
}


def is_no_secret(filename: str, secret: str) -> bool:
    kinds = [ANYWHERE, *(kind for place, kind in PLACES.items() if filename.startswith(place))]
    # A private key is recognized by its first line, which reads like a sentence.
    return "PRIVATE KEY" not in secret and any(kind.fullmatch(secret) for kind in kinds)
