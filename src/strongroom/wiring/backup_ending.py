"""The end of backup sets: one that is retired, and one whose making was interrupted.

Backup transport keys are destroyed on every member. What was backed up under a retired set stays as open to its custodians as
it was: the bundles are to be destroyed, and roots rotated, by people.
"""

from collections.abc import Collection
from functools import partial
from typing import Final

from strongroom.config import Config, Home, load_config
from strongroom.core import Clock, ConfigError, Deadline, EventSink, StrongroomError, WrapAlgorithm
from strongroom.custody import UNDO_S
from strongroom.hsm.cluster import KeyReplication, Turns, destroy_backup_transport_keys
from strongroom.storage import BackupSetRecord, BackupSetState, HsmKeyState, Store, Transaction
from strongroom.wiring.backup_approval import admit_backup_act, approve_backup_act, holding_act
from strongroom.wiring.backup_members import SIGNING_LABEL
from strongroom.wiring.cluster_setup import Doors, Progress, open_doors
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.member_addition import alone_with_members
from strongroom.wiring.member_approval import ApprovedAddition
from strongroom.wiring.replication_rules import replication_rules

RETIRE: Final = "RetireBackupSet"
_DESTROY_LIMIT_S: Final = 30.0


async def retire_backup_set(
    home: Home, set_id: bytes, *, store: Store, clock: Clock, progress: Progress
) -> BackupSetRecord:
    """Retire an active set: nothing is taken out under it any more. May be repeated, also for one that is retired.

    In a home with officers it takes an approved ``RetireBackupSet``. Raises ConfigError for a set that there is not or that
    was never active, ApprovalRequiredError, HomeError, and HsmError when a member does not answer: repeat it then.
    """
    config = load_config(home.root)
    record = store.get_backup_set(set_id)
    if record is None or record.state not in {BackupSetState.ACTIVE, BackupSetState.RETIRED}:
        raise ConfigError(f"there is no backup set {set_id.hex()} that could be retired")
    with alone_with_members(home):
        parameters = {"set_id": set_id.hex()}
        approval = await approve_backup_act(
            home, config, store, RETIRE, parameters, clock=clock, progress=progress
        )
        await store.write(lambda tx: tx.retire_backup_set(set_id, at=clock.now()))
        progress("destroying the keys of the set on every member")
        algorithm, sockets = wrap_algorithm_of(store), restore_runtime_folder(home)
        async with open_doors(home, config.cluster.members, algorithm, sockets, as_officers=False) as doors:
            await admit_backup_act(doors.users, approval)
            await _destroy(doors, store, {set_id})
    retired = store.get_backup_set(set_id)
    return record if retired is None else retired


async def abandon_unfinished_sets(
    home: Home, *, store: Store, events: EventSink, clock: Clock, progress: Progress
) -> list[bytes]:
    """Abandon the sets whose making was cut off, without making another; returns their ids. For a ceremony that is resumed.

    In a home with officers it needs that less than an hour is over since ``MakeBackupSet`` was first used; else the next making
    clears what is left. Raises HomeError, ConfigError, ApprovalRequiredError, and HsmError when a member does not answer.
    """
    config = load_config(home.root)
    with alone_with_members(home):
        unfinished = [one.set_id for one in store.list_backup_sets() if one.state is BackupSetState.MAKING]
        if unfinished:
            approval = holding_act(store, "MakeBackupSet", None, clock=clock)
            await _abandon(home, config, store, approval, events=events, clock=clock, progress=progress)
    return unfinished


async def clear_unfinished_sets(
    doors: Doors,
    store: Store,
    config: Config,
    *,
    events: EventSink,
    clock: Clock,
    progress: Progress,
) -> None:
    """Abandon every set that is being made, and destroy on the members what belongs to sets that have ended.

    Whoever calls holds the lock of the members, and had ``MakeBackupSet`` admitted. Raises HsmError.
    """
    sets = store.list_backup_sets()
    unfinished = [one for one in sets if one.state is BackupSetState.MAKING]
    for record in unfinished:
        progress(f"abandoning the backup set {record.set_id.hex()}, whose making was interrupted")
    await _destroy(doors, store, {one.set_id for one in sets if one.state is not BackupSetState.ACTIVE})
    for record in unfinished:
        await _destroy_signing_key(doors, store, config, record, events=events, clock=clock)
        await store.write(partial(Transaction.abandon_backup_set, set_id=record.set_id, at=clock.now()))


async def give_up_set(
    home: Home,
    store: Store,
    approval: ApprovedAddition | None,
    *,
    events: EventSink,
    clock: Clock,
    progress: Progress,
) -> None:
    """Abandon what is being made, as far as that goes now; the next making does the rest. Raises nothing of ours."""
    try:
        config = load_config(home.root)
        await _abandon(home, config, store, approval, events=events, clock=clock, progress=progress)
    except StrongroomError as error:
        progress(f"what members hold of the set is left for the next making to destroy: {error.message}")


async def _abandon(
    home: Home,
    config: Config,
    store: Store,
    approval: ApprovedAddition | None,
    *,
    events: EventSink,
    clock: Clock,
    progress: Progress,
) -> None:
    algorithm, sockets = wrap_algorithm_of(store), restore_runtime_folder(home)
    async with open_doors(home, config.cluster.members, algorithm, sockets, as_officers=False) as doors:
        await admit_backup_act(doors.users, approval)
        await clear_unfinished_sets(doors, store, config, events=events, clock=clock, progress=progress)


def wrap_algorithm_of(store: Store) -> WrapAlgorithm:
    """Return by what the roots wrap. Raises ConfigError when they are of a kind that does not travel under transport keys."""
    algorithm = WrapAlgorithm(store.list_roots()[-1].wrap_algorithm)
    if algorithm is not WrapAlgorithm.HSM_AES_GCM:
        raise ConfigError(
            f"the cluster wraps by {algorithm.name}: roots of it do not travel under AES keys, so they are not backed up so",
            next_step="use the vendor's own backup",
        )
    return algorithm


async def _destroy(doors: Doors, store: Store, sets: Collection[bytes]) -> None:
    """Destroy every transport key of these sets on the members, then forget them."""
    gone = {key.transport_id for key in store.list_backup_transport_keys() if key.set_id in sets}
    if not gone:
        return
    await destroy_backup_transport_keys(doors.users, gone.__contains__)

    def forget(tx: Transaction) -> None:
        for set_id in sets:
            tx.forget_backup_transport_keys(set_id)

    await store.write(forget)


async def _destroy_signing_key(
    doors: Doors,
    store: Store,
    config: Config,
    record: BackupSetRecord,
    *,
    events: EventSink,
    clock: Clock,
) -> None:
    """Destroy the key that was to sign. Members with officers let it be so for minutes after it was made; else it stays, unused."""
    label = f"{SIGNING_LABEL} {record.set_id.hex()}"
    keys = KeyReplication(
        store,
        lambda: doors.replicas,
        rules=replication_rules(config.cluster),
        turns=Turns(),
        events=events,
        clock=clock,
    )
    for key in store.list_hsm_keys(HsmKeyState.ACTIVE):
        is_young = clock.now() - key.created_at < UNDO_S / 2
        if key.label == label and (is_young or config.custody is None):
            await keys.destroy(key.key_id, deadline=Deadline.after(clock, _DESTROY_LIMIT_S))
