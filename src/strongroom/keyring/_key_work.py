"""``KeyWork``: what the use verbs need of a key, wherever its secret half is.

An Envelope key works in our memory, a Direct key inside its HSMs. ``KeyUses`` checks what a request asks of a key (its
state, its usage, the algorithm, lengths, the peer's key), picks the ``KeyWorks`` of the key's origin, and has it work.
"""

from typing import Protocol

from strongroom.core import OaepAlgorithm, Secret, SigningAlgorithm
from strongroom.storage import KeyRecord


class KeyWork(Protocol):
    """The current version of one key, ready to work. Only what fits its spec and usage is ever asked of it.

    Every function may wait, and may raise HsmError where an HSM has a part in it. No error holds key bytes.
    """

    @property
    def public_key(self) -> bytes:
        """The public half, SubjectPublicKeyInfo in DER, of which is known that it is that of the secret half.

        Empty for a key that has none.
        """
        ...

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:
        """Sign a digest of the algorithm's hash; for Ed25519 and ML-DSA a message of 1 to 4,096 bytes.

        ``is_mu``, with ML-DSA only: ``signed`` is the message representative of FIPS 204, section 6.2, 64 bytes.
        ECDSA signatures are DER, a PSS salt is as long as the digest.
        """
        ...

    async def mac(self, message: bytes) -> bytes:
        """Make the HMAC of 1 to 4,096 bytes, with the hash of the key's size."""
        ...

    async def derive(self, peer_spki_der: bytes) -> Secret:
        """Agree by ECDH with a public key that is known to be one of the same curve: the shared x coordinate."""
        ...

    async def decrypt_oaep(self, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        """Decrypt bytes as long as the modulus. Raises HsmIntegrityError, whatever is wrong with them."""
        ...


class KeyWorks(Protocol):
    """Where all keys of one origin work. Belongs to one event loop."""

    async def open(self, record: KeyRecord) -> KeyWork:
        """Return a key ready to work, which may take an HSM.

        The record was read just now and is that of an active key; it is the caller who looks again whether it still is.
        Raises HsmError, MissingRecordError.
        """
        ...
