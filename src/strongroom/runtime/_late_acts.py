"""Destructions that officers approved and that began before: for members that were away then, and for keys that are left over."""

from typing import Final

from strongroom.core import Clock
from strongroom.custody import (
    LATE_ACTS,
    LATE_S,
    ApprovalRequest,
    CustodyError,
    CustodyState,
    read_act,
    read_document,
    require_quorum,
)
from strongroom.hsm.wire import AdmitAct
from strongroom.runtime._approved_acts import ApprovedAct, signatures_of
from strongroom.runtime._begun_acts import BegunActs
from strongroom.storage import ApprovalRecord, ApprovalState, Store

_PAGE: Final = 200
_READ_AGAIN_S: Final = 5.0


class LateActs:
    """Finds the executed request that names a key or a root. Reads the database anew when it misses one, every few seconds."""

    def __init__(self, store: Store, begun: BegunActs, *, clock: Clock) -> None:
        self._store = store
        self._begun = begun
        self._clock = clock
        self._found: dict[tuple[str, str], list[ApprovalRecord]] = {}
        self._read_at = float("-inf")

    def find(self, verb: str, name: str, state: CustodyState) -> ApprovedAct | None:
        """Return the request of a verb that names an object, in hex: one that main has begun, or that is good now (``state``).

        That the database says it was executed is not enough. Raises StorageError and UsedRecordError.
        """
        act = self._usable(verb, name, state)
        now = self._clock.monotonic()
        if act is None and now >= self._read_at + _READ_AGAIN_S:
            self._read_at = now
            self._read()
            act = self._usable(verb, name, state)
        return act

    def _usable(self, verb: str, name: str, state: CustodyState) -> ApprovedAct | None:
        for record in self._found.get((verb, name), ()):
            request = read_document(record.document, ApprovalRequest)
            signatures = signatures_of(self._store, record.id)
            began = self._begun.began(request)
            if began is None:
                try:
                    require_quorum(state, request, signatures, now=int(self._clock.now()))
                except CustodyError:
                    continue
            return ApprovedAct(record.id, AdmitAct(record.document, signatures, began or 0))
        return None

    def _read(self) -> None:
        oldest = self._clock.now() - LATE_S
        found: dict[tuple[str, str], list[ApprovalRecord]] = {}
        last: ApprovalRecord | None = None
        while True:
            page = self._store.list_approvals(state=ApprovalState.EXECUTED, after=last, limit=_PAGE)
            for record in page:
                if record.verb in LATE_ACTS and record.expires_at > oldest:
                    for name in _named(record):
                        found.setdefault((record.verb, name), []).append(record)
            if len(page) < _PAGE or page[-1].created_at < oldest - LATE_S:
                break
            last = page[-1]
        self._found = found


def _named(record: ApprovalRecord) -> list[str]:
    """Return the objects that a request names; none for what nobody could approve."""
    try:
        request = read_document(record.document, ApprovalRequest)
        act = read_act(request.verb, request.parameters)
    except CustodyError:
        return []
    return [*getattr(act, "hsm_keys", ()), *filter(None, [getattr(act, "root_id", "")])]
