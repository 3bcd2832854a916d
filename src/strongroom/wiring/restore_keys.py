"""Keys of a bundle on their way into the members of a restored home.

    transport keys between the new members → roots and Direct keys into the first one, under the share key → the root proves itself

Copying to the others is the Reconciler's, as for every member that comes back, once the database is there.
"""

from collections.abc import Sequence
from typing import Final

from strongroom.backup import BackedRoot, BackupSet, Manifest
from strongroom.core import Clock, Deadline, HsmError, RootId, Secret
from strongroom.hsm.cluster import (
    Canary,
    Reconciler,
    Replica,
    Turns,
    destroy_backup_transport_keys,
    prove_canary,
    prove_use,
)
from strongroom.hsm.wire import KeyCheck
from strongroom.storage import RootRecord, Store
from strongroom.wiring.backup_opening import open_backup
from strongroom.wiring.cluster_setup import ROOT_LABEL, Doors, Progress
from strongroom.wiring.init_clearing import clear_tokens

_PROOF_LIMIT_S: Final = 30.0
_CLEAR_LIMIT_S: Final = 60.0


class _NoEvents:
    """Nobody operates this yet: what matters is raised, or told as progress."""

    def emit(self, event: str, **fields: object) -> None:
        """Say nothing."""


async def clear_restored(doors: Doors, manifest: Manifest, *, clock: Clock, progress: Progress) -> None:
    """Destroy what an interrupted run left in the tokens that it had initialised itself. Raises HsmError."""
    await destroy_backup_transport_keys(doors.users, lambda _cka_id: True)
    direct = {bytes.fromhex(key.key_id): key.key for key in manifest.keys}
    for replica in doors.replicas:
        entries = await replica.keys.list_objects(deadline=Deadline.after(clock, _CLEAR_LIMIT_S))
        for cka_id in {entry.cka_id for entry in entries if not entry.is_ghost} & direct.keys():
            deadline = Deadline.after(clock, _CLEAR_LIMIT_S)
            await replica.keys.destroy_direct(direct[cka_id], deadline=deadline)
    await clear_tokens(doors, clock=clock, progress=progress)


async def take_in(
    doors: Doors,
    backup_set: BackupSet,
    manifest: Manifest,
    share_key: Secret,
    *,
    clock: Clock,
    progress: Progress,
) -> None:
    """Take everything that the bundle holds into the first member, and have it prove its roots.

    The share key is overwritten as soon as it was used. Raises WrongSetError, HsmIntegrityError for what does not open or has another
    check value, and HsmError.
    """
    first, replica = doors.users[0], doors.replicas[0]
    progress(
        f"taking {len(manifest.roots)} roots and {len(manifest.keys)} Direct keys of member {manifest.source}"
        f" into member {first.name}"
    )
    async with open_backup(first, backup_set, share_key, member=manifest.source) as opened:
        share_key.zeroize()
        for root in manifest.roots:
            await opened.take_root(
                RootId(bytes.fromhex(root.root_id)),
                ROOT_LABEL,
                wrapped=root.wrapped,
                check=KeyCheck(root.check_kind, root.check_value),
            )
        for key in manifest.keys:
            await opened.take_key(key.key, key.label, wrapped=key.wrapped, spki_der=key.public_key)
    for root in manifest.roots:
        await _prove_backed(root, replica, clock)


async def copy_to_all(doors: Doors, store: Store, *, clock: Clock, progress: Progress) -> int:
    """Have the other members get from the first one what they lack, and each prove all; returns how many Direct keys each proved.

    Raises HsmError when anything is left open, HsmIntegrityError for a member that holds another key.
    """
    first, *others = doors.replicas
    reconciler = Reconciler(
        store, lambda: [first], root_label=ROOT_LABEL, turns=Turns(), events=_NoEvents(), clock=clock
    )
    n_keys = 0
    for member in (first, *others):
        progress(
            f"member {member.name} proves its roots and keys"
            if member is first
            else f"copying roots and keys to member {member.name}, and proving each copy"
        )
        report = await reconciler.reconcile(member)
        reconciler.require_same_keys(report)
        still_open = [drift for drift in report.drifts if drift.is_open]
        if still_open:
            raise HsmError(
                f"member {member.name} does not hold what the backup says: {still_open[0].in_words()}",
                next_step=still_open[0].next_step or "run the same command again",
            )
        await _prove_roots(member, store.list_roots(), clock)
        n_keys = report.keys_proved
    return n_keys


async def _prove_backed(root: BackedRoot, member: Replica, clock: Clock) -> None:
    canary = Canary(root.canary, bytes.fromhex(root.canary_digest))
    deadline = Deadline.after(clock, _PROOF_LIMIT_S)
    await prove_canary(RootId(bytes.fromhex(root.root_id)), canary, member.use, deadline=deadline)


async def _prove_roots(member: Replica, roots: Sequence[RootRecord], clock: Clock) -> None:
    for root in roots:
        canary = Canary(root.canary, root.canary_digest)
        deadline = Deadline.after(clock, _PROOF_LIMIT_S)
        await prove_use(RootId(root.root_id), canary, member.use, deadline=deadline)
