"""A member worker on SoftHSM whose token pinned the genesis of officers: started as main starts it, spoken to as main does."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from fakes_custody import CO, NOW, PEOPLE, RULES, SO, approve, genesis_body, person, signed_genesis
from running_service import copy_home
from strongroom.config import load_config, read_pin
from strongroom.core import HsmKey, HsmKeyId, KeySpec, KeyUsage
from strongroom.custody import Chain, QuorumRule, new_request, write_document
from strongroom.hsm.wire import AdmitAct, FollowChain, ListObjects, PinCustody, WhereInChain, WireClient
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member

WORKER_RULES = {
    **RULES,
    "CreateHsmKey": QuorumRule(m=2, role=CO, expires_s=3_600, standing=True),
    "DestroyHsmKey": QuorumRule(m=2, role=CO, expires_s=3_600, standing=False),
    "RotateRoot": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "RetireRoot": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "AddMember": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "MakeAuditKey": QuorumRule(m=2, role=CO, expires_s=3_600, standing=False),
    "PruneAuditLog": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "MakeBackupSet": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "CreateBackup": QuorumRule(m=2, role=CO, expires_s=3_600, standing=True),
    "RestoreBackup": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "RetireBackupSet": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "RotatePin": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
}
WORKER_PEOPLE = tuple(
    person(name, roles, keys=(name, f"{name}-2") if name == "dora" else None)
    for name, roles in PEOPLE.items()
)
"""Dora has two keys."""
BODY = genesis_body(rules=WORKER_RULES, people=PEOPLE)
BODY = msgspec.structs.replace(BODY, people=WORKER_PEOPLE)
SPEC, USAGE = KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT
CREATE = {"spec": str(SPEC), "usage": str(USAGE), "may_leave": True}


def seconds():
    return int(time.time())


def genesis():
    return signed_genesis(BODY)


def chain():
    return Chain.from_documents(genesis())


def key_named(number):
    return HsmKey(HsmKeyId(number.to_bytes(16, "big")), SPEC, USAGE)


class Asking:
    """Makes requests with a nonce of their own."""

    def __init__(self, state):
        self.state = state
        self._number = int.from_bytes(msgspec.msgpack.encode(time.time_ns())[-6:], "big") << 32

    def __call__(self, verb, parameters, *, requester="user/root", now=None, state=None, **more):
        self._number += 1
        return new_request(
            state or self.state, verb, parameters,
            requester=requester, nonce=self._number.to_bytes(16, "big"), now=now or seconds(), **more,
        )  # fmt: skip


def admission(request, *names, kind="approval", **more):
    return AdmitAct(write_document(request), approve(request, *names, kind=kind), **more)


class CustodyHome:
    """A home with two members; ``alpha`` is the one that is started here."""

    def __init__(self, template, folder):
        self.home = copy_home(template, folder / "home")
        self.sockets = Path(tempfile.mkdtemp(prefix="sr-"))
        self.member = load_config(self.home.root).cluster.members[0]
        self._generation = 0

    def close(self):
        shutil.rmtree(self.sockets, ignore_errors=True)

    def put_genesis(self, data=None):
        self.home.custody.mkdir(mode=0o700, exist_ok=True)
        self.home.genesis_file.write_bytes(genesis() if data is None else data)

    @contextlib.asynccontextmanager
    async def worker(self, mode="serve", **changes):
        """Start a worker; gives the client at its admin socket."""
        self._generation += 1
        pin = read_pin(self.member.pin, self.home.root).reveal()
        bootstrap = member_bootstrap(
            self.member, self.home, mode, pin=pin, sockets=self.sockets, generation=self._generation
        )
        child = await start_member(
            msgspec.structs.replace(bootstrap, **changes), member_environment(self.member, self.home)
        )
        try:
            client = await WireClient.connect(bootstrap.admin_path)
            try:
                yield Door(client, child, bootstrap)
            finally:
                client.close()
        finally:
            await child.kill()

    async def pinned(self):
        """Pin the genesis, as ``init`` does."""
        self.put_genesis()
        async with self.worker("administer") as door:
            await door.call(PinCustody(genesis()))


class Door:
    """What main says at the admin socket of a worker."""

    def __init__(self, client, child, bootstrap):
        self.client, self.child, self.bootstrap = client, child, bootstrap

    async def call(self, call):
        return await self.client.call(call, timeout_s=60)

    async def objects(self):
        return {(one.object_class, one.cka_id, one.label) for one in await self.call(ListObjects())}

    async def follow(self, *records):
        return await self.call(FollowChain(list(records)))

    async def place(self):
        return await self.call(WhereInChain())


__all__ = [
    "CREATE",
    "NOW",
    "Asking",
    "CustodyHome",
    "Door",
    "admission",
    "chain",
    "genesis",
    "key_named",
    "seconds",
]
