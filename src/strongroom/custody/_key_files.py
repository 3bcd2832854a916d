"""Private keys of officers: files in the format of OpenSSH (PROTOCOL.key), always under a passphrase.

So ``ssh-keygen -Y sign`` and ``ssh-agent`` work with a key that was made here, and a key that ``ssh-keygen`` made works
here. The passphrase becomes a key by bcrypt (``bcrypt_pbkdf``).
"""

import base64
import re
from typing import Final, Self, TypeAlias

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from strongroom.core import Secret
from strongroom.custody._errors import OfficerKeyError
from strongroom.custody._officer_keys import KeyKind, OfficerKey
from strongroom.custody._ssh_signatures import signature_blob, signed_bytes
from strongroom.custody._ssh_wire import WireError, WireReader, wire_mpint, wire_string

MIN_PASSPHRASE_BYTES: Final = 12
MAX_KEY_FILE_BYTES: Final = 16_384
KDF_ROUNDS: Final = 64
"""About a second of one core; ``ssh-keygen`` takes 16 to 24."""
_MAX_KDF_ROUNDS: Final = 4_096
_MAGIC: Final = b"openssh-key-v1\0"
_PEM: Final = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END OPENSSH PRIVATE KEY-----\n?"
)

_PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class OfficerPrivateKey:
    """A private key in memory. Keep it for one signature: the library's copy cannot be overwritten."""

    def __init__(self, private: _PrivateKey) -> None:
        """Raises OfficerKeyError for a curve other than P-256."""
        self._private = private
        line = private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        self.public = OfficerKey.from_line(line.decode())

    def __repr__(self) -> str:
        return f"OfficerPrivateKey({self.public.fingerprint})"

    @classmethod
    def generate(cls, kind: KeyKind = KeyKind.ED25519) -> Self:
        """Make a key. Raises OfficerKeyError for security keys, which are made by ``ssh-keygen -t ed25519-sk``."""
        if kind.is_security_key:
            raise OfficerKeyError(
                "keys on security keys are made by ssh-keygen", next_step="run ssh-keygen -t ed25519-sk"
            )
        if kind.is_p256:
            return cls(ec.generate_private_key(ec.SECP256R1()))
        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def from_file_bytes(cls, data: bytes, passphrase: Secret) -> Self:
        """Open a file. Raises OfficerKeyError: not the format, no passphrase on it, the wrong one, or a kind we do not use."""
        _require_protected(data)
        try:
            private = serialization.load_ssh_private_key(data, passphrase.reveal())
        except (ValueError, UnsupportedAlgorithm, TypeError, InvalidTag) as error:  # InvalidTag: AES-GCM
            raise OfficerKeyError(
                "the private key does not open: the passphrase is wrong, the file damaged, or the kind not used here"
            ) from error
        if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise OfficerKeyError("officers' keys are Ed25519 or P-256")
        return cls(private)

    def file_bytes(self, passphrase: Secret, *, rounds: int = KDF_ROUNDS) -> bytes:
        """Return the file. Raises OfficerKeyError when the passphrase is shorter than 12 bytes."""
        if len(passphrase) < MIN_PASSPHRASE_BYTES:
            raise OfficerKeyError(
                f"the passphrase has fewer than {MIN_PASSPHRASE_BYTES} bytes", next_step="take several words"
            )
        builder = serialization.PrivateFormat.OpenSSH.encryption_builder()
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            builder.kdf_rounds(rounds).build(passphrase.reveal()),
        )

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return the signature of a message for a purpose (an SSHSIG blob)."""
        signed = signed_bytes(message, namespace)
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            inner = self._private.sign(signed)
        else:
            r, s = decode_dss_signature(self._private.sign(signed, ec.ECDSA(hashes.SHA256())))
            inner = wire_mpint(r) + wire_mpint(s)
        return signature_blob(
            self.public, namespace, wire_string(self.public.kind.encode()) + wire_string(inner)
        )


def _require_protected(data: bytes) -> None:
    """Look at the head of a file before a library does: size, format, a passphrase, and not endless rounds of bcrypt."""
    found = _PEM.fullmatch(data) if len(data) <= MAX_KEY_FILE_BYTES else None
    try:
        if found is None:
            raise WireError("no OpenSSH private key")
        reader = WireReader(base64.b64decode(found[1].replace(b"\n", b""), validate=True))
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise WireError("no OpenSSH private key")
        cipher, kdf, options = reader.string(), reader.string(), reader.string()
        if cipher == b"none" or kdf == b"none":
            raise OfficerKeyError(
                "the private key is under no passphrase", next_step="give it one with ssh-keygen -p"
            )
        settings = WireReader(options)
        settings.string()
        if settings.uint32() > _MAX_KDF_ROUNDS:
            raise WireError("too many rounds of bcrypt")
    except ValueError as error:  # WireError, and what base64 raises
        raise OfficerKeyError("this is no private key in the format of OpenSSH") from error
