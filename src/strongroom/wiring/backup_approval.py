"""Acts of backup sets in a home with officers, as one command has them approved and hands them to workers of its own."""

import os
from collections.abc import Iterable, Mapping

from strongroom.config import Config, Home
from strongroom.core import Clock
from strongroom.custody import ApprovalRequest, CustodyError, Json, read_document
from strongroom.hsm.cluster import RemoteAdmin
from strongroom.service import CustodyBook
from strongroom.storage import ApprovalState, Store
from strongroom.wiring.cluster_setup import Progress
from strongroom.wiring.member_approval import (
    ApprovedAddition,
    claimed_act,
    read_act_documents,
    still_holds,
)

_MOST_LOOKED_AT = 50


async def approve_backup_act(
    home: Home,
    config: Config,
    store: Store,
    verb: str,
    parameters: Mapping[str, Json],
    *,
    clock: Clock,
    progress: Progress,
) -> ApprovedAddition | None:
    """Return the approval of an act, which is claimed; None in a home without officers.

    One that an interrupted command claimed holds for the rest of its hour. Raises ApprovalRequiredError, which names the
    request that officers are to sign, and makes it if there is none.
    """
    book = CustodyBook(store, None if config.custody is None else config.custody.genesis_sha256)
    if book.chain() is None:
        return None
    held = holding_act(store, verb, parameters, clock=clock)
    if held is not None:
        return held
    progress(f"asking whether the officers approved it ({verb})")
    request_id = await claimed_act(home, store, book, verb, parameters, clock=clock)
    return read_act_documents(store, request_id)


def holding_act(
    store: Store, verb: str, parameters: Mapping[str, Json] | None, *, clock: Clock
) -> ApprovedAddition | None:
    """Return an act that we claimed within the hour, with these parameters or any (None); None if there is none."""
    for record in store.list_approvals(state=ApprovalState.EXECUTED, limit=_MOST_LOOKED_AT):
        if record.verb != verb or not still_holds(store, record.id, clock):
            continue
        try:
            request = read_document(record.document, ApprovalRequest)
        except CustodyError:
            continue
        is_meant = parameters is None or request.parameters == dict(parameters)
        if is_meant and request.requester == f"local/{os.geteuid()}":
            return read_act_documents(store, record.id)
    return None


async def admit_backup_act(doors: Iterable[RemoteAdmin], approval: ApprovedAddition | None) -> None:
    """Have every worker follow the chain, and hold the approved act ready. Raises ApprovalRequiredError."""
    if approval is None:
        return
    for door in doors:
        await door.follow_chain(approval.records)
        await door.admit_act(approval.request, approval.signatures)
