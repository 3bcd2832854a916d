"""The verifier accepts exactly what the holder of the secret signed, and refuses the rest with AWS's codes."""

import base64
import json
import time

import pytest

from api_support import ACCESS_KEY, HOST, SECRET_KEY
from strongroom.api import ApiError, Request
from strongroom.api._canonical import Scope
from strongroom.api._signing_keys import MAX_SCOPES, SigningKeys
from strongroom.api._sigv4 import SignatureVerifier
from strongroom.core import Secret
from strongroom.service import Credential

BODY = b"{}"
TARGET = "TrentService.ListKeys"


def _signed(api, **options):
    return api.sign(BODY, target=TARGET, **options)


def _with(headers, **changes):
    return {**headers, **{name.replace("_", "-"): value for name, value in changes.items()}}


def _authorization(headers, old, new):
    assert old in headers["Authorization"]
    return {**headers, "Authorization": headers["Authorization"].replace(old, new)}


async def test_what_the_client_side_signs_the_server_accepts(api):
    answer = await api.call("ListKeys")
    assert answer.status == 200
    assert api.service.outcomes[0][1].principal == "user/developer"


ATTACKS = {
    "no authorization": (lambda h: {k: v for k, v in h.items() if k != "Authorization"}, "MissingAuthenticationTokenException"),
    "another scheme": (lambda h: _with(h, Authorization="Bearer abc"), "IncompleteSignatureException"),
    "empty authorization": (lambda h: _with(h, Authorization=""), "IncompleteSignatureException"),
    "SigV4a": (lambda h: _authorization(h, "HMAC", "ECDSA-P256"), "IncompleteSignatureException"),
    "only the algorithm": (lambda h: _with(h, Authorization="AWS4-HMAC-SHA256"), "IncompleteSignatureException"),
    "truncated": (lambda h: _with(h, Authorization=h["Authorization"][:-70]), "IncompleteSignatureException"),
    "base64 junk": (lambda h: _with(h, Authorization=base64.b64encode(bytes(range(99))).decode()), "IncompleteSignatureException"),
    "no signature": (lambda h: _with(h, Authorization=h["Authorization"].split(", Sig")[0]), "IncompleteSignatureException"),
    "two signatures": (lambda h: _with(h, Authorization=h["Authorization"] + ", Signature=" + "0" * 64), "IncompleteSignatureException"),
    "unknown part": (lambda h: _with(h, Authorization=h["Authorization"] + ", Extra=1"), "IncompleteSignatureException"),
    "short signature": (lambda h: _with(h, Authorization=h["Authorization"][:-1]), "InvalidSignatureException"),
    "upper-case signature": (lambda h: _with(h, Authorization=h["Authorization"][:-64] + h["Authorization"][-64:].upper()), "InvalidSignatureException"),
    "zero signature": (lambda h: _with(h, Authorization=h["Authorization"][:-64] + "0" * 64), "InvalidSignatureException"),
    "access key without scope": (lambda h: _authorization(h, "/kms/aws4_request", ""), "IncompleteSignatureException"),
    "other terminator": (lambda h: _authorization(h, "aws4_request", "aws5_request"), "IncompleteSignatureException"),
    "other service": (lambda h: _authorization(h, "/kms/", "/s3/"), "InvalidSignatureException"),
    "other region": (lambda h: _authorization(h, "eu-central-1", "us-east-1"), "InvalidSignatureException"),
    "region with a slash": (lambda h: _authorization(h, "eu-central-1", "eu/central"), "IncompleteSignatureException"),
    "region with a newline": (lambda h: _authorization(h, "eu-central-1", "eu\nx"), "IncompleteSignatureException"),
    "long region": (lambda h: _authorization(h, "eu-central-1", "e" * 33), "IncompleteSignatureException"),
    "other scope date": (lambda h: _authorization(h, "/20260921/", "/20260920/"), "InvalidSignatureException"),
    "Arabic digits in the date": (lambda h: _authorization(h, "/20260921/", "/2026092\xb9/"), "IncompleteSignatureException"),
    "unknown access key": (lambda h: _authorization(h, ACCESS_KEY, "AKIDSTRANGER"), "UnrecognizedClientException"),
    "other target": (lambda h: _with(h, **{"X-Amz-Target": "TrentService.CreateKey"}), "InvalidSignatureException"),
    "target not signed": (lambda h: _authorization(h, ";x-amz-target", ""), "InvalidSignatureException"),
    "host not signed": (lambda h: _authorization(h, "host;", ""), "InvalidSignatureException"),
    "date not signed": (lambda h: _authorization(h, "x-amz-date;", ""), "InvalidSignatureException"),
    "unsigned x-amz header added": (lambda h: _with(h, **{"X-Amz-Extra": "1"}), "InvalidSignatureException"),
    "signed header missing": (lambda h: _authorization(h, "SignedHeaders=", "SignedHeaders=accept;"), "InvalidSignatureException"),
    "signed headers unsorted": (lambda h: _authorization(h, "content-type;host", "host;content-type"), "IncompleteSignatureException"),
    "signed headers doubled": (lambda h: _authorization(h, "host;", "host;host;"), "IncompleteSignatureException"),
    "signed headers in upper case": (lambda h: _authorization(h, "host;", "Host;"), "IncompleteSignatureException"),
    "signed headers empty": (lambda h: _authorization(h, "content-type;host;x-amz-date;x-amz-target", ""), "IncompleteSignatureException"),
    "other host": (lambda h: _with(h, Host="localhost"), "InvalidSignatureException"),
    "other content type": (lambda h: _with(h, **{"Content-Type": "text/plain"}), "InvalidSignatureException"),
    "no date": (lambda h: {k: v for k, v in h.items() if k != "X-Amz-Date"}, "IncompleteSignatureException"),
    "impossible date": (lambda h: _with(h, **{"X-Amz-Date": "20261399T000000Z"}), "IncompleteSignatureException"),
    "date in another form": (lambda h: _with(h, **{"X-Amz-Date": "2026-09-21T13:33:20Z"}), "IncompleteSignatureException"),
    "date moved a second": (lambda h: _with(h, **{"X-Amz-Date": "20260921T141321Z"}), "InvalidSignatureException"),
    "long authorization": (lambda h: _with(h, Authorization=h["Authorization"] + "0" * 9000), "InvalidSignatureException"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_changed_request_is_refused(api, name):
    change, code = ATTACKS[name]
    answer = await api.send("POST", "/", change(_signed(api)), BODY)
    assert (answer.status, answer.code) == (400, code), answer.message
    assert api.service.outcomes == []
    assert [refusal.error_code for refusal in api.service.refusals] == [code]


@pytest.mark.parametrize("doubled", ["Host", "X-Amz-Date", "X-Amz-Target", "Authorization"])
@pytest.mark.parametrize("first", [True, False])
async def test_a_doubled_header_that_we_read_is_refused(api, doubled, first):
    pairs = list(_signed(api).items())
    pairs.insert(0 if first else len(pairs), (doubled, "TrentService.CreateKey"))
    answer = await api.send("POST", "/", pairs, BODY)
    assert answer.code == "IncompleteSignatureException"


async def test_a_changed_body_query_or_method_is_refused(api):
    assert (await api.send("POST", "/", _signed(api), b"{ }")).code == "InvalidSignatureException"
    assert (await api.send("POST", "/", _signed(api), BODY, query="a=b")).code == "InvalidSignatureException"
    status = api.sign(b"", target=None, method="GET", path="/api/v1/status")
    assert (await api.send("POST", "/", status, b"")).code == "InvalidSignatureException"


async def test_the_order_of_headers_does_not_matter(api):
    pairs = list(_signed(api).items())
    assert (await api.send("POST", "/", pairs[::-1], BODY)).status == 200


async def test_headers_that_nobody_signed_and_that_mean_nothing_may_be_added(api):
    answer = await api.send("POST", "/", _with(_signed(api), Via="1.1 proxy", X_Amzn_Trace_Id="Root=1"), BODY)
    assert answer.status == 200


@pytest.mark.parametrize("value", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64, ""])
async def test_a_body_must_be_signed_by_its_own_hash(api, value):
    headers = _signed(api, **{"X-Amz-Content-SHA256": value})
    answer = await api.send("POST", "/", headers, BODY)
    assert answer.code == "InvalidSignatureException"
    assert "x-amz-content-sha256" in answer.message


async def test_a_presigned_query_is_no_authentication(api):
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS_KEY}%2F20260921&X-Amz-Signature={'0' * 64}"
    answer = await api.send("POST", "/", {"Host": HOST, "X-Amz-Target": TARGET}, BODY, query=query)
    assert answer.code == "MissingAuthenticationTokenException"


