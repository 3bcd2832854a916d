"""A service that does nothing but make and destroy Direct keys on the members of a home, to be killed in the middle.

python replicating_program.py HOME make [N] makes N keys, or on and on; prints what it was told: ready, made ID, destroying ID, destroyed ID
python replicating_program.py HOME check    reconciles, proves every key on every member, prints one JSON document
"""

import asyncio
import contextlib
import json
import sys
from itertools import count, cycle
from pathlib import Path

from strongroom.config import Home, load_config, read_pin
from strongroom.core import Deadline, HsmKeyId, KeySpec, KeyUsage, SystemClock
from strongroom.hsm.cluster import MemberState, RemoteMember, WorkerEntry, prove_key
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import HsmKeyState, Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.home import runtime_folder
from strongroom.wiring.replication_rules import replication_rules
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member

CLOCK = SystemClock()
KINDS = (
    (KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT),
    (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY),
    (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC),
)


def soon():
    return Deadline.after(CLOCK, 30)


def say(*words):
    print(*words, flush=True)


@contextlib.asynccontextmanager
async def members_of(home, store):
    """Start a worker for each member and let it serve, as main does."""
    config = load_config(home.root)
    sockets = runtime_folder(home)
    entries, children = [], []
    reconciling = Reconciling(
        store,
        lambda: list(entries),
        rules=replication_rules(config.cluster),
        revive=lambda name: None,
        refused=lambda entry, reason: None,
        events=RecordingEvents(),
        clock=CLOCK,
    )
    await reconciling.start()
    try:
        for member in config.cluster.members:
            pin = read_pin(member.pin, home.root).reveal()
            bootstrap = member_bootstrap(member, home, "serve", pin=pin, sockets=sockets, generation=1)
            children.append(await start_member(bootstrap, member_environment(member, home)))
            remote = RemoteMember(member.name, bootstrap.use_path)
            await reconciling.check(remote)
            await reconciling.catch_up(remote)
            entries.append(WorkerEntry(member.name, 0, 1, MemberState.ACTIVE, bootstrap.use_path))
            remote.close()
        yield reconciling
    finally:
        reconciling.close()
        for child in children:
            await child.end()


async def make(home, store):
    async with members_of(home, store) as reconciling:
        say("ready")
        numbers = range(1, int(sys.argv[3]) + 1) if len(sys.argv) > 3 else count(1)
        for number, (spec, usage) in zip(numbers, cycle(KINDS), strict=False):
            record = await reconciling.create(spec, usage, f"key {number}", may_leave=True, deadline=soon())
            say("made", record.key_id.hex())
            if number % 3 == 0:
                say("destroying", record.key_id.hex())
                await reconciling.destroy(HsmKeyId(record.key_id), deadline=soon())
                say("destroyed", record.key_id.hex())


async def check(home, store):
    async with members_of(home, store) as reconciling:
        replicas = reconciling.serving()
        active = store.list_hsm_keys(HsmKeyState.ACTIVE)
        for record in active:
            for replica in replicas:
                await prove_key(record, replica.use, replicas[0].use, deadline=soon())
        known = {record.key_id for record in active}
        transports = {record.transport_id for record in store.list_transport_keys()}
        roots = {record.root_id for record in store.list_roots()}
        listed = {replica.name: await replica.keys.list_objects(deadline=soon()) for replica in replicas}
        strange = {
            name: [
                entry.label
                for entry in entries
                if not entry.is_ghost and entry.cka_id not in known | transports | roots
            ]
            for name, entries in listed.items()
        }
        held = {
            name: sorted({e.cka_id.hex() for e in entries} & {k.hex() for k in known})
            for name, entries in listed.items()
        }
        say(json.dumps({
            "active": sorted(key.hex() for key in known),
            "destroyed": sorted(r.key_id.hex() for r in store.list_hsm_keys(HsmKeyState.DESTROYED)),
            "pending": len(store.list_hsm_keys(HsmKeyState.PENDING)),
            "held": held,
            "strange": strange,
        }))  # fmt: skip


def main():
    home = Home(Path(sys.argv[1]))
    with Store.open(home.database) as store:
        asyncio.run({"make": make, "check": check}[sys.argv[2]](home, store))


if __name__ == "__main__":
    main()
