"""What the desk does inside transactions: each looks again at what was judged before it, and is done once over all processes."""

from collections.abc import Mapping
from typing import Final

from strongroom.custody import Chain, Json, UsesSoFar, canonical_json, standing_terms
from strongroom.service._approval_errors import ApprovalLimitError
from strongroom.service._approval_reading import Opened
from strongroom.service._approval_values import JOBS
from strongroom.storage import ApprovalRecord, ApprovalState, Reader, StandingUseRecord, Transaction

MAX_OPEN: Final = 1_000
"""Requests that wait at the same time, of all who ask."""
MAX_OPEN_OF_ONE: Final = 200


def claim(tx: Transaction, *, approval: str, sequence: int, now: float, by: str) -> bool:
    """Spend a request, if officers and rules are still those under which its signatures were counted."""
    return tx.get_last_custody_sequence() == sequence and tx.claim_approval(approval, executed_at=now, by=by)


def note_use(tx: Transaction, *, one: Opened, chain: Chain, parameters: Mapping[str, Json], now: int) -> int:
    """Note one more use of a standing approval, and return its number; 0 when something changed meanwhile.

    Raises ApprovalRefusedError when its terms allow no more.
    """
    record = tx.get_approval(one.record.id)
    if tx.get_last_custody_sequence() != chain.state.sequence or record != one.record:
        return 0
    number = next_use(tx, one, now=now)
    tx.insert_standing_use(
        StandingUseRecord(record.id, number, float(now), canonical_json(parameters), chain.state.sequence)
    )
    return number


def next_use(reader: Reader, one: Opened, *, now: int) -> int:
    """Return the number of the next use of a standing approval. Raises ApprovalRefusedError when its terms allow no more now."""
    terms = standing_terms(one.request.parameters)
    uses = reader.list_standing_uses(one.record.id, limit=terms.rate_uses)
    so_far = UsesSoFar(uses[0].number if uses else 0, tuple(int(use.used_at) for use in reversed(uses)))
    return so_far.with_one_more(terms, now=now).total


def keep(tx: Transaction, *, record: ApprovalRecord, now: int) -> ApprovalRecord:
    """Keep a request and return it, or the one that waits for the same. Raises ApprovalLimitError.

    What an officer rejected is not asked for again by the service itself, which would do so every minute.
    """
    if found := tx.list_approvals_asking_for(record.act, now=now):
        return found[0]
    is_ours = record.requester == JOBS.requester
    if is_ours:
        rejected = tx.list_approvals_asking_for(record.act, now=now, state=ApprovalState.REJECTED)
        if rejected:
            return rejected[0]
    if not is_ours and tx.count_open_approvals(now=now) >= MAX_OPEN:
        raise ApprovalLimitError(MAX_OPEN, "of everybody")
    if tx.count_open_approvals(now=now, requester=record.requester) >= MAX_OPEN_OF_ONE:
        raise ApprovalLimitError(MAX_OPEN_OF_ONE, f"of {record.requester}")
    tx.insert_approval(record)
    return record
