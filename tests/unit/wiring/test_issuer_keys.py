"""The keys of the issuer of bearer tokens: from a file, or over HTTPS from a server that rotates, fails, stalls and lies."""

import asyncio
import contextlib
import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer_server import serving_keys
from oidc_support import ALGORITHMS, IssuedKey, Issuer
from strongroom.api import MAX_KEY_SET_BYTES, KeySetError, read_key_set
from strongroom.config import Home, OidcConfig, TokenCallerConfig
from strongroom.core import SystemClock
from strongroom.wiring import issuer_keys
from strongroom.wiring.development_tls import make_development_tls
from strongroom.wiring.issuer_keys import IssuerKeys

CALLER = TokenCallerConfig(value="alice", principal="user/alice", roles=["operator"])


class Events:
    def __init__(self):
        self.told = []

    def emit(self, event, **fields):
        self.told.append((event, fields))

    def names(self):
        return [event for event, _ in self.told]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("issuer")
    make_development_tls(folder, clock=SystemClock())
    return folder


@pytest.fixture
def server(folder):
    with serving_keys(folder) as server:
        yield server


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


class Stopwatch(SystemClock):
    """Stands still until told."""

    at = 1_000_000.0

    def monotonic(self):
        return self.at


def keys_of(folder, *, file="", port=0, path="/keys", ca="ca.pem", clock=SystemClock(), **settings):  # noqa: B008
    url = "" if file else f"https://localhost:{port}{path}"
    oidc = OidcConfig(
        issuer="https://i.example", audience="a", callers=[CALLER], jwks_file=file, jwks_url=url,
        jwks_ca_file="" if file else ca, **settings,
    )  # fmt: skip
    return IssuerKeys(oidc, Home(folder), clock=clock)


async def test_keys_come_over_https(folder, server, issuer):
    server.answer = (200, {"Content-Type": "application/json"}, issuer.key_set())
    keys, events = keys_of(folder, port=server.server_port), Events()
    assert keys.find("key-ES256") is None
    await keys.read(events)
    assert {keys.find(key.kid).algorithm for key in issuer.keys.values()} == set(ALGORITHMS)
    assert events.told == [("oidc.keys_read", {"n_keys": 3})]
    await keys.read(events)
    assert len(events.told) == 1


@pytest.mark.parametrize("answer", [
    (500, {}, b"oops"), (404, {}, b""), (204, {}, b""), (302, {"Location": "/elsewhere"}, b""), (200, {}, b"not json"), (200, {}, b"{}"),
    (200, {}, b'{"keys":[]}'), (200, {}, b" " * (MAX_KEY_SET_BYTES + 1)), (200, {"Content-Length": "100000"}, b"{"),
])  # fmt: skip
async def test_what_is_no_key_set_leaves_the_last_good_one(folder, server, issuer, answer):
    server.answer = (200, {}, issuer.key_set())
    keys, events = keys_of(folder, port=server.server_port), Events()
    await keys.read(events)
    server.answer = answer
    with pytest.raises(KeySetError) as refused:
        await keys.read(events)
    assert "oops" not in str(refused.value)
    assert keys.find("key-ES256") is not None


async def test_an_issuer_whose_certificate_is_not_trusted_or_who_is_away_is_not_heard(folder, server, issuer):
    server.answer = (200, {}, issuer.key_set())
    other = folder.with_name(f"{folder.name}-other")
    other.mkdir(exist_ok=True)
    make_development_tls(other, clock=SystemClock())
    for keys in (
        keys_of(other, port=server.server_port),
        keys_of(folder, port=1),
        keys_of(folder, port=server.server_port, ca="nothing.pem"),
    ):
        with pytest.raises(KeySetError, match="cannot be read"):
            await keys.read(Events())
    assert server.asked == 0


async def test_keys_that_stay_unread_for_too_long_count_no_more(folder, server, issuer):
    server.answer = (200, {}, issuer.key_set())
    clock = Stopwatch()
    keys = keys_of(folder, port=server.server_port, max_stale_s=1_000.0, clock=clock)
    await keys.read(Events())
    clock.at += 999.0
    assert keys.find("key-ES256") is not None
    clock.at += 2.0
    assert keys.find("key-ES256") is None
    await keys.read(Events())
    assert keys.find("key-ES256") is not None


