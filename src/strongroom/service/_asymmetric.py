"""``AsymmetricVerbs``: signing, MACs, key agreement, RSA encryption and pairs of data keys; and rehearsals (DryRun)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
from strongroom.service._audited import AuditedVerbs
from strongroom.service._authority import Source
from strongroom.service._facts import detail_of_request
from strongroom.service._values import Caller

_ECDH: Final = "ECDH"


_SIGNING_VALUES: Final[Mapping[tuple[SigningAlgorithm, MessageType], Mapping[str, tuple[str, ...]]]] = (
    MappingProxyType(
        {
            (algorithm, kind): MappingProxyType(
                {"kms:signingalgorithm": (str(algorithm),), "kms:messagetype": (str(kind),)}
            )
            for algorithm in SigningAlgorithm
            for kind in MessageType
        }
    )
)


def signing_values(algorithm: SigningAlgorithm, kind: MessageType) -> Mapping[str, tuple[str, ...]]:
    """Return what a policy may ask of a request to sign or verify, by condition key."""
    return _SIGNING_VALUES[algorithm, kind]


class AsymmetricVerbs(AuditedVerbs):
    """See ``AsymmetricService`` for what each verb promises. The algorithm is in the audit entry of each."""

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
        """Sign."""
        work = self._keyring.uses.sign(key, algorithm, message, kind, dry_run=dry_run)
        further = signing_values(algorithm, kind)
        detail = _detail(key, algorithm)
        return await self._use(caller, "Sign", work, key=key, detail=detail, further=further)

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
        """Verify a signature."""
        work = self._keyring.uses.verify(key, algorithm, message, kind, signature, dry_run=dry_run)
        further = signing_values(algorithm, kind)
        detail = _detail(key, algorithm)
        return await self._use(caller, "Verify", work, key=key, detail=detail, further=further)

    async def generate_mac(
        self, caller: Caller, key: KeyRef, message: bytes, *, algorithm: MacAlgorithm, dry_run: bool
    ) -> Maced:
        """Make an HMAC."""
        work = self._keyring.uses.generate_mac(key, algorithm, message, dry_run=dry_run)
        further = {"kms:macalgorithm": (str(algorithm),)}
        detail = _detail(key, algorithm)
        return await self._use(caller, "GenerateMac", work, key=key, detail=detail, further=further)

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
        """Verify an HMAC."""
        work = self._keyring.uses.verify_mac(key, algorithm, message, mac, dry_run=dry_run)
        further = {"kms:macalgorithm": (str(algorithm),)}
        detail = _detail(key, algorithm)
        return await self._use(caller, "VerifyMac", work, key=key, detail=detail, further=further)

    async def get_public_key(self, caller: Caller, key: KeyRef) -> PublicHalf:
        """Return the public half of a pair."""
        work = self._keyring.uses.public_key(key)
        return await self._use(caller, "GetPublicKey", work, key=key, detail=_detail(key))

    async def derive_shared_secret(
        self, caller: Caller, key: KeyRef, *, peer_public_key: bytes, dry_run: bool
    ) -> Derived:
        """Agree on a secret."""
        work = self._keyring.uses.derive(key, peer_public_key, dry_run=dry_run)
        further = {"kms:keyagreementalgorithm": (_ECDH,)}
        detail = _detail(key, _ECDH)
        return await self._use(caller, "DeriveSharedSecret", work, key=key, detail=detail, further=further)

    async def generate_data_key_pair(
        self,
        caller: Caller,
        key: KeyRef,
        *,
        spec: ManagedKeySpec,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> DataKeyPair:
        """Make a pair of data keys."""
        work = self._keyring.data_key_pairs.generate(key, spec, context, dry_run=dry_run)
        detail = _detail(key, context=context) | {"pair": spec}
        further = {"kms:datakeypairspec": (str(spec),)}
        return await self._use(
            caller, "GenerateDataKeyPair", work, key=key, context=context, detail=detail, further=further
        )

    async def generate_data_key_pair_without_plaintext(
        self,
        caller: Caller,
        key: KeyRef,
        *,
        spec: ManagedKeySpec,
        context: Mapping[str, str],
        dry_run: bool,
    ) -> DataKeyPair:
        """Make a pair of data keys, its private half encrypted only."""
        pairs = self._keyring.data_key_pairs
        work = pairs.generate_without_plaintext(key, spec, context, dry_run=dry_run)
        detail = _detail(key, context=context) | {"pair": spec}
        further = {"kms:datakeypairspec": (str(spec),)}
        verb = "GenerateDataKeyPairWithoutPlaintext"
        return await self._use(caller, verb, work, key=key, context=context, detail=detail, further=further)

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
        """Encrypt by any algorithm."""
        work = self._keyring.either.encrypt(
            key, plaintext, algorithm=algorithm, context=context, dry_run=dry_run
        )
        detail = _detail(key, algorithm, context)
        return await self._use(caller, "Encrypt", work, key=key, context=context, detail=detail)

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
        """Decrypt by any algorithm."""
        work = self._keyring.either.decrypt(
            ciphertext, key=key, algorithm=algorithm, context=context, dry_run=dry_run
        )
        detail = _detail(key, algorithm, context)
        named = ciphertext if algorithm is None else None  # the other kind names no key
        return await self._use(
            caller, "Decrypt", work, key=key, ciphertext=named, context=context, detail=detail
        )

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
        """Decrypt and encrypt by any algorithms."""
        work = self._keyring.either.re_encrypt(
            ciphertext,
            source_key=source_key,
            source_algorithm=source_algorithm,
            source_context=source_context,
            key=key,
            algorithm=algorithm,
            context=context,
            dry_run=dry_run,
        )
        of_source = _detail(source_key, source_algorithm, source_context)
        detail = _detail(key, algorithm, context) | {
            f"source_{name}": text for name, text in of_source.items()
        }
        named = ciphertext if source_algorithm is None else None  # the other kind names no key
        source_key_id = self._keyring.identify(source_key, named)
        if source_key_id is not None:
            detail["source_key"] = source_key_id
        source = Source(source_key, named, source_context)
        return await self._use(
            caller, "ReEncrypt", work, key=key, context=context, source=source, detail=detail
        )

    async def generate_data_key_dry(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str], verb: str
    ) -> None:
        """Rehearse making a data key."""
        work = self._keyring.either.rehearse_data_key(key, n_bytes, context)
        detail = _detail(key, context=context)
        await self._use(caller, verb, work, key=key, context=context, detail=detail)


def _detail(
    key: KeyRef | None, algorithm: str | None = None, context: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Say what a request names besides a key id."""
    detail = detail_of_request(key, context or {})
    return detail if algorithm is None else {**detail, "algorithm": algorithm}
