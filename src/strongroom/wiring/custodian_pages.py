"""The loss report as it is printed: of the set in use, and of each earlier one whose backups are not all destroyed."""

import datetime as dt
from collections import Counter

from strongroom.config import Config
from strongroom.paper import LossCustodian, LossLocation, LossReport, LossSet
from strongroom.storage import BackupRecord, BackupState, Reader
from strongroom.wiring.custodian_reshare import MOST_BACKUPS, read_old_sets
from strongroom.wiring.custodian_status import (
    NOWHERE,
    CustodianStatus,
    SetStatus,
    custodian_alarms,
    custodian_duties,
    read_all_status,
)


def loss_report(store: Reader, config: Config, *, now: float, is_rehearsal: bool = False) -> LossReport:
    """Return the report as ``paper.loss_pdf`` and ``loss_html`` take it. Raises StorageError and what ``read_set`` raises."""
    active = store.get_active_backup_set()
    in_use = "" if active is None else active.set_id.hex()
    old = {one.set_id: one for one in read_old_sets(store)}
    shown = [
        status
        for status in read_all_status(store, config.custodians, now=now)
        if status.set_id == in_use or old[status.set_id].backups
    ]
    of_use = [status for status in shown if status.set_id == in_use]
    alarms = [_sentence(words) for status in of_use for words in custodian_alarms(status)]
    notes = [_sentence(words) for status in of_use for words in custodian_duties(status)]
    notes += [f"Earlier set {one.set_id[:8]}: {words}" for one in old.values() for words in one.words]
    return LossReport(
        cluster=config.cluster.id,
        at=_moment(now),
        proof_period_days=config.custodians.prove_every_days,
        is_rehearsal=is_rehearsal,
        alarms=tuple(alarms),
        sets=tuple(_set(store, status, is_in_use=status.set_id == in_use) for status in shown),
        notes=tuple(notes),
    )


def _set(store: Reader, status: SetStatus, *, is_in_use: bool) -> LossSet:
    backups = store.list_backups(set_id=bytes.fromhex(status.set_id), limit=MOST_BACKUPS)
    return LossSet(
        set_id=status.set_id,
        state="in use" if is_in_use else f"earlier, {status.state}",
        made_at=_moment(status.activated_at),
        threshold=status.threshold,
        count=status.count,
        counted=status.losses.counted,
        can_lose_people=status.losses.people,
        can_lose_locations=status.losses.any_locations,
        custodians=tuple(_custodian(one) for one in status.custodians),
        locations=_locations(status),
        backups=tuple(
            (backup.backup_id, _about(backup))
            for backup in backups
            if backup.state is not BackupState.DESTROYED
        ),
    )


def _custodian(one: CustodianStatus) -> LossCustodian:
    return LossCustodian(
        name=one.name,
        location=one.location,
        share_number=one.share,
        delivery=one.delivery,
        state=one.state,
        acknowledged="" if one.acknowledged_at is None else _day(one.acknowledged_at),
        proved="" if one.proved_at is None else _day(one.proved_at),
        is_counted=one.is_counted,
    )


def _locations(status: SetStatus) -> tuple[LossLocation, ...]:
    counted = Counter(one.location or NOWHERE for one in status.custodians if one.is_counted)
    places = dict.fromkeys(one.location or NOWHERE for one in status.custodians)
    return tuple(
        LossLocation(name=place, counted=counted[place], is_survivable=counted[place] <= status.losses.people)
        for place in places
    )


def _about(backup: BackupRecord) -> str:
    made = f"made {_moment(backup.created_at)}, written to {backup.location}"
    return f"{made}; to be destroyed" if backup.state is BackupState.TO_DESTROY else made


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M")


def _day(seconds: float) -> str:
    return _moment(seconds).partition(" ")[0]