async def _until(condition, limit_s=60.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_key_that_is_not_known_is_looked_for_and_a_rotation_followed(folder, server, issuer):
    server.answer = (500, {}, b"")
    keys, events = keys_of(folder, port=server.server_port, refresh_s=3_600.0, retry_s=0.1), Events()
    following = asyncio.create_task(keys.follow(events))
    try:
        await _until(lambda: "oidc.keys_not_read" in events.names())
        server.answer = (200, {}, issuer.key_set())
        await _until(lambda: keys.find("key-ES256") is not None)
        asked = server.asked
        await asyncio.sleep(0.3)
        assert server.asked <= asked + 1  # nobody asks for anything that is not there
        new = IssuedKey("key-new")
        server.answer = (200, {}, json.dumps({"keys": [new.jwk()]}).encode())
        await _until(lambda: keys.find("key-new") is not None)
        assert keys.find("key-ES256") is None
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_whoever_waits_for_the_first_attempt_waits_no_longer(folder, server, issuer):
    keys = keys_of(folder, port=server.server_port)
    await keys.tried(0.01)  # nobody tries yet
    server.answer = (200, {}, issuer.key_set())
    following = asyncio.create_task(keys.follow(Events()))
    try:
        await keys.tried(60.0)
        assert keys.find("key-ES256") is not None
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_many_strangers_make_few_requests_to_the_issuer(folder, server, issuer):
    server.answer = (200, {}, issuer.key_set())
    keys, events = keys_of(folder, port=server.server_port, retry_s=30.0), Events()
    following = asyncio.create_task(keys.follow(events))
    try:
        await _until(lambda: events.told)
        for at in range(1_000):
            assert keys.find(f"stranger-{at}") is None
        await asyncio.sleep(0.2)
        assert server.asked == 1
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_source_that_hangs_holds_up_nothing(folder, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(issuer_keys, "FETCH_LIMIT_S", 0.1)
    monkeypatch.setattr(IssuerKeys, "_outcome", lambda self: released.wait(60) and b"")
    keys = keys_of(folder, port=1)
    try:
        with pytest.raises(KeySetError, match="in time"):
            await keys.read(Events())
        with pytest.raises(KeySetError, match="still hangs"):
            await keys.read(Events())
    finally:
        released.set()
        await _until(lambda: not keys._is_loading)


async def test_keys_come_from_a_file_and_are_read_again(tmp_path, issuer):
    keys, events = keys_of(tmp_path, file="keys.json"), Events()
    with pytest.raises(KeySetError):
        await keys.read(events)
    (tmp_path / "keys.json").write_bytes(issuer.key_set())
    await keys.read(events)
    assert keys.find("key-RS256") is not None
    new = IssuedKey("key-new")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [new.jwk(with_algorithm=False)]}))
    await keys.read(events)
    assert (keys.find("key-RS256"), keys.find("key-new").algorithm) == (None, "ES256")


SETS = {
    "a private key": (lambda key, other: [key.jwk(), other.private_jwk()], "private"),
    "a symmetric key": (lambda key, other: [key.jwk(), {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}], "private"),
    "one kid twice": (lambda key, other: [key.jwk(), other.jwk(kid=key.kid)], "same kid"),
    "only encryption keys": (lambda key, other: [key.jwk(use="enc")], "no key"),
    "another operation": (lambda key, other: [key.jwk(key_ops=["encrypt"])], "no key"),
    "an algorithm that is not allowed": (lambda key, other: [key.jwk(alg="ES512")], "no key"),
    "an HMAC algorithm for a public key": (lambda key, other: [other.jwk(alg="HS256")], "no key"),
    "no kid": (lambda key, other: [key.jwk(kid="")], "no key"),
    "a kid that is no text": (lambda key, other: [key.jwk(kid=7)], "no key"),
    "a point that is not on the curve": (lambda key, other: [key.jwk(x="AAAA")], "no key"),
    "another curve": (lambda key, other: [key.jwk(crv="secp256k1")], "no key"),
    "a number without end": (lambda key, other: [other.jwk(n="B" * 2_000)], "no key"),
    "too many": (lambda key, other: [key.jwk(kid=f"k{at}") for at in range(65)], "more than 64"),
    "no list": (lambda key, other: {"a": 1}, "list"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_key_set_that_cannot_be_used_is_refused(issuer, name):
    make, words = SETS[name]
    listed = make(issuer.keys["ES256"], issuer.keys["RS256"])
    with pytest.raises(KeySetError, match=words):
        read_key_set(json.dumps({"keys": listed}).encode(), ALGORITHMS)


def test_keys_for_other_uses_are_left_out(issuer):
    good, other = IssuedKey("good"), issuer.keys["RS256"]
    listed = [good.jwk(), other.jwk(use="enc"), {"kty": "new", "kid": "x"}, {}]
    assert list(read_key_set(json.dumps({"keys": listed}).encode(), ALGORITHMS)) == ["good"]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["RSA", "EC", "OKP", "P-256", "AQAB", "sig"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["keys", "kty", "kid", "crv", "x", "y", "n", "e", "use", "alg", "key_ops"]), inner, max_size=6),
    max_leaves=20,
).map(lambda value: json.dumps({"keys": [value]}).encode()))  # fmt: skip
def test_any_bytes_are_a_key_set_or_refused(data):
    with contextlib.suppress(KeySetError):
        assert read_key_set(data, ALGORITHMS)
