"""Checks of ``doctor``: whether what a token shows agrees with the users that its profile expects. Nobody logs in.

What a token shows without a login are flags (CKF_ of CK_TOKEN_INFO): whether a login is asked for, whether PINs are set,
near their last try, locked or to be changed. Users, roles and quorum of the vendor do not show: ``doctor`` says so, and by
what command people compare them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strongroom.cli._checks import Finding, Level
from strongroom.cli._token_probe import FoundToken
from strongroom.config import Home, MemberConfig

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.hsm.token import VendorDuties

_MAX_PIN_BYTES: Final = 1024
_YUBIHSM_ID_CHARS: Final = 4
_TELLING: Final = ("user:password", "auth-key-id+password")
"""The forms of a PIN in which a user stands."""

_FLAGS: Final[tuple[tuple[str, Level, str, str], ...]] = (
    ("ERROR_STATE", "fail", "the token is in an error state: its self-test failed", "look at the HSM's own log; no call will succeed"),
    ("USER_PIN_LOCKED", "fail", "the user is locked: no worker can log in", "have the vendor's security officer unlock the user"),
    ("USER_PIN_FINAL_TRY", "fail", "one more wrong PIN locks the user, so no worker logs in", "log in once by hand with the right PIN, by the vendor's tool"),
    ("USER_PIN_COUNT_LOW", "warn", "a wrong user PIN was sent since the last login", "find out who sent it; a login with the right PIN takes the mark away"),
    ("USER_PIN_TO_BE_CHANGED", "warn", "the user PIN is one that is to be changed: the security officer set it", "change it by the vendor's tool or by strongroom pin rotate"),
    ("SO_PIN_LOCKED", "warn", "the security officer is locked: no PIN can be reset, and no key marked as trusted", "see the vendor's documents; often only a reset of the token helps"),
    ("SO_PIN_FINAL_TRY", "warn", "one more wrong PIN locks the security officer", "have them log in with the right one, by the vendor's tool"),
    ("SO_PIN_COUNT_LOW", "warn", "a wrong PIN of the security officer was sent since their last login", "find out who sent it"),
    ("SO_PIN_TO_BE_CHANGED", "warn", "the security officer's PIN is one that is to be changed, such as the vendor's own", "change it by the vendor's tool"),
    ("WRITE_PROTECTED", "warn", "the token is write-protected: no key can be made, copied or destroyed", "see the vendor's settings"),
)  # fmt: skip
"""Flag, level, what it means, what to do."""


def check_duties(
    home: Home, member: MemberConfig, token: FoundToken, *, pin_form: str, recorded_serial: str | None
) -> Iterator[Finding]:
    """Compare a member's token with what its profile says of users, and with the token that was recorded.

    Raises ConfigError and OSError.
    """
    from strongroom.hsm.token import load_duties

    name = f"member {member.name}"
    duties = load_duties(member.profile)
    if recorded_serial is not None and recorded_serial != token.serial:
        yield Finding(
            name,
            "fail",
            f"the token has the serial {token.serial}, and the one that was taken in has {recorded_serial}: it is another token",
            "put the right token back, or make this one whole with strongroom members add",
        )
    found = list(_judged(name, duties, token))
    yield from found
    yield from _user_in_pin(name, home, member, duties, pin_form)
    if not found:
        yield Finding(name, "ok", "the token's flags are those of a user who can log in")
    if duties.check_with:
        yield Finding(
            name,
            "note",
            f"users and quorum of the vendor, and as whom the worker logs in, cannot be seen from here. Expected: {duties.worker}",
            f"compare with {duties.check_with}; docs/hsm-profiles.md has the whole mapping",
        )


def _judged(name: str, duties: "VendorDuties", token: FoundToken) -> Iterator[Finding]:
    flags = set(token.flags)
    if duties.login_required == "yes" and "LOGIN_REQUIRED" not in flags:
        yield Finding(
            name,
            "fail",
            "the token asks for no login: whoever can load the module can use its keys",
            "see the vendor's settings of the partition or slot",
        )
    if duties.login_required == "yes" and "USER_PIN_INITIALIZED" not in flags:
        yield Finding(
            name, "fail", "the token's user has no PIN yet", "have the token's security officer set it"
        )
    for flag, level, message, next_step in _FLAGS:
        if flag in flags:
            yield Finding(name, level, _with_tries(flag, message, duties), next_step)


def _with_tries(flag: str, message: str, duties: "VendorDuties") -> str:
    is_so = flag.startswith("SO_")
    tries = duties.so_locks_after if is_so else duties.user_locks_after
    if "PIN" not in flag or "CHANGED" in flag or not tries:
        return message
    consequence = "erase the token" if is_so and duties.so_lock_erases else "lock it"
    return f"{message} (by the vendor's documents {tries} wrong ones in a row {consequence})"


def _user_in_pin(
    name: str, home: Home, member: MemberConfig, duties: "VendorDuties", pin_form: str
) -> Iterator[Finding]:
    """Judge as whom the worker logs in, where that stands in its PIN and the PIN is a file.

    Nothing of the PIN is told but a name that ``not_as`` lists: what stands before a colon may be part of a password.
    """
    if pin_form not in _TELLING or member.pin.file is None:
        return
    user = _user_of((home.root / member.pin.file), pin_form)
    if user is None:
        what = "USER:PASSWORD" if pin_form == _TELLING[0] else "four hex digits and the password"
        yield Finding(
            name,
            "fail",
            f"the PIN is not of the form that this HSM takes: {what}",
            "put the right PIN in place",
        )
    elif user.lower() in duties.not_as:
        yield Finding(
            name,
            "warn",
            f"the worker logs in as {user.lower()!r}, which is a user for administration. Expected: {duties.worker}",
            "make a user for the worker alone, and put its PIN in place",
        )
    else:
        yield Finding(
            name, "ok", "the PIN is of the form that this HSM takes, and of no user for administration"
        )


def _user_of(path: Path, pin_form: str) -> str | None:
    with path.open("rb") as file:
        pin = file.read(_MAX_PIN_BYTES).rstrip(b"\n")
    if pin_form == _TELLING[0]:
        user, colon, password = pin.partition(b":")
        is_well = bool(user and colon and password) and len(user) <= 64
    else:
        user, password = pin[:_YUBIHSM_ID_CHARS], pin[_YUBIHSM_ID_CHARS:]
        is_well = len(user) == _YUBIHSM_ID_CHARS and bool(password) and _is_hex(user)
    text = user.decode("utf-8", "replace")
    return text if is_well and text.isprintable() else None


def _is_hex(text: bytes) -> bool:
    return all(char in b"0123456789abcdefABCDEF" for char in text)
