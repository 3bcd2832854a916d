"""Copies of keys: from a member that holds one to a member that shall, under the first one's transport key."""

from collections.abc import Iterable

from strongroom.core import (
    Clock,
    Deadline,
    HsmError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    StorageError,
    TransportKind,
    transport_kind,
)
from strongroom.hsm.cluster._key_door import Replica
from strongroom.hsm.cluster._key_proof import prove_key
from strongroom.hsm.cluster._proof import prove_same_root
from strongroom.hsm.wire import KeyCheck
from strongroom.storage import HsmKeyRecord, TransportKeyRecord

_STEP_LIMIT_S = 5.0
"""How long one member may take for one step of a copy; then the copy is given up, and made at reconcile."""


class NoWayToCopyError(HsmError):
    """The members have no transport key for such a copy."""


class SourceFailedError(HsmError):
    """The member that was to give a key could not; it says nothing about the one that was to get it."""


class KeyCopier:
    """Copies roots and Direct keys between members, and proves each copy. Keeps no record of them."""

    def __init__(self, transports: Iterable[TransportKeyRecord], *, clock: Clock) -> None:
        self._transports = {(record.member, record.kind): record.transport_id for record in transports}
        self._clock = clock

    async def copy_key(
        self, record: HsmKeyRecord, *, source: Replica, target: Replica, deadline: Deadline
    ) -> None:
        """Copy a Direct key and prove the copy; one that is not the same key is destroyed again.

        Raises HsmError. Where the outcome is not known, the copy may be there.
        """
        kind = transport_kind(record.spec)
        transport_id = self._transport(source, kind)
        wrapped = await self._wrapped(record.key_id, kind, transport_id, source, deadline)
        await target.keys.take_in_key(
            record.key,
            record.label,
            transport_id=transport_id,
            wrapped=wrapped,
            spki_der=record.public_key,
            deadline=self._step(deadline),
        )
        # What has a canary is recognised by it: then nobody waits for the source, and the target is not blamed for it.
        peer = source.use if record.canary is None and not record.spec.is_pair else None
        try:
            await prove_key(record, target.use, peer, deadline=self._step(deadline))
        except (
            HsmRequestError,
            StorageError,
        ):  # HsmIntegrityError is one: what nobody can recognise does not stay
            await self.destroy_key(record, target, deadline=deadline)
            raise

    async def copy_root(
        self,
        root_id: RootId,
        label: str,
        check: KeyCheck,
        *,
        source: Replica,
        target: Replica,
        deadline: Deadline,
    ) -> None:
        """Copy a root and prove the copy. Raises HsmError."""
        transport_id = self._transport(source, TransportKind.AES)
        wrapped = await self._wrapped(root_id, TransportKind.AES, transport_id, source, deadline)
        await target.keys.take_in_root(
            root_id,
            label,
            transport_id=transport_id,
            wrapped=wrapped,
            check=check,
            deadline=self._step(deadline),
        )
        await prove_same_root(root_id, source.use, target.use, deadline=self._step(deadline))

    async def destroy_key(self, record: HsmKeyRecord, member: Replica, *, deadline: Deadline) -> None:
        """Destroy a Direct key on one member, confirmed by a fresh look-up; also where it is gone already."""
        try:
            await member.keys.destroy_direct(record.key, deadline=self._step(deadline))
        except HsmKeyNotFoundError:
            return

    async def _wrapped(
        self, cka_id: bytes, kind: TransportKind, transport_id: bytes, source: Replica, deadline: Deadline
    ) -> bytes:
        try:
            return await source.keys.wrap_out(cka_id, kind, transport_id, deadline=self._step(deadline))
        except MemberFailedError as error:
            raise SourceFailedError(f"{source.name} does not give it: {error.message}") from error

    def _transport(self, source: Replica, kind: TransportKind) -> bytes:
        transport_id = self._transports.get((source.name, kind))
        if transport_id is None:
            raise NoWayToCopyError(
                f"member {source.name} has no transport key for {kind} keys",
                next_step="its security officer has to be there to make one",
            )
        return transport_id

    def _step(self, deadline: Deadline) -> Deadline:
        return Deadline.after(self._clock, max(0.0, min(deadline.remaining_s(), _STEP_LIMIT_S)))