async def test_session_tokens_are_refused_since_none_are_issued(api):
    answer = await api.send("POST", "/", _signed(api, **{"X-Amz-Security-Token": "abc"}), BODY)
    assert answer.code == "UnrecognizedClientException"


@pytest.mark.parametrize(("skew", "text"), [
    (300, None), (-300, None),
    (301, "Signature expired: 20260921T141320Z is now earlier than 20260921T141321Z (20260921T141821Z - 5 min.)"),
    (-301, "Signature not yet current: 20260921T141320Z is still later than 20260921T141319Z (20260921T140819Z + 5 min.)"),
])  # fmt: skip
async def test_a_signature_is_good_for_five_minutes_either_way(api, skew, text):
    headers = _signed(api)
    api.clock.at += skew
    answer = await api.send("POST", "/", headers, BODY)
    if text is None:
        assert answer.status == 200
    else:
        assert (answer.code, answer.message) == ("InvalidSignatureException", text)


async def test_a_replaced_secret_is_in_force_at_once_and_the_old_one_is_dead(api):
    assert (await api.call("ListKeys")).status == 200
    api.service.credentials[ACCESS_KEY] = Credential(ACCESS_KEY, "user/developer", Secret(b"another"))
    assert (await api.call("ListKeys")).code == "InvalidSignatureException"
    assert (await api.call("ListKeys", secret="another")).status == 200
    del api.service.credentials[ACCESS_KEY]
    assert (await api.call("ListKeys", secret="another")).code == "UnrecognizedClientException"
    assert len(api.handler._verifier._keys) == 0


