"""botocore signs, we verify; and what we sign is byte for byte what botocore signs."""

import contextlib
from datetime import UTC, datetime
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from strongroom.api import ApiError, Request, sign_request
from strongroom.api._sigv4 import SignatureVerifier
from strongroom.core import Secret
from strongroom.service import Credential

AT = 1_790_000_000.0


class Clock:
    def now(self):
        return AT

    def monotonic(self):
        return 0.0


texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
names = st.from_regex(r"(x-amz-)?[a-z]{1,8}(-[a-z0-9]{1,5}){0,2}", fullmatch=True).filter(
    lambda name: name not in {"host", "x-amz-date", "expect", "connection", "x-amz-security-token"}
)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
regions = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)


def _botocore_headers(secret, region, headers, body, query=""):
    request = AWSRequest(
        method="POST",
        url="http://localhost:8443/" + (f"?{query}" if query else ""),
        data=body,
        headers=headers,
    )
    at = datetime.fromtimestamp(AT, UTC).replace(tzinfo=None)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at):  # it takes no clock
        botocore.auth.SigV4Auth(Credentials("AKID", secret), "kms", region).add_auth(request)
    return {"Host": "localhost:8443", **dict(request.headers.items())}


def _verify(secret, headers, body, query=""):
    credential = Credential("AKID", "user/x", Secret(secret.encode()))
    verifier = SignatureVerifier({"AKID": credential}.get, Clock())
    pairs = tuple((name.lower(), value) for name, value in headers.items())
    return verifier.verify(Request("POST", "/", query, pairs, body, "-"))


@given(secrets, regions, st.dictionaries(names, texts, max_size=4), st.binary(max_size=200))
def test_what_botocore_signs_verifies(secret, region, headers, body):
    signed = _botocore_headers(secret, region, headers, body)
    assert _verify(secret, signed, body).region == region


@given(secrets, regions, st.dictionaries(names, texts, max_size=4), st.binary(max_size=200))
def test_we_sign_exactly_as_botocore_does(secret, region, headers, body):
    signed = sign_request(
        method="POST", path="/", host="localhost:8443", headers=headers, body=body, access_key_id="AKID",
        secret_access_key=Secret(secret.encode()), region=region, clock=Clock(),
    )  # fmt: skip
    assert signed["Authorization"] == _botocore_headers(secret, region, headers, body)["Authorization"]
    assert _verify(secret, signed, body).principal == "user/x"


@given(st.data())
def test_no_change_of_one_character_verifies(data):
    body = b'{"KeyId": "alias/x"}'
    headers = _botocore_headers("secret", "eu-central-1", {"X-Amz-Target": "TrentService.Encrypt"}, body)
    name = data.draw(st.sampled_from(sorted(headers)))
    place = data.draw(st.integers(0, len(headers[name]) - 1))
    letter = data.draw(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
    changed = headers[name][:place] + letter + headers[name][place + 1 :]
    if changed == headers[name]:
        return
    with contextlib.suppress(ApiError):
        _verify("secret", {**headers, name: changed}, body)
        raise AssertionError(f"{name}: {changed} was accepted")


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=300)), max_size=8), st.binary(max_size=50))
def test_arbitrary_headers_never_crash_the_verifier(headers, body):
    pairs = tuple((n.encode().decode("latin-1").lower(), v.encode().decode("latin-1")) for n, v in headers)
    verifier = SignatureVerifier(lambda _id: None, Clock())
    with contextlib.suppress(ApiError):
        verifier.verify(Request("POST", "/", "", pairs, body, "-"))
        raise AssertionError("accepted")


@given(st.text(st.characters(max_codepoint=0xFF), max_size=200))
def test_an_arbitrary_authorization_header_never_crashes_the_verifier(text):
    for value in (
        text,
        f"AWS4-HMAC-SHA256 {text}",
        f"AWS4-HMAC-SHA256 Credential={text}, SignedHeaders=a, Signature=b",
    ):
        pairs = (("host", "h"), ("x-amz-date", "20260921T141320Z"), ("authorization", value))
        verifier = SignatureVerifier(lambda _id: None, Clock())
        with contextlib.suppress(ApiError):
            verifier.verify(Request("POST", "/", "", pairs, b"", "-"))
            raise AssertionError("accepted")
