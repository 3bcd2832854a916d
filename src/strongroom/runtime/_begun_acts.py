"""``BegunActs``: what main itself has begun under approvals, in a file of its own, so that it need not believe the database.

API processes write the database, and with it that a request was executed, and when. By this record, which is main's alone, one
approval makes one key over all members, a standing approval counts its uses over all members, and a destruction is called late
only if main began it while it was approved. A change of a PIN goes on late by it too.
"""

from pathlib import Path

from strongroom.core import ApprovalRequiredError, Clock
from strongroom.custody import (
    LATE_ACTS,
    LATE_S,
    STANDING_VERB,
    ApprovalRequest,
    CustodyError,
    read_document,
    standing_terms,
)
from strongroom.hsm.wire import AdmitAct
from strongroom.wiring.custody_used import UsedActs


class BegunActs:
    """Notes what is begun. Belongs to the event loop of main."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._opened: UsedActs | None = None

    def begin(self, admission: AdmitAct) -> None:
        """Note durably that an act is begun now. Raises ApprovalRequiredError when it was done before, and UsedRecordError.

        A destruction may be begun again, until the key is gone from every member, and a change of a PIN: the member counts it.
        """
        request = read_document(admission.request, ApprovalRequest)
        now = int(self._clock.now())
        try:
            if request.verb == STANDING_VERB:
                self._record.spend(request.nonce, standing_terms(request.parameters), now=now)
            elif request.verb in LATE_ACTS:
                self._record.begin_session(request.nonce, until=request.expires + LATE_S, now=now)
            else:
                self._record.spend_part(request.nonce, "", until=request.expires)
        except CustodyError as error:
            raise ApprovalRequiredError(error.message, next_step=error.next_step) from error

    def began(self, request: ApprovalRequest) -> int | None:
        """Return when main began one of ``LATE_ACTS``; None if it did not. Raises UsedRecordError."""
        return self._record.began(request.nonce)

    @property
    def _record(self) -> UsedActs:
        if self._opened is None:  # a disk that is full is no reason not to start
            self._opened = UsedActs(self._path, clock=self._clock)
        return self._opened
