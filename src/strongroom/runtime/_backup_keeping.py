"""Backups: what main does for the home's owner, and how it is told in the audit log.

Nobody but the home's owner is heard: a process of our own user that is none of the API processes. Where there are officers, they
approve each backup, or have approved all of a set by a standing approval, and the member that gives the keys counts their
signatures (``custody``). Verifying a bundle needs shares and is done by the command alone, never here; main notes that it was done.
"""

import asyncio
import datetime as dt
import os
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from strongroom.audit import AuditLog
from strongroom.backup import BackupSet, WrongSetError, read_set, set_hash
from strongroom.config import Config, Home
from strongroom.core import ApprovalRequiredError, Clock, EventSink, HsmKeyId, StrongroomError
from strongroom.runtime._approved_acts import ApprovedAct
from strongroom.runtime._backup_contents import BackupNotPossibleError
from strongroom.runtime._backup_making import (
    BackupMaking,
    Custodial,
    MadeBundle,
    new_backup_id,
)
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import BackupRecord, BackupSetState, BackupState, HsmKeyState, Store
from strongroom.wiring.backup_door import BackupAnswer, BackupRequest
from strongroom.wiring.backup_files import remove_bundle, remove_drafts
from strongroom.wiring.backup_vendor import VendorBackup, note_vendor_backup


