"""A whole service in one process: real keyring, store and audit log, over one fake HSM."""

from fakes_keyring import KeyringBench
from strongroom.audit import AuditLog, read_entries
from strongroom.service import AccessBook, AccessWriter, Caller, Held, KeyAuthority, Role, Service
from strongroom.storage import Store
from unit.audit.audit_fakes import FlakyDisk

ACCOUNT = "123456789012"
EVERYTHING = "user/everything"
ACCESS_KEYS = {EVERYTHING: "AKIATEST", **{f"user/{role}": f"AKIA-{role}" for role in Role}}
"""Principal → its access key."""
EVERY_ROLE = frozenset({"crypto-officer", "crypto-user", "operator"})
"""All that one principal can be at once, and what the administrator of a development home is."""
HELD = (
    Held("AKIATEST", EVERYTHING, EVERY_ROLE),
    *(Held(f"AKIA-{role}", f"user/{role}", frozenset({str(role)})) for role in Role),
    Held("AKIA-STRANGER", "user/stranger", frozenset()),
)


class WatchingStore(Store):
    """Looks at the audit log on disk at the moment of each write, before it begins."""

    directory = None
    seen = None

    async def write(self, work):
        self.seen.append([(entry.kind, entry.event) for entry in read_entries(self.directory)])
        return await super().write(work)


class ServiceBench(KeyringBench):
    """``service`` and what it stands on; ``disk`` makes the audit log fail."""

    def __init__(self, made, folder):
        super().__init__(made, folder / "strongroom.db")
        self.directory = folder / "audit"
        self.disk = FlakyDisk()
        self.audit = AuditLog.open(
            self.directory, "api-0", clock=self.clock, retry_after_s=0.02, open_folder=self.disk.open_folder
        )
        self.store = WatchingStore.open(self.path)
        self.store.directory, self.store.seen = self.directory, []
        self.stores.append(self.store)
        self.keyring = self.open_keyring(store=self.store)
        self.authority = self.make_authority(self.keyring, self.store)
        self.service = Service(self.keyring, self.audit, policy=self.authority)
        self._requests = 0

    def make_authority(self, keyring, store):
        """Return who decides in a process of this keyring and store."""
        book = AccessBook(store, keyring.records, account_id=ACCOUNT, clients=HELD)
        return KeyAuthority(book, AccessWriter(store, self.clock), is_tls=True)

    def caller(self, principal=EVERYTHING):
        self._requests += 1
        access_key_id = ACCESS_KEYS.get(principal, "AKIA-STRANGER")
        return Caller(principal, access_key_id, "192.0.2.7", "eu-central-1", f"request-{self._requests}")

    def entries(self):
        return list(read_entries(self.directory))

    def logged_bytes(self):
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in files)

    def close(self):
        self.disk.decide = lambda _call: None
        self.audit.close()
        super().close()
