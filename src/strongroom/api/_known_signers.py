"""Verifying again what was verified before: requests of a caller whose way of signing is known.

A client signs every request with the same access key, scope and list of headers; only the signature differs. What
the text before the signature means is kept, for verified requests only, so strangers cannot fill it. A request
that is not plainly such a one, or does not verify, is for the full verifier, which also words the refusal.
"""

import hashlib
import hmac
from collections import OrderedDict
from typing import NamedTuple

from strongroom.api._canonical import ALGORITHM, Scope
from strongroom.api._http import Request
from strongroom.core import Secret

MAX_KNOWN = 4_096
_SIGNATURE_LEN = 64
_HEX = frozenset("0123456789abcdef")
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_BLOCK_BYTES = 64


class Signer(NamedTuple):
    """What the head of an Authorization header means, and the key that its signatures are made with."""

    access_key_id: str
    region: str
    secret: Secret
    """The very object that the key was derived from: another one means another secret."""
    signed_headers: tuple[str, ...]
    signed: frozenset[str]
    names_line: str
    """``SignedHeaders`` as the canonical request has it."""
    scope_date: str
    scope_text: str
    inner: "hashlib._Hash"
    outer: "hashlib._Hash"
    """HMAC-SHA256 states after the two pads (RFC 2104): copying them is half the cost of a keyed start."""


class KnownSigners:
    """Ways of signing that verified before. Belongs to one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Signer] = OrderedDict()

    def find(self, head: str) -> Signer | None:
        """Return what the text before the signature means, if it is known."""
        return self._known.get(head)

    def learn(
        self,
        authorization: str,
        signed_headers: tuple[str, ...],
        access_key_id: str,
        scope: Scope,
        *,
        secret: Secret,
        key: Secret,
    ) -> None:
        """Keep how a request that verified was signed."""
        head, _, _ = split_signature(authorization)
        block = key.reveal().ljust(_BLOCK_BYTES, b"\0")
        self._known[head] = Signer(
            access_key_id,
            scope.region,
            secret,
            signed_headers,
            frozenset(signed_headers),
            ";".join(signed_headers),
            scope.date,
            scope.text(),
            hashlib.sha256(block.translate(_INNER_PAD)),
            hashlib.sha256(block.translate(_OUTER_PAD)),
        )
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def forget(self, head: str) -> None:
        """Drop a way of signing whose secret is no longer in force."""
        self._known.pop(head, None)


def split_signature(authorization: str) -> tuple[str, str, bool]:
    """Split an Authorization header into what precedes the signature and the signature; and whether it is well formed."""
    head, _, signature = authorization.rpartition("Signature=")
    return head, signature, len(signature) == _SIGNATURE_LEN and _HEX.issuperset(signature)


def has_signed(signer: Signer, request: Request, headers: dict[str, str], signature: str) -> bool:
    """Whether this signer signed this request: canonical request, string to sign and HMAC in one go.

    ``headers`` are the request's, each name once. False also for whatever needs the full verifier: a path other
    than ``/``, a query, values with white space to fold, a header that is not signed and has to be.
    """
    if request.path != "/" or request.query:
        return False
    for name in headers:
        if name.startswith("x-amz-") and name not in signer.signed:
            return False
    lines = [request.method, "/", ""]
    for name in signer.signed_headers:
        value = headers.get(name)
        if value is None or "  " in value or "\t" in value or value.strip(" ") != value:
            return False
        lines.append(f"{name}:{value}")
    amz_date = headers["x-amz-date"]
    payload_hash = hashlib.sha256(request.body).hexdigest()
    if headers.get("x-amz-content-sha256", payload_hash) != payload_hash:
        return False
    lines += ("", signer.names_line, payload_hash)
    digest = hashlib.sha256("\n".join(lines).encode("latin-1")).hexdigest()
    inner = signer.inner.copy()
    inner.update(f"{ALGORITHM}\n{amz_date}\n{signer.scope_text}\n{digest}".encode("latin-1"))
    outer = signer.outer.copy()
    outer.update(inner.digest())
    return hmac.compare_digest(outer.hexdigest(), signature)
