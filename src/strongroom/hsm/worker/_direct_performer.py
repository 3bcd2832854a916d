"""The calls of Direct keys, from the wire to ``Token.direct`` and back."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from strongroom.core import HsmKey, OaepAlgorithm, Secret, SigningAlgorithm, WrappedBytes
from strongroom.hsm.wire import (
    DestroyDirect,
    DirectDecrypt,
    DirectDecryptOaep,
    DirectDerive,
    DirectEncrypt,
    DirectMac,
    DirectPublicKey,
    DirectSign,
    GenerateDirect,
    HoldsDirect,
    InspectDirect,
)


class DirectKeys(Protocol):
    """What ``hsm.token.DirectVerbs`` offers to these calls."""

    def generate(self, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        """Make a key; return the public half."""
        ...

    def destroy(self, key: HsmKey) -> None:
        """Destroy a key."""
        ...

    def holds(self, key: HsmKey) -> bool:
        """Whether there is such a key."""
        ...

    def inspect(self, key: HsmKey, *, may_leave: bool) -> list[str]:
        """Which attributes are not as they were when it was made."""
        ...

    def sign(self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes) -> bytes:
        """Sign."""
        ...

    def mac(self, key: HsmKey, message: bytes) -> bytes:
        """Make a MAC."""
        ...

    def encrypt(self, key: HsmKey, plaintext: Secret, aad: bytes) -> WrappedBytes:
        """Encrypt."""
        ...

    def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes) -> Secret:
        """Decrypt."""
        ...

    def decrypt_oaep(self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        """Decrypt with RSA-OAEP."""
        ...

    def derive(self, key: HsmKey, peer_spki_der: bytes) -> Secret:
        """Agree on a secret."""
        ...

    def public_key(self, key: HsmKey) -> bytes:
        """Return the public half."""
        ...


def direct_use_calls(direct: DirectKeys) -> Mapping[type, Callable[[Any], object]]:
    """Tell how each use call is done. All are idempotent and need no approval."""
    return {
        DirectSign: lambda call: direct.sign(call.key, call.algorithm, call.signed),
        DirectMac: lambda call: direct.mac(call.key, call.message),
        DirectEncrypt: lambda call: direct.encrypt(call.key, Secret(call.plaintext), call.aad),
        DirectDecrypt: lambda call: direct.decrypt(call.key, call.sealed, call.aad).reveal(),
        DirectDecryptOaep: lambda call: direct.decrypt_oaep(
            call.key, call.algorithm, call.ciphertext
        ).reveal(),
        DirectDerive: lambda call: direct.derive(call.key, call.peer_spki_der).reveal(),
        DirectPublicKey: lambda call: direct.public_key(call.key),
    }


def direct_admin_calls(direct: DirectKeys) -> Mapping[type, Callable[[Any], object]]:
    """Tell how each admin call is done; all but HoldsDirect and InspectDirect change what the token holds."""
    return {
        GenerateDirect: lambda call: direct.generate(call.key, call.label, may_leave=call.may_leave),
        DestroyDirect: lambda call: direct.destroy(call.key),
        HoldsDirect: lambda call: direct.holds(call.key),
        InspectDirect: lambda call: direct.inspect(call.key, may_leave=call.may_leave),
    }
