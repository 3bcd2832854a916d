"""What the service promises of the verbs with pairs and HMAC keys."""

from collections.abc import Mapping
from typing import Protocol

from strongroom.core import MacAlgorithm, ManagedKeySpec, OaepAlgorithm, Secret, SigningAlgorithm
from strongroom.keyring import (
    DataKeyPair,
    Decrypted,
    Derived,
    Encrypted,
    KeyRef,
    Maced,
    MessageType,
    PublicHalf,
    ReEncrypted,
    Signed,
    Verified,
)
from strongroom.service._caller import Caller


class AsymmetricService(Protocol):
    """A part of ``KeyService``. Each verb raises what ``KeyUses`` of the keyring does, with ``dry_run`` DryRunError."""

    async def sign(
        self,
        caller: Caller,
        key: KeyRef,
        message: bytes,
        *,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        dry_run: bool,
    ) -> Signed:
        """Sign 1 to 4,096 bytes."""
        ...

    async def verify(
        self,
        caller: Caller,
        key: KeyRef,
        message: bytes,
        *,
        signature: bytes,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        dry_run: bool,
    ) -> Verified:
        """Verify a signature. Raises InvalidSignatureError."""
        ...

    async def generate_mac(
        self, caller: Caller, key: KeyRef, message: bytes, *, algorithm: MacAlgorithm, dry_run: bool
    ) -> Maced:
        """Make the HMAC of 1 to 4,096 bytes."""
        ...

    async def verify_mac(
        self,
        caller: Caller,
        key: KeyRef,
        message: bytes,
        *,
        mac: bytes,
        algorithm: MacAlgorithm,
        dry_run: bool,
    ) -> Verified:
        """Verify an HMAC. Raises InvalidMacError."""
        ...

    async def get_public_key(self, caller: Caller, key: KeyRef) -> PublicHalf:
        """Return the public half of a pair."""
        ...

    async def derive_shared_secret(
        self, caller: Caller, key: KeyRef, *, peer_public_key: bytes, dry_run: bool
    ) -> Derived:
        """Agree on a secret by ECDH with the owner of a public key (SubjectPublicKeyInfo in DER)."""
        ...

    async def generate_data_key_pair(
        self,
        caller: Caller,
        key: KeyRef,
        *,
        spec: ManagedKeySpec,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> DataKeyPair:
        """Make a pair, its private half in clear and encrypted under a symmetric key."""
        ...

    async def generate_data_key_pair_without_plaintext(
        self,
        caller: Caller,
        key: KeyRef,
        *,
        spec: ManagedKeySpec,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> DataKeyPair:
        """Make a pair whose private half nobody sees before it is decrypted: it is zeroized in the answer."""
        ...

    async def encrypt_by(
        self,
        caller: Caller,
        key: KeyRef,
        plaintext: Secret,
        *,
        algorithm: OaepAlgorithm | None,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> Encrypted:
        """Encrypt under an RSA key's public half, or (``algorithm`` None) as ``encrypt``; context only with the latter."""
        ...

    async def decrypt_by(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        key: KeyRef | None,
        algorithm: OaepAlgorithm | None,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> Decrypted:
        """Decrypt what ``encrypt_by`` made; RSA needs the key's name. Raises InvalidCiphertextError."""
        ...

    async def re_encrypt_by(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        source_key: KeyRef | None,
        source_algorithm: OaepAlgorithm | None,
        source_context: Mapping[str, str],
        key: KeyRef,
        algorithm: OaepAlgorithm | None,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> ReEncrypted:
        """Do as ``decrypt_by`` and ``encrypt_by`` after each other; the caller sees no plaintext."""
        ...

    async def generate_data_key_dry(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str], verb: str
    ) -> None:
        """Check what GenerateDataKey and its kin (``verb``) would, and raise DryRunError when all is well."""
        ...
