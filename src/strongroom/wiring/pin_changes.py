"""What is known of a change of a PIN: the record of one member and role, its rules, and its file.

    pending ─ the old PIN is tried, C_SetPIN is sent → setting ─ its answer → set ─ the new PIN is tried → proved ─ stored → done

A record is JSON in ``pin-changes/MEMBER`` (``MEMBER.so`` for the security officer's), mode 0600, replaced whole. While a user
PIN is changed it holds the new one, sealed; the old one is where the configuration says until the new one was proved.
So at every moment the token has a PIN that is on disk, sealed, and whatever process is killed, ``next_step`` says from
the record alone what comes next:

- A PIN that the token refused is never sent again. A try is counted, durably, before it is sent.
- A user PIN whose try may have been a refusal that nobody heard of is not sent again either (``is_in_doubt``).
- Tries of unknown outcome and refusals since the last login together stay below the number that locks the token, less one.
- While it is not known whether C_SetPIN took effect (``setting``), the old PIN is tried first: it tells, and if it is
  taken, the change goes on from there. If it is refused, the new one is the token's.
"""

import re
from enum import Enum, auto
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from strongroom.core import ConfigError
from strongroom.wiring.durable_files import write_durably

PinRole = Literal["user", "so"]
"""Whose PIN: the crypto user's, or the security officer's."""
PinPhase = Literal["pending", "setting", "set", "proved", "done", "failed"]

_MAX_BYTES: Final = 16_384
_MOST_UNKNOWN: Final = 5
"""Tries in a row of a PIN that the token took before, whose outcome nobody knows."""
_Count = Annotated[int, Meta(ge=0, le=99)]
_Salted = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{32}:[0-9a-f]{64})?\Z")]
_Text = Annotated[str, Meta(max_length=500)]
_Time = Annotated[float, Meta(ge=0, le=1e12)]


class PinTries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the tries of one PIN."""

    unknown: _Count = 0
    """Tries, since the last login, of which nobody knows the outcome; the one under way included."""
    is_refused: bool = False


class PinChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One change of one PIN."""

    version: Literal[1] = 1
    change_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    member: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}\Z")]
    role: PinRole = "user"
    phase: PinPhase = "pending"
    started_at: _Time
    present_since: _Time | None = None
    """When the PIN that is to be replaced was made; None where nobody noted it. Of a security officer's only."""
    asked_by: _Text = ""
    approval: Annotated[str, Meta(max_length=64)] = ""
    """Id of the request that was approved; empty where the home has no officers."""
    replaced: _Salted = ""
    """Salt and slow hash of the old PIN (``pin_refusals.SaltedPin``): workers that still have it do not send it."""
    introduced: _Salted = ""
    """The same of the new PIN; of a security officer's only."""
    sealed: Annotated[str, Meta(max_length=2_048)] = ""
    """The new PIN, sealed; empty before it is made, once it is stored or given up, and for a security officer's."""
    delivery: Annotated[str, Meta(max_length=200)] = ""
    """Name of the file by which a security officer's new PIN was delivered."""
    old: PinTries = PinTries()
    new: PinTries = PinTries()
    refusals: _Count = 0
    """Refusals since the last login."""
    ended_at: _Time | None = None
    trouble: _Text = ""
    """Why it failed, or does not go on."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self.phase in {"done", "failed"}

    @property
    def is_open(self) -> bool:
        """Whether the old PIN need not be the token's any more, and the new one is not stored yet."""
        return self.phase in {"setting", "set", "proved"}


class NextStep(Enum):
    """What comes next in a change."""

    CHANGE = auto()
    """Try the old PIN; if it is taken, send C_SetPIN."""
    PROVE = auto()
    """Try the new PIN."""
    REPLACE = auto()
    """The new PIN was refused, so the token has the old one: make another new PIN, and begin again."""
    ADOPT = auto()
    """Store the new PIN as the current one, and forget the old one."""
    GIVE_UP = auto()
    """The old PIN is wrong and nothing was changed: the change is over."""
    ASK = auto()
    """Only a person can help: no PIN may be tried."""
    NOTHING = auto()


def next_step(change: PinChange) -> NextStep:
    """Say what comes next. Whether the token has a try to spare, the worker asks right before it (``may_try``)."""
    if change.has_ended:
        return NextStep.NOTHING
    if change.phase == "proved":
        return NextStep.ADOPT
    if change.phase == "pending":
        return NextStep.GIVE_UP if change.old.is_refused else NextStep.CHANGE
    if change.old.is_refused or change.phase == "set":
        return NextStep.ASK if change.new.is_refused else NextStep.PROVE
    if change.new.is_refused:
        return NextStep.REPLACE
    return NextStep.PROVE if change.new.unknown < change.old.unknown else NextStep.CHANGE


