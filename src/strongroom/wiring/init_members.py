"""From a blank token to a member with a user: the part of ``strongroom init`` that touches one token at a time.

    PINs made → sealed in the home → C_InitToken → the security officer's PIN delivered → C_InitPIN → logged in with it

A PIN is on disk, sealed, before a token learns it: so no token ever has a PIN that nobody knows. Each arrow may be cut and
gone again; what tells them apart is the journal. An initialised token that the journal does not call ours is never touched.
"""

from typing import Final, NamedTuple

import msgspec

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import Clock, HomeError, PinRefusedError, Secret, random_bytes
from strongroom.hsm.token import Profile, load_profile, write_softhsm_config
from strongroom.wiring.bootstrap import ApprovedReset, MemberMode, Started
from strongroom.wiring.cluster_setup import Progress, SetUpMember
from strongroom.wiring.durable_files import overwrite_and_remove, sync_folder
from strongroom.wiring.home import runtime_folder_path
from strongroom.wiring.init_journal import MemberJournal, MemberStep
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.pin_changes import PinChange, PinRole, record_name, write_change
from strongroom.wiring.pin_delivery import deliver, pin_letter
from strongroom.wiring.pin_making import generate_pin
from strongroom.wiring.pin_refusals import SaltedPin, leave_marker, refuse_known_pin
from strongroom.wiring.pin_sealing import (
    PinBinding,
    SealingKey,
    read_sealed_pin,
    seal_pin,
    write_sealed_pin,
)
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member

_SOFTHSM: Final = "softhsm2"
_SO_MARKER: Final = ".so"
_PIN_FORM: Final = frozenset({0xA1, 0xA2})
"""CKR_PIN_INVALID and CKR_PIN_LEN_RANGE: the token did not like the look of a new PIN, and compared it with nothing."""


def delivery_path(member: str) -> str:
    """Return the path, relative to the home, of the encrypted PIN of a member's security officer."""
    return f"custody/deliveries/{member}.so.first.age"


class Pins(NamedTuple):
    """Both PINs of a token."""

    user: Secret
    security_officer: Secret

    def zeroize(self) -> None:
        """Overwrite both."""
        self.user.zeroize()
        self.security_officer.zeroize()


