"""What main does for custodians at the request of the home's owner: challenges, proofs, acknowledgements, who left.

It is bookkeeping: nothing here opens a backup or touches an HSM. Nobody but the home's owner is heard: a process of our own user
that is none of the API processes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from strongroom.audit import AuditLog
from strongroom.core import ApprovalRequiredError, Clock, StrongroomError
from strongroom.custody import OfficerKey
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.storage import BackupRecord, BackupState, CustodianRecord, CustodianState, Store, Transaction
from strongroom.wiring.custodian_documents import (
    Acknowledgement,
    Proof,
    check_proof,
    make_challenge,
    paper_acknowledgement,
    read_custodian_document,
    signed_acknowledgement,
    write_custodian_document,
)
from strongroom.wiring.custodian_door import CustodianAnswer, CustodianRequest, MadeChallenge
from strongroom.wiring.custodian_reshare import MOST_BACKUPS
from strongroom.wiring.custodian_sets import HeldSet, Holder, active_set, duty_for
from strongroom.wiring.custodian_status import challenged_until

_LEAST_OF_ID: Final = 8


class CustodianCareError(StrongroomError):
    """What was asked about a custodian cannot be done."""


class CustodianKeeping:
    """Looks after the custodians of the active backup set. Belongs to the event loop of main."""

    def __init__(
        self,
        store: Store,
        audit: AuditLog,
        *,
        api_pids: Callable[[], Collection[int]],
        custody: CustodyKeeping | None,
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        """``custody``: where there are officers, whose keys sign acknowledgements. ``changed`` is called after each change."""
        self._store = store
        self._audit = audit
        self._api_pids = api_pids
        self._custody = custody
        self._changed = changed
        self._clock = clock
        self._turn = asyncio.Lock()

    async def answer(self, request: CustodianRequest, pid: int) -> CustodianAnswer:
        """Do what the home's owner asks.

        Raises ApprovalRequiredError for an API process, CustodianCareError, CustodianDocumentError, PossessionError,
        SignatureRefusedError, StorageError and AuditUnavailableError.
        """
        if pid in self._api_pids():
            raise ApprovalRequiredError("API processes do nothing about custodians")
        async with self._turn:
            answer = await self._answer(request)
        self._changed()
        return answer

    async def _answer(self, request: CustodianRequest) -> CustodianAnswer:
        match request.action:
            case "challenge":
                return await self._challenge(request.custodian)
            case "record-proof":
                return await self._record_proof(request.document)
            case "acknowledge":
                return await self._acknowledge(request)
            case "left":
                return await self._left(request.custodian, request.words)
            case "destroyed":
                return await self._destroyed(request.backup_id, request.words)

    async def _challenge(self, custodian: str) -> CustodianAnswer:
        found = self._active()
        holders = [self._holder(found, custodian)[0]] if custodian else self._holding(found)
        made = [await self._challenge_one(found, holder) for holder in holders]
        return CustodianAnswer(challenges=made, custodian=custodian)

    async def _challenge_one(self, found: HeldSet, holder: Holder) -> MadeChallenge:
        """Return the challenge that waits, so that what was sent before can still be answered; else a new one."""
        now = self._clock.now()
        record = self._record(found, holder.id)
        until = None if record is None else challenged_until(record, now=now)
        if record is not None and until is not None:
            return MadeChallenge(holder.id, holder.name, record.challenge, until)
        set_id = found.record.set_id
        challenge = make_challenge(
            set_id=set_id, custodian=holder.id, name=holder.name, share=holder.share, now=int(now)
        )
        data = write_custodian_document(challenge)
        async with self._told("custodian.Challenge", found, holder.id):
            await self._change(lambda tx: tx.challenge_custodian(set_id, holder.id, data, at=now))
        return MadeChallenge(holder.id, holder.name, data, challenge.until)

    async def _record_proof(self, data: bytes) -> CustodianAnswer:
        found = self._active()
        proof = read_custodian_document(data, Proof)
        holder, record = self._holder(found, proof.custodian)
        if not record.challenge:
            raise CustodianCareError(
                f"no challenge waits for an answer of {holder.id}",
                next_step="make one: strongroom custodians challenge",
            )
        now, set_id = self._clock.now(), found.record.set_id
        async with self._told("custodian.RecordProof", found, holder.id, challenge=proof.challenge):
            check_proof(data, record.challenge, holder.possession_key, now=now)
            await self._change(
                lambda tx: tx.record_possession(
                    set_id, holder.id, challenge=record.challenge, proof=data, at=now
                )
            )
        return CustodianAnswer(custodian=holder.id)

    async def _acknowledge(self, request: CustodianRequest) -> CustodianAnswer:
        found = self._active()
        holder, _ = self._holder(found, request.custodian)
        async with self._told("custodian.Acknowledge", found, holder.id) as detail:
            document = self._acknowledgement(found, holder, request)
            data, set_id = write_custodian_document(document), found.record.set_id
            key = OfficerKey.from_line(document.key) if document.key else None
            detail.update({"seen_by": document.seen_by} if key is None else {"key": key.fingerprint})
            await self._change(
                lambda tx: tx.acknowledge_custody(set_id, holder.id, data, at=self._clock.now())
            )
        fingerprint = "" if key is None else key.fingerprint
        is_officer_key = key is not None and self._is_officer(holder.id)
        return CustodianAnswer(custodian=holder.id, key=fingerprint, is_officer_key=is_officer_key)

    def _acknowledgement(self, found: HeldSet, holder: Holder, request: CustodianRequest) -> Acknowledgement:
        duty = duty_for(found, holder)
        now = int(self._clock.now())
        if not request.document:
            return paper_acknowledgement(duty, seen_by=request.words, recorded_by=_owner(), now=now)
        document = signed_acknowledgement(duty, request.document, recorded_by=_owner(), now=now)
        self._require_own_key(holder.id, document.key)
        return document

    def _is_officer(self, custodian: str) -> bool:
        return self._custody is not None and custodian in self._custody.chain.state.officers

    def _require_own_key(self, custodian: str, line: str) -> None:
        """Who is an officer signs with a key of theirs, and nobody else signs with an officer's. Raises CustodianCareError."""
        if self._custody is None:
            return
        key = OfficerKey.from_line(line)
        for officer in self._custody.chain.state.officers.values():
            if officer.id == custodian and key not in officer.keys:
                raise CustodianCareError(
                    f"the signature is by a key that is none of officer {custodian}",
                    next_step="sign with a key of theirs: strongroom officers list",
                )
            if officer.id != custodian and key.point in officer.points:
                raise CustodianCareError(f"the signature is by a key of officer {officer.id}")

    async def _left(self, custodian: str, because: str) -> CustodianAnswer:
        found = self._active()
        if not because.strip():
            raise CustodianCareError("it is not said why the custodian is counted on no longer")
        holder, _ = self._holder(found, custodian)
        now, set_id = self._clock.now(), found.record.set_id
        async with self._told("custodian.Left", found, holder.id, because=because):
            await self._change(lambda tx: tx.note_custodian_left(set_id, holder.id, because=because, at=now))
        return CustodianAnswer(custodian=holder.id)

    async def _destroyed(self, backup_id: str, seen_by: str) -> CustodianAnswer:
        backup = self._backup(backup_id)
        if not seen_by.strip():
            raise CustodianCareError("it is not said who saw that every copy was destroyed")
        is_there = await asyncio.to_thread(Path(backup.location).exists)
        if is_there and backup.state is not BackupState.DESTROYED:
            raise CustodianCareError(
                f"backup {backup.backup_id} is still where it was written: {backup.location}",
                next_step="destroy that file and every copy of it, then say so",
            )
        detail = {
            "backup": backup.backup_id,
            "sha256": backup.sha256,
            "set": backup.set_id.hex(),
            "seen_by": seen_by,
        }
        async with self._written("backup.Destroyed", detail):
            now = self._clock.now()
            if not await self._store.write(lambda tx: tx.note_backup_destroyed(backup.backup_id, at=now)):
                raise CustodianCareError(f"backup {backup.backup_id} was destroyed before")
        return CustodianAnswer(backup_id=backup.backup_id)

    def _backup(self, named: str) -> BackupRecord:
        """Return a backup by its id, or by the beginning of it. Raises CustodianCareError."""
        exact = self._store.get_backup(named)
        found = [
            one
            for one in self._store.list_backups(limit=MOST_BACKUPS)
            if len(named) >= _LEAST_OF_ID and one.backup_id.startswith(named)
        ]
        if exact is not None or len(found) == 1:
            return exact or found[0]
        raise CustodianCareError(
            f"{len(found) or 'no'} backups have an id that begins with {named!r}",
            next_step="see: strongroom backup list",
        )

    def _active(self) -> HeldSet:
        found = active_set(self._store)
        if found is None:
            raise CustodianCareError(
                "there is no backup set, so nobody holds a share",
                next_step="make one in a ceremony: strongroom ceremony new --type backup",
            )
        return found

    def _holder(self, found: HeldSet, custodian: str) -> tuple[Holder, CustodianRecord]:
        """Return a custodian who holds a share, and what is known of them. Raises CustodianCareError."""
        holder = found.holder(custodian)
        record = None if holder is None else self._record(found, holder.id)
        if holder is None or record is None:
            raise CustodianCareError(
                f"the active backup set has no custodian {custodian}",
                next_step=f"its custodians are: {', '.join(one.id for one in found.holders)}",
            )
        if record.state is CustodianState.LEFT:
            raise CustodianCareError(
                f"{custodian} has left, which is for good in this set",
                next_step="make a new set: strongroom ceremony new --type reshare",
            )
        return holder, record

    def _holding(self, found: HeldSet) -> list[Holder]:
        records = {one.custodian: one for one in self._store.list_custodians(found.record.set_id)}
        return [
            holder
            for holder in found.holders
            if holder.id in records and records[holder.id].state is CustodianState.HOLDING
        ]

    def _record(self, found: HeldSet, custodian: str) -> CustodianRecord | None:
        return self._store.get_custodian(found.record.set_id, custodian)

    async def _change(self, work: Callable[[Transaction], bool]) -> None:
        if not await self._store.write(work):
            raise CustodianCareError(
                "the records changed meanwhile", next_step="see: strongroom custodians list"
            )

    def _told(
        self, event: str, found: HeldSet, custodian: str, **more: str
    ) -> AbstractAsyncContextManager[dict[str, str]]:
        return self._written(event, {"set": found.record.set_id.hex(), "custodian": custodian, **more})

    @asynccontextmanager
    async def _written(self, event: str, detail: dict[str, str]) -> AsyncIterator[dict[str, str]]:
        """Have an intent before, and an outcome after; what is put into the details meanwhile is in the latter."""
        await self._audit.record("intent", event, principal=_owner(), detail=dict(detail))
        try:
            yield detail
        except StrongroomError as error:
            outcome = type(error).__name__
            await self._audit.record("outcome", event, principal=_owner(), outcome=outcome, detail=detail)
            raise
        await self._audit.record("outcome", event, principal=_owner(), outcome="ok", detail=detail)


def _owner() -> str:
    return f"local/{os.geteuid()}"
