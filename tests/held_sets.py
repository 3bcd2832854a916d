"""Backup sets with real shares in a database, for tests of those who look after custodians."""

import functools
from pathlib import Path
from typing import NamedTuple

from backup_documents import SET_ID, SoftwareSigner, a_set
from strongroom.backup import BackupSet, SetCustodian, write_set
from strongroom.core import Secret, random_bytes
from strongroom.shares import Share, SharePlan, possession_public_key, split
from strongroom.storage import BackupRecord, BackupSetRecord, BackupSetState, BackupState, Store

NAMES = ("anna", "ben", "cleo", "dora", "emil")
PLACES = ("Bern", "Bern", "Zug", "Genf", "Genf")


class MadeSet(NamedTuple):
    """A set and its shares, by custodian."""

    set_id: bytes
    document: BackupSet
    shares: dict[str, Share]


@functools.cache
def make_set(set_id: str = SET_ID, threshold: int = 3, places: tuple[str, ...] = PLACES) -> MadeSet:
    """Return a set whose shares are held by ``NAMES`` in these places."""
    shares = split(Secret(random_bytes(32)), SharePlan(threshold, len(places)))
    raw, names = bytes.fromhex(set_id), NAMES[: len(places)]
    custodians = tuple(
        SetCustodian(
            id=name,
            name=name.title(),
            location=place,
            share_index=share.index,
            delivery="paper",
            possession_key=possession_public_key(share, raw),
        )
        for name, place, share in zip(names, places, shares, strict=True)
    )
    document = a_set(
        SoftwareSigner().spki,
        set_id=set_id,
        threshold=threshold,
        count=len(places),
        slip39_identifier=shares[0].set_identifier,
        custodians=custodians,
    )
    return MadeSet(raw, document, dict(zip(names, shares, strict=True)))


async def put_set(store: Store, made: MadeSet, *, at: float) -> None:
    """Make a set the active one."""
    record = BackupSetRecord(made.set_id, b"", BackupSetState.MAKING, at)
    names = tuple(one.id for one in made.document.custodians)
    data = write_set(made.document)
    await store.write(lambda tx: tx.insert_backup_set(record))
    await store.write(lambda tx: tx.activate_backup_set(made.set_id, data, at=at, holders=names))


async def put_backup(
    store: Store, made: MadeSet, name: str, *, at: float, folder: Path = Path("/no-such-folder")
) -> None:
    """Note a backup made under a set."""
    record = BackupRecord(
        name, made.set_id, at, f"{at:064.0f}", str(folder / name), BackupState.PRESENT, None, 7
    )
    await store.write(lambda tx: tx.insert_backup(record))
