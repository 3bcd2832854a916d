"""Making a backup set; ``backup_ending`` tells how one ends.

    noted in the records → signing key, pair, and backup transport keys of every member → shares given, one by one → active

The security officers of all members must be at hand for the part of the members, as for ``members add``; their workers are gone
before the first share is given. Nothing is backed up under a set before every custodian has proved their copy. Whatever interrupts
the making before that, the set is abandoned: what members hold of it is destroyed, at once or by the next making, and its shares
open nothing.

In clear the share key is here and in one worker until it is split, and the shares are here until each was given; a key that it
gives stays until the document is whole, and seals it. Whoever calls
this is a protected process (``wiring.process_protection``).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from strongroom.backup import BackupSet, SetCustodian, SigningKey, sealed_set, write_set
from strongroom.config import Home, MemberConfig, load_config
from strongroom.core import BACKUP_SET_ID_BYTES, Clock, ConfigError, EventSink, Secret, random_bytes
from strongroom.custody import Chain
from strongroom.shares import MAX_SHARES, Share, SharePlan, SharePlanError, possession_public_key
from strongroom.storage import BackupSetRecord, BackupSetState, Store
from strongroom.wiring.backup_approval import admit_backup_act, approve_backup_act
from strongroom.wiring.backup_ending import (
    abandon_unfinished_sets,
    clear_unfinished_sets,
    give_up_set,
    retire_backup_set,
    wrap_algorithm_of,
)
from strongroom.wiring.backup_members import MadeAtMembers, SetMaking, origin_of
from strongroom.wiring.cluster_setup import PinAccess, Progress, open_doors, pins_of
from strongroom.wiring.custody_home import chain_of_home
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.member_addition import alone_with_members

__all__ = ["Give", "ShareToGive", "abandon_unfinished_sets", "make_backup_set", "retire_backup_set"]

CustodianT = TypeVar("CustodianT")


@dataclass(frozen=True, slots=True)
class ShareToGive(Generic[CustodianT]):
    """One share, for one custodian. Its repr shows no secret; the share is overwritten once it was given."""

    set_id: bytes
    """16 bytes."""
    share: Share
    custodian: CustodianT
    plan: SharePlan


Give = Callable[[ShareToGive[CustodianT]], Awaitable[SetCustodian]]
"""Gives a share, and returns once its custodian has proved the copy. Whatever it raises abandons the set."""


async def make_backup_set(
    home: Home,
    *,
    threshold: int,
    custodians: Sequence[CustodianT],
    give: Give[CustodianT],
    store: Store,
    events: EventSink,
    clock: Clock,
    progress: Progress,
    so_pin: Callable[[MemberConfig], Secret] | None = None,
) -> BackupSet:
    """Make a set of as many shares as there are custodians, give each its share, and activate it.

    ``so_pin``: presents the PIN of a member's security officer; else it lies in the home. In a home with officers it takes an
    approved ``MakeBackupSet``. Raises SharePlanError, ConfigError (also for a cluster whose keys do not travel),
    ApprovalRequiredError, PinRefusedError, HomeError when another such command is at work, HsmError when a member does not
    answer (all must), and what ``give`` raises.
    """
    plan = _plan(threshold, len(custodians))
    config, algorithm = load_config(home.root), wrap_algorithm_of(store)
    chain, members = chain_of_home(home, config, store), config.cluster.members
    with alone_with_members(home):
        approval = await approve_backup_act(
            home,
            config,
            store,
            "MakeBackupSet",
            {
                "threshold": threshold,
                "count": plan.count,
                "members": sorted(member.name for member in members),
            },
            clock=clock,
            progress=progress,
        )
        pins = _presented(home, members, so_pin)
        set_id = random_bytes(BACKUP_SET_ID_BYTES)
        making = SetMaking(set_id, config.cluster, store, events, clock, progress)
        try:
            async with open_doors(home, members, algorithm, restore_runtime_folder(home), pins) as doors:
                await admit_backup_act((*doors.users, *doors.officers), approval)
                await clear_unfinished_sets(
                    doors, store, config, events=events, clock=clock, progress=progress
                )
                record = BackupSetRecord(set_id, b"", BackupSetState.MAKING, clock.now())
                await store.write(lambda tx: tx.insert_backup_set(record))
                made = await making.make(doors, plan)
            try:
                given = await _give_all(
                    set_id, made.shares, custodians, plan=plan, give=give, progress=progress
                )
                backup_set = sealed_set(_document(making, made, given, plan, chain), made.seal_key)
            finally:
                made.seal_key.zeroize()
            await _activate(store, set_id, backup_set, clock)
        except BaseException:
            await give_up_set(home, store, approval, events=events, clock=clock, progress=progress)
            raise
    progress(f"backup set {set_id.hex()} is active")
    return backup_set


def _plan(threshold: int, count: int) -> SharePlan:
    """Refuse before anything is made what could not be split. Raises SharePlanError."""
    if not 2 <= threshold <= count <= MAX_SHARES:
        raise SharePlanError(
            f"{threshold} of {count} shares cannot be: 2 or more are needed, and {MAX_SHARES} are the most"
        )
    return SharePlan(threshold, count)


def _presented(
    home: Home, members: Sequence[MemberConfig], so_pin: Callable[[MemberConfig], Secret] | None
) -> PinAccess:
    """Have all PINs of security officers presented before the first is sent."""
    of_home = pins_of(home)
    present = so_pin or of_home.security_officer
    officers = {member.name: present(member) for member in members}
    return PinAccess(of_home.user, lambda member: officers[member.name])


async def _give_all(
    set_id: bytes,
    shares: Sequence[Share],
    custodians: Sequence[CustodianT],
    *,
    plan: SharePlan,
    give: Give[CustodianT],
    progress: Progress,
) -> tuple[SetCustodian, ...]:
    given = []
    try:
        for share, custodian in zip(shares, custodians, strict=True):
            progress(f"giving share {share.index} of {plan.count}")
            possession = possession_public_key(share, set_id)
            holder = await give(ShareToGive(set_id, share, custodian, plan))
            share.zeroize()
            if (holder.share_index, holder.possession_key) != (share.index, possession):
                raise ConfigError(f"share {share.index} was given, and another one is said to have been")
            given.append(holder)
    finally:
        for share in shares:
            share.zeroize()
    return tuple(given)


def _document(
    making: SetMaking,
    made: MadeAtMembers,
    given: tuple[SetCustodian, ...],
    plan: SharePlan,
    chain: Chain | None,
) -> BackupSet:
    return BackupSet(
        set_id=making.set_id.hex(),
        cluster_id="" if chain is None else chain.state.cluster,
        genesis_sha256="" if chain is None else chain.states[0].head,
        made_at=int(making.clock.now()),
        threshold=plan.threshold,
        count=plan.count,
        slip39_identifier=made.shares[0].set_identifier,
        origin=origin_of(making.cluster),
        share_key_check=made.share_key_check,
        spki=made.pair.spki_der,
        wrapped_private=made.pair.wrapped_private,
        wrap_mechanism=made.pair.mechanism,
        transports=made.transports,
        signing_key=SigningKey(cka_id=made.signing.key_id.hex(), spki=made.signing.public_key),
        custodians=given,
    )


async def _activate(store: Store, set_id: bytes, backup_set: BackupSet, clock: Clock) -> None:
    document, holders = write_set(backup_set), tuple(custodian.id for custodian in backup_set.custodians)
    now = clock.now()
    await store.write(lambda tx: tx.activate_backup_set(set_id, document, at=now, holders=holders))
