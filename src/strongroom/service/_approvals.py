"""``ApprovalDesk``: where whatever needs the approval of officers is asked for, and let through once.

    require(verb, parameters, asker)
        the home has no officers                        → None: nobody has to approve anything
        a request for just this has its signatures      → it is claimed, once over all processes → ticket
        a standing approval covers it                   → the use is noted → ticket
        otherwise                                       → a request is made, or the one that waits is named → ApprovalPendingError
        no rule                                         → NoRuleError

What is claimed is spent before the act begins. Whoever dies in between has spent it: the act needs a new request. An act that
failed before anything could happen gives it back. A member worker asks for the signatures itself and knows nothing of this
desk; what is let through here without them is refused there.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from strongroom.audit import AuditLog
from strongroom.core import (
    AuditUnavailableError,
    Clock,
    HsmKeyLimitError,
    MemberBusyError,
    StorageError,
    random_bytes,
)
from strongroom.custody import (
    NO_USES,
    ApprovalRefusedError,
    Chain,
    CustodyError,
    Json,
    MalformedDocumentError,
    document_hash,
    new_request,
    read_act,
    rule_of,
    standing_terms,
    use_standing,
    write_document,
)
from strongroom.keyring import KeyringError
from strongroom.service._approval_errors import (
    ApprovalLimitError,
    ApprovalPendingError,
    CustodyBrokenError,
    NoRuleError,
)
from strongroom.service._approval_reading import Opened, act_digest, evidence_of, missing_of, opened
from strongroom.service._approval_values import ApprovalStanding, ApprovalTicket, Asker
from strongroom.service._approval_writes import claim, keep, next_use, note_use
from strongroom.service._custody_book import CustodyBook
from strongroom.storage import ApprovalRecord, ApprovalState, Store

T = TypeVar("T")

_MAX_STANDING: Final = 200
_TRIES: Final = 10
_WITHOUT_EFFECT: Final = (
    KeyringError, HsmKeyLimitError, MemberBusyError, ApprovalPendingError, ApprovalLimitError, NoRuleError
)  # fmt: skip
"""Errors that are raised before anything could happen, and before any member worker spent the request."""


class ApprovalDesk:
    """Lets acts through that officers approved. Belongs to the event loop (and thread) of its store.

    Everything raises CustodyBrokenError when the database does not hold what officers signed, StorageError and
    AuditUnavailableError.
    """

    def __init__(self, store: Store, book: CustodyBook, audit: AuditLog, *, clock: Clock) -> None:
        self.book = book
        self._store = store
        self._audit = audit
        self._clock = clock

    @property
    def is_kept(self) -> bool:
        """Whether the home has officers. Raises as all."""
        return self.book.chain() is not None

    async def run(
        self,
        verb: str,
        parameters: Mapping[str, Json],
        asker: Asker,
        act: Callable[[str], Awaitable[T]],
        *,
        is_done: Callable[[T], bool] = lambda _result: True,
    ) -> T:
        """Do an act if it is approved; it gets the id of the approval, empty where none is needed.

        Raises as ``require``, and as the act does. When that failed, or was not done (``is_done``), without any effect, the
        approval can be used again.
        """
        ticket = await self.require(verb, parameters, asker)
        if ticket is None:
            return await act("")
        try:
            result = await act(ticket.approval)
        except _WITHOUT_EFFECT as error:
            await self.release(ticket, asker, because=type(error).__name__)
            raise
        if not is_done(result):
            await self.release(ticket, asker, because="NotDone")
        return result

    async def require(self, verb: str, parameters: Mapping[str, Json], asker: Asker) -> ApprovalTicket | None:
        """Return a ticket for an act that may be done now, once; None where the home has no officers.

        Raises ApprovalPendingError, NoRuleError, ApprovalLimitError, and MalformedDocumentError for parameters that nobody can
        sign, or that are not those of the act.
        """
        for _ in range(_TRIES):
            chain = self.book.chain()
            if chain is None:
                return None
            _require_askable(chain, verb, parameters)
            waiting = self._waiting(verb, parameters, asker)
            stands = {one.stands(chain.state, now=self.now()): one for one in waiting}
            if ApprovalStanding.APPROVED in stands:
                ticket = await self._claimed(chain, stands[ApprovalStanding.APPROVED], asker)
            elif ApprovalStanding.VOID in stands:
                await self._void(stands[ApprovalStanding.VOID], asker)
                continue
            else:
                ticket = await self._by_standing(chain, verb, parameters, asker)
                if ticket is None:
                    one = await self._asked(chain, verb, parameters, asker)
                    raise ApprovalPendingError(verb, one.record.id, missing_of(chain.state, one))
            if ticket is not None:
                return ticket
            # Somebody was faster, or officers or rules have changed: look anew.
        raise StorageError("other requests kept changing the approvals before this one could be looked at")

    async def ask(self, verb: str, parameters: Mapping[str, Json], asker: Asker) -> str:
        """Make a request, or find the one that waits for the same; returns its id. Nothing is done by it.

        Raises CustodyNotKeptError, NoRuleError, ApprovalLimitError, MalformedDocumentError.
        """
        chain = self.book.require_chain()
        _require_askable(chain, verb, parameters)
        for one in self._waiting(verb, parameters, asker):
            if one.stands(chain.state, now=self.now()) is ApprovalStanding.VOID:
                await self._void(one, asker)
        return (await self._asked(chain, verb, parameters, asker)).record.id

    def must_wait(self, verb: str, parameters: Mapping[str, Json], asker: Asker) -> bool:
        """Whether officers were asked and have not approved yet, or have rejected it: nobody need try before that changes."""
        chain = self.book.chain()
        now = self.now()
        if chain is None or any(self._is_left(one, now) for one in self._covering(chain, verb, parameters)):
            return False
        act = act_digest(verb, parameters, asker.requester)
        if self._store.list_approvals_asking_for(act, now=now, state=ApprovalState.REJECTED):
            return True
        waiting = self._waiting(verb, parameters, asker)
        return any(one.stands(chain.state, now=now) is ApprovalStanding.OPEN for one in waiting)

    def _is_left(self, one: Opened, now: int) -> bool:
        """Whether a standing approval can be used once more at this moment."""
        try:
            next_use(self._store, one, now=now)
        except ApprovalRefusedError:
            return False
        return True

    async def release(self, ticket: ApprovalTicket, asker: Asker, *, because: str) -> None:
        """Let an approval be used again whose act had no effect. A use of a standing approval stays used."""
        if ticket.use:
            return
        if await self._store.write(lambda tx: tx.release_approval(ticket.approval)):
            detail = {"approval": ticket.approval, "verb": ticket.verb, "because": because}
            await self.tell("approval.released", asker, detail)

    def _waiting(self, verb: str, parameters: Mapping[str, Json], asker: Asker) -> list[Opened]:
        act = act_digest(verb, parameters, asker.requester)
        found = self._store.list_approvals_asking_for(act, now=self.now())
        return [opened(self._store, record) for record in found]

    async def _void(self, one: Opened, asker: Asker) -> None:
        """End a request of which nothing can come."""
        why = "officers or rules have changed, or a signature does not count any more"
        if await self._store.write(lambda tx: tx.end_approval(one.record.id, ApprovalState.VOID, by=why)):
            detail = {"approval": one.record.id, "verb": one.request.verb, "because": why}
            await self.tell("approval.void", asker, detail)

    async def _claimed(self, chain: Chain, one: Opened, asker: Asker) -> ApprovalTicket | None:
        """Spend a request that has its signatures; None when that is not so any more."""
        now, by = float(self.now()), asker.requester
        work = partial(claim, approval=one.record.id, sequence=chain.state.sequence, now=now, by=by)
        if not await self._store.write(work):
            return None
        ticket = ApprovalTicket(one.record.id, one.request.verb)
        done = one.record._replace(state=ApprovalState.EXECUTED, executed_at=now)
        try:
            await self.tell_executed(chain, one._replace(record=done), asker)
        except AuditUnavailableError:  # nothing has begun, and nothing is done that is not in the log
            await self._store.write(lambda tx: tx.release_approval(one.record.id))
            raise
        return ticket

    async def tell_claimed(self, approval: str, asker: Asker) -> None:
        """Write down that an act begins under a request that was named and claimed by main itself.

        Raises AuditUnavailableError, and StorageError; then nothing may begin, and the request is to be released.
        """
        chain, record = self.book.chain(), self._store.get_approval(approval)
        if chain is not None and record is not None:
            await self.tell_executed(chain, opened(self._store, record), asker)

    async def tell_executed(self, chain: Chain, one: Opened, asker: Asker, *, use: int = 0) -> None:
        """Write down that an act begins under an approval, and which evidence proves that it may."""
        evidence = evidence_of(self._store, chain, one, use=use)
        officers = ", ".join(dict.fromkeys(row.officer for row in one.rows if row.kind.value == "approval"))
        detail = {"approval": one.record.id, "verb": one.request.verb, "evidence": document_hash(evidence)}
        if use:
            detail |= {"verb": standing_terms(one.request.parameters).verb, "use": str(use)}
        await self.tell("approval.executed", asker, {**detail, "approved_by": officers})

    async def _by_standing(
        self, chain: Chain, verb: str, parameters: Mapping[str, Json], asker: Asker
    ) -> ApprovalTicket | None:
        for one in self._covering(chain, verb, parameters):
            work = partial(note_use, one=one, chain=chain, parameters=parameters, now=self.now())
            try:
                use = await self._store.write(work)
            except ApprovalRefusedError:  # it was used as often as it may be
                continue
            if use:
                await self.tell_executed(chain, one, asker, use=use)
                return ApprovalTicket(one.record.id, verb, use)
        return None

    def _covering(self, chain: Chain, verb: str, parameters: Mapping[str, Json]) -> list[Opened]:
        """Return the standing approvals that cover an act now, whether or not they have uses left."""
        covering = []
        for record in self._store.list_approvals(state=ApprovalState.STANDING, limit=_MAX_STANDING):
            one = opened(self._store, record)
            with contextlib.suppress(ApprovalRefusedError):
                use_standing(
                    chain.state, one.request, one.approvals,
                    verb=verb, parameters=parameters, now=self.now(), uses=NO_USES,
                )  # fmt: skip
                covering.append(one)
        return covering

    async def _asked(self, chain: Chain, verb: str, parameters: Mapping[str, Json], asker: Asker) -> Opened:
        now = self.now()
        try:
            request = new_request(
                chain.state, verb, parameters, requester=asker.requester, nonce=random_bytes(16), now=now
            )
        except ApprovalRefusedError as error:
            raise NoRuleError(verb, error.message) from error
        document = write_document(request)
        record = ApprovalRecord(
            document_hash(document),
            verb,
            asker.requester,
            document,
            act_digest(verb, parameters, asker.requester),
            float(request.created),
            float(request.expires),
        )
        kept = await self._store.write(partial(keep, record=record, now=now))
        if kept.state is ApprovalState.REJECTED:
            raise NoRuleError(
                verb, f"{kept.ended_by} rejected request {kept.id[:12]}, which has not expired yet"
            )
        if kept.id == record.id:
            await self.tell("approval.requested", asker, {"approval": record.id, "verb": verb})
        return opened(self._store, kept)

    def now(self) -> int:
        """Return the time by which requests are judged, in whole seconds since the Unix epoch."""
        return int(self._clock.now())

    async def tell(self, event: str, asker: Asker, detail: dict[str, str]) -> None:
        """Write down what became of an approval, and by whom."""
        await self._audit.record(
            "event",
            event,
            principal=asker.requester,
            access_key_id=asker.access_key_id,
            source_address=asker.source_address,
            request_id=asker.request_id,
            detail=detail,
        )


def _require_askable(chain: Chain, verb: str, parameters: Mapping[str, Json]) -> None:
    """Refuse what nobody can approve, and what would be signed and then cover nothing."""
    try:
        rule_of(chain.state, verb, parameters)
    except ApprovalRefusedError as error:
        raise NoRuleError(verb, error.message) from error
    except CustodyError as error:
        raise CustodyBrokenError(error.message) from error
    try:
        read_act(verb, parameters)
    except ApprovalRefusedError as error:
        raise MalformedDocumentError(error.message) from error
