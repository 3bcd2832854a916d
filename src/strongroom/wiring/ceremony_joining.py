"""``initialise`` and ``join-member``: blank tokens become a cluster, and one more becomes a member of it."""

from typing import Final

from strongroom.ceremony import Console, Initialise, JoinMember, Outcome, Step
from strongroom.core import HsmError
from strongroom.custody import Json, spoken
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.ceremony_events import QuietEvents
from strongroom.wiring.ceremony_workplace import (
    Workplace,
    parameters_of,
    presented_pins,
    require_sha256,
    told,
)
from strongroom.wiring.init_script import read_init_script
from strongroom.wiring.initialise_scripted import initialise_scripted
from strongroom.wiring.member_addition import add_member
from strongroom.wiring.new_member import read_member_file

GENESIS_FILE: Final = "genesis.json"
SCRIPT_FILE: Final = "init.toml"


class Initialising:
    """Makes a home of blank tokens. Its own journal lets it go on after any interruption."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Make it, or go on; on a complete home this changes nothing."""
        wanted, place = parameters_of(step, Initialise), self._place
        blank = await place.stage.blank(wanted)
        if blank is None:
            script_path, genesis_path = place.file(wanted.script), place.file(wanted.genesis)
            require_sha256(script_path, wanted.script_sha256)
            require_sha256(genesis_path, wanted.genesis_sha256)
            script_bytes, genesis = script_path.read_bytes(), genesis_path.read_bytes()
            script = read_init_script(script_path)
        else:
            script, script_bytes, genesis = blank
        async with told(console) as progress:
            made = await initialise_scripted(
                place.home.root, script, genesis, clock=place.clock, progress=progress
            )
        await place.stage.initialised()
        kept = (place.keep(GENESIS_FILE, genesis), place.keep(SCRIPT_FILE, script_bytes))
        facts: dict[str, Json] = {
            "genesis-sha256": made.genesis_sha256,
            "genesis-in-words": " ".join(spoken(made.genesis_sha256)),
            "members": list[Json]([member.name for member in script.members]),
            "deliveries": dict[str, Json](made.deliveries),
            "roots": self._roots(),
        }
        return Outcome(facts, kept)

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Go on: each of its steps may be repeated."""
        return await self.perform(step, console)

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Say what is left: tokens that are initialised stay so until somebody resets them."""
        home = self._place.home
        if not home.unfinished_mark.exists():
            return Outcome(deviations=("the cluster is initialised, and stays so",))
        said = (
            "tokens that this step initialised stay initialised, and hold no key that was ever in use: reset them with the"
            f" vendor's tool, and remove {home.root}; or go on with strongroom init and the same script and genesis"
        )
        return Outcome(deviations=(said,))

    def _roots(self) -> dict[str, Json]:
        with ReadOnlyStore.open(self._place.home.database) as store:
            return {one.root_id.hex(): f"{one.check_kind} {one.check_value}" for one in store.list_roots()}


class JoiningMember:
    """Has a member join, as ``strongroom members add``; its own journal lets it go on after any interruption."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Add it, or go on."""
        wanted, place = parameters_of(step, JoinMember), self._place
        described = await place.stage.new_member(wanted)
        if described is None:
            path = place.file(wanted.member_file)
            require_sha256(path, wanted.member_file_sha256)
            described = read_member_file(path)
        others = [member for member in place.members() if member.name != wanted.name]
        if len(others) < len(place.members()) and not place.is_joining(wanted.name):
            return self._outcome(wanted.name)  # it is in the configuration, which is written at its very end
        async with presented_pins(place.home, others, step.by, console) as pins, told(console) as progress:
            report = await place.approved(
                lambda: add_member(
                    place.home,
                    wanted.name,
                    events=QuietEvents(),
                    clock=place.clock,
                    progress=progress,
                    described=described,
                    so_pin=pins.security_officer,
                    reset_serial=wanted.reset,
                )
            )
        if not report.is_clean:
            raise HsmError(f"member {wanted.name} has not everything yet: {'; '.join(report.in_words())}")
        return self._outcome(wanted.name)

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Go on: each of its steps may be repeated."""
        return await self.perform(step, console)

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Say what is left."""
        name = parameters_of(step, JoinMember).name
        if name in {member.name for member in self._place.members()}:
            return Outcome(deviations=(f"member {name} has joined, and stays",))
        said = (
            f"member {name} has not joined; its token may be initialised, and may hold copies of keys: go on with strongroom"
            f" members add {name}, or reset the token with the vendor's tool and remove member-{name}-journal.json"
        )
        return Outcome(deviations=(said,))

    def _outcome(self, name: str) -> Outcome:
        with ReadOnlyStore.open(self._place.home.database) as store:
            (record,) = (one for one in store.list_members() if one.name == name)
            held = sum(copy.member == name for copy in store.list_held_hsm_key_copies())
        return Outcome(
            {
                "member": name,
                "serial": record.token_serial,
                "token-label": record.token_label,
                "profile": record.profile,
                "direct-keys-held": held,
            }
        )
