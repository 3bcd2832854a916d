"""Public keys of officers, in the form of OpenSSH: Ed25519 and P-256, in a file or on a security key.

| Kind | Public key blob (RFC 8709, RFC 5656, OpenSSH PROTOCOL.u2f) |
|---|---|
| ``ssh-ed25519`` | kind, 32 bytes |
| ``ecdsa-sha2-nistp256`` | kind, ``nistp256``, point of 65 bytes (uncompressed) |
| ``sk-ssh-ed25519@openssh.com`` | kind, 32 bytes, application |
| ``sk-ecdsa-sha2-nistp256@openssh.com`` | kind, ``nistp256``, point, application |

A signature of a security key counts only if the key saw a person touch it (flag *user present*).
"""

import base64
import hashlib
import struct
from enum import StrEnum
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from strongroom.custody._errors import OfficerKeyError, SignatureRefusedError
from strongroom.custody._ssh_wire import WireError, WireReader

MAX_LINE_BYTES: Final = 1024
_CURVE: Final = b"nistp256"
_USER_PRESENT: Final = 0x01
_KNOWN_FLAGS: Final = 0x05
"""User present and user verified; attested data and extensions have no place in an assertion of SSH."""

_ED25519_P: Final = 2**255 - 19
_SMALL_ORDER: Final = frozenset(
    {
        0,
        1,
        _ED25519_P - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)
"""y of the points of order 1, 2, 4 and 8. Under such a key signatures fit that nobody made with a secret."""


class KeyKind(StrEnum):
    """What a key is, by its name in OpenSSH."""

    ED25519 = "ssh-ed25519"
    P256 = "ecdsa-sha2-nistp256"
    SK_ED25519 = "sk-ssh-ed25519@openssh.com"
    SK_P256 = "sk-ecdsa-sha2-nistp256@openssh.com"

    @property
    def is_security_key(self) -> bool:
        """Whether the secret half is in a security key (FIDO), which wants to be touched."""
        return self in {KeyKind.SK_ED25519, KeyKind.SK_P256}

    @property
    def is_p256(self) -> bool:
        """Whether it is ECDSA over P-256 with SHA-256."""
        return self in {KeyKind.P256, KeyKind.SK_P256}


class OfficerKey(NamedTuple):
    """One public key. Two are the same key when they are equal."""

    kind: KeyKind
    blob: bytes
    """The public key as it stands in signatures and, in base64, in ``.pub`` files."""
    point: bytes
    """32 bytes of Ed25519, or 65 of P-256."""
    application: bytes
    """What a security key binds its signatures to, such as ``ssh:``; empty for others."""

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Read a blob. Raises OfficerKeyError for what is malformed, of another kind, or no sound point."""
        try:
            reader = WireReader(blob)
            kind = _kind_of(reader.string())
            if kind.is_p256 and reader.string() != _CURVE:
                raise WireError("the curve is not that of the kind")
            point = reader.string()
            application = reader.string() if kind.is_security_key else b""
            reader.end()
        except WireError as error:
            raise OfficerKeyError(f"the public key is malformed: {error}") from error
        key = cls(kind, blob, point, application)
        if kind.is_p256:
            key.p256()
        else:
            _require_sound(point)
        return key

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line of a ``.pub`` file: kind, base64, and perhaps a comment. Raises OfficerKeyError."""
        parts = line.strip(" \n").split(" ", 2)
        if len(line) > MAX_LINE_BYTES or len(parts) < 2:
            raise OfficerKeyError("this is no line of an OpenSSH public key")
        try:
            blob = base64.b64decode(parts[1].encode(), validate=True)
        except ValueError as error:
            raise OfficerKeyError("the base64 of the public key is malformed") from error
        key = cls.from_blob(blob)
        if key.line != f"{parts[0]} {parts[1]}":
            raise OfficerKeyError("the line of the public key does not say what the key is")
        return key

    @property
    def line(self) -> str:
        """Kind and base64, as in a ``.pub`` file, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it: ``SHA256:`` and base64 without padding."""
        digest = hashlib.sha256(self.blob).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def p256(self) -> ec.EllipticCurvePublicKey:
        """Return the key as cryptography has it. Raises OfficerKeyError when the point is not on the curve."""
        try:
            if len(self.point) != 65 or self.point[0] != 4:
                raise ValueError("the point is not in uncompressed form")
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.point)
        except ValueError as error:
            raise OfficerKeyError("the public key is no point of P-256 in uncompressed form") from error

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check an SSH signature blob over a message. Raises SignatureRefusedError; says nothing otherwise."""
        try:
            reader = WireReader(signature)
            if reader.string() != self.kind.encode():
                raise WireError("it is of another algorithm than its key")
            inner = reader.string()
            signed = self._signed_by_security_key(reader, message) if self.kind.is_security_key else message
            reader.end()
            self._verify_inner(signed, inner)
        except WireError as error:
            raise SignatureRefusedError(f"the signature is malformed: {error}") from error
        except InvalidSignature as error:
            raise SignatureRefusedError("the signature does not verify") from error

    def _signed_by_security_key(self, reader: WireReader, message: bytes) -> bytes:
        """Return what a security key signs: hash of application, flags, counter, hash of the message (PROTOCOL.u2f)."""
        flags, counter = reader.take(1)[0], reader.uint32()
        if not flags & _USER_PRESENT:
            raise WireError("the security key did not see a person (user presence)")
        if flags & ~_KNOWN_FLAGS:
            raise WireError("the security key set flags that are not known")
        hashed = hashlib.sha256(self.application).digest(), hashlib.sha256(message).digest()
        return hashed[0] + struct.pack(">BI", flags, counter) + hashed[1]

    def _verify_inner(self, signed: bytes, inner: bytes) -> None:
        if not self.kind.is_p256:
            if len(inner) != 64:
                raise WireError("its length is not that of Ed25519")
            ed25519.Ed25519PublicKey.from_public_bytes(self.point).verify(inner, signed)
            return
        reader = WireReader(inner)
        r, s = reader.mpint(), reader.mpint()
        reader.end()
        if max(r, s) >= 2**256:
            raise WireError("its numbers are too large")
        self.p256().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def _kind_of(name: bytes) -> KeyKind:
    for kind in KeyKind:
        if name == kind.encode():
            return kind
    raise OfficerKeyError(
        "officers' keys are Ed25519 or P-256, in a file or on a security key",
        next_step="make one with strongroom officers keygen, or with ssh-keygen -t ed25519 (or ed25519-sk)",
    )


def _require_sound(point: bytes) -> None:
    y = int.from_bytes(point, "little") & (2**255 - 1)
    if len(point) != 32 or y >= _ED25519_P or y in _SMALL_ORDER:
        raise OfficerKeyError("the public key is no sound key of Ed25519")
