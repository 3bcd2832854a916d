"""``DataKeyPairs``: pairs that callers use outside, the private half encrypted under a symmetric key of ours."""

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

from strongroom.core import ManagedKeySpec, Secret
from strongroom.keyring._errors import DryRunError
from strongroom.keyring._material import generate_material
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._use_values import DataKeyPair
from strongroom.keyring._values import Encrypted, KeyById, KeyRef

DATA_KEY_PAIR_SPECS: Final = tuple(
    spec for spec in ManagedKeySpec if spec.direct is not None and spec.direct.is_pair
)
"""RSA, ECC and Ed25519."""


class _Encrypts(Protocol):
    async def encrypt(self, key: KeyRef, plaintext: Secret, context: Mapping[str, str]) -> Encrypted: ...

    def discarded(self, made: Encrypted) -> None: ...


class DataKeyPairs:
    """Makes pairs of data keys. Belongs to one event loop; they are made on the thread of ``slow``."""

    def __init__(self, keys: _Encrypts, slow: SlowWork) -> None:
        self._keys = keys
        self._slow = slow

    async def generate(
        self, key: KeyRef, spec: ManagedKeySpec, context: Mapping[str, str], *, dry_run: bool = False
    ) -> DataKeyPair:
        """Make a pair of one of ``DATA_KEY_PAIR_SPECS`` and encrypt its private half (PKCS#8) with ``key``.

        Raises as ``Keyring.encrypt``, TooBusyError, and DryRunError when all but that is well and it was asked for.
        """
        # Whether the key can encrypt with this context is known before up to seconds are spent.
        tried = await self._keys.encrypt(key, Secret(b"\x00"), context)
        self._keys.discarded(tried)
        if dry_run:
            raise DryRunError(key_id=tried.key_id, material_id=tried.material_id)
        made = await self._slow.run(partial(generate_material, spec))
        try:
            sealed = await self._keys.encrypt(KeyById(tried.key_id), made.secret, context)
        except BaseException:
            made.secret.zeroize()
            raise
        return DataKeyPair(sealed.key_id, sealed.material_id, made.public_key, made.secret, sealed.ciphertext)

    async def generate_without_plaintext(
        self, key: KeyRef, spec: ManagedKeySpec, context: Mapping[str, str], *, dry_run: bool = False
    ) -> DataKeyPair:
        """As ``generate``, without giving the private half away in clear: it is overwritten."""
        made = await self.generate(key, spec, context, dry_run=dry_run)
        made.private_key.zeroize()
        return made
