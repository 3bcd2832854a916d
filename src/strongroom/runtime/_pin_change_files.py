"""What is on disk of changes of user PINs: the record of each, with the new PIN in it, sealed, and the PIN that serves."""

from pathlib import Path

import msgspec

from strongroom.config import Home, MemberConfig, PinsConfig
from strongroom.core import Clock, ConfigError, MemberFailedError, Secret, random_bytes
from strongroom.hsm.token import load_profile
from strongroom.wiring.pin_attempts import PinAttemptFile
from strongroom.wiring.pin_changes import PinChange, PinTries, read_change, record_name, write_change
from strongroom.wiring.pin_making import generate_pin
from strongroom.wiring.pin_refusals import SaltedPin, refuse_known_pin
from strongroom.wiring.pin_sealing import PinBinding, read_pin, read_sealed_pin, sealing_key


class PinChangeFiles:
    """Makes and keeps the records. Whoever writes one has the member's turn (``PinChanging``)."""

    def __init__(self, home: Home, pins: PinsConfig, *, clock: Clock) -> None:
        self._home = home
        self._pins = pins
        self._clock = clock

    def read(self, member: MemberConfig) -> PinChange | None:
        """Return the record of the member's last change. Raises PinRecordError."""
        return read_change(self._path(member))

    def write(self, member: MemberConfig, change: PinChange) -> None:
        """Note durably how a change stands. Raises MemberFailedError."""
        note_change(self._path(member), member, change)

    def stored(self, member: MemberConfig) -> Path:
        """Return where the sealed PIN is that the member serves with. Raises ConfigError when it is not sealed any more."""
        if member.pin.sealed is None:
            raise ConfigError(
                f"the PIN of member {member.name} was sealed when its change began, and is not any more",
                next_step="have the configuration name the sealed file again",
            )
        return self._home.root / member.pin.sealed

    def begin(self, member: MemberConfig, *, asked_by: str, approval: str) -> PinChange:
        """Make a new PIN and note it, sealed, as the pending one.

        Raises ConfigError, PinRefusedError when the token refused the present one, and MemberFailedError.
        """
        old = read_pin(member, self._home, self._pins)
        try:
            refuse_known_pin(self._home, member, old)
            serial, label = member.token_serial, member.token_label
            attempts = PinAttemptFile(
                self._home.pin_attempts / member.name,
                self._home.pin_refused / member.name,
                not_kept=lambda _cause: None,
                token_serial=serial,
                token_label=label,
            )
            change = PinChange(
                change_id=random_bytes(8).hex(),
                member=member.name,
                started_at=self._clock.now(),
                asked_by=asked_by,
                approval=approval,
                replaced=SaltedPin.of(old, token_serial=serial, token_label=label).to_text(),
                sealed=self._new_sealed(member, old),
                old=PinTries(unknown=attempts.unknown_tries(old)),
            )
        finally:
            old.zeroize()
        self.write(member, change)
        return change

    def replace(self, member: MemberConfig, change: PinChange) -> None:
        """Go on with another new PIN: the token certainly did not take this one. Raises MemberFailedError and ConfigError."""
        key = sealing_key(self._pins, self._home)
        old = key.open(read_sealed_pin(self.stored(member)), PinBinding.of(member))
        sealed = self._new_sealed(member, old)
        old.zeroize()
        self.write(member, msgspec.structs.replace(change, phase="pending", sealed=sealed, new=PinTries()))

    def _new_sealed(self, member: MemberConfig, old: Secret) -> str:
        new = generate_pin(load_profile(member.profile, member.profile_changes), old)
        try:
            key = sealing_key(self._pins, self._home)
            return key.seal(new, PinBinding.of(member), at=self._clock.now()).decode()
        finally:
            new.zeroize()

    def _path(self, member: MemberConfig) -> Path:
        return self._home.pin_changes / record_name(member.name, "user")


def note_change(path: Path, member: MemberConfig, change: PinChange) -> None:
    """Write the record of a change, durably. Raises MemberFailedError."""
    try:
        write_change(path, change)
    except OSError as error:
        raise MemberFailedError(
            f"the change of the PIN of member {member.name} cannot be noted: {error.strerror}",
            next_step="look at the disk of the home: free space, owner and mode of the folder",
        ) from error
