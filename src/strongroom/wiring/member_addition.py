"""A member whose token is blank gets what it needs to serve: while it is new, or after its token was replaced or emptied.

    transport keys for every member, made anew → in the records → the old ones destroyed → root and keys copied → proved

Made anew on all, since the transport keys that there are cannot leave their members. So the security officers of all
members must be at hand: their PINs lie in ``pins/<member>-so`` of the home for so long. The other members may serve
meanwhile: the workers here are others than theirs, and what serves looks the transport keys up for each copy.

Whatever interrupts it, it can be run again: keys that no record knows are destroyed first, and every later step does
only what is not done.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from typing import Final

from strongroom.config import Home, load_config, read_pin
from strongroom.core import (
    Clock,
    ConfigError,
    Deadline,
    EventSink,
    HomeError,
    RootId,
    WrapAlgorithm,
)
from strongroom.hsm.cluster import (
    Canary,
    DriftReport,
    Reconciler,
    Replica,
    Turns,
    destroy_unknown_transport_keys,
    make_transport_keys,
    prove_use,
)
from strongroom.storage import RootRecord, Store, Transaction, TransportKeyRecord
from strongroom.wiring.cluster_setup import (
    ROOT_LABEL,
    Doors,
    Progress,
    officer_pin,
    open_doors,
    transport_record,
)
from strongroom.wiring.home import restore_runtime_folder

_PROOF_LIMIT_S: Final = 30.0


async def add_member(
    home: Home, name: str, *, events: EventSink, clock: Clock, progress: Progress
) -> DriftReport:
    """Give a configured member what it needs; returns what was found and copied.

    Raises ConfigError for a member that is not configured or an officer's PIN that is not there, PinRefusedError for
    a PIN that was refused, HomeError when another such command is at work, HsmIntegrityError when a member holds
    another key than it should, and HsmError when one does not answer: all must.
    """
    members = load_config(home.root).cluster.members
    if name not in {member.name for member in members}:
        raise ConfigError(
            f"there is no member {name!r} in the configuration",
            next_step=f"describe it in strongroom.toml; there are {', '.join(m.name for m in members)}",
        )
    for member in members:
        read_pin(officer_pin(member), home.root).zeroize()  # all are there before the first is sent
    with _alone(home), contextlib.closing(Store.open(home.database)) as store:
        roots = store.list_roots()
        algorithm = WrapAlgorithm(roots[-1].wrap_algorithm)
        if algorithm is not WrapAlgorithm.HSM_AES_GCM:
            raise ConfigError(
                f"the cluster wraps by {algorithm.name}: roots of it do not travel, since no HSM is known that needs it and"
                " keeps keys from leaving under any other key",
                next_step="restore the member's token from its vendor's backup, or by its vendor's replication",
            )
        async with open_doors(home, members, algorithm, restore_runtime_folder(home)) as doors:
            others = [replica for replica in doors.replicas if replica.name != name]
            await _require_sources(others, roots, clock, progress)
            await _renew_transports(doors, store, clock, progress)
            (added,) = (replica for replica in doors.replicas if replica.name == name)
            return await _make_whole(added, others, store, events=events, clock=clock, progress=progress)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold a lock of its own: the lock of the home is the service's, which may run."""
    path = home.root / "members-lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeError("another 'strongroom members add' is at work on this home") from error
        yield
    finally:
        os.close(lock)


async def _require_sources(
    others: Sequence[Replica], roots: Sequence[RootRecord], clock: Clock, progress: Progress
) -> None:
    """Have the other members prove the roots before anything is changed on them."""
    if not others:
        raise ConfigError("there is no other member that could give it the root")
    for other in others:
        progress(f"member {other.name} proves that it holds the root")
        await _prove(other, roots, clock)


async def _prove(member: Replica, roots: Sequence[RootRecord], clock: Clock) -> None:
    for root in roots:
        canary = Canary(root.canary, root.canary_digest)
        deadline = Deadline.after(clock, _PROOF_LIMIT_S)
        await prove_use(RootId(root.root_id), canary, member.use, deadline=deadline)


async def _renew_transports(doors: Doors, store: Store, clock: Clock, progress: Progress) -> None:
    users, officers = doors.users, doors.officers
    await destroy_unknown_transport_keys(users, _known(store))
    progress("making the keys that other keys travel under between the members")
    made = [transport_record(one, clock.now()) for one in await make_transport_keys(users, officers)]
    await store.write(lambda tx: _replace(tx, made))
    progress("destroying those that they replace")
    await destroy_unknown_transport_keys(users, _known(store))


def _known(store: Store) -> set[bytes]:
    return {record.transport_id for record in store.list_transport_keys()}


def _replace(transaction: Transaction, made: Sequence[TransportKeyRecord]) -> None:
    for member in {record.member for record in transaction.list_transport_keys()}:
        transaction.forget_transport_keys(member)  # also those of a member that is configured no more
    for record in made:
        transaction.insert_transport_key(record)


async def _make_whole(
    member: Replica,
    others: Sequence[Replica],
    store: Store,
    *,
    events: EventSink,
    clock: Clock,
    progress: Progress,
) -> DriftReport:
    """Copy what the member lacks, as the service does with every member that comes back, and prove it."""
    progress(f"copying the root and the keys to member {member.name}, and proving each copy")
    reconciler = Reconciler(
        store, lambda: others, root_label=ROOT_LABEL, turns=Turns(), events=events, clock=clock
    )
    report = await reconciler.reconcile(member)
    reconciler.require_same_keys(report)
    progress(f"member {member.name} proves that it holds the root")
    await _prove(member, store.list_roots(), clock)
    return report
