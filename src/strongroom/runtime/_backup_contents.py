"""What goes into a bundle, from the records of a copy of the database: what must be in it, and how it says what it is."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from strongroom.backup import (
    CONFIGURATION_PART,
    DATABASE_PART,
    BackedKey,
    BackedMember,
    BackedRoot,
    LeftOutKey,
    Snapshot,
    SnapshotFile,
    encrypt_snapshot,
)
from strongroom.core import Secret, StrongroomError, WrapAlgorithm
from strongroom.envelope import Blob
from strongroom.storage import (
    DatabaseSnapshot,
    HsmKeyRecord,
    HsmKeyState,
    MemberRecord,
    ReadOnlyStore,
    RootRecord,
    RootState,
    UnreadableHsmKey,
    snapshot_database,
)

ENCRYPTED_NAME: Final = "snapshot.encrypted"


class BackupNotPossibleError(StrongroomError):
    """No backup can be made as things are; the message says why."""


class Copied(NamedTuple):
    """What a copy of the database holds that must be backed up."""

    snapshot: DatabaseSnapshot
    roots: Sequence[RootRecord]
    """The current one and old ones."""
    keys: Sequence[HsmKeyRecord]
    """Those that are active, also those that may not leave."""
    unreadable: Sequence[UnreadableHsmKey]
    """Direct keys whose records say what cannot be."""
    members: Sequence[MemberRecord]

    @property
    def current_root(self) -> RootRecord:
        """The root that new domain KEKs hang under."""
        (current,) = [root for root in self.roots if root.state is RootState.CURRENT]
        return current


def copy_database(database: Path, copy: Path) -> Copied:
    """Copy a database, and tell what of it must be backed up. Blocks. Raises BackupNotPossibleError and StorageError."""
    snapshot = snapshot_database(database, copy)
    with ReadOnlyStore.open(copy) as store:
        roots = store.list_roots()
        keys = store.list_hsm_keys(HsmKeyState.ACTIVE)
        unreadable = store.list_unreadable_hsm_keys()
        members = store.list_members()
    other = [root for root in roots if root.wrap_algorithm != WrapAlgorithm.HSM_AES_GCM]
    if other:
        name = WrapAlgorithm(other[0].wrap_algorithm).name
        raise BackupNotPossibleError(
            f"the cluster wraps by {name}: roots of it do not leave their HSMs in any form",
            next_step="back them up by the vendor's own means, and note that: strongroom backup record-vendor",
        )
    return Copied(snapshot, roots, keys, unreadable, members)


def encrypt_copy(
    draft: Path, configuration: Path, *, backup_id: str, key: Secret, blob: Blob, copied: DatabaseSnapshot
) -> Snapshot:
    """Encrypt the copy and the configuration; the result is ``ENCRYPTED_NAME`` in the same folder. Blocks. Raises OSError."""
    with (
        (draft / DATABASE_PART).open("rb") as database,
        configuration.open("rb") as settings,
        (draft / ENCRYPTED_NAME).open("xb") as out,
    ):
        files = [SnapshotFile(DATABASE_PART, database), SnapshotFile(CONFIGURATION_PART, settings)]
        return encrypt_snapshot(
            out,
            files,
            backup_id=backup_id,
            key=key,
            wrapped_key=blob,
            revision=copied.revision,
            counts=copied.counts,
        )


def backed_member(record: MemberRecord) -> BackedMember:
    """Return what a manifest says of a member."""
    return BackedMember(
        name=record.name,
        profile=record.profile,
        token_serial=record.token_serial,
        token_label=record.token_label,
    )


def backed_root(record: RootRecord, wrapped: bytes) -> BackedRoot:
    """Return what a manifest says of a root, with its wrapped form."""
    return BackedRoot(
        root_id=record.root_id.hex(),
        is_current=record.state is RootState.CURRENT,
        wrap_algorithm=record.wrap_algorithm,
        check_kind=record.check_kind,
        check_value=record.check_value,
        canary=record.canary,
        canary_digest=record.canary_digest.hex(),
        wrapped=wrapped,
    )


def backed_key(record: HsmKeyRecord, wrapped: bytes) -> BackedKey:
    """Return what a manifest says of a Direct key, with its wrapped form."""
    return BackedKey(
        key_id=record.key_id.hex(),
        label=record.label,
        spec=record.spec,
        usage=record.usage,
        public_key=record.public_key,
        canary=record.canary or b"",
        made_for=record.made_for,
        wrapped=wrapped,
    )


def left_out(
    copied: Copied, *, quarantined: Collection[bytes], gone: Collection[bytes]
) -> tuple[LeftOutKey, ...]:
    """Return what a manifest says of the Direct keys that are not in the bundle. ``gone``: destroyed meanwhile."""

    def why(record: HsmKeyRecord) -> Literal["may-not-leave", "in-quarantine", "destroyed-meanwhile"]:
        if not record.may_leave:
            return "may-not-leave"
        return "in-quarantine" if record.key_id in quarantined else "destroyed-meanwhile"

    known = tuple(
        LeftOutKey(
            key_id=record.key_id.hex(),
            label=record.label,
            spec=record.spec.value,
            usage=record.usage.value,
            made_for=record.made_for,
            why=why(record),
        )
        for record in copied.keys
        if not record.may_leave or record.key_id in quarantined or record.key_id in gone
    )
    return known + tuple(
        LeftOutKey(
            key_id=record.key_id.hex(),
            label=record.label or "unnamed",
            spec="",
            usage="",
            made_for="",
            why="unreadable-record",
        )
        for record in copied.unreadable
    )
