"""Bearer tokens of the admin API: whom they stand for, and every way in which they are not to be believed (RFC 8725)."""

import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_support import ACCOUNT, FakeKeyService, FixedClock, Health, send_request
from oidc_support import ALGORITHMS, AUDIENCE, ISSUER, RULES, IssuedKey, Issuer, b64, claims_at
from strongroom.api import ApiError, BearerTokens, Handler, Request, TokenCaller, read_key_set
from strongroom.api._bearer import MAX_TOKEN_LEN

STATUS = "/api/v1/openapi.json"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


class Door:
    """The application with an issuer."""

    def __init__(self, issuer, rules=RULES):
        self.clock = FixedClock()
        self.service = FakeKeyService(self.clock)
        self.tokens = issuer.tokens(self.clock, rules)
        self.issuer = issuer
        self.handler = Handler(
            self.service, Health(), clock=self.clock, account_id=ACCOUNT, tokens=self.tokens
        )

    def claims(self, **changes):
        return claims_at(self.clock.at, **changes)

    async def get(self, token, *, path=STATUS, method="GET", scheme="Bearer ", more=(), body=b""):
        headers = [("Host", "localhost"), ("Authorization", scheme + token), *more]
        return await send_request(self.handler, method, path, headers, body)

    @property
    def caller(self):
        return self.service.outcomes[-1][1]


@pytest.fixture
def door(issuer):
    return Door(issuer)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_the_issuer_stands_for_a_configured_caller(door, algorithm):
    answer = await door.get(door.issuer.keys[algorithm].token(door.claims()))
    assert answer.status == 200
    assert (door.caller.principal, door.caller.access_key_id) == ("user/alice", "oidc:sub=alice")
    assert door.caller.region == "eu-central-1"
    assert dict(door.caller.credential_detail) == {"token_subject": "alice", "token": "token-1"}


@pytest.mark.parametrize(("claims", "principal"), [
    ({"sub": "bob", "groups": ["x", "operators"]}, "role/operators"),
    ({"sub": "bob", "groups": "operators"}, "role/operators"),
    ({"sub": "bob", "realm_access": {"roles": ["kms-officers"]}}, "role/officers"),
    ({"sub": "bob", "realm_access": {"roles": ["kms-officers"]}, "groups": ["operators"]}, "role/officers"),
    ({"sub": "alice", "groups": ["operators"]}, "user/alice"),
    ({"sub": "CN=Bob Smith, O=Bank", "groups": ["operators"]}, "role/operators"),
    ({"aud": ["other", AUDIENCE]}, "user/alice"),
    ({"typ": "logout"}, "user/alice"),
])  # fmt: skip
async def test_the_first_caller_that_a_claim_names_is_it(door, claims, principal):
    assert (await door.get(door.issuer.main.token(door.claims(**claims)))).status == 200
    assert door.caller.principal == principal


DUTIES = RULES._replace(
    callers=(
        TokenCaller("oidc:sub=alice", ("sub",), "alice", "user/alice", frozenset({"crypto-officer"})),
        TokenCaller("oidc:groups=audit", ("groups",), "audit", "role/audit", frozenset({"auditor"})),
        TokenCaller("oidc:groups=security", ("groups",), "security", "role/so", frozenset({"security-officer"})),
        TokenCaller("oidc:groups=ops", ("groups",), "ops", "role/ops", frozenset({"operator", "crypto-user"})),
        TokenCaller("oidc:groups=none", ("groups",), "none", "role/none", frozenset()),
    )
)  # fmt: skip


@pytest.mark.parametrize(("claims", "conflict"), [
    ({"sub": "alice", "groups": ["audit"]}, "auditor and crypto-officer"),
    ({"sub": "alice", "groups": ["ops", "security"]}, "crypto-officer and security-officer"),
    ({"sub": "bob", "groups": ["audit", "ops"]}, "auditor and crypto-user"),
])  # fmt: skip
async def test_a_token_whose_claims_give_separate_duties_is_refused_and_recorded(issuer, claims, conflict):
    door = Door(issuer, DUTIES)
    answer = await door.get(door.issuer.main.token(door.claims(**claims)))
    assert (answer.status, answer.code) == (400, "AccessDeniedException")
    assert f"stands for {conflict} at once" in answer.json["message"]
    refusal = door.service.refusals[-1]
    assert refusal.error_code == "AccessDeniedException"
    assert refusal.access_key_id.startswith("oidc:")
    assert len(refusal.access_key_id.split()) >= 2
    assert not door.service.outcomes


