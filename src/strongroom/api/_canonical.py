"""What a SigV4 signature is made over: canonical request, string to sign, signing key.

Shared by the server, which verifies, and by the client side, which signs. Source: AWS documentation,
"Create a signed AWS API request" (Signature Version 4). Text is bytes decoded as Latin-1, so that every
byte of a header keeps its value.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from strongroom.core import Secret

ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
_BLANKS = re.compile(r"[ \t\r\n]+")
_UNRESERVED = "-_.~"


class Scope(NamedTuple):
    """What a signing key is good for."""

    date: str
    """``yyyymmdd``, UTC."""
    region: str
    service: str

    def text(self) -> str:
        """Return the scope as it stands in a credential."""
        return f"{self.date}/{self.region}/{self.service}/{_TERMINATOR}"


def amz_date_of(seconds: float) -> str:
    """Return a time as ``X-Amz-Date`` has it: ``yyyymmddThhmmssZ``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_path(path: str, *, normalize: bool = True) -> str:
    """Resolve dot segments and doubled slashes (all services but S3 do), then percent-encode each segment."""
    if normalize:
        kept: list[str] = []
        for segment in path.split("/"):
            if segment == "..":
                del kept[-1:]
            elif segment not in {"", "."}:
                kept.append(segment)
        slash = "/" if kept and path.endswith("/") else ""
        path = f"/{'/'.join(kept)}{slash}"
    return quote(path.encode("latin-1"), safe="/" + _UNRESERVED)


def canonical_query(query: str) -> str:
    """Percent-encode names and values one way only, and sort them."""
    if not query:
        return ""
    pairs = (part.partition("=") for part in query.split("&"))
    return "&".join(
        f"{name}={value}" for name, value in sorted((_recode(n), _recode(v)) for n, _, v in pairs)
    )


def _recode(text: str) -> str:
    return quote(unquote_to_bytes(text.encode("latin-1")), safe=_UNRESERVED)


def canonical_request(
    *,
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    signed_headers: Sequence[str],
    payload_hash: str,
    normalize: bool = True,
) -> str:
    """Write the request in the one form that is signed.

    ``headers`` are (lower-case name, value) in the order sent, ``signed_headers`` lower-case and sorted.
    A header that came more than once is joined by commas in the order sent. Raises KeyError for a signed
    header that is absent.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(_BLANKS.sub(" ", value.strip(" \t\r\n")))
    lines = [method, canonical_path(path, normalize=normalize), canonical_query(query)]
    lines += [f"{name}:{','.join(values[name])}" for name in signed_headers]
    lines += ["", ";".join(signed_headers), payload_hash]
    return "\n".join(lines)


def string_to_sign(amz_date: str, scope: Scope, canonical: str) -> bytes:
    """Return the bytes that the signing key authenticates."""
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{amz_date}\n{scope.text()}\n{digest}".encode("latin-1")


def signing_key(secret_access_key: Secret, scope: Scope) -> Secret:
    """Derive the key of one day, region and service: four nested HMACs."""
    key = b"AWS4" + secret_access_key.reveal()
    for part in (scope.date, scope.region, scope.service, _TERMINATOR):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return Secret(key)


def signature(key: Secret, to_sign: bytes) -> str:
    """Return the signature as 64 lower-case hex digits."""
    return hmac.digest(key.reveal(), to_sign, "sha256").hex()
