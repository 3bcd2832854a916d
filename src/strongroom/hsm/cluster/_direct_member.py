"""Direct keys of one member, through its worker's sockets."""

from abc import ABC, abstractmethod

from strongroom.core import Deadline, HsmKey, OaepAlgorithm, Secret, SigningAlgorithm, WrappedBytes
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
    WireClient,
)


class RemoteDirectUse(ABC):
    """``core.HsmDirectUse`` over one use socket."""

    async def sign(
        self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes, *, deadline: Deadline
    ) -> bytes:
        """Sign a digest, or for Ed25519 a message (``core.HsmDirectUse.sign``)."""
        client = await self._connected(deadline)
        return await client.call(DirectSign(key, algorithm, signed), timeout_s=seconds_left(deadline))

    async def mac(self, key: HsmKey, message: bytes, *, deadline: Deadline) -> bytes:
        """Make a MAC (``core.HsmDirectUse.mac``)."""
        client = await self._connected(deadline)
        return await client.call(DirectMac(key, message), timeout_s=seconds_left(deadline))

    async def encrypt(
        self, key: HsmKey, plaintext: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt under an AES key (``core.HsmDirectUse.encrypt``)."""
        client = await self._connected(deadline)
        call = DirectEncrypt(key, plaintext.reveal(), aad)
        return await client.call(call, timeout_s=seconds_left(deadline))

    async def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes, *, deadline: Deadline) -> Secret:
        """Decrypt under an AES key (``core.HsmDirectUse.decrypt``)."""
        client = await self._connected(deadline)
        return Secret(await client.call(DirectDecrypt(key, sealed, aad), timeout_s=seconds_left(deadline)))

    async def decrypt_oaep(
        self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt under an RSA key (``core.HsmDirectUse.decrypt_oaep``)."""
        client = await self._connected(deadline)
        call = DirectDecryptOaep(key, algorithm, ciphertext)
        return Secret(await client.call(call, timeout_s=seconds_left(deadline)))

    async def derive(self, key: HsmKey, peer_spki_der: bytes, *, deadline: Deadline) -> Secret:
        """Agree on a secret by ECDH (``core.HsmDirectUse.derive``)."""
        client = await self._connected(deadline)
        return Secret(await client.call(DirectDerive(key, peer_spki_der), timeout_s=seconds_left(deadline)))

    async def public_key(self, key: HsmKey, *, deadline: Deadline) -> bytes:
        """Return the public half (``core.HsmDirectUse.public_key``)."""
        client = await self._connected(deadline)
        return await client.call(DirectPublicKey(key), timeout_s=seconds_left(deadline))

    @abstractmethod
    async def _connected(self, deadline: Deadline) -> WireClient: ...


class RemoteDirectAdmin(ABC):
    """Making and destroying Direct keys over one admin socket. Nothing is repeated by itself."""

    async def generate_direct(self, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        """Make a key; return its public half, SPKI DER, or no bytes if it has none."""
        client, timeout_s = self._door()
        return await client.call(GenerateDirect(key, label, may_leave), timeout_s=timeout_s)

    async def destroy_direct(self, key: HsmKey) -> None:
        """Destroy every object of a key. Raises HsmKeyNotFoundError when there is none."""
        client, timeout_s = self._door()
        await client.call(DestroyDirect(key), timeout_s=timeout_s)

    @abstractmethod
    def _door(self) -> tuple[WireClient, float]: ...


def seconds_left(deadline: Deadline) -> float:
    """Return what is left until a deadline, at least 0."""
    return max(deadline.remaining_s(), 0.0)
