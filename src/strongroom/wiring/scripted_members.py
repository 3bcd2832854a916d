"""The members that a script describes, made one by one from wherever a journal says: by ``init --script`` and by a restore."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from strongroom.config import Home, PinsConfig
from strongroom.core import Clock
from strongroom.wiring.cluster_setup import PinAccess, Progress, SetUpMember
from strongroom.wiring.init_journal import MemberJournal, MemberStep
from strongroom.wiring.init_members import NewMember
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.pin_sealing import SealingKey, make_sealing_key, read_pin, sealing_key

Note: TypeAlias = Callable[[str, MemberJournal], None]
"""Takes down in the journal, durably, how far a member came."""
Recipients: TypeAlias = Callable[[ScriptMember], tuple[str, ...] | None]
"""Who gets the PIN of a member's security officer; None where there is nobody to give it to."""


class ScriptedMembers:
    """Members on their way from blank tokens. Ask nothing of it before the home's folders are there."""

    def __init__(
        self,
        home: Home,
        described: Sequence[ScriptMember],
        pins: PinsConfig,
        begun: Mapping[str, MemberJournal],
        *,
        note: Note,
        clock: Clock,
        progress: Progress,
    ) -> None:
        """``begun``: how far the journal says that members are. Raises ConfigError and OSError."""
        self._home = home
        self._pins = pins
        self._note = note
        key = _sealing_key(home, pins, progress, is_begun=bool(begun))
        self._described = {one.name: one for one in described}
        self._members = {
            one.name: NewMember(home, one, key, clock=clock, progress=progress) for one in described
        }

    def __iter__(self) -> Iterator[NewMember]:
        return iter(self._members.values())

    async def make(self, begun: Mapping[str, MemberJournal], recipients: Recipients) -> list[SetUpMember]:
        """Take every step that is not behind each. Raises HomeError and HsmError."""
        return [await self._make(name, begun.get(name), recipients) for name in self._members]

    def pins(self) -> PinAccess:
        """Return what opens the members' PINs."""
        return PinAccess(
            lambda member: read_pin(member, self._home, self._pins),
            lambda member: self._members[member.name].so_pin(),
        )

    async def _make(self, name: str, step: MemberJournal | None, recipients: Recipients) -> SetUpMember:
        member = self._members[name]
        if step is None:
            step = self._took(name, member.make_pins())
        if step.step in {MemberStep.PINS_SEALED, MemberStep.TOKEN_BEGUN}:
            is_again = step.step is MemberStep.TOKEN_BEGUN
            self._took(name, msgspec.structs.replace(step, step=MemberStep.TOKEN_BEGUN))
            step = self._took(name, await member.make_token(is_again=is_again))
        if step.step is MemberStep.TOKEN_MADE:
            who = recipients(self._described[name])
            if who is not None:
                member.deliver_so_pin(step, who)
            step = self._took(name, await member.set_user_pin(step))
        return member.set_up(step)

    def _took(self, name: str, step: MemberJournal) -> MemberJournal:
        self._note(name, step)
        return step


def _sealing_key(home: Home, pins: PinsConfig, progress: Progress, *, is_begun: bool) -> SealingKey:
    source = pins.sealing_key
    if source is not None and source.file is not None and not is_begun:
        path = home.root / source.file
        if not path.exists():
            progress(f"making the key that PINs are sealed under: {path}")
            return make_sealing_key(path)
    return sealing_key(pins, home)
