"""The repairs that need no person: copy what is missing, destroy what has a tombstone, prove what is there."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmOutcomeUnknownError,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    RootId,
    StorageError,
    WrapAlgorithm,
)
from strongroom.hsm.cluster._key_canary import make_key_canary
from strongroom.hsm.cluster._key_copies import KeyCopier
from strongroom.hsm.cluster._key_door import Replica
from strongroom.hsm.cluster._key_proof import prove_key
from strongroom.hsm.cluster._proof import Canary, prove_use
from strongroom.hsm.cluster._reconcile import QUARANTINE_STEP, Comparison, Drift, DriftKind, Records
from strongroom.hsm.wire import KeyCheck
from strongroom.storage import CopyState, HsmKeyRecord, RootRecord

_COPY_LIMIT_S: Final = 15.0
_PROOF_LIMIT_S: Final = 5.0
_DOES_NOT_ANSWER: Final = (MemberDeadlineError, MemberBusyError, HsmOutcomeUnknownError)
"""Nothing is known then of what the member holds: it is not to serve, and is looked at again."""


_DOES_NOT_FIT: Final = (HsmRequestError, StorageError)
"""What is wrong with the record, or with the key, and not with the member's health (HsmIntegrityError is one of these)."""


class Allowed(NamedTuple):
    """What may be done to a member."""

    repair: bool = True
    """Copy and destroy; else only look."""
    replace_different: bool = False
    """Destroy a key that is not the same, and copy the right one."""


class Outcome(NamedTuple):
    """What was found and done on one member."""

    drifts: list[Drift]
    proved: list[HsmKeyRecord]
    """With a canary that is to be kept, where the record had none."""
    buried: list[HsmKeyRecord]
    """Keys with a tombstone that the member does not hold, or not any more."""