def may_try(change: PinChange, *, most_tries: int) -> bool:
    """Whether a token that locks after ``most_tries`` wrong PINs in a row (``Profile.pin_tries``) has a try to spare.

    Every try of unknown outcome is taken for a wrong one, and the last try is never used.
    """
    return change.old.unknown + change.new.unknown + change.refusals + 1 < most_tries


def is_in_doubt(change: PinChange, which: Literal["old", "new"], *, is_count_low: bool) -> bool:
    """Whether this PIN may have been refused without anybody hearing it, so that it must not be sent again by itself.

    So it is after one try of unknown outcome while it is not known which PIN the token has, and after one where the token says that a
    wrong PIN came (``is_count_low``) and no refusal that was noted explains that. Else the token took this PIN before, or took it as
    its new one, and five such tries in a row are too many (as in ``pin_attempts``). Security officers' PINs are presented by a
    person each time, so the count for all of them together (``may_try``) is what holds.
    """
    tries = getattr(change, which)
    if tries.is_refused:
        return True
    if change.role == "so" or not tries.unknown:
        return False
    says_wrong = is_count_low and not change.refusals
    return change.phase == "setting" or says_wrong or tries.unknown >= _MOST_UNKNOWN


def tried(change: PinChange, which: Literal["old", "new"]) -> PinChange:
    """The PIN is about to be sent."""
    tries = getattr(change, which)
    return _with(change, which, msgspec.structs.replace(tries, unknown=tries.unknown + 1))


def not_tried(change: PinChange, which: Literal["old", "new"]) -> PinChange:
    """The PIN that was about to be sent did not get as far as being compared."""
    tries = getattr(change, which)
    return _with(change, which, msgspec.structs.replace(tries, unknown=max(0, tries.unknown - 1)))


def refused(change: PinChange, which: Literal["old", "new"]) -> PinChange:
    """The token did not take the PIN."""
    tries = getattr(change, which)
    marked = PinTries(max(0, tries.unknown - 1), is_refused=True)
    return msgspec.structs.replace(_with(change, which, marked), refusals=change.refusals + 1)


def logged_in(change: PinChange) -> PinChange:
    """The token took a PIN, or says that no wrong one came since the last login: its counter stands at zero."""
    clear = {name: msgspec.structs.replace(getattr(change, name), unknown=0) for name in ("old", "new")}
    return msgspec.structs.replace(change, refusals=0, **clear)


def read_change(path: Path) -> PinChange | None:
    """Read the record of the last change; None when there was none. Raises PinRecordError when it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PinRecordError(f"cannot read {path}: {error.strerror}") from error
    try:
        if len(content) > _MAX_BYTES:
            raise msgspec.DecodeError
        change = msgspec.json.decode(content, type=PinChange)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise PinRecordError(f"{path} is damaged", next_step=_DAMAGED) from None
    if record_name(change.member, change.role) != path.name:
        raise PinRecordError(f"{path} is the record of another member or role", next_step=_DAMAGED)
    return change


def write_change(path: Path, change: PinChange) -> None:
    """Store a record; it is on disk when this returns. Raises OSError."""
    write_durably(path, msgspec.json.encode(change) + b"\n", mode=0o600)


def made_at(change: PinChange | None) -> float | None:
    """When a security officer's present PIN was made, by the record of its last change; None where nobody noted it."""
    if change is None:
        return None
    return change.ended_at if change.phase == "done" else change.present_since


def record_name(member: str, role: PinRole) -> str:
    """Name of the file of a record."""
    return member if role == "user" else f"{member}.so"  # no member can have this name


class PinRecordError(ConfigError):
    """The record of a change cannot be read, so nobody knows which PIN the token has: none is sent."""


_DAMAGED: Final = (
    "restore it from a backup of the home; else find out which PIN the token has with the vendor's tool, seal it"
    " (strongroom pin seal), and remove the file"
)
_WORD: Final = re.compile(r"[^\x20-\x7e]")


def in_words(text: str) -> str:
    """Make a reason fit for the record: printable, and at most 500 characters."""
    return _WORD.sub("?", text)[:500]


def _with(change: PinChange, which: str, tries: PinTries) -> PinChange:
    return msgspec.structs.replace(change, **{which: tries})