class NewMember:
    """One member on its way from a blank token, by the journal of whoever has it made."""

    def __init__(
        self, home: Home, member: ScriptMember, key: SealingKey, *, clock: Clock, progress: Progress
    ) -> None:
        self._home = home
        self._member = member
        self._key = key
        self._clock = clock
        self._progress = progress
        self._profile: Profile = load_profile(member.profile, member.profile_changes)

    @property
    def blank_config(self) -> MemberConfig:
        """The member's configuration while its token is known by its label only."""
        member = self._member
        environment = dict(member.environment)
        if member.profile == _SOFTHSM:
            environment["SOFTHSM2_CONF"] = f"{{home}}/tokens/{member.name}.conf"
        return MemberConfig(
            name=member.name,
            profile=member.profile,
            pin=PinSource(sealed=f"pins/{member.name}.sealed"),
            profile_changes=dict(member.profile_changes),
            module=member.module,
            token_label=member.label,
            priority=member.priority,
            calls_per_s=member.calls_per_s,
            environment=environment,
            library_parameters=member.library_parameters,
        )

    def config(self, journal: MemberJournal) -> MemberConfig:
        """Return the member's configuration once its token is made. Raises HomeError for a journal that names none."""
        if journal.token is None:
            raise HomeError(f"the journal does not say which token member {self._member.name} has")
        if self._profile.selector == "label":
            return self.blank_config
        return msgspec.structs.replace(self.blank_config, token_serial=journal.token.serial, token_label=None)

    def set_up(self, journal: MemberJournal) -> SetUpMember:
        """Return the member that is made. Raises HomeError for a journal that names no token."""
        config = self.config(journal)
        if journal.token is None:
            raise HomeError(f"the journal does not say which token member {config.name} has")
        return SetUpMember(config, journal.token, journal.wrapping)

    def make_pins(self, so_pin: Secret | None = None) -> MemberJournal:
        """Make both PINs and seal them. Whatever was there was never set on a token.

        ``so_pin``: of a token that is to be erased, whose security officer's PIN stays.
        """
        self._progress(f"making the PINs of member {self._member.name}, and sealing them")
        earlier = self._home.root / delivery_path(self._member.name)
        if earlier.exists():  # of another token, which may still be somewhere
            earlier.rename(earlier.with_suffix(f".before-{int(self._clock.now())}.age"))
            sync_folder(earlier.parent)  # or it could come back, and be taken for that of the new token
        for role in ("user", "so"):
            pin = so_pin if role == "so" and so_pin is not None else generate_pin(self._profile)
            try:
                self._seal(pin, role)
            finally:
                pin.zeroize()
        self._note_age(is_new=so_pin is None)
        return MemberJournal(MemberStep.PINS_SEALED)

    def _note_age(self, *, is_new: bool) -> None:
        """Have it known since when the token's security officer has the PIN, so that it becomes due (``wiring.pin_status``)."""
        path = self._home.pin_changes / record_name(self._member.name, "so")
        if not is_new:
            path.unlink(missing_ok=True)
            return
        made = PinChange(
            change_id=random_bytes(8).hex(),
            member=self._member.name,
            role="so",
            phase="done",
            started_at=self._clock.now(),
            ended_at=self._clock.now(),
            delivery=delivery_path(self._member.name),
        )
        write_change(path, made)

    async def make_token(self, *, is_again: bool) -> MemberJournal:
        """Initialise a blank token (C_InitToken). ``is_again``: an earlier try may have made it."""
        name = self._member.name
        self._progress(f"initialising the token of member {name} under the label {self._member.label!r}")
        if self._member.profile == _SOFTHSM:
            write_softhsm_config(self._home.tokens / f"{name}.conf", self._home.tokens / name)
        started = await self._work("make-token", self.blank_config, is_again=is_again)
        return MemberJournal(MemberStep.TOKEN_MADE, started.token)

    async def reset_token(self, order: ApprovedReset) -> MemberJournal:
        """Erase the token that officers approved, and give it the member's label. May be repeated under the approval."""
        self._progress(f"ERASING the token {order.token_serial} for member {self._member.name}")
        if self._member.profile == _SOFTHSM:
            write_softhsm_config(
                self._home.tokens / f"{self._member.name}.conf", self._home.tokens / self._member.name
            )
        started = await self._work("reset-token", self.blank_config, is_again=False, reset=order)
        return MemberJournal(MemberStep.TOKEN_MADE, started.token)

    def deliver_so_pin(self, journal: MemberJournal, recipients: tuple[str, ...]) -> None:
        """Encrypt the security officer's PIN to its officers, unless that is done. Raises DeliveryError."""
        path = self._home.root / delivery_path(self._member.name)
        if path.exists():  # written whole; and the PIN is the same until the member is made
            return
        self._progress(
            f"encrypting the PIN of member {self._member.name}'s security officer to {len(recipients)} recipients"
        )
        pin = self.so_pin()
        letter = pin_letter(pin, PinBinding.of(self.config(journal), "so"), at=self._clock.now())
        try:
            deliver(letter, recipients, path)
        finally:
            pin.zeroize()
            letter.zeroize()

    async def set_user_pin(self, journal: MemberJournal) -> MemberJournal:
        """Have the token's security officer set the user PIN, log in with it, and seal it as the configuration names it."""
        name, config = self._member.name, self.config(journal)
        self._progress(f"setting the user PIN of member {name}, and logging in with it")
        started = await self._work("set-user-pin", config, is_again=True)
        pin = self._open("user")
        try:
            line = seal_pin(self._key, pin, PinBinding.of(config), at=self._clock.now())
        finally:
            pin.zeroize()
        write_sealed_pin(self._home.pins / f"{name}.sealed", line)
        return MemberJournal(MemberStep.USER_SET, started.token, started.wrapping)

    def so_pin(self) -> Secret:
        """Return the PIN of its security officer, while it is still here. Raises SealedPinError."""
        return self._open("so")

    def forget(self) -> None:
        """Remove what only the making of the member needed, the security officer's PIN among it. Raises OSError."""
        for role in ("user", "so"):
            overwrite_and_remove(self._home.root / self._path(role))

    async def _work(
        self, mode: MemberMode, config: MemberConfig, *, is_again: bool, reset: ApprovedReset | None = None
    ) -> Started:
        pins = Pins(self._open("user"), self._open("so"))
        marker = f"{config.name}{_SO_MARKER}"
        try:
            refuse_known_pin(self._home, config, pins.security_officer, marker=marker)
            bootstrap = member_bootstrap(
                config,
                self._home,
                mode,
                pin=pins.user.reveal(),
                so_pin=pins.security_officer.reveal(),
                sockets=runtime_folder_path(self._home),
                generation=0,
            )
            bootstrap = msgspec.structs.replace(bootstrap, token_may_exist=is_again, reset=reset)
            child = await start_member(bootstrap, member_environment(config, self._home))
        except PinRefusedError as error:
            if error.ckr is None or error.ckr in _PIN_FORM:
                raise
            salted = SaltedPin.of(
                pins.security_officer, token_serial=config.token_serial, token_label=config.token_label
            )
            leave_marker(self._home.pin_refused / marker, salted)
            raise
        finally:
            pins.zeroize()
        await child.end()
        if child.started.token is None:
            raise HomeError(f"the token of member {config.name} did not say which one it is")
        return child.started

    def _seal(self, pin: Secret, role: PinRole) -> None:
        line = seal_pin(self._key, pin, PinBinding.of(self.blank_config, role), at=self._clock.now())
        write_sealed_pin(self._home.root / self._path(role), line)

    def _open(self, role: PinRole) -> Secret:
        line = read_sealed_pin(self._home.root / self._path(role))
        return self._key.open(line, PinBinding.of(self.blank_config, role))

    def _path(self, role: PinRole) -> str:
        return f"pins/{self._member.name}-{role}.first.sealed"
