"""A small cluster of fake HSMs as replication sees it: admin doors with transport keys, losses, and a service that dies."""

import asyncio
import copy

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    SystemClock,
    TransportKind,
    WrapAlgorithm,
    random_bytes,
    transport_kind,
)
from strongroom.hsm.cluster import (
    Canary,
    KeyReplication,
    Reconciler,
    Replica,
    RootReplication,
    Rules,
    Turns,
    make_canary,
    prove_use,
)
from strongroom.hsm.wire import KeyCheck, ObjectEntry
from strongroom.storage import RootRecord, TransportKeyRecord
from strongroom.testing import FakeHsm, FakeMember, RecordingEvents

CLOCK = SystemClock()
FASTEST = {"aes": KeySpec.AES_256, "mac": KeySpec.HMAC_256, "ec": KeySpec.ECC_NIST_P256}


def soon(seconds=60.0):
    return Deadline.after(CLOCK, seconds)


class Killed(BaseException):
    """The service died here: nothing of it runs any more."""


class Life:
    """One life of the service. ``dies_after`` steps at the doors, everything that it does raises Killed."""

    def __init__(self):
        self.dies_after = None

    def step(self):
        if self.dies_after is not None:
            if self.dies_after <= 0:
                raise Killed
            self.dies_after -= 1


class MortalStore:
    """The store as one life of the service sees it: a dead one writes nothing."""

    def __init__(self, store, life):
        self._store, self._life = store, life

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def write(self, work):
        self._life.step()
        result = await self._store.write(work)
        self._life.step()
        return result


class FakeKeys:
    """A ``KeyDoor`` over a ``FakeHsm``; transport keys are ``transports``: id → (owner, kind, AES key)."""

    def __init__(self, hsm, transports, life):
        self.hsm, self.transports, self.life = hsm, transports, life
        self._member = FakeMember(hsm)
        self.name = hsm.name

    async def _call(self, work, deadline):
        self.life.step()
        answer = await self._member._call(work, deadline)
        self.life.step()
        return answer

    async def list_objects(self, *, deadline):
        def listed():
            own = [ObjectEntry(*held, is_ghost=False) for held in self.hsm.objects()]
            return own + [
                ObjectEntry("secret_key", transport, "t", is_ghost=False) for transport in self.transports
            ]

        return await self._call(listed, deadline)

    async def generate_root(self, root_id, label, *, deadline):
        made = await self._call(lambda: self.hsm.generate_root(root_id, label), deadline)
        return KeyCheck("CKA_CHECK_VALUE", made)

    async def destroy_root(self, root_id, *, deadline):
        await self._call(lambda: self.hsm.destroy_root(root_id), deadline)

    async def generate_direct(self, key, label, *, may_leave, deadline):
        return await self._call(lambda: self.hsm.direct.generate(key, label, may_leave=may_leave), deadline)

    async def destroy_direct(self, key, *, deadline):
        await self._call(lambda: self.hsm.direct.destroy(key), deadline)

    async def inspect_direct(self, key, *, may_leave, deadline):
        return await self._call(lambda: self.hsm.direct.inspect(key, may_leave=may_leave), deadline)

    async def wrap_out(self, cka_id, kind, transport_id, *, deadline):
        return await self._call(lambda: self._wrap_out(cka_id, kind, transport_id), deadline)

    def _wrap_out(self, cka_id, kind, transport_id):
        owner, carried, transport = self.transports[transport_id]
        assert (owner, carried) == (self.name, kind)
        iv = random_bytes(12)
        return iv + AESGCM(transport).encrypt(iv, self._secret(cka_id), b"")

    def _secret(self, cka_id):
        if cka_id in self.hsm._roots:
            return self.hsm._roots[cka_id]
        if cka_id not in self.hsm.direct._held:
            raise HsmKeyNotFoundError("the token holds no such key")
        held = self.hsm.direct._held[cka_id]
        if not held.may_leave:
            raise HsmRequestError("the key stays in the token")
        if isinstance(held.secret, bytes):
            return held.secret
        return held.secret.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def _opened(self, transport_id, wrapped):
        try:
            return AESGCM(self.transports[transport_id][2]).decrypt(wrapped[:12], wrapped[12:], b"")
        except InvalidTag:
            raise HsmIntegrityError("it does not unwrap") from None

    async def take_in_root(self, root_id, label, *, transport_id, wrapped, check, deadline):
        def take():
            self.hsm._keep_root(root_id, label, self._opened(transport_id, wrapped))

        await self._call(take, deadline)

    async def take_in_key(self, key, label, *, transport_id, wrapped, spki_der, deadline):
        def take():
            assert self.transports[transport_id][1] is transport_kind(key.spec)
            secret = self._opened(transport_id, wrapped)
            made = load_der_private_key(secret, None) if key.spec.is_pair else secret
            self.hsm.direct.keep(key, label, made, may_leave=True)

        await self._call(take, deadline)