@pytest.mark.parametrize(("claims", "principal"), [
    ({"sub": "alice", "groups": ["ops", "none"]}, "user/alice"),
    ({"sub": "bob", "groups": ["none", "audit"]}, "role/audit"),
])  # fmt: skip
async def test_a_token_for_several_callers_that_agree_stands_for_the_first(issuer, claims, principal):
    door = Door(issuer, DUTIES)
    assert (await door.get(door.issuer.main.token(door.claims(**claims)))).status == 200
    assert door.caller.principal == principal


@pytest.mark.parametrize("claims", [
    {"sub": "bob"}, {"sub": "Alice"}, {"sub": "alice "}, {"sub": "bob", "groups": ["Operators", "operators2"]},
    {"sub": "bob", "groups": [["operators"], {"operators": 1}, None]}, {"sub": "bob", "groups": {"operators": True}},
    {"sub": "bob", "realm_access": ["roles", "kms-officers"]}, {"sub": "bob", "realm_access.roles": "kms-officers"},
])  # fmt: skip
async def test_a_good_token_that_names_nobody_is_nobodys(door, claims):
    answer = await door.get(door.issuer.main.token(door.claims(**claims)))
    expected = 401 if claims["sub"].endswith(" ") else 400
    assert answer.status == expected
    assert answer.code == (
        "InvalidBearerTokenException" if expected == 401 else "UnrecognizedClientException"
    )
    assert not door.service.outcomes


@pytest.mark.parametrize(("changes", "words"), [
    ({"exp": -31}, "expired"), ({"exp": None}, "lacks"), ({"iat": None}, "lacks"), ({"sub": None}, "lacks"),
    ({"iss": None}, "lacks"), ({"aud": None}, "lacks"), ({"aud": []}, "another audience"), ({"aud": "strongroom2"}, "another audience"),
    ({"aud": ["Strongroom"]}, "another audience"), ({"aud": {"strongroom": 1}}, "cannot be read"), ({"iss": ISSUER + "/"}, "another issuer"),
    ({"iss": "https://evil.example"}, "another issuer"), ({"nbf": 31}, "not valid yet"), ({"iat": 31, "exp": 100}, "not valid yet"),
    ({"exp": 3_601}, "too long"), ({"iat": 25, "exp": 10}, "too long"), ({"cnf": {"jkt": "x"}}, "bound to a key"),
    ({"sub": ""}, "subject"), ({"sub": "a\nb"}, "subject"), ({"sub": "a" * 256}, "subject"), ({"sub": ["alice"]}, "cannot be read"),
    ({"exp": "tomorrow"}, "cannot be read"), ({"exp": True}, "cannot be read"), ({"jti": 7}, "cannot be read"),
])  # fmt: skip
async def test_claims_that_are_wrong_are_told_to_who_has_a_signed_token(door, changes, words):
    for name in ("exp", "nbf", "iat"):
        if isinstance(changes.get(name), int) and changes[name] is not True:
            changes = changes | {name: door.clock.at + changes[name]}
    if changes.get("exp") == door.clock.at - 31:
        changes = changes | {"iat": door.clock.at - 60}
    payload = json.dumps(door.claims(**changes)).encode()
    token = door.issuer.main.sign_parts(b'{"alg":"ES256","kid":"key-ES256"}', payload)
    answer = await door.get(token)
    assert (answer.status, answer.code) == (401, "InvalidBearerTokenException")
    assert words in answer.message
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert door.service.refusals[-1].error_code == "InvalidBearerTokenException"


@pytest.mark.parametrize("changes", [{"exp": -29, "iat": -300}, {"nbf": 29}, {"iat": 29}, {"exp": 3_600}])
async def test_clocks_may_be_a_little_apart(door, changes):
    changes = {name: door.clock.at + seconds for name, seconds in changes.items()}
    assert (await door.get(door.issuer.main.token(door.claims(**changes)))).status == 200


def _unsigned(door, algorithm="none"):
    header = json.dumps({"alg": algorithm, "kid": "key-ES256"}).encode()
    return f"{b64(header)}.{b64(json.dumps(door.claims()).encode())}."


def _with_public_key_as_secret(door, algorithm):
    key = door.issuer.keys["RS256"]
    text = f"{b64(json.dumps({'alg': algorithm, 'kid': key.kid}).encode())}.{b64(json.dumps(door.claims()).encode())}"
    return f"{text}.{b64(hmac.digest(key.public_pem(), text.encode(), hashlib.sha256))}"


def _resigned(door, header, *, by="ES256"):
    return door.issuer.keys[by].sign_parts(header, json.dumps(door.claims()).encode())


