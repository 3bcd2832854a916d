"""Remembers across a crash that a PIN was on its way to the token, so that a wrong one is not sent again and again.

A worker that is killed between the HSM's refusal and the marker of it (``wiring.pin_refusals``) would leave no trace.
So it notes the try before C_Login, durably, in ``pin-attempts/<member>`` (mode 0600), one line of ASCII::

    strongroom-pin-attempt-v1 <salt, 32 hex digits> <hash, 64 hex digits> <unknown> <accepted>

Salt and hash are those of ``wiring.pin_refusals``; ``unknown`` (0 to 9) counts tries of this PIN in a row whose outcome
nobody knows, the one under way included; ``accepted`` is 1 once the token took this PIN. After a login ``unknown`` is 0.

What follows from a try without an outcome is up to the token: where it says that a wrong PIN came since the last login
(CKF_USER_PIN_COUNT_LOW) that was most likely ours, and the PIN is not sent. Where it says nothing, it may be right or
may not tell: a PIN that the token never took is tried once more, one that it took before up to five times in a row.
So killing a worker while it logs in, which may happen to any, does not lock the member out. A try that cannot be noted
is not made: on a full disk a service manager could else send a wrong PIN at every restart, and nothing would count them.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from strongroom.core import ConfigError, MemberFailedError, PinRefusedError, Secret
from strongroom.wiring.pin_changes import read_change
from strongroom.wiring.pin_refusals import SaltedPin, leave_marker, write_private_line
from strongroom.wiring.pin_turns import PinTurn

_MAX_BYTES: Final = 256
_FORM: Final = re.compile(rb"strongroom-pin-attempt-v1 ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9]) ([01])\n")
_MOST_UNKNOWN: Final = 2
_MOST_UNKNOWN_OF_ACCEPTED: Final = 5
"""Tries in a row whose outcome nobody knows: of HSMs that lock a PIN, most do so after 10 wrong ones, some after 3."""


class PinAttemptFile:
    """``hsm.token.PinAttempts`` of a worker. Belongs to whoever holds the PIN."""

    def __init__(
        self,
        path: Path,
        refusal_path: Path,
        *,
        token_serial: str | None,
        token_label: str | None,
        not_kept: Callable[[str], None],
        change_path: Path | None = None,
    ) -> None:
        """``not_kept`` is told why the outcome of a try could not be kept; ``change_path`` is the record of the PIN's last change."""
        self._path = path
        self._refusal_path = refusal_path
        self._serial, self._label = token_serial, token_label
        self._not_kept = not_kept
        self._pin: SaltedPin | None = None
        self._unknown = 0  # before the try that is under way
        self._is_accepted = False
        self._change_path = change_path
        self._turn = None if change_path is None else PinTurn(change_path)

    def begin(self, pin: Secret, *, is_count_low: bool) -> None:
        """Note the try. Raises PinRefusedError and MemberFailedError (``hsm.token.PinAttempts.begin``)."""
        if self._turn is not None:
            self._turn.share()
        try:
            self._begin(pin, is_count_low=is_count_low)
        except BaseException:
            self._end_turn()
            raise

    def _begin(self, pin: Secret, *, is_count_low: bool) -> None:
        self._require_current(pin)
        salted = self._pin or self._recall(pin)
        most = _MOST_UNKNOWN_OF_ACCEPTED if self._is_accepted else _MOST_UNKNOWN
        if self._unknown and (is_count_low or self._unknown >= most):
            raise _not_risked(self._unknown, is_count_low=is_count_low)
        try:
            self._write(salted, self._unknown + 1)
        except OSError as error:
            raise MemberFailedError(
                f"the PIN was not sent: that it is tried cannot be noted in {self._path} ({error.strerror})",
                next_step="look at the disk of the home: free space, owner and mode of the folder",
            ) from error

    def accepted(self) -> None:
        """The token took the PIN."""
        self._end_turn()
        self._unknown, self._is_accepted = 0, True
        self._settle()

    def not_tried(self) -> None:
        """The token did not look at the PIN."""
        self._end_turn()
        self._settle()

    def refused(self, pin: Secret) -> None:
        """Leave the marker of a refusal, by the hash that was made before the PIN was sent."""
        self._end_turn()
        salted = self._pin or SaltedPin.of(pin, token_serial=self._serial, token_label=self._label)
        try:
            leave_marker(self._refusal_path, salted)
            # The marker says more, and whoever removes it allows a fresh try.
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._not_kept(error.strerror or "unknown")

    def unknown_tries(self, pin: Secret) -> int:
        """Count the tries of this PIN in a row whose outcome nobody knows. Slow: some 0.1 s."""
        self._recall(pin)
        return self._unknown

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn.end()

    def _require_current(self, pin: Secret) -> None:
        """Refuse to send a PIN that was replaced, or may have been: a new worker is given the other one."""
        if self._change_path is None:
            return
        try:
            change = read_change(self._change_path)
        except ConfigError as error:
            raise MemberFailedError(error.message, next_step=error.next_step) from error
        if change is None or change.phase in {"pending", "failed"} or not change.replaced:
            return
        if SaltedPin.from_text(change.replaced).is_of(
            pin, token_serial=self._serial, token_label=self._label
        ):
            raise MemberFailedError(
                "this PIN was replaced by another one, so it was not sent",
                next_step="see: strongroom pin status",
            )

    def _recall(self, pin: Secret) -> SaltedPin:
        """Read what is known of this PIN; what is damaged counts as one try without an outcome."""
        self._unknown, self._is_accepted = 0, False
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_BYTES)
        except FileNotFoundError:
            content = None
        except OSError:
            content = b""
        parsed = None if content is None else _FORM.fullmatch(content)
        if parsed is not None:
            known = SaltedPin(bytes.fromhex(parsed[1].decode()), bytes.fromhex(parsed[2].decode()))
            if known.is_of(pin, token_serial=self._serial, token_label=self._label):
                self._unknown, self._is_accepted = int(parsed[3]), parsed[4] == b"1"
                self._pin = known
                return known
        elif content is not None:
            self._unknown = 1
        self._pin = SaltedPin.of(pin, token_serial=self._serial, token_label=self._label)
        return self._pin

    def _settle(self) -> None:
        """Note the outcome, durably too: else two power cuts soon after a start would keep a right PIN from being sent."""
        if self._pin is None:
            return
        try:
            self._write(self._pin, self._unknown)
        except OSError as error:
            self._not_kept(error.strerror or "unknown")

    def _write(self, pin: SaltedPin, unknown: int) -> None:
        state = f"{min(unknown, 9)} {int(self._is_accepted)}"
        line = f"strongroom-pin-attempt-v1 {pin.salt.hex()} {pin.hashed.hex()} {state}\n"
        write_private_line(self._path, line)


def _not_risked(unknown: int, *, is_count_low: bool) -> PinRefusedError:
    said = " and the token says that a wrong PIN came since the last login:" if is_count_low else ""
    return PinRefusedError(
        f"this PIN was sent {unknown} times without anybody knowing its outcome,{said} it was not tried again",
        next_step="log in by hand with the vendor's tool; if the PIN is right, remove the marker in pin-refused,"
        " then start again",
    )