class BackupKeeping:
    """Makes backups, and notes what becomes of them. Belongs to the event loop of main."""

    def __init__(
        self,
        config: Config,
        home: Home,
        store: Store,
        keys: Reconciling,
        audit: AuditLog,
        *,
        api_pids: Callable[[], Collection[int]],
        custody: CustodyKeeping | None = None,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``custody``: where officers approve backups; without it the home's owner is heard alone."""
        self._config = config
        self._home = home
        self._store = store
        self._audit = audit
        self._api_pids = api_pids
        self._custody = custody
        self._events = events
        self._clock = clock
        self._making = BackupMaking(home, keys.serving, self._lives, keys.quarantined, clock=clock)
        self._turn = asyncio.Lock()

    def start(self) -> None:
        """Remove what an earlier service left of a backup that it was making."""
        if removed := remove_drafts(self._home.backups):
            self._events.emit("backup.drafts_removed", count=removed)

    async def answer(self, request: BackupRequest, pid: int) -> BackupAnswer:
        """Do what the home's owner asks.

        Raises ApprovalRequiredError for an API process, or where officers have not approved it, BackupNotPossibleError when it
        cannot be done now, BackupError, HsmError, StorageError and AuditUnavailableError.
        """
        if pid in self._api_pids():
            raise ApprovalRequiredError("API processes make no backups")
        if self._turn.locked():
            raise BackupNotPossibleError(
                "another command about backups is at work", next_step="wait until it has ended"
            )
        async with self._turn:
            match request.action:
                case "create":
                    return await self._create(request)
                case "verified":
                    return await self._verified(request.sha256)
                case "record-vendor":
                    return await self._record_vendor(request)

    async def _create(self, request: BackupRequest) -> BackupAnswer:
        backup_set = self._set(request.set_id)
        backup_id = new_backup_id()
        path = self._path(request.output, backup_id)
        self._making.require_source(backup_set)  # before an approval is spent
        act = await self._claimed(request.approval, backup_set)
        detail = {
            "backup": backup_id,
            "set": backup_set.set_id,
            "set_sha256": set_hash(backup_set),  # which main cannot judge: to be compared with the transcript
            "path": str(path),
            **self._told_of(act),
        }
        await self._audit.record("intent", "backup.Create", principal=_owner(), detail=dict(detail))
        try:
            with self._carrying(act, backup_set):
                made = await self._made(backup_set, backup_id, path, act)
        except StrongroomError as error:
            await self._tell("backup.Create", type(error).__name__, detail)
            raise
        detail |= {
            "sha256": made.sha256,
            "roots": str(len(made.manifest.roots)),
            "keys": str(len(made.manifest.keys)),
            "left_out": str(len(made.manifest.left_out)),
        }
        await self._tell("backup.Create", "ok", detail)
        return _answer(made)

    async def _made(
        self, backup_set: BackupSet, backup_id: str, path: Path, act: ApprovedAct | None
    ) -> MadeBundle:
        try:
            made = await self._making.make(backup_set, backup_id, path, self._custodial(act))
        except OSError as error:
            raise BackupNotPossibleError(
                f"the backup cannot be written to {path}: {error.strerror}",
                next_step="name a place that is there, with room, and no file that is there already: --output",
            ) from error
        set_id, now = bytes.fromhex(backup_set.set_id), self._clock.now()
        record = BackupRecord(
            backup_id, set_id, now, made.sha256, str(path), BackupState.PRESENT, None, made.size
        )
        try:
            await self._store.write(lambda tx: tx.insert_backup(record))
        except BaseException:
            remove_bundle(path)  # nobody would ever destroy it
            raise
        return made

    async def _verified(self, sha256: str) -> BackupAnswer:
        record = self._store.find_backup(sha256) if sha256 else None
        if record is None:
            raise BackupNotPossibleError(
                "no backup with this SHA-256 was made here", next_step="see: strongroom backup list"
            )
        now = self._clock.now()
        detail = {"backup": record.backup_id, "sha256": sha256}
        await self._audit.record("intent", "backup.Verified", principal=_owner(), detail=dict(detail))
        await self._store.write(lambda tx: tx.note_backup_verified(record.backup_id, at=now))
        await self._tell("backup.Verified", "ok", detail)
        return BackupAnswer(record.backup_id, record.set_id.hex(), record.location, sha256, record.size)

    async def _record_vendor(self, request: BackupRequest) -> BackupAnswer:
        now = self._clock.now()
        if not request.kind or not request.reference or not 0 < request.at <= now + 3600:
            raise BackupNotPossibleError(
                "a vendor's backup needs a kind, a reference, and a date that is past"
            )
        noted = VendorBackup(request.kind, request.reference, request.at, now, _owner())
        detail = {"kind": request.kind, "reference": request.reference, "at": f"{request.at:.0f}"}
        await self._audit.record("intent", "backup.RecordVendor", principal=_owner(), detail=dict(detail))
        try:
            await asyncio.to_thread(note_vendor_backup, self._home, noted)
        except OSError as error:
            raise BackupNotPossibleError(f"it cannot be noted: {error.strerror}") from error
        await self._tell("backup.RecordVendor", "ok", detail)
        return BackupAnswer()

    def _set(self, set_id: str) -> BackupSet:
        if set_id:
            record = self._store.get_backup_set(bytes.fromhex(set_id))
        else:
            record = self._store.get_active_backup_set()
        if record is None or record.state is not BackupSetState.ACTIVE:
            which = f"the backup set {set_id}" if set_id else "a backup set"
            raise BackupNotPossibleError(
                f"{which} is not in use here",
                next_step="make one: strongroom ceremony new --type backup",
            )
        backup_set = read_set(record.document)
        if bytes.fromhex(backup_set.set_id) != record.set_id:
            raise WrongSetError(f"the database has the document of another set as {record.set_id.hex()}")
        return backup_set

    def _path(self, output: str, backup_id: str) -> Path:
        if not output:
            made = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC).strftime("%Y%m%dT%H%M%SZ")
            return self._home.backups / f"{made}-{backup_id[:8]}.strongroom-backup"
        path = Path(output)
        if not path.is_absolute() or path.exists() or not path.parent.is_dir():
            raise BackupNotPossibleError(
                f"{output} is no new file in a folder that is there", next_step="name another one: --output"
            )
        return path

    async def _claimed(self, approval: str, backup_set: BackupSet) -> ApprovedAct | None:
        """Spend what officers approved; None where there are no officers. Raises ApprovalRequiredError."""
        if self._custody is None:
            return None
        parameters = {"set_id": backup_set.set_id}
        return await self._custody.claimed(approval, "CreateBackup", parameters, _owner())

    def _carrying(self, act: ApprovedAct | None, backup_set: BackupSet) -> AbstractContextManager[None]:
        if self._custody is None:
            return nullcontext()
        return self._custody.carrying(act, "backup", [backup_set.set_id])

    def _custodial(self, act: ApprovedAct | None) -> Custodial:
        if self._custody is None or self._config.custody is None:
            return Custodial()
        state = self._custody.chain.state
        approval = "" if act is None else act.approval
        documents = tuple(
            record.document for record in self._store.get_custody_documents()[: state.sequence + 1]
        )
        return Custodial(state.cluster, self._config.custody.genesis_sha256, state.head, approval, documents)

    def _told_of(self, act: ApprovedAct | None) -> dict[str, str]:
        if act is None or self._custody is None:
            return {}
        return {"approval": act.approval, "evidence": self._custody.evidence_sha256(act)}

    def _lives(self, key_id: HsmKeyId) -> bool:
        record = self._store.get_hsm_key(key_id)
        return record is not None and record.state is HsmKeyState.ACTIVE

    async def _tell(self, event: str, outcome: str, detail: dict[str, str]) -> None:
        await self._audit.record("outcome", event, principal=_owner(), outcome=outcome, detail=dict(detail))


def _answer(made: MadeBundle) -> BackupAnswer:
    manifest = made.manifest
    return BackupAnswer(
        manifest.backup_id,
        manifest.set_id,
        str(made.path),
        made.sha256,
        made.size,
        manifest.source,
        len(manifest.roots),
        len(manifest.keys),
        [f"{key.label} ({key.why})" for key in manifest.left_out],
    )


def _owner() -> str:
    return f"local/{os.geteuid()}"