def _own_key(door, **header):
    """A stranger's key, which the header brings along or points to."""
    stranger = IssuedKey("key-ES256")
    return stranger.token(door.claims(), **{"jwk": stranger.jwk(), **header})


def _changed(door, part, change):
    parts = door.issuer.main.token(door.claims()).split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


ATTACKS = {
    "none": _unsigned,
    "none in capitals": lambda door: _unsigned(door, "nOnE"),
    "none with a signature": lambda door: _resigned(door, b'{"alg":"none","kid":"key-ES256"}'),
    "signature cut off": lambda door: door.issuer.main.token(door.claims()).rsplit(".", 1)[0] + ".",
    "HS256 with the public key as secret": lambda door: _with_public_key_as_secret(door, "HS256"),
    "HMAC that says it is RS256": lambda door: _with_public_key_as_secret(door, "RS256"),
    "algorithm of another key": lambda door: _resigned(door, b'{"alg":"RS256","kid":"key-ES256"}'),
    "algorithm that is not allowed": lambda door: _resigned(door, b'{"alg":"ES512","kid":"key-ES256"}'),
    "kid of another key": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-EdDSA"}'),
    "kid that nobody has": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES257"}'),
    "kid that is a path": lambda door: _resigned(door, b'{"alg":"ES256","kid":"../../dev/null"}'),
    "kid that is SQL": lambda door: _resigned(door, b"{\"alg\":\"ES256\",\"kid\":\"x' UNION SELECT 'secret\"}"),
    "no kid": lambda door: _resigned(door, b'{"alg":"ES256"}'),
    "kid that is no text": lambda door: _resigned(door, b'{"alg":"ES256","kid":["key-ES256"]}'),
    "two kids": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES257","kid":"key-ES256"}'),
    "two algorithms": lambda door: _resigned(door, b'{"alg":"none","kid":"key-ES256","alg":"ES256"}'),
    "critical extension": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES256","crit":["exp"],"exp":1}'),
    "critical b64": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES256","crit":["b64"],"b64":true}'),
    "no critical extension": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES256","crit":[]}'),
    "payload not encoded": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES256","b64":false}'),
    "nested token": lambda door: door.issuer.main.sign_parts(
        b'{"alg":"ES256","kid":"key-ES256","cty":"JWT"}', door.issuer.main.token(door.claims()).encode()
    ),
    "nested token that does not say so": lambda door: door.issuer.main.sign_parts(
        b'{"alg":"ES256","kid":"key-ES256"}', door.issuer.main.token(door.claims()).encode()
    ),
    "logout token": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES256","typ":"logout+jwt"}'),
    "token of five parts": lambda door: door.issuer.main.token(door.claims()) + ".AAAA.AAAA",
    "key in the header": _own_key,
    "address of keys in the header": lambda door: _own_key(door, jwk={}, jku="https://evil.example/keys", x5u="https://evil.example/x"),
    "key of a stranger": lambda door: IssuedKey("key-ES256").token(door.claims()),
    "payload changed": lambda door: _changed(door, 1, lambda part: b64(json.dumps(door.claims(sub="root")).encode())),
    "signature of nothing": lambda door: _changed(door, 2, lambda part: b64(bytes(64))),
    "signature longer": lambda door: _changed(door, 2, lambda part: part + "AAAA"),
    "base64 with a loose end": lambda door: _changed(door, 1, lambda part: part[:-1] + ("B" if part[-1] != "B" else "C")),
    "padded": lambda door: door.issuer.main.token(door.claims()) + "==",
    "white space within": lambda door: door.issuer.main.token(door.claims()).replace(".", ". ", 1),
    "control character": lambda door: door.issuer.main.token(door.claims()) + "\x00",
    "claims twice": lambda door: door.issuer.main.sign_parts(
        b'{"alg":"ES256","kid":"key-ES256"}', json.dumps(door.claims()).encode()[:-1] + b',"sub":"bob"}'
    ),
    "claims that are a list": lambda door: door.issuer.main.sign_parts(b'{"alg":"ES256","kid":"key-ES256"}', b"[]"),
    "claims in the deep": lambda door: door.issuer.main.sign_parts(
        b'{"alg":"ES256","kid":"key-ES256"}', json.dumps(door.claims()).encode()[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}"
    ),
    "header in the deep": lambda door: _resigned(door, b'{"alg":"ES256","kid":"key-ES256","x":' + b"[" * 700 + b"]" * 700 + b"}"),
    "too long": lambda door: door.issuer.main.token(door.claims(filler="x" * MAX_TOKEN_LEN)),
    "nothing": lambda door: "",
    "dots": lambda door: "..",
    "an access key": lambda door: "AKIDDEVELOPER/20260101/eu-central-1/kms/aws4_request",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_is_no_token_of_the_issuer_opens_nothing(door, attack):
    token = ATTACKS[attack](door)
    answer = await door.get(token)
    assert (answer.status, answer.code) == (401, "InvalidBearerTokenException")
    assert not door.service.outcomes
    (refusal,) = door.service.refusals
    assert (refusal.operation, refusal.error_code) == ("ReadApiDescription", "InvalidBearerTokenException")
    told = repr(refusal) + answer.body.decode() + str(answer.headers)
    assert all(part not in told for part in token.split(".") if len(part) > 8)


async def test_a_key_that_is_too_short_signs_nothing(issuer):
    weak = IssuedKey("weak", "RS256")
    weak.private = rsa.generate_private_key(65_537, 1_024)  # noqa: S505
    clock = FixedClock()
    keys = read_key_set(json.dumps({"keys": [weak.jwk()]}).encode(), ALGORITHMS)
    token = weak.sign_parts(b'{"alg":"RS256","kid":"weak"}', json.dumps(claims_at(clock.at)).encode())
    request = Request("GET", STATUS, "", (("authorization", f"Bearer {token}"),), b"", "127.0.0.1")
    with pytest.raises(ApiError, match="not valid"):
        BearerTokens(RULES, keys.get, clock=clock).verify(request)


async def test_another_scheme_is_no_token_and_case_does_not_matter(door):
    token = door.issuer.main.token(door.claims())
    assert (await door.get(token, scheme="bEARER ")).status == 200
    for scheme in ("Basic ", "Bearer", "", "Token ", "AWS4-HMAC-SHA256 "):
        assert (await door.get(token, scheme=scheme)).code in {
            "IncompleteSignatureException", "MissingAuthenticationTokenException",
        }  # fmt: skip


async def test_two_authorizations_are_none(door):
    good = door.issuer.main.token(door.claims())
    answer = await door.get(good, more=[("Authorization", f"Bearer {good}")])
    assert answer.code == "InvalidBearerTokenException"


async def test_the_data_plane_takes_no_tokens(door):
    token = door.issuer.main.token(door.claims())
    more = [("X-Amz-Target", "TrentService.ListKeys"), ("Content-Type", "application/x-amz-json-1.1")]
    answer = await door.get(token, path="/", method="POST", more=more, body=b"{}")
    assert (answer.status, answer.code) == (400, "IncompleteSignatureException")
    assert not door.service.outcomes


async def test_without_an_issuer_no_token_counts(api, issuer):
    token = issuer.main.token(claims_at(api.clock.at))
    answer = await api.send("GET", STATUS, {"Host": "localhost", "Authorization": f"Bearer {token}"})
    assert (answer.status, answer.code) == (400, "IncompleteSignatureException")


async def test_a_token_without_a_name_of_its_own_is_told_by_its_hash(door):
    for changes in ({"jti": None}, {"jti": "x y"}, {"jti": "x" * 300}):
        token = door.issuer.main.token(door.claims(**changes))
        assert (await door.get(token)).status == 200
        assert (
            door.caller.credential_detail["token"] == "sha256:" + hashlib.sha256(token.encode()).hexdigest()
        )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(max_size=200),
        st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True),
        st.tuples(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80)).map(
            lambda parts: ".".join(map(b64, parts))
        ),
        st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "cty"]), st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["ES256", "key-ES256"]),
            lambda inner: st.lists(inner, max_size=3), max_leaves=4,
        )).map(lambda header: f"{b64(json.dumps(header).encode())}.e30.AAAA"),
    )
)  # fmt: skip
def test_any_token_bytes_are_refused_in_one_way(door, text):
    value = f"Bearer {text}".encode().decode("latin-1")
    request = Request("GET", STATUS, "", (("authorization", value),), b"", "127.0.0.1")
    with pytest.raises(ApiError) as refused:
        door.tokens.verify(request)
    assert (refused.value.status, refused.value.message) == (401, "The bearer token is not valid.")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_byte_of_a_token_can_be_changed(door, algorithm):
    token = door.issuer.keys[algorithm].token(door.claims())
    for at, was in enumerate(token):
        for other in "Aw0-_.= ":
            changed = f"{token[:at]}{other if other != was else 'B'}{token[at + 1 :]}"
            request = Request("GET", STATUS, "", (("authorization", f"Bearer {changed}"),), b"", "127.0.0.1")
            with pytest.raises(ApiError):
                door.tokens.verify(request)
