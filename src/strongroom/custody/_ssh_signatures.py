"""Signatures as ``ssh-keygen -Y sign`` makes them (OpenSSH PROTOCOL.sshsig), read strictly.

    byte[6]  "SSHSIG"          what is signed:  byte[6]  "SSHSIG"
    uint32   1                                  string   namespace
    string   public key                         string   reserved (empty)
    string   namespace                          string   "sha512"
    string   reserved (empty)                   string   SHA-512 of the message
    string   "sha512"
    string   signature

Stricter than the document: the reserved field must be empty, the hash SHA-512, the base64 canonical. ``ssh-keygen`` makes
nothing else unless told to.
"""

import base64
import hashlib
import re
from typing import Final, Protocol

from strongroom.custody._errors import OfficerKeyError, SignatureRefusedError
from strongroom.custody._officer_keys import OfficerKey
from strongroom.custody._ssh_wire import WireError, WireReader, wire_mpint, wire_string

NAMESPACE_APPROVAL: Final = "approval@strongroom"
"""Of signatures that approve a request."""
NAMESPACE_REJECTION: Final = "rejection@strongroom"
"""Of signatures that reject one."""
NAMESPACE_GENESIS: Final = "genesis@strongroom"
"""Of signatures under the beginning of a cluster."""
NAMESPACE_ENROLMENT: Final = "enrolment@strongroom"
"""Of signatures by which somebody shows that they hold the keys that they enrol."""

MAX_SIGNATURE_BYTES: Final = 4096
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_HASH: Final = b"sha512"
_ARMOUR: Final = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END SSH SIGNATURE-----\n?"
)
_LINE_LENGTH: Final = 70


class OfficerSigner(Protocol):
    """Whatever can sign as an officer: a key in memory, an agent, a card."""

    @property
    def public(self) -> OfficerKey:
        """The public half."""
        ...

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return the signature of a message for a purpose (an SSHSIG blob). Raises OfficerKeyError when it cannot."""
        ...


def signed_bytes(message: bytes, namespace: str) -> bytes:
    """Return what a key signs for a message."""
    fields = (namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())
    return _MAGIC + b"".join(map(wire_string, fields))


def signature_blob(key: OfficerKey, namespace: str, signature: bytes) -> bytes:
    """Put a signature into its envelope. ``signature`` is the SSH signature blob over ``signed_bytes``."""
    fields = (key.blob, namespace.encode(), b"", _HASH, signature)
    return _MAGIC + _VERSION.to_bytes(4, "big") + b"".join(map(wire_string, fields))


def signature_from_raw(key: OfficerKey, raw: bytes, message: bytes, namespace: str) -> bytes:
    """Put what a card made over ``signed_bytes`` into its envelope, and check it. Raises OfficerKeyError.

    ``raw`` has 64 bytes: r and s of P-256, or a signature of Ed25519.
    """
    inner = raw
    if key.kind.is_p256:
        inner = wire_mpint(int.from_bytes(raw[:32], "big")) + wire_mpint(int.from_bytes(raw[32:], "big"))
    blob = signature_blob(key, namespace, wire_string(key.kind.encode()) + wire_string(inner))
    try:
        verify_signature(blob, message, namespace)
    except SignatureRefusedError as error:
        raise OfficerKeyError(
            f"the card's signature is not by the key that it shows: {error.message}"
        ) from error
    return blob


def verify_signature(blob: bytes, message: bytes, namespace: str) -> OfficerKey:
    """Check a signature over a message and return the key that made it. Raises SignatureRefusedError.

    Whose key it is, and whether it may sign this, is not looked at here.
    """
    key, named, signature = _read(blob)
    if named != namespace.encode():
        raise SignatureRefusedError(
            f"the signature was made for another purpose than {namespace}",
            next_step=f"sign with ssh-keygen -Y sign -n {namespace}",
        )
    key.verify(signed_bytes(message, namespace), signature)
    return key


def key_of_signature(blob: bytes) -> OfficerKey:
    """Return the key that a signature says it is by. Proves nothing. Raises SignatureRefusedError."""
    return _read(blob)[0]


def _read(blob: bytes) -> tuple[OfficerKey, bytes, bytes]:
    try:
        if len(blob) > MAX_SIGNATURE_BYTES:
            raise WireError(f"it is longer than {MAX_SIGNATURE_BYTES} bytes")
        reader = WireReader(blob)
        if reader.take(len(_MAGIC)) != _MAGIC or reader.uint32() != _VERSION:
            raise WireError("it is no SSH signature of version 1")
        key = OfficerKey.from_blob(reader.string())
        namespace, reserved, hashed, signature = (reader.string() for _ in range(4))
        reader.end()
        if reserved or hashed != _HASH:
            raise WireError("its hash is not SHA-512, or its reserved field is not empty")
    except (WireError, OfficerKeyError) as error:
        raise SignatureRefusedError(f"the signature is malformed: {error}") from error
    return key, namespace, signature


def armour(blob: bytes) -> bytes:
    """Return a signature as the text that ``ssh-keygen`` writes and reads."""
    text = base64.b64encode(blob)
    lines = [text[at : at + _LINE_LENGTH] for at in range(0, len(text), _LINE_LENGTH)]
    return b"\n".join(
        [b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""],
    )


def dearmour(text: bytes) -> bytes:
    """Return the signature in a text of ``ssh-keygen -Y sign``. Raises SignatureRefusedError."""
    found = _ARMOUR.fullmatch(text) if len(text) <= 2 * MAX_SIGNATURE_BYTES else None
    if found is None:
        raise SignatureRefusedError("this is no armoured SSH signature")
    return signature_from_base64(found[1].replace(b"\n", b"").decode())


def signature_from_base64(text: str) -> bytes:
    """Return the bytes of a signature in the one base64 that it has. Raises SignatureRefusedError."""
    try:
        blob = base64.b64decode(text.encode(), validate=True)
    except ValueError as error:
        raise SignatureRefusedError("the base64 of the signature is malformed") from error
    if base64.b64encode(blob).decode() != text:
        raise SignatureRefusedError("the base64 of the signature is not canonical")
    return blob


def signature_to_base64(blob: bytes) -> str:
    """Return a signature as it stands in documents."""
    return base64.b64encode(blob).decode()
