"""An OpenID Connect issuer for tests: real keys, tokens made by the library, and forgeries made by hand."""

import base64
import json

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from strongroom.api import BearerTokens, TokenCaller, TokenRules, read_key_set

ISSUER = "https://login.bank.example/realms/staff"
AUDIENCE = "strongroom"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
CALLERS = (
    TokenCaller("oidc:sub=alice", ("sub",), "alice", "user/alice"),
    TokenCaller("oidc:realm_access.roles=kms-officers", ("realm_access", "roles"), "kms-officers", "role/officers"),
    TokenCaller("oidc:groups=operators", ("groups",), "operators", "role/operators"),
)  # fmt: skip
RULES = TokenRules(
    issuer=ISSUER, audience=AUDIENCE, algorithms=ALGORITHMS, leeway_s=30.0, max_lifetime_s=3_600.0,
    callers=CALLERS, region="eu-central-1",
)  # fmt: skip
_MAKERS = {
    "RS256": (lambda: rsa.generate_private_key(65_537, 2_048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class IssuedKey:
    def __init__(self, kid, algorithm="ES256"):
        make, self._form = _MAKERS[algorithm]
        self.kid, self.algorithm, self.private = kid, algorithm, make()

    def jwk(self, *, with_algorithm=True, **members):
        found = json.loads(self._form.to_jwk(self.private.public_key()))
        found.pop("key_ops", None)
        found |= {"kid": self.kid, "use": "sig"}
        return found | ({"alg": self.algorithm} if with_algorithm else {}) | members

    def private_jwk(self):
        return json.loads(self._form.to_jwk(self.private)) | {"kid": self.kid}

    def public_pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, claims, **header):
        header = {"kid": self.kid, **header}
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers=header)

    def sign_parts(self, header, payload):
        """Sign any header and payload as they are."""
        text = f"{b64(header)}.{b64(payload)}".encode()
        form = jwt.PyJWS().get_algorithm_by_name(self.algorithm)
        return f"{text.decode()}.{b64(form.sign(text, self.private))}"


class Issuer:
    """Three keys, one of each kind."""

    def __init__(self):
        self.keys = {name: IssuedKey(f"key-{name}", name) for name in _MAKERS}

    @property
    def main(self):
        return self.keys["ES256"]

    def key_set(self, *more):
        return json.dumps({"keys": [key.jwk() for key in self.keys.values()] + list(more)}).encode()

    def tokens(self, clock, rules=RULES):
        return BearerTokens(rules, read_key_set(self.key_set(), rules.algorithms).get, clock=clock)


def claims_at(now, **changes):
    """Return good claims; None as a change takes one away."""
    usual = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 300, "jti": "token-1"}
    return {name: value for name, value in (usual | changes).items() if value is not None}
