"""A main process for keyrings in tests: makes Direct keys in a fake HSM, and ends keys, with the records as main keeps them."""

from strongroom.core import (
    Clock,
    DestroyedHsmKeys,
    HsmKey,
    HsmKeyId,
    HsmRequestError,
    MadeHsmKey,
    random_bytes,
)
from strongroom.keyring import HsmAccess, end_due_key
from strongroom.storage import HsmKeyRecord, HsmKeyState, Store
from strongroom.testing import FakeHsm, FakeMember

CLUSTER = "cluster-strongroomhsms"


class FakeKeyMaker:
    """A ``core.HsmKeyMaker``. ``fail_with`` is raised by ``make`` before, ``lose_with`` after the key is there."""

    def __init__(self, store: Store, hsm: FakeHsm, clock: Clock) -> None:
        self.store, self.hsm, self.clock = store, hsm, clock
        self.fail_with = self.lose_with = None

    async def make(self, key_id, version, spec, usage, *, approval=""):
        if self.fail_with is not None:
            raise self.fail_with
        if usage not in spec.usages:
            raise HsmRequestError(f"a key of {spec} cannot be made for {usage}")
        key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
        public_key = self.hsm.direct.generate(key, "k", may_leave=True)
        record = HsmKeyRecord(*key, "k", True, HsmKeyState.ACTIVE, public_key, self.clock.now())
        record = record._replace(made_for=f"{key_id}/{version}")
        await self.store.write(lambda tx: tx.insert_hsm_key(record))
        if self.lose_with is not None:
            raise self.lose_with
        return MadeHsmKey(key.key_id, public_key)

    async def destroy(self, key_id, *, approval=""):
        def end(tx):
            ended = end_due_key(tx, key_id, self.clock.now())
            for hsm_key_id in ended.hsm_key_ids if ended else ():
                record = tx.get_hsm_key(hsm_key_id)
                gone = record._replace(state=HsmKeyState.DESTROYED, destroyed_at=self.clock.now())
                tx.move_hsm_key(gone, was=HsmKeyState.ACTIVE)
                self.hsm.direct.destroy(record.key)
            return ended

        ended = await self.store.write(end)
        return None if ended is None else DestroyedHsmKeys(ended.n_versions, ended.n_aliases, ())


def fake_access(store, hsm, clock, *, is_active=lambda: True):
    """The way of a keyring to the Direct keys of one fake HSM."""
    return HsmAccess(CLUSTER, FakeMember(hsm), FakeKeyMaker(store, hsm, clock), is_active)
