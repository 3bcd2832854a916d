"""How the custodians of a backup set are: who can be counted on, who is to prove by when, and how many we can lose."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from strongroom.config import CustodiansConfig
from strongroom.core import StrongroomError
from strongroom.custody import CustodyError, OfficerKey, Record, read_document
from strongroom.storage import CustodianRecord, CustodianState, Reader
from strongroom.wiring.custodian_documents import (
    Challenge,
    read_custodian_document,
    verify_acknowledgement,
)
from strongroom.wiring.custodian_losses import Losses, losses
from strongroom.wiring.custodian_sets import HeldSet, Holder, active_set, held_set

DAY_S: Final = 86_400.0
NOWHERE: Final = "(no location is known)"


class CustodianStatus(msgspec.Struct, frozen=True):
    """One custodian of one set."""

    custodian: str
    name: str
    location: str
    share: int
    delivery: str
    state: Literal["holding", "left", "revoked"]
    """``revoked``: they are no officer any more, and nobody has said what became of their share."""
    is_counted: bool
    """They hold their share, and have proved it within the period."""
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    """Fingerprint of the key that signed, or who saw it signed on paper."""
    proved_at: float | None = None
    """When they last showed that they have the share; at first when the set was made."""
    due_at: float | None = None
    """By when they are to prove it again; None: never, or they left."""
    is_due: bool = False
    """It is time to: they are reminded."""
    challenged_until: float | None = None
    """A challenge waits for their answer, until then."""
    left_at: float | None = None
    left_because: str = ""


class SetStatus(msgspec.Struct, frozen=True):
    """A backup set and its custodians, by share."""

    set_id: str
    state: str
    activated_at: float
    threshold: int
    count: int
    prove_every_days: int
    custodians: tuple[CustodianStatus, ...]
    losses: Losses

    @property
    def is_too_few(self) -> bool:
        """Whether one more loss may be one too many: fewer than m + 1 can be counted on."""
        return self.losses.people < 1


def read_set_status(store: Reader, rules: CustodiansConfig, *, now: float) -> SetStatus | None:
    """Tell how the custodians of the set are that takes new backups; None where there is none.

    Raises StorageError and what ``read_set`` raises.
    """
    found = active_set(store)
    return None if found is None else status_of(store, found, rules, now=now)


def read_all_status(store: Reader, rules: CustodiansConfig, *, now: float) -> list[SetStatus]:
    """As ``read_set_status``, of every set that is or was active, the newest first."""
    records = [record for record in store.list_backup_sets() if record.activated_at is not None]
    return [status_of(store, held_set(record), rules, now=now) for record in records]


def status_of(store: Reader, found: HeldSet, rules: CustodiansConfig, *, now: float) -> SetStatus:
    """Tell how the custodians of a set are. Raises StorageError."""
    records = {one.custodian: one for one in store.list_custodians(found.record.set_id)}
    gone = _revoked_officers(store)
    custodians = tuple(
        _status(holder, records.get(holder.id), rules, now=now, revoked_at=gone.get(holder.id))
        for holder in found.holders
    )
    counted = [one.location or NOWHERE for one in custodians if one.is_counted]
    return SetStatus(
        found.record.set_id.hex(),
        found.record.state.value,
        found.record.activated_at or found.record.created_at,
        found.document.threshold,
        found.document.count,
        rules.prove_every_days,
        custodians,
        losses(found.document.threshold, counted),
    )


def custodian_alarms(status: SetStatus) -> list[str]:
    """Say, in sentences, what endangers the backup."""
    said = [_too_few(status)] if status.is_too_few else []
    said += [
        f"custodian {one.custodian} (share {one.share}) is no officer any more: say what became of the share: strongroom custodians left {one.custodian}"
        for one in status.custodians
        if one.state == "revoked"
    ]
    return said


def custodian_duties(status: SetStatus) -> list[str]:
    """Say, in sentences, what custodians are to be asked for."""
    said = []
    due = [one.custodian for one in status.custodians if one.is_due]
    if due:
        said.append(
            f"custodians who are to prove that they have their shares: {', '.join(due)} (strongroom custodians challenge)"
        )
    missing = [
        one.custodian for one in status.custodians if one.state == "holding" and one.acknowledged_at is None
    ]
    if missing:
        said.append(
            f"custodians who have not acknowledged their duty: {', '.join(missing)} (strongroom custodians duty ID)"
        )
    return said


def custodian_warnings(status: SetStatus) -> list[str]:
    """Return both, what endangers the backup first."""
    return [*custodian_alarms(status), *custodian_duties(status)]


def challenged_until(record: CustodianRecord, *, now: float) -> float | None:
    """Return until when the challenge may be answered that waits; None where there is none, or what is stored is none."""
    if not record.challenge:
        return None
    try:
        until = float(read_custodian_document(record.challenge, Challenge).until)
    except StrongroomError:
        return None
    return until if now <= until else None


def _too_few(status: SetStatus) -> str:
    found = status.losses
    if not found.is_recoverable:
        return (
            f"only {found.counted} custodians can be counted on, and {status.threshold} are needed: the backup may be lost already;"
            " ask all of them to prove their shares, and make a new set while the HSMs live"
        )
    return (
        f"only {found.counted} custodians can be counted on, of whom {status.threshold} are needed: one more loss may be one too many;"
        " have custodians prove their shares, or make a new set (a ceremony of type reshare)"
    )


def _status(
    holder: Holder,
    record: CustodianRecord | None,
    rules: CustodiansConfig,
    *,
    now: float,
    revoked_at: float | None,
) -> CustodianStatus:
    record = record or CustodianRecord(b"", holder.id)  # nobody has heard of them
    state: Literal["holding", "left", "revoked"] = "holding"
    if record.state is CustodianState.LEFT:
        state = "left"
    elif revoked_at is not None and revoked_at >= (record.proved_at or 0.0):
        state = "revoked"
    due_at = None
    if state == "holding" and rules.prove_every_days:
        due_at = (record.proved_at or 0.0) + rules.prove_every_days * DAY_S
    return CustodianStatus(
        custodian=holder.id,
        name=holder.name,
        location=holder.location,
        share=holder.share,
        delivery=holder.delivery,
        state=state,
        is_counted=state == "holding" and (due_at is None or now < due_at),
        acknowledged_at=record.acknowledged_at,
        acknowledged_by=_acknowledged_by(record),
        proved_at=record.proved_at,
        due_at=due_at,
        is_due=due_at is not None and now >= due_at - rules.remind_days * DAY_S,
        challenged_until=challenged_until(record, now=now),
        left_at=record.left_at,
        left_because=record.left_because,
    )


def _acknowledged_by(record: CustodianRecord) -> str:
    if not record.acknowledgement:
        return ""
    try:
        found = verify_acknowledgement(record.acknowledgement)
    except StrongroomError:
        return "(what is stored does not verify)"
    return OfficerKey.from_line(found.key).fingerprint if found.key else found.seen_by


def _revoked_officers(store: Reader) -> Mapping[str, float]:
    """Return when officers were revoked, by the chain in the database, which nobody has verified here."""
    found: dict[str, float] = {}
    for row in store.get_custody_documents()[1:]:  # the first is the genesis
        try:
            record = read_document(row.document, Record)
        except CustodyError:
            continue
        officer = record.request.parameters.get("officer")
        if record.request.verb == "RevokeOfficer" and isinstance(officer, str):
            found[officer] = float(record.at)
    return found
