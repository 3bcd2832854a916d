"""How the PINs of a home are: where each lies, how old it is, when it is due, and how far a change is. Reads files alone."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from strongroom.config import Home, MemberConfig, PinsConfig
from strongroom.core import ConfigError
from strongroom.custody import CustodyError, Record, read_document
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.pin_changes import PinChange, PinRole, made_at, read_change, record_name
from strongroom.wiring.pin_sealing import read_sealed_pin, sealed_at

DAY_S: Final = 86_400.0
PinState = Literal["current", "changing", "in trouble", "unknown"]
_PHASES: Final = {
    "pending": "a new PIN is stored, and not set yet",
    "setting": "the new PIN may have been set; which one the token has is found out when the member starts next",
    "set": "the new PIN was set, and is not proved yet",
    "proved": "the new PIN was proved, and is not stored as the current one yet",
}


class PinStatus(msgspec.Struct, frozen=True):
    """How one PIN is."""

    member: str
    role: PinRole
    source: Literal["sealed", "file", "credential", "delivered"]
    state: PinState
    changed_at: float | None = None
    """When the present PIN was made; None where nobody has noted it."""
    due_at: float | None = None
    is_due: bool = False
    detail: str = ""
    """How far a change is, or what became of the last one."""
    delivery: str = ""
    """Name of the file by which the newest PIN of a security officer was delivered."""


def read_pin_status(
    home: Home, members: Sequence[MemberConfig], pins: PinsConfig, *, now: float, departed_at: float = 0.0
) -> list[PinStatus]:
    """Tell how the PINs of these members are, a security officer's where it was changed by us.

    ``departed_at``: when an officer who may have known PINs was revoked last; older PINs are due at once.
    """
    found = []
    for member in members:
        found.append(_user_status(home, member))
        officer = _change(home, member, "so")
        if officer is not None:
            found.append(_officer_status(member, officer))
    return [_with_due_date(status, pins, now, departed_at) for status in found]


def last_departure(home: Home) -> float:
    """When an officer was revoked last, by the chain in the database, which nobody has verified here; 0.0: none ever was.

    Raises StorageError.
    """
    with ReadOnlyStore.open(home.database) as store:
        documents = store.get_custody_documents()
    departed_at = 0.0
    for row in documents[1:]:  # the first is the genesis
        try:
            record = read_document(row.document, Record)
        except CustodyError:
            continue
        if record.request.verb == "RevokeOfficer":
            departed_at = max(departed_at, float(record.at))
    return departed_at


def pin_warnings(found: Sequence[PinStatus]) -> list[str]:
    """Say, in sentences, which PINs a person has to look after."""
    said = []
    for status in found:
        whose = f"the {'user' if status.role == 'user' else 'security officer'} PIN of member {status.member}"
        if status.state == "in trouble":
            said.append(f"{whose}: {status.detail} (strongroom pin status)")
        elif status.is_due:
            said.append(
                f"{whose} is due to be changed: strongroom pin rotate --member {status.member}{_so(status)}"
            )
    return said


def _so(status: PinStatus) -> str:
    return "" if status.role == "user" else " --role so"


def _user_status(home: Home, member: MemberConfig) -> PinStatus:
    changed_at, trouble = None, ""
    source: Literal["sealed", "file", "credential"] = "file" if member.pin.file is not None else "credential"
    if member.pin.sealed is not None:
        source = "sealed"
        try:
            changed_at = sealed_at(read_sealed_pin(home.root / member.pin.sealed))
            trouble = "" if changed_at is not None else f"{member.pin.sealed} is damaged"
        except ConfigError as error:
            trouble = error.message
    state, detail = _state(_change(home, member, "user"))
    if trouble:
        state, detail = "in trouble", trouble
    return PinStatus(member.name, "user", source, state, changed_at, detail=detail)


def _officer_status(member: MemberConfig, change: PinChange | str) -> PinStatus:
    state, detail = _state(change)
    if isinstance(change, str):
        return PinStatus(member.name, "so", "delivered", state, detail=detail)
    return PinStatus(
        member.name, "so", "delivered", state, made_at(change), detail=detail, delivery=change.delivery
    )


def _change(home: Home, member: MemberConfig, role: PinRole) -> PinChange | str | None:
    """Return the record, or why it cannot be read."""
    try:
        return read_change(home.pin_changes / record_name(member.name, role))
    except ConfigError as error:
        return error.message


def _state(change: PinChange | str | None) -> tuple[PinState, str]:
    if change is None:
        return "current", ""
    if isinstance(change, str):
        return "in trouble", change
    if change.phase == "done":
        return "current", ""
    if change.phase == "failed":
        return "current", f"the last change failed: {change.trouble}"
    detail = _PHASES[change.phase]
    return ("in trouble", f"{detail}; {change.trouble}") if change.trouble else ("changing", detail)


def _with_due_date(status: PinStatus, pins: PinsConfig, now: float, departed_at: float) -> PinStatus:
    if status.changed_at is None:
        return status
    due_at = status.changed_at + pins.rotate_every_days * DAY_S if pins.rotate_every_days else None
    if status.changed_at < departed_at:
        due_at = departed_at if due_at is None else min(due_at, departed_at)
    return msgspec.structs.replace(status, due_at=due_at, is_due=due_at is not None and due_at <= now)
