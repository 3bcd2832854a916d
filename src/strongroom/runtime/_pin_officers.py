"""Changes of security officers' PINs, which never stay here: delivered to officers before they are set, then forgotten.

    new PIN delivered, on disk → pending → the present one is tried, C_SetPIN → setting, set → the new one is tried → done

The present PIN comes with the request. The record (``pin-changes/MEMBER.so``) holds salted slow hashes of both, so that after
an interruption whoever presents one of the two finds out which the token has, by one counted try; any other is not sent.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from strongroom.config import Home, MemberConfig
from strongroom.core import (
    ApprovalRequiredError,
    Clock,
    EventSink,
    HsmError,
    MemberFailedError,
    Secret,
    random_bytes,
)
from strongroom.custody import CustodyState, Role
from strongroom.hsm.token import load_profile
from strongroom.runtime._pin_change_files import note_change
from strongroom.runtime._pin_changing import Approved, PinRotationError, RunWorker, run_once
from strongroom.wiring.bootstrap import MemberBootstrap
from strongroom.wiring.durable_files import overwrite_and_remove
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.pin_changes import (
    PinChange,
    PinTries,
    in_words,
    made_at,
    read_change,
    record_name,
)
from strongroom.wiring.pin_delivery import deliver, pin_letter
from strongroom.wiring.pin_making import generate_pin
from strongroom.wiring.pin_refusals import SaltedPin, leave_marker, refuse_known_pin
from strongroom.wiring.pin_sealing import PinBinding
from strongroom.wiring.workers import member_bootstrap, member_environment

_MOST_COUNTED: Final = 99
DELIVERIES = "custody/deliveries"
"""Folder of the home where deliveries lie until the officers have taken them."""


def receivers(state: CustodyState | None, named: Sequence[str]) -> list[str]:
    """Return whom a new PIN is delivered to: those who are named, else every security officer with a recipient.

    Where a home has officers (``state``), nobody else gets it: what they approve names no recipients. Raises PinRotationError.
    """
    officers = [] if state is None else state.signers(Role.SECURITY_OFFICER)
    enrolled = [one.recipient for one in officers if one.recipient]
    if not (named or enrolled):
        raise PinRotationError(
            "nobody would get the new PIN",
            next_step="name recipients: --recipient age1…, or have security officers enrol one",
        )
    if state is not None and not {_without_comment(one) for one in named} <= set(enrolled):
        raise PinRotationError(
            "a recipient was named that no security officer has enrolled",
            next_step="leave --recipient out, or see: strongroom officers list",
        )
    return list(named or enrolled)


def _without_comment(recipient: str) -> str:
    return " ".join(recipient.split()[:2]) if recipient.startswith("ssh-") else recipient


class OfficerPins:
    """Changes security officers' PINs. Belongs to the event loop of main, one change at a time."""

    def __init__(
        self,
        home: Home,
        *,
        events: EventSink,
        clock: Clock,
        approved: Approved = lambda _change: None,
        run: RunWorker = run_once,
    ) -> None:
        self._approved = approved
        self._home = home
        self._events = events
        self._clock = clock
        self._run = run

    def change_of(self, member: MemberConfig) -> PinChange | None:
        """Return the record of the member's last change. Raises PinRecordError."""
        return read_change(self._path(member))

    async def change(
        self,
        member: MemberConfig,
        present: Secret,
        recipients: Sequence[str],
        *,
        asked_by: str,
        approval: str,
    ) -> PinChange:
        """Replace the PIN that was presented by one that is delivered to the recipients; returns how the change ended.

        An earlier change that was interrupted is resolved first, by the PIN that is presented. Raises PinRotationError,
        DeliveryError, PinRefusedError and other HsmErrors; the record says what is known.
        """
        await asyncio.to_thread(refuse_known_pin, self._home, member, present, marker=f"{member.name}.so")
        earlier = read_change(self._path(member))
        change_id = random_bytes(8).hex()
        if earlier is not None and not earlier.has_ended:
            resolved = await self._resolve(member, earlier, present)
            if resolved.phase == "done":
                return resolved
            change_id = resolved.change_id  # it goes on, with another new PIN: officers approved one change
        new = generate_pin(load_profile(member.profile, member.profile_changes))
        try:
            change = await asyncio.to_thread(
                self._begin,
                member,
                present,
                new,
                recipients,
                change_id=change_id,
                asked_by=asked_by,
                approval=approval,
            )
            self._events.emit("pin.change_began", member=member.name, role="so", change=change.change_id)
            await self._send(member, change, "change-pin", present, new)
            await self._send(member, self._now(member), "prove-pin", new)
        finally:
            new.zeroize()
        return await self._done(member, present)

    def _begin(
        self,
        member: MemberConfig,
        present: Secret,
        new: Secret,
        recipients: Sequence[str],
        *,
        change_id: str,
        asked_by: str,
        approval: str,
    ) -> PinChange:
        earlier = read_change(self._path(member))  # it has ended
        old, refusals = PinTries(), 0
        if earlier is not None:  # whichever PIN it was, the token may have counted it
            old = PinTries(unknown=min(_MOST_COUNTED, earlier.old.unknown + earlier.new.unknown))
            refusals = earlier.refusals
        delivery = f"{DELIVERIES}/{member.name}.so.{change_id}.age"
        letter = pin_letter(new, PinBinding.of(member, "so"), at=self._clock.now())
        deliver(letter, recipients, self._home.root / delivery)
        change = PinChange(
            change_id=change_id,
            member=member.name,
            role="so",
            started_at=self._clock.now(),
            present_since=made_at(earlier),
            asked_by=asked_by,
            approval=approval,
            replaced=self._salted(member, present),
            introduced=self._salted(member, new),
            delivery=delivery,
            old=old,
            refusals=refusals,
        )
        try:
            self._write(member, change)
        except MemberFailedError:  # it is of a PIN that nobody sets
            (self._home.root / change.delivery).unlink(missing_ok=True)
            raise
        return change

    async def _resolve(self, member: MemberConfig, earlier: PinChange, present: Secret) -> PinChange:
        """Find out which PIN the token has, by the one that is presented."""
        if earlier.phase == "pending":  # C_SetPIN was not sent
            return self._ended(member, earlier, "it was interrupted before anything was set")
        which = await asyncio.to_thread(self._which, member, earlier, present)
        if which is None:
            raise PinRotationError(
                "an earlier change was interrupted, and this PIN is neither the old one nor the new one: it was not sent",
                next_step=f"present the one of {earlier.delivery}, or the one before it",
            )
        if which == "old" and earlier.phase in {"set", "proved"}:
            raise PinRotationError(
                "the new PIN was certainly set, so the old one was not sent",
                next_step=f"present the one of {earlier.delivery}",
            )
        if (earlier.new if which == "new" else earlier.old).is_refused:
            raise PinRotationError(
                "the token refused this PIN before, so it was not sent again",
                next_step=f"present {'the old one' if which == 'new' else f'the one of {earlier.delivery}'}",
            )
        await self._send(member, earlier, "prove-pin", present, tries=which)
        if which == "new":
            return await self._done(member, None)
        return self._ended(member, self._now(member), "the token did not take the new PIN")

    async def _send(
        self,
        member: MemberConfig,
        change: PinChange,
        mode: Literal["change-pin", "prove-pin"],
        pin: Secret,
        new: Secret | None = None,
        *,
        tries: Literal["old", "new"] = "new",
    ) -> None:
        bootstrap: MemberBootstrap = member_bootstrap(
            member,
            self._home,
            mode,
            pin=pin.reveal(),
            new_pin=b"" if new is None else new.reveal(),
            pin_role="so",
            approved_change=self._approved(change) if mode == "change-pin" else None,
            sockets=restore_runtime_folder(self._home),
            generation=0,
        )
        bootstrap = msgspec.structs.replace(bootstrap, pin_tried_as=tries)
        try:
            await self._run(bootstrap, member_environment(member, self._home))
        except (HsmError, ApprovalRequiredError) as error:
            after = self._now(member)
            if change.phase == "pending" and after.phase == "pending" and after.old.is_refused:
                self._ended(member, after, "the token refused the PIN that was presented")
                leave_marker(
                    self._home.pin_refused / f"{member.name}.so", SaltedPin.from_text(after.replaced)
                )
            elif after.phase == "failed":
                (self._home.root / after.delivery).unlink(missing_ok=True)
            elif not after.has_ended:
                self._write(member, msgspec.structs.replace(after, trouble=in_words(str(error))))
            raise

    async def _done(self, member: MemberConfig, old: Secret | None) -> PinChange:
        change = msgspec.structs.replace(
            self._now(member), phase="done", trouble="", ended_at=self._clock.now()
        )
        self._write(member, change)
        in_clear = self._home.pins / f"{member.name}-so"  # of development homes
        if old is not None and in_clear.is_file() and in_clear.read_bytes().rstrip(b"\n") == old.reveal():
            overwrite_and_remove(in_clear)
        self._events.emit("pin.changed", member=member.name, role="so", change=change.change_id)
        return change

    def _ended(self, member: MemberConfig, change: PinChange, trouble: str) -> PinChange:
        """The old PIN stays: what was delivered opens nothing, so it goes away."""
        ended = msgspec.structs.replace(change, phase="failed", trouble=trouble, ended_at=self._clock.now())
        self._write(member, ended)
        (self._home.root / change.delivery).unlink(missing_ok=True)
        self._events.emit(
            "pin.not_changed", member=member.name, role="so", change=change.change_id, cause=trouble
        )
        return ended

    def _which(self, member: MemberConfig, change: PinChange, pin: Secret) -> Literal["old", "new"] | None:
        salted: tuple[tuple[Literal["old", "new"], str], ...] = (
            ("new", change.introduced),
            ("old", change.replaced),
        )
        for which, text in salted:
            if SaltedPin.from_text(text).is_of(
                pin, token_serial=member.token_serial, token_label=member.token_label
            ):
                return which
        return None

    def _salted(self, member: MemberConfig, pin: Secret) -> str:
        return SaltedPin.of(pin, token_serial=member.token_serial, token_label=member.token_label).to_text()

    def _now(self, member: MemberConfig) -> PinChange:
        change = read_change(self._path(member))
        if change is None:
            raise PinRotationError(f"the record {self._path(member)} is gone")
        return change

    def _write(self, member: MemberConfig, change: PinChange) -> None:
        note_change(self._path(member), member, change)

    def _path(self, member: MemberConfig) -> Path:
        return self._home.pin_changes / record_name(member.name, "so")