class Contents:
    """What an HSM holds, to be brought back later."""

    def __init__(self, hsm):
        self._kept = dict(hsm._roots), dict(hsm.direct._held), list(hsm._objects)

    def bring_back(self, hsm):
        roots, held, objects = self._kept
        hsm._roots, hsm.direct._held, hsm._objects = dict(roots), dict(held), list(objects)


class FakeCluster:
    """Members, records and the two that work on them; ``start`` begins a new life of the service."""

    def __init__(self, store, names=("alpha", "beta", "gamma"), *, min_copies=2):
        self.store, self.rules = store, Rules(min_copies=min_copies)
        self.hsms = {name: FakeHsm(name) for name in names}
        self.transports = {}
        self.serving = []
        self.events = RecordingEvents()
        self.root = None

    async def make(self):
        """Give every member the root and transport keys of its own."""
        first, *others = self.hsms.values()
        root_id = first.make_root()
        canary = await make_canary(
            root_id, FakeMember(first), algorithm=WrapAlgorithm.HSM_AES_GCM, deadline=soon()
        )
        check = first.root_check_value(root_id)
        self.root = RootRecord(root_id, 1, "CKA_CHECK_VALUE", check, canary.blob, canary.digest, 1.0)
        await self.store.write(lambda tx: tx.insert_root(self.root))
        for other in others:
            first.copy_root_to(other, root_id)
        for name in self.hsms:
            for kind in TransportKind:
                record = TransportKeyRecord(random_bytes(16), name, kind, 0x210A, 1.0)
                self.transports[record.transport_id] = (name, kind, random_bytes(32))
                await self.store.write(lambda tx, record=record: tx.insert_transport_key(record))
        await self.start()

    async def start(self):
        """Begin a life of the service: nobody serves yet."""
        self.life = Life()
        self.serving = []
        turns = Turns()
        store = MortalStore(self.store, self.life)
        self.replication = KeyReplication(
            store, self.replicas, rules=self.rules, turns=turns, events=self.events, clock=CLOCK
        )
        self.reconciler = Reconciler(
            store, self.replicas, root_label="root", turns=turns, events=self.events, clock=CLOCK
        )
        self.roots = RootReplication(
            store,
            self.replicas,
            label="root",
            rules=self.rules,
            turns=turns,
            events=self.events,
            clock=CLOCK,
        )
        await self.replication.resolve_pending()
        await self.roots.resolve_pending()

    def replica(self, name):
        hsm = self.hsms[name]
        return Replica(name, FakeKeys(hsm, self.transports, self.life), FakeMember(hsm))

    def replicas(self):
        return [self.replica(name) for name in self.serving]

    async def join(self, name):
        """What the supervisor does with a member that comes back; returns its report, or raises why it does not serve."""
        report = await self.reconciler.reconcile(self.replica(name))
        canary = Canary(self.root.canary, self.root.canary_digest)
        await prove_use(self.root.root_id, canary, FakeMember(self.hsms[name]), deadline=soon())
        self.reconciler.require_same_keys(report)
        await self.reconciler.catch_up(self.replica(name))
        self.serving.append(name)
        await self.help()
        return report

    async def help(self):
        """What the service does from time to time with members that serve and lack something."""
        for other in self.reconciler.needing_others():
            if other in self.serving:
                await self.reconciler.reconcile(self.replica(other))
                await self.reconciler.catch_up(self.replica(other))

    async def join_all(self):
        for name in self.hsms:
            if name not in self.serving:
                await self.join(name)

    async def create(self, spec=KeySpec.AES_256, *, may_leave=True, seconds=60.0):
        usage = min(spec.usages, key=lambda usage: usage != "SIGN_VERIFY")
        return await self.replication.create(
            spec, usage, "a key", may_leave=may_leave, deadline=soon(seconds)
        )

    def holders(self, record):
        return {name for name, hsm in self.hsms.items() if hsm.direct.holds(record.key)}


def run(loop, work):
    """Run a coroutine on a loop of one's own, as tests without a loop must."""
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(work)


def contents_of(hsm):
    return copy.copy(Contents(hsm))
