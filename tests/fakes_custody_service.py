"""The custody half of ``FakeKeyService``: the real desk over a database of its own, opened by the thread that serves."""

from custody_service import found_custody
from strongroom.service import CustodyKeeping
from strongroom.service._custody_verbs import CustodyVerbs
from strongroom.storage import Store, create_database


class NoLog:
    """An audit log that takes everything and keeps nothing."""

    async def record(self, *_entry, **_fields):
        return None


class FakeCustody(CustodyVerbs):
    """Needs ``_begin`` and ``_clock`` of ``FakeKeyManagement``. Without ``custody_folder`` there are no officers."""

    custody_folder = None

    async def _use(self, caller, verb, work, **_facts):
        self._begin(verb, caller)
        await self._open()
        return await work

    async def _change(self, caller, verb, act, **_facts):
        self._begin(verb, caller)
        await self._open()
        return await act()

    async def _open(self):
        if self.custody_folder is None or self.custody is not None:
            return
        path = self.custody_folder / "custody.db"
        if not path.exists():
            create_database(path)
        store = Store.open(path)
        genesis_sha256 = await found_custody(store, self._clock)
        self.custody = CustodyKeeping.opened(store, genesis_sha256, NoLog(), clock=self._clock)
