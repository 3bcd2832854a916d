"""One record of an HSM's own log, whatever vendor it is from."""

import hashlib
import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Use = Literal[
    "sign",
    "verify",
    "encrypt",
    "decrypt",
    "derive",
    "wrap",
    "unwrap",
    "make",
    "destroy",
    "modify",
    "login",
    "other",
    "unknown",
]
"""What was done, in the words of PKCS#11: ``make`` is C_GenerateKey, C_GenerateKeyPair and C_CreateObject, ``modify``
C_SetAttributeValue and C_CopyObject. ``other``: what is not compared with anything. ``unknown``: a line that was not understood."""

COMPARED: Final[tuple[Use, ...]] = (
    "sign",
    "verify",
    "encrypt",
    "decrypt",
    "derive",
    "wrap",
    "unwrap",
    "make",
    "destroy",
    "modify",
)
"""Uses of keys, and what makes, changes and destroys them: each one has to be one of ours."""

MAX_TEXT: Final = 200
MAX_LINE_BYTES: Final = 64 * 1024
"""Of one line, or of one record that has several."""

_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Micros = Annotated[int, Meta(ge=0, lt=1 << 62)]
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class VendorRecord(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What the HSM says that it did."""

    since: _Micros
    """It happened between this and ``at``; the same as ``at`` where the record has a time of its own."""
    at: _Micros
    """Microseconds since the Unix epoch, by the HSM's clock; of a device without a clock, when its log was read."""
    operation: _Text
    """In the vendor's word."""
    use: Use
    ok: bool = True
    answer: _Text = ""
    """What the HSM answered, in the vendor's word."""
    key: _Text = ""
    """By what the vendor names the key: a handle, an identifier, a fingerprint; empty where it does not."""
    other_key: _Text = ""
    """The same of a second key: the one that was wrapped, the public half of a pair."""
    session: _Text = ""
    user: _Text = ""
    source: _Text = ""
    """Which device or stream counted ``sequence``."""
    epoch: Annotated[int, Meta(ge=0, lt=1 << 62)] = 0
    """Counter of restarts of ``source``, where it tells one."""
    sequence: Annotated[int, Meta(ge=0, lt=1 << 62)] | None = None
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """Of the record as it came."""

    @property
    def is_compared(self) -> bool:
        """Whether it has to be one of ours."""
        return self.use in COMPARED


def digest_of(raw: bytes) -> str:
    """Return the SHA-256 by which a record is recognised."""
    return hashlib.sha256(raw).hexdigest()


def cut(text: str) -> str:
    """Bring a text of outside into a field: escaped, and cut at its limit."""
    shown = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text.strip())
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 3] + "..."
