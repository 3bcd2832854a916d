"""``change-officers``: a change of officers that they have signed comes into force, and every member follows it."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strongroom.audit import AuditLog
from strongroom.ceremony import CeremonyError, ChangeOfficers, Console, Outcome, Step
from strongroom.config import load_config
from strongroom.core import ApprovalRequiredError
from strongroom.custody import (
    CUSTODY_VERBS,
    MAX_REQUEST_BYTES,
    ApprovalRequest,
    Json,
    Record,
    dearmour,
    document_hash,
    key_of_signature,
    read_document,
    spoken,
    write_document,
)
from strongroom.service import Asker, CustodyKeeping
from strongroom.storage import ApprovalState, Store
from strongroom.wiring.backup_ending import wrap_algorithm_of
from strongroom.wiring.ceremony_approval import WRITER
from strongroom.wiring.ceremony_workplace import Workplace, parameters_of, require_sha256, told
from strongroom.wiring.cluster_setup import Progress, open_doors
from strongroom.wiring.home import restore_runtime_folder

_MOST_SIGNATURES: Final = 64
_MOST_SIGNATURE_BYTES: Final = 16 * 1024


class ChangingOfficers:
    """Takes signatures that lie beside the request, sees that the change is in force, and shows it to the members.

    A signature is a file ``REQUEST.ID.sig``, as ``strongroom approvals sign`` and ``ssh-keygen -Y sign`` write it. Each part may be
    repeated: a change takes its place in the chain once.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Bring the change into force, unless it is."""
        wanted, place = parameters_of(step, ChangeOfficers), self._place
        path = place.file(wanted.request)
        data = await self._request(wanted, path)
        request = read_document(data, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
        if request.verb not in CUSTODY_VERBS:
            raise CeremonyError(f"{path} asks for {request.verb}, which changes no officers")
        with place.store() as store:
            async with told(console) as progress:
                await place.approved(lambda: self._decide(store, document_hash(data), path, progress))
                sequence, record = _record_of(store, data)
                await self._show_members(store, progress)
        kept = (place.keep("request.json", data), place.keep("record.json", record))
        return Outcome(_facts(request, data, sequence, record), kept)

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Do it again: what is in force stays so."""
        return await self.perform(step, console)

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Say whether it is in force."""
        wanted = parameters_of(step, ChangeOfficers)
        data = await self._request(wanted, self._place.file(wanted.request))
        with self._place.store() as store:
            found = store.get_approval(document_hash(data))
        if found is not None and found.state is ApprovalState.EXECUTED:
            return Outcome(deviations=("the change of officers is in force, and stays so",))
        return Outcome(
            deviations=("the change of officers is not in force; its request waits until it expires",)
        )

    async def _request(self, wanted: ChangeOfficers, path: Path) -> bytes:
        made_up = await self._place.stage.officers_request(wanted)
        if made_up is not None:
            return made_up
        require_sha256(path, wanted.request_sha256)
        return _bounded(path, MAX_REQUEST_BYTES)

    async def _decide(self, store: Store, request_id: str, path: Path, progress: Progress) -> None:
        """Take in what officers signed. Raises ApprovalRequiredError while signatures are missing."""
        found = store.get_approval(request_id)
        if found is None:
            raise CeremonyError(
                f"no such request waits in this home ({request_id[:12]})",
                next_step="ask for the change on this home (strongroom officers …), and bring its request",
            )
        if found.state is ApprovalState.OPEN:
            await self._take(store, request_id, _signature_files(path), progress)
            found = store.get_approval(request_id)
        if found is None or found.state is not ApprovalState.EXECUTED:
            state = "gone" if found is None else found.state.value
            raise ApprovalRequiredError(
                f"the change {request_id[:12]} is {state}: signatures of officers are missing, or it is over",
                next_step=f"have officers sign it, and put their signatures beside it: {path.name}.ID.sig",
            )

    async def _take(self, store: Store, request_id: str, files: Sequence[Path], progress: Progress) -> None:
        place, custody = self._place, load_config(self._place.home.root).custody
        audit = AuditLog.open(place.home.audit, WRITER, clock=place.clock)
        try:
            genesis = None if custody is None else custody.genesis_sha256
            desk = CustodyKeeping.opened(store, genesis, audit, clock=place.clock).signatures
            for file in files:
                signature = dearmour(_bounded(file, _MOST_SIGNATURE_BYTES))
                there = {row.signature for row in store.list_approval_signatures(request_id)}
                by = {key_of_signature(one).line for one in there}
                if key_of_signature(signature).line in by:
                    continue
                taken = await desk.approve(request_id, signature, Asker(f"local/{os.geteuid()}"))
                progress(f"the signature of {taken.officer} counts")
                if taken.did != "counted":
                    break
        finally:
            audit.close()

    async def _show_members(self, store: Store, progress: Progress) -> None:
        home = self._place.home
        _genesis, *records = (one.document for one in store.get_custody_documents())
        members, algorithm = self._place.members(), wrap_algorithm_of(store)
        async with open_doors(
            home, members, algorithm, restore_runtime_folder(home), as_officers=False
        ) as doors:
            for door in doors.users:
                progress(f"member {door.name} follows the change")
                await door.follow_chain(records)


def _signature_files(path: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(path.parent.glob(f"{path.name}.*.sig"))[:_MOST_SIGNATURES]
    return []


def _record_of(store: Store, request: bytes) -> tuple[int, bytes]:
    for one in store.get_custody_documents()[1:]:
        record = read_document(one.document, Record)
        if document_hash(request) == _hash_of_request(record):
            return record.sequence, one.document
    raise CeremonyError("the change was executed, and no record of the chain has it")


def _hash_of_request(record: Record) -> str:
    return document_hash(write_document(record.request))


def _bounded(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise CeremonyError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > most:
        raise CeremonyError(f"{path} is longer than {most} bytes")
    return data


def _facts(request: ApprovalRequest, data: bytes, sequence: int, record: bytes) -> dict[str, Json]:
    digest, head = document_hash(data), document_hash(record)
    return {
        "verb": request.verb,
        "parameters": request.parameters,
        "request-sha256": digest,
        "request-in-words": " ".join(spoken(digest)),
        "place-in-the-chain": sequence,
        "record-sha256": head,
        "record-in-words": " ".join(spoken(head)),
        "requested-by": request.requester,
    }
