"""Authorization: a bearer token, or a real OAuth 1.0a signature."""

import base64
import binascii
import hmac
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote

from oauthlib.oauth1.rfc5849 import signature
from starlette.requests import Request

from local.x_api import ACCESS_TOKEN, ACCESS_TOKEN_SECRET, BEARER_TOKEN, CONSUMER_KEY, CONSUMER_SECRET
from local.x_api.errors import Body, token_refused, unauthorized


def claimed(request: Request) -> str:
    """The kind of the request's credentials: bearer, oauth1, basic or none."""
    return {"bearer": "bearer", "oauth": "oauth1", "basic": "basic"}.get(_header(request)[0].lower(), "none")


def check(request: Request) -> None:
    """Raise X's 401 unless the credentials are those of the package."""
    kind, given = claimed(request), _header(request)[1].encode()
    if kind == "bearer" and hmac.compare_digest(given, BEARER_TOKEN.encode()):
        return
    if kind != "oauth1" or not _is_signed(request):
        raise unauthorized()


def bearer_token(request: Request, form: bytes) -> Body:
    """The response of `POST /oauth2/token`."""
    try:
        key, _, secret = base64.b64decode(_header(request)[1]).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        key = secret = ""
    if (unquote(key), unquote(secret)) != (CONSUMER_KEY, CONSUMER_SECRET):
        raise token_refused(99, "Unable to verify your credentials", "authenticity_token_error")
    if parse_qs(form.decode(errors="replace")).get("grant_type") != ["client_credentials"]:
        raise token_refused(170, "Missing required parameter: grant_type", "forbidden_missing_parameter")
    return {"token_type": "bearer", "access_token": BEARER_TOKEN}


def _header(request: Request) -> tuple[str, str]:
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return scheme, rest


def _is_signed(request: Request) -> bool:
    header, query = {"Authorization": request.headers["authorization"]}, request.url.query
    try:
        params = signature.collect_parameters(query, headers=header, exclude_oauth_signature=False)
    except ValueError:
        return False
    given = dict(params)
    if (given.get("oauth_consumer_key"), given.get("oauth_token")) != (CONSUMER_KEY, ACCESS_TOKEN):
        return False
    signed = SimpleNamespace(
        http_method=request.method,
        params=[(name, value) for name, value in params if name != "oauth_signature"],
        signature=given.get("oauth_signature", ""),
        uri=f"{request.url.scheme}://{request.url.netloc}{request.url.path}",
    )
    return signature.verify_hmac_sha1(signed, CONSUMER_SECRET, ACCESS_TOKEN_SECRET)
