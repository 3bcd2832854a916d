"""The custody half of ``FakeKeyService``: the real desk over a database of its own, opened by the thread that serves."""

from contextlib import asynccontextmanager

from custody_service import found_custody
from fresh_database import fresh_database
from strongroom.service import CustodyKeeping
from strongroom.service._custody_verbs import CustodyVerbs
from strongroom.storage import Store


class NoLog:
    """An audit log that takes everything and keeps nothing."""

    async def record(self, *_entry, **_fields):
        return None


class _Verbs(CustodyVerbs):
    """The verbs as they are, without authorisation and audit, but with the failures that a test wants (``_begin``)."""

    def __init__(self, fake):
        self.fake = fake

    async def _use(self, caller, verb, work, **_facts):
        try:
            async with self._opened():
                self.fake._begin(verb, caller)
                return await work
        finally:
            work.close()

    async def _change(self, caller, verb, act, **_facts):
        async with self._opened():
            self.fake._begin(verb, caller)
            return await act()

    @asynccontextmanager
    async def _opened(self):
        """Open the database for the length of a call: the thread that opens it has to close it."""
        fake = self.fake
        if fake.custody_folder is None:
            yield
            return
        path = fake.custody_folder / "custody.db"
        if fake.genesis_sha256 is None:
            fresh_database(path)
        with Store.open(path) as store:
            if fake.genesis_sha256 is None:
                fake.genesis_sha256 = await found_custody(store, fake._clock)
            self.custody = CustodyKeeping.opened(store, fake.genesis_sha256, NoLog(), clock=fake._clock)
            try:
                yield
            finally:
                self.custody = None


class FakeCustody:
    """Needs ``_begin`` and ``_clock`` of ``FakeKeyManagement``. Without ``custody_folder`` there are no officers."""

    def start_custody(self):
        self.custody_folder = self.genesis_sha256 = None
        self.custody_verbs = _Verbs(self)
        for name in (
            "describe_custody", "list_approvals", "describe_approval", "request_approval", "approve_request",
            "reject_request", "get_evidence",
        ):  # fmt: skip
            setattr(self, name, getattr(self.custody_verbs, name))
