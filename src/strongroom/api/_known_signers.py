"""Verifying again what was verified before: requests of a caller whose way of signing is known.

A client signs every request with the same access key, scope and list of headers; only the signature differs. What
the text before the signature means is kept, for verified requests only, so strangers cannot fill it. A request
that is not plainly such a one, or does not verify, is for the full verifier, which also words the refusal.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256 as _sha256
from operator import itemgetter
from typing import NamedTuple

from msgspec import Struct

from strongroom.api._canonical import ALGORITHM, Scope
from strongroom.api._http import Request
from strongroom.api._plain_request import PlainRequest, Shape
from strongroom.core import Secret
from strongroom.service import Credential

MAX_KNOWN = 4_096
SIGNATURE_CHARS = 64
"""Hex digits at the end of an Authorization header."""
_MAX_SEEN = 16
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_BLOCK_BYTES = 64


class Authorization(NamedTuple):
    """The ``Authorization`` header, taken apart; nothing in it is verified."""

    access_key_id: str
    scope: Scope
    signed_headers: tuple[str, ...]
    """Sorted, without doubles."""
    signature: str


class Verified(NamedTuple):
    """Who signed a request, and for which region."""

    principal: str
    access_key_id: str
    region: str


class Layout(Struct, frozen=True):
    """How a signer's canonical request is made of a plain request of one shape."""

    text: str
    """The canonical request up to the hash of the payload, with a ``%s`` for each value."""
    signed_values: Callable[[tuple[str, ...]], tuple[str, ...]]
    """Picks the values of the signed headers, in their order."""


class Signer(Struct, frozen=True):
    """What the head of an Authorization header means, and the key that its signatures are made with."""

    credential: Credential
    """The very object that the key was derived from: another one means another secret."""
    verified: Verified
    """What a request with a good signature comes to."""
    signed_headers: tuple[str, ...]
    names_line: str
    """``SignedHeaders`` as the canonical request has it."""
    scope_date: str
    scope_text: str
    inner: "hashlib._Hash"
    outer: "hashlib._Hash"
    """HMAC-SHA256 states after the two pads (RFC 2104): copying them is half the cost of a keyed start."""
    seen: set[tuple[str, ...]]
    """Names of headers that were sent with it, and of which every ``x-amz-`` one is signed."""

    layouts: dict[Shape, Layout]
    """Of the shapes in which verified requests came. A shape is a key by identity: see ``PlainReader.keep``."""

    def layout_for(self, shape: Shape) -> Layout | None:
        """Return how to write the canonical request; None when a header that has to be signed is not."""
        if not self.signs(shape.names) or not {"host", "x-amz-date"} <= set(self.signed_headers):
            return None
        if not set(self.signed_headers) <= set(shape.names):
            return None
        lines = "".join(f"{name}:%s\n" for name in self.signed_headers)
        places = [shape.names.index(name) for name in self.signed_headers]
        return Layout(f"POST\n/\n\n{lines}\n{self.names_line}\n", itemgetter(*places))

    def keep(self, shape: Shape, layout: Layout) -> None:
        """Remember the layout of a request that verified."""
        self.layouts[shape] = layout
        if len(self.layouts) > _MAX_SEEN:
            del self.layouts[next(iter(self.layouts))]

    def signs(self, names: tuple[str, ...]) -> bool:
        """Whether all headers of these names that have to be signed are."""
        if names in self.seen:
            return True
        if any(name.startswith("x-amz-") and name not in self.signed_headers for name in names):
            return False
        if len(self.seen) < _MAX_SEEN:
            self.seen.add(names)
        return True


class KnownSigners:
    """Ways of signing that verified before. Belongs to one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Signer] = OrderedDict()

    def find(self, head: str) -> Signer | None:
        """Return what the text before the signature means, if it is known."""
        return self._known.get(head)

    def learn(
        self, authorization: Authorization, header: str, credential: Credential, *, key: Secret
    ) -> None:
        """Keep how a request that verified was signed, if the signature is the last part of its header, as it always is."""
        if not header.endswith(f"Signature={authorization.signature}"):
            return
        head = header[:-SIGNATURE_CHARS]
        block = key.reveal().ljust(_BLOCK_BYTES, b"\0")
        scope = authorization.scope
        self._known[head] = Signer(
            credential,
            Verified(credential.principal, credential.access_key_id, scope.region),
            authorization.signed_headers,
            ";".join(authorization.signed_headers),
            scope.date,
            scope.text(),
            hashlib.sha256(block.translate(_INNER_PAD)),
            hashlib.sha256(block.translate(_OUTER_PAD)),
            set(),
            {},
        )
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def forget(self, head: str) -> None:
        """Drop a way of signing whose secret is no longer in force."""
        self._known.pop(head, None)


def has_signed(signer: Signer, request: Request, signature: str) -> bool:
    """Whether this signer signed this request: canonical request, string to sign and HMAC in one go.

    Each header stands once in the request. False also for whatever needs the full verifier: a path other
    than ``/``, a query, values with white space to fold, a header that is not signed and has to be.
    """
    headers = request.by_name
    if request.path != "/" or request.query or not signer.signs(tuple(headers)):
        return False
    payload_hash = _sha256(request.body).hexdigest()
    if headers.get("x-amz-content-sha256", payload_hash) != payload_hash:
        return False
    try:
        values = "\n".join([f"{name}:{headers[name]}" for name in signer.signed_headers])
    except KeyError:
        return False
    # A blank at either end of a value, or two within: the full verifier trims and folds them.
    if "  " in values or "\t" in values or ": " in values or " \n" in values or values.endswith(" "):
        return False
    canonical = f"{request.method}\n/\n\n{values}\n\n{signer.names_line}\n{payload_hash}"
    return _matches(signer, headers["x-amz-date"], canonical, signature)


def has_signed_plain(signer: Signer, layout: Layout, plain: PlainRequest, signature: str) -> bool:
    """Whether this signer signed this plain request, whose shape the layout is for."""
    values = plain.values
    payload_hash = _sha256(plain.body).hexdigest()
    at = plain.shape.payload_hash
    if at is not None and values[at] != payload_hash:
        return False
    canonical = layout.text % layout.signed_values(values) + payload_hash
    return _matches(signer, values[plain.shape.date], canonical, signature)


def _matches(signer: Signer, amz_date: str, canonical: str, signature: str) -> bool:
    digest = _sha256(canonical.encode("latin-1")).hexdigest()
    to_sign = f"{ALGORITHM}\n{amz_date}\n{signer.scope_text}\n{digest}"
    inner = signer.inner.copy()
    inner.update(to_sign.encode("latin-1"))
    outer = signer.outer.copy()
    outer.update(inner.digest())
    return hmac.compare_digest(outer.hexdigest().encode(), signature.encode("latin-1"))
