"""What a worker does that changes or proves a PIN: one login, noted before and after in the record of the change, then it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec

from strongroom.core import (
    ApprovalRequiredError,
    HsmError,
    MemberFailedError,
    PinRefusedError,
    StrongroomError,
    SystemClock,
)
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token import (
    KeptValues,
    PinNotChangedError,
    Profile,
    Role,
    TokenSelector,
    change_pin,
    load_profile,
    protect_softhsm_store,
    prove_pin,
)
from strongroom.wiring.bootstrap import MemberBootstrap, TokenFound
from strongroom.wiring.member_tokens import lent_once, load_module, sync_store, token_found
from strongroom.wiring.pin_approval import PinApproval
from strongroom.wiring.pin_changes import (
    PinChange,
    PinRecordError,
    in_words,
    is_in_doubt,
    logged_in,
    may_try,
    not_tried,
    read_change,
    refused,
    tried,
    write_change,
)
from strongroom.wiring.pin_turns import PinTurn

_ROLES: Final = {"user": Role.USER, "so": Role.SECURITY_OFFICER}


LoadModule = Callable[[MemberBootstrap, Profile], Module]


def work_on_pin(bootstrap: MemberBootstrap) -> TokenFound:
    """Do what the mode says. Raises as ``change_member_pin``."""
    if bootstrap.mode == "change-pin":
        return change_member_pin(bootstrap)
    return prove_member_pin(bootstrap)


def change_member_pin(bootstrap: MemberBootstrap, *, load: LoadModule = load_module) -> TokenFound:
    """Log in with the old PIN, set the new one if officers approved it, and note that it was set. Both are overwritten then.

    Where the record says that an earlier C_SetPIN may have taken effect, the old PIN tells: refused, it is over. Raises
    ApprovalRequiredError, PinRefusedError, HsmOutcomeUnknownError and other HsmErrors; the record says what is known.
    """
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    record = _Record(bootstrap, profile)
    attempt = _Try(record, "old")
    approval = PinApproval(bootstrap, profile, clock=SystemClock())
    with lent_once(bootstrap.pin) as old, lent_once(bootstrap.new_pin) as new, _alone(record.path):
        module = load(bootstrap, profile)
        try:
            identity = change_pin(
                module,
                _selector(bootstrap),
                _ROLES[bootstrap.pin_role],
                old=old,
                new=new,
                tries=attempt,
                setting=partial(_begin_setting, record, approval),
            )
        except PinNotChangedError as error:
            if attempt.was_accepted or record.read().phase == "pending":
                record.note(phase="failed", trouble=in_words(str(error)), sealed="")
            raise
        # Before it is noted: else a power cut could leave the record of a change that the token's files forgot.
        sync_store(bootstrap)
        if bootstrap.token_store is not None:
            protect_softhsm_store(Path(bootstrap.token_store))
        record.note(phase="set")
        approval.was_set(record.read().change_id)
    return token_found(identity)


def prove_member_pin(bootstrap: MemberBootstrap, *, load: LoadModule = load_module) -> TokenFound:
    """Log in with one PIN of the change, and note that the token took it. The PIN is overwritten then. Raises as ``change_member_pin``."""
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    record = _Record(bootstrap, profile)
    with lent_once(bootstrap.pin) as pin, _alone(record.path):
        module = load(bootstrap, profile)
        tries = _Try(record, bootstrap.pin_tried_as)
        identity = prove_pin(module, _selector(bootstrap), _ROLES[bootstrap.pin_role], pin, tries=tries)
        sync_store(bootstrap)
        if bootstrap.pin_tried_as == "new":
            record.note(phase="proved")
    return token_found(identity)


def _selector(bootstrap: MemberBootstrap) -> TokenSelector:
    return TokenSelector(serial=bootstrap.token_serial, label=bootstrap.token_label)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    turn = PinTurn(path)
    turn.take()
    try:
        yield
    finally:
        turn.end()


def _begin_setting(record: "_Record", approval: PinApproval, kept: KeptValues) -> None:
    """Note that C_SetPIN is called now. Where that is not approved the change has failed: the token just took the old PIN."""
    try:
        approval.require(record.read().change_id, kept)
    except StrongroomError as error:
        record.note(phase="failed", trouble=in_words(error.message), sealed="")
        if isinstance(error, HsmError):
            raise
        raise ApprovalRequiredError(error.message, next_step=error.next_step) from error
    record.note(phase="setting")


class _Record:
    """The record of the change, which this process alone writes while it lives."""

    def __init__(self, bootstrap: MemberBootstrap, profile: Profile) -> None:
        self.path = Path(bootstrap.pin_change_path or "")
        self.profile = profile

    def read(self) -> PinChange:
        change = read_change(self.path)
        if change is None or change.has_ended:
            raise PinRecordError(f"{self.path} says of no change that is under way")
        return change

    def note(self, **fields: object) -> None:
        self.write(msgspec.structs.replace(self.read(), **fields))

    def write(self, change: PinChange) -> None:
        try:
            write_change(self.path, change)
        except OSError as error:
            raise MemberFailedError(
                f"the change of the PIN cannot be noted in {self.path} ({error.strerror})",
                next_step="look at the disk of the home: free space, owner and mode of the folder",
            ) from error


class _Try:
    """``hsm.token.PinTry`` in the record."""

    def __init__(self, record: _Record, which: Literal["old", "new"]) -> None:
        self._record = record
        self._which = which
        self.was_accepted = False

    def begin(self, *, is_count_low: bool) -> None:
        """Count the try, or refuse it where it could be the one that locks the token."""
        change = self._record.read()
        if self._record.profile.pin_count_flags and not is_count_low:
            change = logged_in(change)
        if is_in_doubt(change, self._which, is_count_low=is_count_low):
            raise self._needs_a_look(
                change, f"the token may have refused the {self._which} PIN without anybody hearing it"
            )
        if not may_try(change, most_tries=self._record.profile.pin_tries):
            raise self._needs_a_look(
                change, f"the token may lock after {self._record.profile.pin_tries} wrong ones"
            )
        self._record.write(tried(change, self._which))

    def accepted(self) -> None:
        """The token took the PIN."""
        self.was_accepted = True
        self._record.write(logged_in(self._record.read()))

    def not_tried(self) -> None:
        """The try failed before the token looked at the PIN."""
        self._record.write(not_tried(self._record.read(), self._which))

    def refused(self) -> None:
        """The token did not take the PIN: it is never sent again."""
        self._record.write(refused(self._record.read(), self._which))

    @staticmethod
    def _needs_a_look(change: PinChange, why: str) -> PinRefusedError:
        return PinRefusedError(
            f"no PIN was tried: {change.refusals} were refused since the last login, and of"
            f" {change.old.unknown + change.new.unknown} tries nobody knows the outcome; {why}",
            next_step="have the token's counter of wrong PINs checked and reset by a login with the vendor's tool, then:"
            f" strongroom pin retry --member {change.member}{' --role so' if change.role == 'so' else ''}",
        )
