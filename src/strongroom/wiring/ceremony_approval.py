"""The approval of an act that a ceremony does by itself, as the members are to believe it."""

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from strongroom.audit import AuditLog
from strongroom.config import Home, load_config
from strongroom.core import Clock
from strongroom.custody import Json
from strongroom.hsm.cluster import RemoteAdmin
from strongroom.service import ApprovalDesk, Asker, CustodyBook
from strongroom.storage import SignatureKind, Store

WRITER: Final = "ceremony"
"""Of the audit log."""


class ApprovedStep(NamedTuple):
    """What proves to a member that its officers approved."""

    request_id: str
    records: tuple[bytes, ...]
    request: bytes
    signatures: tuple[bytes, ...]


async def approved_step(
    home: Home, store: Store, verb: str, parameters: Mapping[str, Json], *, clock: Clock
) -> ApprovedStep | None:
    """Claim the approval of an act; None in a home without officers.

    Raises ApprovalRequiredError, which names the request that officers are to sign, and makes it if there is none.
    """
    custody = load_config(home.root).custody
    book = CustodyBook(store, None if custody is None else custody.genesis_sha256)
    if book.chain() is None:
        return None
    audit = AuditLog.open(home.audit, WRITER, clock=clock)
    try:
        desk = ApprovalDesk(store, book, audit, clock=clock)
        ticket = await desk.require(verb, dict(parameters), Asker(f"local/{os.geteuid()}"))
    finally:
        audit.close()
    if ticket is None:
        return None
    record = store.get_approval(ticket.approval)
    if record is None:
        return None
    signatures = tuple(
        row.signature
        for row in store.list_approval_signatures(ticket.approval)
        if row.kind is SignatureKind.APPROVAL
    )
    _genesis, *records = (one.document for one in store.get_custody_documents())
    return ApprovedStep(ticket.approval, tuple(records), record.document, signatures)


async def hand_over(approved: ApprovedStep | None, door: RemoteAdmin) -> None:
    """Have a member follow the chain, and hold the approved act ready. Raises ApprovalRequiredError."""
    if approved is not None:
        await door.follow_chain(approved.records)
        await door.admit_act(approved.request, approved.signatures)
