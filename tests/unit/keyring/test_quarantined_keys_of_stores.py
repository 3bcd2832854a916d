"""A Direct key in quarantine does no work, in software by its public half neither; others of the store do."""

import pytest

from fakes_direct_keys import CLUSTER, fake_access
from strongroom.core import HsmKeyQuarantinedError, KeyOrigin, KeyUsage, ManagedKeySpec
from strongroom.keyring import KeyKind
from strongroom.keyring import _direct as direct_module
from strongroom.keyring._direct import DirectKeys

KIND = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, KeyOrigin.AWS_CLOUDHSM)


@pytest.fixture
async def made(bench, keyring):
    """The keys of a store by themselves, two of them, and the ids of those that are in quarantine."""
    info = await keyring.key_stores.create("hsm", CLUSTER)
    await keyring.key_stores.connect(info.store_id)
    store, quarantined = bench.stores[-1], set()
    kind = KIND._replace(store_id=info.store_id)
    records = [store.get_key((await keyring.create_key("k", {}, kind)).key_id) for _ in range(2)]

    def require_usable(key_id):
        if key_id in quarantined:
            raise HsmKeyQuarantinedError("in quarantine")

    access = fake_access(store, bench.cluster.hsm, bench.clock)._replace(require_usable=require_usable)
    direct = DirectKeys(store, keyring.key_stores, access, clock=bench.clock, request_s=10.0)
    return direct, records, quarantined


async def test_a_key_in_quarantine_is_not_opened_though_its_public_half_was_confirmed(made):
    direct, (bad, good), quarantined = made
    assert (await direct.open(bad)).public_key
    quarantined.add(direct.version(bad, 1).hsm_key_id)
    with pytest.raises(HsmKeyQuarantinedError):
        await direct.open(bad)
    assert (await direct.open(good)).public_key
    quarantined.clear()
    assert (await direct.open(bad)).public_key


async def test_what_is_remembered_of_public_halves_has_a_bound(made, monkeypatch):
    monkeypatch.setattr(direct_module, "_MOST_CONFIRMED", 1)
    direct, records, _ = made
    for record in records * 2:
        await direct.open(record)
        assert len(direct._confirmed) == 1