class Repairs:
    """One look at one member. Every method adds to ``outcome``; HsmError says that the member does not answer."""

    def __init__(
        self,
        member: Replica,
        peers: Sequence[Replica],
        records: Records,
        *,
        allowed: Allowed,
        was_proved: Callable[[str, HsmKeyRecord], bool] = lambda _member, _record: False,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``was_proved`` tells whether a member showed just this record's key when it was last looked at."""
        self._member = member
        self._peers = peers
        self._copies = records.copies
        self._copier = KeyCopier(records.transports, clock=clock)
        self._allowed = allowed
        self._was_proved = was_proved
        self._events = events
        self._clock = clock
        self.outcome = Outcome([], [], [])

    async def work_off(self, found: Comparison, root_label: str) -> None:
        """Do all that follows from a comparison, what must go first."""
        self.outcome.drifts.extend(found.others)
        self.outcome.buried.extend(found.gone_keys)
        for root in found.buried_roots:
            await self._bury_root(root, root_label)
        for record in found.buried_keys:
            await self._bury(record)
        for root in found.missing_roots:
            await self._copy_root(root, root_label)
        for record in found.partial_keys:
            await self._replace(record, DriftKind.MISSING)
        for record in found.missing_keys:
            await self._copy_key(record, DriftKind.MISSING)
        for record in found.present_keys:
            await self._prove(record)

    async def _bury(self, record: HsmKeyRecord) -> None:
        drift = Drift(DriftKind.DESTROYED, "key", record.key_id.hex(), record.label)
        if self._allowed.repair:
            work = self._copier.destroy_key(record, self._member, deadline=self._in(_COPY_LIMIT_S))
            drift = await self._tried(drift, "destroyed", work)
        if drift.repair:
            self.outcome.buried.append(record)
        self.outcome.drifts.append(drift)

    async def _bury_root(self, root: RootRecord, label: str) -> None:
        drift = Drift(DriftKind.DESTROYED, "root", root.root_id.hex(), label)
        if self._allowed.repair:
            deadline = self._in(_COPY_LIMIT_S)
            work = self._member.keys.destroy_root(RootId(root.root_id), deadline=deadline)
            drift = await self._tried(drift, "destroyed", work)
        self.outcome.drifts.append(drift)

    async def _copy_root(self, root: RootRecord, label: str) -> None:
        drift = Drift(DriftKind.MISSING, "root", root.root_id.hex(), label)
        if root.wrap_algorithm != WrapAlgorithm.HSM_AES_GCM:
            drift = msgspec.structs.replace(
                drift,
                cause="a root of this wrap algorithm does not travel: no HSM is known that needs the algorithm"
                " and keeps keys from leaving under any other key",
                next_step="restore the token from its vendor's backup, or by its vendor's replication",
            )
        elif self._allowed.repair:
            drift = await self._copied(drift, lambda peer: self._copy_root_from(root, label, peer))
        self.outcome.drifts.append(drift)

    async def _copy_root_from(self, root: RootRecord, label: str, peer: Replica) -> None:
        root_id = RootId(root.root_id)
        await self._copier.copy_root(
            root_id,
            label,
            KeyCheck(root.check_kind, root.check_value),
            source=peer,
            target=self._member,
            deadline=self._in(_COPY_LIMIT_S),
        )
        canary = Canary(root.canary, root.canary_digest)
        await prove_use(root_id, canary, self._member.use, deadline=self._in(_PROOF_LIMIT_S))

    async def _copy_key(self, record: HsmKeyRecord, kind: DriftKind) -> None:
        drift = Drift(kind, "key", record.key_id.hex(), record.label)
        if not record.may_leave:
            cause = "it was made never to leave the member that made it"
            drift = msgspec.structs.replace(
                drift, cause=cause, next_step="restore the member, or make another key"
            )
        elif self._allowed.repair:
            drift = await self._copied(drift, lambda peer: self._copy_key_from(record, peer))
        if drift.repair:
            self.outcome.proved.append(record)
        self.outcome.drifts.append(drift)

    async def _copy_key_from(self, record: HsmKeyRecord, peer: Replica) -> None:
        deadline = self._in(_COPY_LIMIT_S)
        await self._copier.copy_key(record, source=peer, target=self._member, deadline=deadline)

    async def _replace(self, record: HsmKeyRecord, kind: DriftKind) -> None:
        """Destroy what is there and copy the key, but only where a member that serves shows that it has it."""
        if self._allowed.repair and record.may_leave and await self._has_source(record):
            try:
                await self._copier.destroy_key(record, self._member, deadline=self._in(_COPY_LIMIT_S))
            except _DOES_NOT_ANSWER:
                raise
            except HsmError as error:  # it may serve the others all the same
                drift = Drift(kind, "key", record.key_id.hex(), record.label, cause=error.message)
                self.outcome.drifts.append(drift)
            else:
                await self._copy_key(record, kind)
            return
        cause = "no member that serves shows that it has it" if record.may_leave else "it may not be copied"
        self.outcome.drifts.append(Drift(kind, "key", record.key_id.hex(), record.label, cause=cause))

    async def _has_source(self, record: HsmKeyRecord) -> bool:
        for peer in self._peers:
            try:
                await self._prove_whole(record, peer)
            except (HsmError, StorageError):
                continue
            return True
        return False

    async def _is_shown_by_another(self, record: HsmKeyRecord) -> bool:
        """Whether another member that serves holds the key of the record.

        Of one that does not answer now, what it showed when it was last looked at counts.
        """
        for peer in self._peers:
            try:
                await self._prove_whole(record, peer)
            except (*_DOES_NOT_FIT, HsmKeyNotFoundError):
                continue
            except HsmError:
                if not self._was_proved(peer.name, record):
                    continue
            return True
        return False

    async def _prove(self, record: HsmKeyRecord) -> None:
        """Prove a key that is there, and that it is still as closed as it was made."""
        try:
            record = await self._proved(record)
        except _DOES_NOT_FIT as error:
            await self._judge(record, error.message)
            return
        self.outcome.proved.append(record)

    async def _judge(self, record: HsmKeyRecord, cause: str) -> None:
        """Say what is wrong where record and member do not fit each other: the member, if another one fits the record.

        Else it may be the record. One of those that nobody fits is no reason to have no member at all: the key is
        left where it is, and nobody uses it.
        """
        kind, next_step = DriftKind.QUARANTINED, QUARANTINE_STEP
        if await self._is_shown_by_another(record):
            if self._allowed.replace_different:
                await self._replace(record, DriftKind.DIFFERENT)
                return
            kind = DriftKind.DIFFERENT
            next_step = f"strongroom members reconcile --member {self._member.name} --repair"
        drift = Drift(kind, "key", record.key_id.hex(), record.label, cause=cause, next_step=next_step)
        self.outcome.drifts.append(drift)

    async def _proved(self, record: HsmKeyRecord) -> HsmKeyRecord:
        """Prove a key by its record; one of before, without a canary, by a member that serves with it.

        Returns the record, with a canary where it had none and the key was shown to be the right one.
        """
        await self._inspect(record, self._member)
        if record.spec.is_pair or record.canary is not None:
            await self._prove_alone(record, self._member)
            return record
        for peer in self._peers if record.may_leave else ():
            try:
                await self._prove_alone(record, peer)
            except HsmError:
                continue  # what the peer cannot do says nothing about the member
            await prove_key(record, self._member.use, peer.use, deadline=self._in(_PROOF_LIMIT_S))
            return await self._with_canary(record)
        await self._prove_alone(record, self._member)
        is_elsewhere = any(
            copy.key_id == record.key_id and copy.member != self._member.name and copy.state is CopyState.HELD
            for copy in self._copies
        )
        return record if is_elsewhere else await self._with_canary(record)

    async def _inspect(self, record: HsmKeyRecord, member: Replica) -> None:
        deadline = self._in(_PROOF_LIMIT_S)
        changed = await member.keys.inspect_direct(record.key, may_leave=record.may_leave, deadline=deadline)
        if changed:
            raise HsmIntegrityError(f"the member's key is not as it was made: {', '.join(changed)}")

    async def _prove_whole(self, record: HsmKeyRecord, member: Replica) -> None:
        await self._inspect(record, member)
        await self._prove_alone(record, member)

    async def _with_canary(self, record: HsmKeyRecord) -> HsmKeyRecord:
        canary = await make_key_canary(record.key, self._member.use, deadline=self._in(_PROOF_LIMIT_S))
        return record._replace(canary=canary)

    async def _prove_alone(self, record: HsmKeyRecord, member: Replica) -> None:
        await prove_key(record, member.use, None, deadline=self._in(_PROOF_LIMIT_S))

    async def _copied(self, drift: Drift, copy_from: Callable[[Replica], Awaitable[None]]) -> Drift:
        drift = msgspec.structs.replace(drift, cause="no member that serves is there to copy it from")
        for peer in self._peers:
            drift = await self._tried(drift, f"copied from {peer.name}", copy_from(peer))
            if drift.repair:
                break
        return drift

    async def _tried(self, drift: Drift, done: str, work: Awaitable[None]) -> Drift:
        try:
            await work
        except _DOES_NOT_ANSWER:
            raise
        except (HsmError, StorageError) as error:
            return msgspec.structs.replace(drift, cause=error.message, next_step=error.next_step or "")
        self._events.emit(
            "reconcile.repaired",
            member=self._member.name,
            what=drift.what,
            object=drift.object_id,
            found=drift.kind.value,
            done=done,
        )
        return msgspec.structs.replace(drift, repair=done, cause="", next_step="")

    def _in(self, seconds: float) -> Deadline:
        return Deadline.after(self._clock, seconds)