async def test_refused_requests_leave_nothing_in_the_cache_of_signing_keys(api):
    for number in range(20):
        await api.call("ListKeys", secret="guess", region=f"region-{number}")
    assert len(api.handler._verifier._keys) == 0


def _request(headers):
    return Request(
        "POST", "/", "", tuple((name.lower(), value) for name, value in headers.items()), BODY, "-"
    )


def test_an_unknown_access_key_costs_what_a_bad_signature_costs(api):
    verifier = SignatureVerifier(api.service.find_credential, api.clock)
    verifier.verify(_request(_signed(api)))  # the signing key of the known access key is kept now
    bad = _request(_signed(api, secret="wrong"))
    unknown = _request(_authorization(_signed(api), ACCESS_KEY, ACCESS_KEY[::-1]))
    fastest = {bad: 1.0, unknown: 1.0}
    for _ in range(300):
        for request, so_far in fastest.items():
            started = time.perf_counter()
            with pytest.raises(ApiError):
                verifier.verify(request)
            fastest[request] = min(so_far, time.perf_counter() - started)
    assert 0.75 < fastest[bad] / fastest[unknown] < 1.33


def test_the_cache_of_signing_keys_is_bounded_and_overwrites_what_it_drops():
    cache, secret = SigningKeys(max_access_keys=2), Secret(b"s")
    scopes = [Scope(f"2026010{day}", "r", "kms") for day in range(MAX_SCOPES + 1)]
    keys = [Secret(b"k" * 32) for _ in scopes]
    for scope, key in zip(scopes, keys, strict=True):
        cache.keep("A", secret, scope, key)
    assert keys[0].reveal() == bytes(32)
    assert cache.find("A", secret, scopes[0]) is None
    assert cache.find("A", Secret(b"s"), scopes[1]) is keys[1]
    assert cache.find("A", Secret(b"t"), scopes[1]) is None
    cache.keep("B", secret, scopes[0], Secret(b"b"))
    cache.keep("C", secret, scopes[0], Secret(b"c"))
    assert len(cache) == 2
    assert keys[1].reveal() == bytes(32)


async def test_the_record_of_a_refusal_holds_the_claimed_access_key_only_if_it_looks_like_one(api):
    await api.send("POST", "/", _signed(api, secret="wrong"), BODY)
    await api.send("POST", "/", {"Authorization": 'AWS4-HMAC-SHA256 Credential="\x1b[0m/x'}, BODY)
    assert [refusal.access_key_id for refusal in api.service.refusals] == [ACCESS_KEY, "-"]
    assert SECRET_KEY not in json.dumps(api.service.refusals)
