"""Takes changes of user PINs from their records to their ends, before a worker of the member is started.

Whoever starts a worker that serves asks ``ready_pin`` for its PIN. So a change that was interrupted is finished first,
whatever ended the process that began it, and a member that was away catches up when it returns. The record's rules
(``wiring.pin_changes``) say what comes next; every try of a PIN is made, and noted, by a worker that does only that.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from strongroom.audit import AuditLog
from strongroom.config import Home, MemberConfig, PinsConfig
from strongroom.core import (
    ApprovalRequiredError,
    AuditUnavailableError,
    Clock,
    EventSink,
    HsmError,
    MemberFailedError,
    PinRefusedError,
    Secret,
    StrongroomError,
)
from strongroom.hsm.token import load_profile
from strongroom.runtime._pin_change_files import PinChangeFiles
from strongroom.wiring.bootstrap import ApprovedChange, MemberBootstrap, MemberMode
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.pin_changes import (
    NextStep,
    PinChange,
    PinTries,
    in_words,
    next_step,
)
from strongroom.wiring.pin_refusals import remember_refused_pin
from strongroom.wiring.pin_sealing import (
    PinBinding,
    read_pin,
    read_sealed_pin,
    sealing_key,
    write_sealed_pin,
)
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member

RunWorker = Callable[[MemberBootstrap, Mapping[str, str]], Awaitable[None]]
"""Runs a worker that does one thing, to its end. Raises what the worker says went wrong."""
Approved = Callable[[PinChange], ApprovedChange | None]
"""Returns what proves to a worker that officers approved a change; None where nothing does. Raises StorageError."""
_TRIES: Final = {NextStep.CHANGE: "old", NextStep.PROVE: "new"}


class PinRotationError(StrongroomError):
    """A PIN cannot be changed now, or not by us."""


async def run_once(bootstrap: MemberBootstrap, environment: Mapping[str, str]) -> None:
    """Start a worker, wait for its answer, end it."""
    child = await start_member(bootstrap, environment)
    await child.end()


class PinChanging:
    """Changes of user PINs. Belongs to the event loop of main; one change of a member goes on at a time."""

    def __init__(
        self,
        home: Home,
        pins: PinsConfig,
        *,
        events: EventSink,
        clock: Clock,
        audit: AuditLog | None = None,
        approved: Approved = lambda _change: None,
        run: RunWorker = run_once,
    ) -> None:
        """``audit`` is told of each end of a change, if there is one."""
        self._approved = approved
        self._home = home
        self._files = PinChangeFiles(home, pins, clock=clock)
        self._pins = pins
        self._events = events
        self._clock = clock
        self._audit = audit
        self._run = run
        self._turns: dict[str, asyncio.Lock] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def ready_pin(self, member: MemberConfig) -> Secret:
        """Finish a change that is under way, and return the PIN that the token has.

        Raises PinRefusedError when only a person can tell which, ConfigError when a file is not as it should be, and
        MemberFailedError and other HsmErrors when the token did not answer: then it is tried again at the next start.
        """
        if self._turn(member).locked() or self._is_under_way(member):
            # Whoever waits may be told to stop: that must not kill a worker in the middle of C_SetPIN.
            settling = asyncio.ensure_future(self._settle(member))
            self._under_way.add(settling)
            settling.add_done_callback(self._under_way.discard)
            await asyncio.shield(settling)
        return read_pin(member, self._home, self._pins)

    async def close(self) -> None:
        """Wait until no PIN is being changed: a worker ends within a minute, whatever its token does."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def change_of(self, member: MemberConfig) -> PinChange | None:
        """Return the record of the member's last change. Raises PinRecordError."""
        return self._files.read(member)

    async def begin(self, member: MemberConfig, *, asked_by: str, approval: str = "") -> PinChange:
        """Make a new PIN and store it as the pending one, on disk; a change that is under way already is returned.

        Nothing is sent to the token before the next ``ready_pin``. Raises PinRotationError when Strongroom does not change
        this PIN, ConfigError, and PinRefusedError when the token refused the present one.
        """
        async with self._turn(member):
            change = self.change_of(member)
            if change is not None and not change.has_ended:
                return change
            self.require_changeable(member)
            return await asyncio.to_thread(self._files.begin, member, asked_by=asked_by, approval=approval)

    def require_changeable(self, member: MemberConfig) -> None:
        """Raise PinRotationError when this PIN is not changed by Strongroom."""
        profile = load_profile(member.profile, member.profile_changes)
        if profile.pin_changed_by == "vendor":
            raise PinRotationError(
                f"PINs of {profile.name} are changed by the vendor's tool, not by C_SetPIN",
                next_step="change it there, then seal the new one: strongroom pin seal",
            )
        if member.pin.sealed is None:
            raise PinRotationError(
                f"the PIN of member {member.name} is not sealed, so Strongroom does not change it",
                next_step="seal it: strongroom pin seal",
            )

    def _is_under_way(self, member: MemberConfig) -> bool:
        change = self.change_of(member)
        return change is not None and not change.has_ended

    async def _settle(self, member: MemberConfig) -> None:
        async with self._turn(member):
            sent: set[NextStep] = set()
            while True:
                change = self.change_of(member)
                step = NextStep.NOTHING if change is None else next_step(change)
                if change is None or step is NextStep.NOTHING:
                    return
                if step in sent:  # at most one try of each PIN at a time
                    raise MemberFailedError(
                        f"the change of the PIN of member {member.name} did not come to an end"
                    )
                if step is NextStep.REPLACE:
                    sent.clear()  # another new PIN
                if step in _TRIES:
                    sent.add(step)
                await self._take(step, member, change)

    async def _take(self, step: NextStep, member: MemberConfig, change: PinChange) -> None:
        match step:
            case NextStep.CHANGE | NextStep.PROVE:
                await self._try(step, member, change)
            case NextStep.ADOPT:
                await self._adopt(member, change)
            case NextStep.REPLACE:
                await asyncio.to_thread(self._files.replace, member, change)
            case NextStep.GIVE_UP:
                await self._give_up(member, change)
            case _:
                error = PinRefusedError(
                    f"the token of member {member.name} refused the old PIN and the new one: somebody else changed it",
                    next_step="have its security officer set a new user PIN, and seal that: strongroom pin seal",
                )
                self._note_trouble(member, change, error)
                raise error

    async def _try(self, step: NextStep, member: MemberConfig, change: PinChange) -> None:
        mode: MemberMode = "change-pin" if step is NextStep.CHANGE else "prove-pin"
        try:
            await self._run(self._bootstrap(mode, member, change), member_environment(member, self._home))
        except (HsmError, ApprovalRequiredError) as error:
            after = self.change_of(member)
            if after is not None and after.phase == "failed":
                await self._tell_end(after)
            elif after is None or next_step(after) is step:
                self._note_trouble(member, change if after is None else after, error)
                raise

    def _bootstrap(self, mode: MemberMode, member: MemberConfig, change: PinChange) -> MemberBootstrap:
        key = sealing_key(self._pins, self._home)
        new = key.open(change.sealed.encode(), PinBinding.of(member))
        old = key.open(read_sealed_pin(self._files.stored(member)), PinBinding.of(member))
        try:
            sends, sets = (old, new) if mode == "change-pin" else (new, None)
            return member_bootstrap(
                member,
                self._home,
                mode,
                pin=sends.reveal(),
                new_pin=b"" if sets is None else sets.reveal(),
                approved_change=self._approved(change) if mode == "change-pin" else None,
                sockets=restore_runtime_folder(self._home),
                generation=0,
            )
        finally:
            old.zeroize()
            new.zeroize()

    async def _adopt(self, member: MemberConfig, change: PinChange) -> None:
        """Store the new PIN as the current one, which overwrites the old one; only then the change is done."""
        try:
            write_sealed_pin(self._files.stored(member), change.sealed.encode())
        except OSError as error:
            raise MemberFailedError(
                f"the new PIN of member {member.name} cannot be stored: {error.strerror}",
                next_step="look at the disk of the home; the change goes on at the next start",
            ) from error
        done = msgspec.structs.replace(
            change,
            phase="done",
            sealed="",
            trouble="",
            ended_at=self._clock.now(),
            old=PinTries(),
            new=PinTries(),
        )
        await self._tell_end(done)
        self._files.write(member, done)

    async def _give_up(self, member: MemberConfig, change: PinChange) -> None:
        """The present PIN is wrong: have it remembered, so that it is not sent again, and forget the new one."""
        old = read_pin(member, self._home, self._pins)
        try:
            await asyncio.to_thread(remember_refused_pin, self._home, member, old)
        except OSError as error:
            self._events.emit("pin.refusal_not_kept", member=member.name, cause=error.strerror)
        finally:
            old.zeroize()
        failed = msgspec.structs.replace(
            change,
            phase="failed",
            sealed="",
            trouble="the token refused the present PIN, so it was not changed",
            ended_at=self._clock.now(),
        )
        await self._tell_end(failed)
        self._files.write(member, failed)

    async def _tell_end(self, change: PinChange) -> None:
        fields = {"member": change.member, "role": change.role, "change": change.change_id}
        if change.phase == "done":
            self._events.emit("pin.changed", **fields)
        else:
            self._events.emit("pin.not_changed", **fields, cause=change.trouble)
        if self._audit is None:
            return
        outcome = "ok" if change.phase == "done" else "failed"
        detail = {**fields, "approval": change.approval} if change.approval else fields
        try:
            await self._audit.record(
                "outcome", "pin.Rotate", principal=change.asked_by, outcome=outcome, detail=detail
            )
        except AuditUnavailableError as error:  # the PIN was changed all the same
            self._events.emit("pin.end_not_audited", **fields, cause=error.message)

    def _note_trouble(self, member: MemberConfig, change: PinChange, error: StrongroomError) -> None:
        self._events.emit(
            "pin.change_has_trouble", member=member.name, change=change.change_id, cause=error.message
        )
        with contextlib.suppress(MemberFailedError):  # what is not known is only why it does not go on
            self._files.write(member, msgspec.structs.replace(change, trouble=in_words(str(error))))

    def _turn(self, member: MemberConfig) -> asyncio.Lock:
        return self._turns.setdefault(member.name, asyncio.Lock())
