"""``EitherUses``: encrypting and decrypting by whichever algorithm the caller names, and rehearsing it."""

from collections.abc import Mapping
from typing import Protocol

from strongroom.core import OaepAlgorithm, Secret, random_bytes
from strongroom.keyring._errors import DryRunError, UnfitRequestError
from strongroom.keyring._records import KeyRecords
from strongroom.keyring._uses import KeyUses
from strongroom.keyring._values import Decrypted, Encrypted, KeyRef, ReEncrypted


class SymmetricUses(Protocol):
    """The part of ``Keyring`` that this stands on."""

    async def encrypt(self, key: KeyRef, plaintext: Secret, context: Mapping[str, str]) -> Encrypted:
        """See ``Keyring.encrypt``."""
        ...

    async def decrypt(
        self, ciphertext: bytes, context: Mapping[str, str], *, key: KeyRef | None
    ) -> Decrypted:
        """See ``Keyring.decrypt``."""
        ...

    def discarded(self, made: Encrypted) -> None:
        """See ``Keyring.discarded``."""
        ...

    def moved(self, ciphertext: bytes, opened: Decrypted) -> None:
        """See ``Keyring.moved``."""
        ...


class EitherUses:
    """Encrypts by RSAES-OAEP where an algorithm is named, else with a symmetric key. Belongs to one event loop.

    With ``dry_run`` all is done, the result thrown away and DryRunError raised in its place.
    """

    def __init__(self, symmetric: SymmetricUses, pairs: KeyUses, records: KeyRecords) -> None:
        self._symmetric = symmetric
        self._pairs = pairs
        self._records = records

    async def encrypt(
        self,
        key: KeyRef,
        plaintext: Secret,
        *,
        algorithm: OaepAlgorithm | None,
        context: Mapping[str, str],
        dry_run: bool = False,
    ) -> Encrypted:
        """Encrypt. Raises as ``Keyring.encrypt`` or ``KeyUses.encrypt_oaep``."""
        if algorithm is not None:
            _refuse_context(context)
            return await self._pairs.encrypt_oaep(key, plaintext, algorithm, dry_run=dry_run)
        made = await self._symmetric.encrypt(key, plaintext, context)
        if dry_run:
            self._symmetric.discarded(made)
            raise DryRunError(key_id=made.key_id, material_id=made.material_id)
        return made

    async def decrypt(
        self,
        ciphertext: bytes,
        *,
        key: KeyRef | None,
        algorithm: OaepAlgorithm | None,
        context: Mapping[str, str],
        dry_run: bool = False,
    ) -> Decrypted:
        """Decrypt. Raises as ``Keyring.decrypt`` or ``KeyUses.decrypt_oaep``."""
        if algorithm is not None:
            _refuse_context(context)
            if key is None:
                raise UnfitRequestError(
                    "KeyId is required when the ciphertext was encrypted under an asymmetric key."
                )
            return await self._pairs.decrypt_oaep(key, ciphertext, algorithm, dry_run=dry_run)
        opened = await self._symmetric.decrypt(ciphertext, context, key=key)
        if dry_run:
            opened.plaintext.zeroize()
            raise DryRunError(key_id=opened.key_id, material_id=opened.material_id)
        return opened

    async def re_encrypt(
        self,
        ciphertext: bytes,
        *,
        source_key: KeyRef | None,
        source_algorithm: OaepAlgorithm | None,
        source_context: Mapping[str, str],
        key: KeyRef,
        algorithm: OaepAlgorithm | None,
        context: Mapping[str, str],
        dry_run: bool = False,
    ) -> ReEncrypted:
        """Decrypt and encrypt anew; the plaintext is overwritten before this returns."""
        key = self._records.pinned(key)
        if source_key is not None:
            source_key = self._records.pinned(source_key)
        await self._rehearse(key, algorithm=algorithm, context=context)
        opened = await self.decrypt(
            ciphertext, key=source_key, algorithm=source_algorithm, context=source_context
        )
        try:
            made = await self.encrypt(key, opened.plaintext, algorithm=algorithm, context=context)
        finally:
            opened.plaintext.zeroize()
        if dry_run:
            if algorithm is None:
                self._symmetric.discarded(made)
            raise DryRunError(key_id=made.key_id, material_id=made.material_id)
        if source_algorithm is None:
            self._symmetric.moved(ciphertext, opened)
        return ReEncrypted(opened.key_id, opened.material_id, made.key_id, made.material_id, made.ciphertext)

    async def rehearse_data_key(self, key: KeyRef, n_bytes: int, context: Mapping[str, str]) -> None:
        """Make a data key and throw it away. Raises DryRunError when that went well."""
        made = Secret(random_bytes(n_bytes))
        await self.encrypt(key, made, algorithm=None, context=context, dry_run=True)

    async def _rehearse(
        self, key: KeyRef, *, algorithm: OaepAlgorithm | None, context: Mapping[str, str]
    ) -> None:
        """Nothing is decrypted before the other key is known to be at hand."""
        try:
            await self.encrypt(key, Secret(b"\x00"), algorithm=algorithm, context=context, dry_run=True)
        except DryRunError:
            return


def _refuse_context(context: Mapping[str, str]) -> None:
    if context:
        raise UnfitRequestError("Encryption context is not supported with asymmetric keys.")
