"""Rotations of PINs at the request of the home's owner: one member after the other, while all of them serve.

    pending PIN sealed, on disk → a worker is begun that is to take over; before it is, ``PinChanging`` sets and proves the PIN →
    it takes over → the next member

A member that is away keeps its pending PIN, and gets it when it is back. Nobody but the home's owner is heard: a process
of our own user that is none of the API processes.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from strongroom.audit import AuditLog
from strongroom.config import MemberConfig
from strongroom.core import ApprovalRequiredError, EventSink, PinRefusedError, Secret, StrongroomError
from strongroom.hsm.wire import failure_from
from strongroom.runtime._approved_acts import ApprovedAct
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._pin_changing import PinChanging, PinRotationError
from strongroom.runtime._pin_officers import OfficerPins, receivers
from strongroom.wiring.pin_changes import PinChange, PinRole
from strongroom.wiring.pin_door import PinAnswer, PinOutcome, PinRequest

Renew = Callable[[str, str], Awaitable[StrongroomError | None]]
"""Replaces a member's worker while it serves, for a reason; returns why it did not."""
_CATCH_UP_EVERY_S: Final = 20.0
_BACK_LIMIT_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.2


class PinKeeping:
    """Rotates PINs. Belongs to the event loop of main."""

    def __init__(
        self,
        members: Mapping[str, MemberConfig],
        changing: PinChanging,
        *,
        renew: Renew,
        serves: Callable[[str], bool],
        officers: OfficerPins,
        custody: CustodyKeeping | None,
        audit: AuditLog,
        api_pids: Callable[[], Collection[int]],
        events: EventSink,
    ) -> None:
        """``serves`` says whether a member serves at this moment."""
        self._members = members
        self._changing = changing
        self._renew = renew
        self._serves = serves
        self._officers = officers
        self._custody = custody
        self._audit = audit
        self._api_pids = api_pids
        self._events = events
        self._turn = asyncio.Lock()
        self._for_a_person: set[str] = set()  # whose changes do not go on before the service starts anew
        self._spent: ApprovedAct | None = None
        self._catching_up: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have members that serve finish changes which were put off, now and then."""
        self._catching_up = asyncio.ensure_future(self._catch_up())

    def close(self) -> None:
        """End; what is under way is finished at the next start."""
        if self._catching_up is not None:
            self._catching_up.cancel()

    async def answer(self, request: PinRequest, pid: int) -> PinAnswer:
        """Do what the home's owner asks.

        Raises ApprovalRequiredError for an API process, and where officers have not approved it, PinRotationError when
        nothing can be done, DeliveryError, HsmError, StorageError and AuditUnavailableError.
        """
        if pid in self._api_pids():
            raise ApprovalRequiredError("API processes change no PIN")
        if self._turn.locked():
            raise PinRotationError("PINs are being changed already", next_step="see: strongroom pin status")
        async with self._turn:
            if request.role == "so":
                return PinAnswer([await self._rotate_officer(request)])
            return await self._rotate_users(request)

    async def _rotate_officer(self, request: PinRequest) -> PinOutcome:
        if request.member is None or not request.so_pin:
            raise PinRotationError(
                "a security officer's PIN is changed member by member, and the present one is presented"
            )
        (member,) = self._asked_for(request)
        state = None if self._custody is None else self._custody.chain.state
        recipients = receivers(state, request.recipients)
        before = self._officers.change_of(member)
        is_open = before is not None and not before.has_ended  # then it was approved when it began
        if before is not None and is_open:
            detail = {"member": member.name, "role": "so"}
            detail |= {"approval": before.approval} if before.approval else {}
            await self._audit.record("intent", "pin.Rotate", principal=_owner(), detail=dict(detail))
        else:
            detail = await self._approved(member, "so", request.approval)
        present = Secret(request.so_pin)
        try:
            change = await self._officers.change(
                member, present, recipients, asked_by=_owner(), approval=detail.get("approval", "")
            )
        except StrongroomError as error:
            after = self._officers.change_of(member)
            if not is_open and (after == before or (after is not None and after.old.is_refused)):
                await self._had_no_effect(detail, error)
            else:
                await self._tell(detail, type(error).__name__)
            raise
        finally:
            present.zeroize()
        await self._tell({**detail, "change": change.change_id, "delivery": change.delivery}, "ok")
        return PinOutcome(member.name, "so", "changed", change.change_id, change.delivery)

    async def _approved(self, member: MemberConfig, role: PinRole, approval: str) -> dict[str, str]:
        """Spend the officers' approval, where the home has officers; returns what entries of the audit log say of it.

        The worker that calls C_SetPIN judges the approval itself; what nobody approved is not even begun.
        """
        detail = {"member": member.name, "role": role}
        if self._custody is not None:
            act = await self._custody.claimed(approval, "RotatePin", dict(detail), _owner())
            detail |= {"approval": act.approval, "evidence": self._custody.evidence_sha256(act)}
            self._spent = act
        await self._audit.record("intent", "pin.Rotate", principal=_owner(), detail=dict(detail))
        return detail

    async def _had_no_effect(self, detail: dict[str, str], error: StrongroomError) -> None:
        """Let the approval be used again: the token has the PIN that it had."""
        if self._custody is not None and self._spent is not None:
            await self._custody.release(self._spent)
        await self._tell(detail, type(error).__name__)

    async def _tell(self, detail: dict[str, str], outcome: str) -> None:
        await self._audit.record("outcome", "pin.Rotate", principal=_owner(), outcome=outcome, detail=detail)

    async def _rotate_users(self, request: PinRequest) -> PinAnswer:
        outcomes: list[PinOutcome] = []
        waiting: list[ApprovalRequiredError] = []
        for member in self._asked_for(request):
            try:
                outcome = await self._rotate_user(member, request.approval)
            except ApprovalRequiredError as error:  # officers are asked for all members at once
                waiting.append(error)
                continue
            except StrongroomError as error:
                return PinAnswer(outcomes, failure_from(error))
            outcomes.append(outcome)
            if outcome.state == "failed":  # what is wrong with one may be wrong with all
                break
        return PinAnswer(outcomes, failure_from(_joined(waiting)) if waiting else None)

    async def _rotate_user(self, member: MemberConfig, approval: str) -> PinOutcome:
        change = self._changing.change_of(member)
        if change is None or change.has_ended:  # one that is under way was approved when it began
            self._changing.require_changeable(member)
            detail = await self._approved(member, "user", approval)
            try:
                change = await self._changing.begin(
                    member, asked_by=_owner(), approval=detail.get("approval", "")
                )
            except StrongroomError as error:
                await self._had_no_effect(detail, error)
                raise
        self._events.emit("pin.change_began", member=member.name, role="user", change=change.change_id)
        not_renewed = await self._renew(member.name, "its PIN is being changed")
        if not_renewed is not None:
            await self._until_it_is_back(member)
        return self._outcome(member, change, not_renewed)

    async def _until_it_is_back(self, member: MemberConfig) -> None:
        """Wait a while for a member that failed in the middle: its next start finishes the change, before it serves."""
        with contextlib.suppress(TimeoutError, StrongroomError):
            async with asyncio.timeout(_BACK_LIMIT_S):
                while True:
                    change = self._changing.change_of(member)
                    if change is None or change.trouble or (change.has_ended and self._serves(member.name)):
                        return
                    await asyncio.sleep(_LOOK_EVERY_S)

    def _outcome(self, member: MemberConfig, began: PinChange, error: StrongroomError | None) -> PinOutcome:
        change = self._changing.change_of(member)
        if change is None or change.change_id != began.change_id:
            raise PinRotationError(f"the record of the change of member {member.name} is gone")
        outcome = PinOutcome(member.name, "user", "pending", change.change_id)
        if change.phase == "done":
            return _with(outcome, state="changed", cause="" if error is None else error.message)
        if change.phase == "failed":
            return _with(outcome, state="failed", cause=change.trouble)
        return _with(outcome, cause=change.trouble or ("" if error is None else error.message))

    def _asked_for(self, request: PinRequest) -> list[MemberConfig]:
        if request.member is None:
            return list(self._members.values())
        member = self._members.get(request.member)
        if member is None:
            raise PinRotationError(
                f"there is no member {request.member!r}",
                next_step=f"the members are: {', '.join(self._members)}",
            )
        return [member]

    async def _catch_up(self) -> None:
        """A change that was put off, since the token did not answer while its member went on serving, is tried again."""
        while True:
            await asyncio.sleep(_CATCH_UP_EVERY_S)
            if self._turn.locked():
                continue
            async with self._turn:
                for name, member in self._members.items():
                    try:
                        change = self._changing.change_of(member)
                    except StrongroomError:
                        continue  # the member's next start says so
                    if change is None or change.has_ended or name in self._for_a_person:
                        continue
                    if self._serves(name):
                        error = await self._renew(name, "a change of its PIN is to be finished")
                        if isinstance(error, PinRefusedError):
                            self._for_a_person.add(name)


def _joined(waiting: Sequence[ApprovalRequiredError]) -> ApprovalRequiredError:
    """Return what is missing for several members as one error."""
    if len(waiting) == 1:
        return waiting[0]
    messages = dict.fromkeys(error.message for error in waiting)
    return ApprovalRequiredError(
        "; ".join(messages),
        next_step="have officers read and sign them: strongroom approvals list; then repeat this",
    )


def _with(outcome: PinOutcome, **fields: str) -> PinOutcome:
    return msgspec.structs.replace(outcome, **fields)


def _owner() -> str:
    return f"local/{os.geteuid()}"
