"""``CustodyVerbs``: officers, rules, requests for approval and signatures; and acts of other verbs that need an approval."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Self, TypeVar

from strongroom.audit import AuditLog
from strongroom.core import Clock
from strongroom.custody import CUSTODY_VERBS, Json, changed_state, document_hash, write_document
from strongroom.service._approval_errors import CustodyNotKeptError
from strongroom.service._approval_reading import act_digest, evidence_of, find, opened, shown
from strongroom.service._approval_signing import SignatureDesk, Taken
from strongroom.service._approval_values import (
    JOBS,
    ApprovalInfo,
    ApprovalPage,
    ApprovalStanding,
    Asker,
    CustodyInfo,
    EvidenceInfo,
)
from strongroom.service._approvals import ApprovalDesk
from strongroom.service._audited import AuditedVerbs
from strongroom.service._caller import Caller
from strongroom.service._custody_book import CustodyBook
from strongroom.storage import ApprovalRecord, ApprovalState, Reader, Store

T = TypeVar("T")

_STATES = {
    ApprovalStanding.REJECTED: ApprovalState.REJECTED,
    ApprovalStanding.EXECUTED: ApprovalState.EXECUTED,
    ApprovalStanding.STANDING: ApprovalState.STANDING,
    ApprovalStanding.ENDED: ApprovalState.STANDING,
    ApprovalStanding.OPEN: ApprovalState.OPEN,
    ApprovalStanding.APPROVED: ApprovalState.OPEN,
    ApprovalStanding.EXPIRED: ApprovalState.OPEN,
}
"""In which state the database has the requests that stand so; a void one may be there in any."""


class CustodyKeeping:
    """What a service with officers stands on: the desk, where signatures are taken, and where requests are read."""

    def __init__(self, reader: Reader, desk: ApprovalDesk, signatures: SignatureDesk) -> None:
        self.reader = reader
        self.desk = desk
        self.signatures = signatures

    @classmethod
    def opened(cls, store: Store, genesis_sha256: str | None, audit: AuditLog, *, clock: Clock) -> Self:
        """Join everything. ``genesis_sha256``: of the genesis that the configuration names; None where it names none."""
        desk = ApprovalDesk(store, CustodyBook(store, genesis_sha256), audit, clock=clock)
        return cls(store, desk, SignatureDesk(store, desk, clock=clock))


class CustodyVerbs(AuditedVerbs):
    """See ``CustodyService`` for what each verb promises."""

    custody: CustodyKeeping | None = None
    """Whoever builds the service gives it one; without it the home has no officers."""

    async def approved(
        self,
        verb: str,
        parameters: Mapping[str, Json],
        asker: Asker,
        act: Callable[[str], Awaitable[T]],
        *,
        is_done: Callable[[T], bool] = lambda _result: True,
        detail: dict[str, str] | None = None,
    ) -> T:
        """Do an act if officers approved it, as ``ApprovalDesk.run``; where there are no officers, just so.

        ``detail``, of the entry of the act, gets the id of the approval; where there are two, both.
        """
        if self.custody is None:
            return await act("")

        async def act_under(approval: str) -> T:
            if approval and detail is not None:
                detail["approval"] = f"{detail['approval']} {approval}" if "approval" in detail else approval
            return await act(approval)

        return await self.custody.desk.run(verb, parameters, asker, act_under, is_done=is_done)

    async def not_waiting(
        self, verb: str, key_ids: Iterable[str], parameters_of: Callable[[str], dict[str, Json] | None]
    ) -> list[str]:
        """Return the keys on which the service itself can work now: officers were not asked, or have decided.

        ``parameters_of``: what they approve of a key; None where nobody need. Others have their turn meanwhile: it may be many.
        """
        ready, waits = [], dict[str, bool]()
        for key_id in key_ids:
            parameters = parameters_of(key_id)
            if parameters is not None and self.custody is not None:
                act = act_digest(verb, parameters, JOBS.requester)
                if act not in waits:
                    await asyncio.sleep(0)
                    waits[act] = self.custody.desk.must_wait(verb, parameters, JOBS)
                if waits[act]:
                    continue
            ready.append(key_id)
        return ready

    @property
    def has_officers(self) -> bool:
        """Whether anything is approved by anybody here. Raises CustodyBrokenError, StorageError."""
        return self.custody is not None and self.custody.desk.is_kept

    async def describe_custody(self, caller: Caller) -> CustodyInfo:
        """Tell who the officers are and what the rules are."""

        async def act() -> CustodyInfo:
            chain = self._keeping().desk.book.require_chain()
            return CustodyInfo(document_hash(write_document(chain.genesis)), chain.state)

        return await self._use(caller, "DescribeCustody", act())

    async def list_approvals(
        self, caller: Caller, *, stands: ApprovalStanding | None, limit: int, after: str | None
    ) -> ApprovalPage:
        """List requests, the newest first."""

        async def act() -> ApprovalPage:
            reader = self._keeping().reader
            state = None if stands is None else _STATES.get(stands)
            behind = None if after is None else find(reader, after)
            found = reader.list_approvals(state=state, after=behind, limit=limit + 1)
            infos = []
            for record in found[:limit]:
                infos.append(self._info(record))
                await asyncio.sleep(0)  # each counts signatures: others have their turn
            fitting = tuple(info for info in infos if stands in {None, info.stands})
            return ApprovalPage(fitting, found[limit - 1].id if len(found) > limit else None)

        return await self._use(caller, "ListApprovals", act())

    async def describe_approval(self, caller: Caller, approval: str) -> ApprovalInfo:
        """Tell all about a request."""

        async def act() -> ApprovalInfo:
            return self._info(find(self._keeping().reader, approval))

        return await self._use(caller, "DescribeApproval", act(), detail={"approval": approval})

    async def request_approval(
        self, caller: Caller, *, verb: str, parameters: Mapping[str, Json]
    ) -> ApprovalInfo:
        """Make a request, or find the one that waits for the same."""
        detail = {"verb": verb}

        async def act() -> ApprovalInfo:
            keeping = self._keeping()
            state = keeping.desk.book.require_chain().state
            if verb in CUSTODY_VERBS:  # so that nobody signs what cannot come into force
                changed_state(state, verb, parameters, head="0" * 64, at=state.at)
            approval = await keeping.desk.ask(verb, parameters, Asker.of(caller))
            detail["approval"] = approval
            return self._info(find(keeping.reader, approval))

        return await self._change(caller, "RequestApproval", act, detail=detail)

    async def approve_request(self, caller: Caller, approval: str, *, signature: bytes) -> Taken:
        """Take an officer's approval in."""
        return await self._sign(caller, "ApproveRequest", approval, signature, SignatureDesk.approve)

    async def reject_request(self, caller: Caller, approval: str, *, signature: bytes) -> Taken:
        """Take an officer's rejection in."""
        return await self._sign(caller, "RejectRequest", approval, signature, SignatureDesk.reject)

    async def get_evidence(self, caller: Caller, approval: str, *, use: int) -> EvidenceInfo:
        """Return what proves what was done."""
        detail = {"approval": approval}

        async def act() -> EvidenceInfo:
            keeping = self._keeping()
            one = opened(keeping.reader, find(keeping.reader, approval))
            document = evidence_of(keeping.reader, keeping.desk.book.require_chain(), one, use=use)
            detail["sha256"] = document_hash(document)
            return EvidenceInfo(document, detail["sha256"])

        return await self._use(caller, "GetEvidence", act(), detail=detail)

    async def _sign(
        self,
        caller: Caller,
        verb: str,
        approval: str,
        signature: bytes,
        take: Callable[[SignatureDesk, str, bytes, Asker], Awaitable[Taken]],
    ) -> Taken:
        detail = {"approval": approval}

        async def act() -> Taken:
            taken = await take(self._keeping().signatures, approval, signature, Asker.of(caller))
            detail.update(approval=taken.approval, officer=taken.officer)
            return taken

        return await self._change(caller, verb, act, detail=detail)

    def _keeping(self) -> CustodyKeeping:
        if self.custody is None:
            raise CustodyNotKeptError
        return self.custody

    def _info(self, record: ApprovalRecord) -> ApprovalInfo:
        keeping = self._keeping()
        chain = keeping.desk.book.require_chain()
        return shown(keeping.reader, chain, opened(keeping.reader, record), now=keeping.desk.now())
