"""Material that is brought while its key goes to another domain KEK comes under that one: the old one is removed at once."""

import pytest

from strongroom.core import Secret
from strongroom.keyring import KeyById
from unit.keyring.domain_checks import IMPORTED, blobs_under, brought, finish_rotations, in_domain


class _StoreWithSomebodyElse:
    """A store before whose ``at``-th write somebody else does something."""

    def __init__(self, store, at, meanwhile):
        self._store, self._at, self._meanwhile = store, at, meanwhile
        self.n_writes = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def write(self, work):
        self.n_writes += 1
        if self.n_writes == self._at:
            await self._meanwhile()
        return await self._store.write(work)


@pytest.mark.parametrize("at", [1, 2], ids=["the key that recognises material", "the material"])
async def test_what_was_sealed_under_a_domain_kek_that_went_meanwhile_is_sealed_anew(bench, keyring, at):
    other = bench.open_keyring()
    await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "tenant-7", IMPORTED)

    async def rotate():
        await other.domains.rotate("tenant-7")
        await finish_rotations(other)

    store = keyring.imports._store = _StoreWithSomebodyElse(keyring.imports._store, at, rotate)
    await brought(keyring, key_id)
    assert store.n_writes == 3, "one of them was in vain"
    heir = keyring.domains.find("tenant-7")
    assert blobs_under(bench.stores[0])[key_id] == {heir.domain_id}
    sealed = await bench.open_keyring().encrypt(KeyById(key_id), Secret(b"data"), {})
    await brought(bench.open_keyring(), key_id)  # the same material is recognised
    opened = await bench.open_keyring().decrypt(sealed.ciphertext, {}, key=None)
    assert opened.plaintext.reveal() == b"data"
