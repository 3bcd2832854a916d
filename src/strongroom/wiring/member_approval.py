"""The approval by which a member is added in a home with officers, and its way to the members that are to believe it."""

import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.audit import AuditLog
from strongroom.config import Config, Home, MemberConfig
from strongroom.core import ApprovalRequiredError, Clock
from strongroom.custody import SESSION_S, Json
from strongroom.service import ApprovalDesk, Asker, CustodyBook
from strongroom.storage import SignatureKind, Store
from strongroom.wiring.bootstrap import ApprovedReset
from strongroom.wiring.cluster_setup import Doors, Progress
from strongroom.wiring.new_member import Joining, ResetOrder
from strongroom.wiring.reset_approval import RESET_MEMBER

_VERB: Final = "AddMember"
_WRITER: Final = "members"
_MARGIN_S: Final = 300
"""How much of the hour must be left to go on under an approval that was claimed before."""


class ApprovedAddition(NamedTuple):
    """What proves to a member that its officers approved."""

    genesis: bytes
    records: Sequence[bytes]
    request: bytes
    signatures: Sequence[bytes]


async def approve_addition(
    home: Home,
    config: Config,
    store: Store,
    added: MemberConfig,
    joining: Joining | None,
    *,
    clock: Clock,
    progress: Progress,
) -> ApprovedAddition | None:
    """Return the approval, which is claimed; None in a home without officers.

    One that an interrupted run claimed holds for the rest of its hour. Raises ApprovalRequiredError, which names the request
    that officers are to sign, and makes it if there is none.
    """
    book = CustodyBook(store, None if config.custody is None else config.custody.genesis_sha256)
    if book.chain() is None:
        return None
    request_id = "" if joining is None else joining.approval
    if not request_id or not still_holds(store, request_id, clock):
        token = added.token_serial or added.token_label or ""
        progress(
            f"asking whether the officers approved that member {added.name} is added, with the token {token}"
        )
        request_id = await claimed_act(
            home, store, book, _VERB, {"member": added.name, "token_serial": token}, clock=clock
        )
        if joining is not None:
            joining.claimed(request_id)
    return read_act_documents(store, request_id)


async def approve_reset(
    home: Home, config: Config, store: Store, member: str, claimed: str, *, serial: str, clock: Clock
) -> ResetOrder:
    """Return what lets a member's token be erased. ``claimed``: the request that an interrupted run claimed, or empty.

    Raises ApprovalRequiredError, which names the request that officers are to sign, and makes it if there is none.
    """
    book = CustodyBook(store, None if config.custody is None else config.custody.genesis_sha256)
    record = store.get_approval(claimed) if claimed else None
    if record is None or record.expires_at <= clock.now():
        parameters = {"member": member, "token_serial": serial}
        claimed = await claimed_act(home, store, book, RESET_MEMBER, parameters, clock=clock)
    found = read_act_documents(store, claimed)
    if found is None:
        raise ApprovalRequiredError(f"{RESET_MEMBER} needs officers, and this home has none")
    reset = ApprovedReset(serial, list(found.records), found.request, list(found.signatures))
    return ResetOrder(claimed, reset)


async def admit_addition(doors: Doors, approval: ApprovedAddition | None, name: str) -> None:
    """Have every member but the new one follow the chain, and hold the approved act ready. Raises ApprovalRequiredError."""
    if approval is None:
        return
    for door in (*doors.users, *doors.officers):
        if door.name != name or await door.is_pinned():
            await door.follow_chain(approval.records)
            await door.admit_act(approval.request, approval.signatures)


async def pin_member(doors: Doors, approval: ApprovedAddition | None, name: str, progress: Progress) -> None:
    """Pin the genesis in the new member, and have it follow the chain to its end. Raises HsmError."""
    if approval is None:
        return
    (door,) = (user for user in doors.users if user.name == name)
    progress(f"pinning the genesis in the token of member {name}, and showing it every change since")
    await door.pin_custody(approval.genesis)
    await door.follow_chain(approval.records)


async def claimed_act(
    home: Home, store: Store, book: CustodyBook, verb: str, parameters: Mapping[str, Json], *, clock: Clock
) -> str:
    """Claim an approved act; returns the id of its request. Raises ApprovalRequiredError, which names the request to sign."""
    audit = AuditLog.open(home.audit, _WRITER, clock=clock)
    try:
        desk = ApprovalDesk(store, book, audit, clock=clock)
        ticket = await desk.require(verb, dict(parameters), Asker(f"local/{os.geteuid()}"))
    finally:
        audit.close()
    return "" if ticket is None else ticket.approval


def still_holds(store: Store, request_id: str, clock: Clock) -> bool:
    """Whether a request was claimed so lately that enough is left of the hour that it covers."""
    record = store.get_approval(request_id)
    began = None if record is None else record.executed_at
    return began is not None and clock.now() < began + SESSION_S - _MARGIN_S


def read_act_documents(store: Store, request_id: str) -> ApprovedAddition | None:
    """Return what proves to a member that officers approved; None where there is no such request."""
    record = store.get_approval(request_id)
    if record is None:
        return None
    signatures = [
        row.signature
        for row in store.list_approval_signatures(request_id)
        if row.kind is SignatureKind.APPROVAL
    ]
    genesis, *records = (one.document for one in store.get_custody_documents())
    return ApprovedAddition(genesis, records, record.document, signatures)
