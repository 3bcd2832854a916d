"""Direct keys of the whole cluster: each verb on whichever member can."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

from strongroom.core import (
    Deadline,
    HsmDirectUse,
    HsmKey,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    WrappedBytes,
)

T = TypeVar("T")


class ClusterDirectUse(ABC):
    """``core.HsmDirectUse`` over any member; every verb raises NoMemberError too.

    Latencies are kept by verb and key spec: an RSA-4096 signature takes a hundred times as long as one on P-256.
    """

    async def sign(
        self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes, *, deadline: Deadline
    ) -> bytes:
        """Sign a digest, or for Ed25519 a message (``core.HsmDirectUse.sign``)."""
        return await self._on(
            "sign", key, deadline, lambda hsm, d: hsm.sign(key, algorithm, signed, deadline=d)
        )

    async def mac(self, key: HsmKey, message: bytes, *, deadline: Deadline) -> bytes:
        """Make a MAC (``core.HsmDirectUse.mac``)."""
        return await self._on("mac", key, deadline, lambda hsm, d: hsm.mac(key, message, deadline=d))

    async def encrypt(
        self, key: HsmKey, plaintext: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt under an AES key (``core.HsmDirectUse.encrypt``)."""
        return await self._on(
            "encrypt", key, deadline, lambda hsm, d: hsm.encrypt(key, plaintext, aad, deadline=d)
        )

    async def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes, *, deadline: Deadline) -> Secret:
        """Decrypt under an AES key (``core.HsmDirectUse.decrypt``)."""
        return await self._on(
            "decrypt", key, deadline, lambda hsm, d: hsm.decrypt(key, sealed, aad, deadline=d)
        )

    async def decrypt_oaep(
        self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt under an RSA key (``core.HsmDirectUse.decrypt_oaep``)."""
        return await self._on(
            "decrypt", key, deadline, lambda hsm, d: hsm.decrypt_oaep(key, algorithm, ciphertext, deadline=d)
        )

    async def derive(self, key: HsmKey, peer_spki_der: bytes, *, deadline: Deadline) -> Secret:
        """Agree on a secret by ECDH (``core.HsmDirectUse.derive``)."""
        return await self._on(
            "derive", key, deadline, lambda hsm, d: hsm.derive(key, peer_spki_der, deadline=d)
        )

    async def public_key(self, key: HsmKey, *, deadline: Deadline) -> bytes:
        """Return the public half (``core.HsmDirectUse.public_key``)."""
        return await self._on("public key", key, deadline, lambda hsm, d: hsm.public_key(key, deadline=d))

    async def _on(
        self,
        verb_name: str,
        key: HsmKey,
        deadline: Deadline,
        verb: Callable[[HsmDirectUse, Deadline], Awaitable[T]],
    ) -> T:
        return await self._use(f"{verb_name} {key.spec}", verb, deadline, key_id=key.key_id)

    @abstractmethod
    async def _use(
        self,
        verb_name: str,
        verb: Callable[[HsmDirectUse, Deadline], Awaitable[T]],
        deadline: Deadline,
        *,
        key_id: bytes = b"",
    ) -> T: ...
