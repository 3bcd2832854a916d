"""The database of a restored home: out of the snapshot of the bundle, put onto other HSMs, and shown to open with them.

What officers, callers and keys are stays as it was, tombstones too. What changes is what was true of the HSMs that are gone: members,
transport keys, who holds a copy of which Direct key, and backup sets, of which the new HSMs hold nothing.
"""

import shutil
from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.backup import (
    CONFIGURATION_PART,
    DATABASE_PART,
    AlteredBundleError,
    MissingKeyError,
    decrypt_snapshot,
    snapshot_key_blob,
)
from strongroom.config import Home
from strongroom.core import Clock, Deadline, HsmUse, RootId
from strongroom.custody import ApprovalRequest, Chain, document_hash, read_document
from strongroom.envelope import Purpose, aad_for, backup_snapshot_binding
from strongroom.keyring import CacheLimits, KekCiphers, open_secret
from strongroom.service import act_digest
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    BackupRecord,
    BackupState,
    HsmKeyRecord,
    HsmKeyState,
    MemberRecord,
    Reader,
    Store,
    Transaction,
    TransportKeyRecord,
    upgrade_database,
)
from strongroom.wiring.backup_files import require_database
from strongroom.wiring.home import sync_tree
from strongroom.wiring.restore_source import ApprovedRestore, RestoreSource

CONFIGURATION_OF_BACKUP: Final = "strongroom.toml.of-backup"
"""Name of the configuration of the home that was backed up: to compare with, it is not used."""
_DRAFT: Final = "restore-draft"
_HSM_LIMIT_S: Final = 30.0
_MOST_OPENED: Final = 200


class OpenedCiphertexts(NamedTuple):
    """How much of what the database holds was opened, to see that it opens."""

    domains: int
    key_versions: int
    access_keys: int


async def write_database(home: Home, source: RestoreSource, use: HsmUse, *, clock: Clock) -> None:
    """Decrypt the snapshot, whose key the root opens inside a member, and put its database into the home.

    Raises AlteredBundleError, TruncatedBundleError, UnusableBackupError, HsmError, StorageError and OSError.
    """
    manifest = source.manifest
    draft = home.root / _DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of an interrupted run
    draft.mkdir(mode=0o700)
    with source.path.open("rb") as file:
        blob = snapshot_key_blob(file, manifest, begins_at=source.snapshot_at)
        root_id = RootId(blob.wrapping_key_id)
        binding = backup_snapshot_binding(bytes.fromhex(manifest.backup_id))
        aad = aad_for(Purpose.SNAPSHOT_KEY, blob.algorithm, root_id, 1, binding)
        key = await use.unwrap(root_id, blob.wrapped, aad, deadline=Deadline.after(clock, _HSM_LIMIT_S))
        try:
            parts = decrypt_snapshot(file, manifest, key, draft, begins_at=source.snapshot_at)
        finally:
            key.zeroize()
    if DATABASE_PART not in parts:
        raise AlteredBundleError("snapshot", "there is no database in it")
    require_database(parts[DATABASE_PART], manifest)
    for left in home.root.glob(f"{home.database.name}*"):
        left.unlink()
    parts[DATABASE_PART].replace(home.database)
    if CONFIGURATION_PART in parts:
        parts[CONFIGURATION_PART].replace(home.root / CONFIGURATION_OF_BACKUP)
    shutil.rmtree(draft)
    upgrade_database(home.database)
    sync_tree(home.root)


async def put_onto_members(
    store: Store,
    source: RestoreSource,
    members: Sequence[MemberRecord],
    transports: Sequence[TransportKeyRecord],
    approved: ApprovedRestore | None,
    *,
    now: float,
) -> None:
    """Have the database say that these are the members. Raises AlteredBundleError, MissingKeyError, ChainError and StorageError."""
    _require_that_of_manifest(store, source)
    gone = _destroyed_meanwhile(store, source)

    def change(tx: Transaction) -> None:
        tx.forget_all_members()
        for member in members:
            tx.insert_member(member)
        for transport in transports:
            tx.insert_transport_key(transport)
        for record in gone:
            tombstone = record._replace(
                state=HsmKeyState.DESTROYED, destroyed_at=float(source.manifest.made_at)
            )
            tx.move_hsm_key(tombstone, was=record.state)
        tx.end_backup_sets_of_lost_members(at=now)
        _note_bundle(tx, source, now)
        if approved is not None:
            _note_approval(tx, approved)

    await store.write(change)


async def prove_ciphertexts(store: Store, use: HsmUse, *, clock: Clock) -> OpenedCiphertexts:
    """Open domain KEKs, key versions and secrets of access keys, up to 200 of each, by the roots in the HSM.

    Raises HsmIntegrityError, EnvelopeError or MissingRecordError when one does not open: root and database do not belong together.
    """
    ciphers = KekCiphers(
        store,
        use,
        clock=clock,
        limits=CacheLimits(60.0, _MOST_OPENED, _MOST_OPENED, 0.0),
        request_s=_HSM_LIMIT_S,
    )
    domains = store.list_domains(after="", limit=_MOST_OPENED)
    for domain in domains:
        await ciphers.domain(domain.domain_id)
    n_versions = 0
    for key in store.list_keys(after=None, limit=_MOST_OPENED):
        version = store.get_key_version(key.key_id, key.current_version)
        if version is not None and version.wrapped and version.retired_at is None:
            await ciphers.kek(key, version.version)
            n_versions += 1
    access_keys = store.list_access_keys()[:_MOST_OPENED]
    for record in access_keys:
        (await open_secret(ciphers, record)).zeroize()
    return OpenedCiphertexts(len(domains), n_versions, len(access_keys))


def custody_of(store: Reader) -> tuple[bytes, ...]:
    """Return the genesis and the records behind it; nothing for a cluster without officers. Raises StorageError."""
    return tuple(record.document for record in store.get_custody_documents())


def _require_that_of_manifest(store: Store, source: RestoreSource) -> None:
    documents = custody_of(store)
    custody = source.manifest.custody
    if documents[: len(custody)] != custody or bool(documents) != bool(custody):
        raise AlteredBundleError("manifest", "the chain of officers in it is not that of the database")
    if documents:
        Chain.from_documents(documents[0], documents[1:])  # what came while the backup was made, too
    backed = {root.root_id for root in source.manifest.roots}
    for root in store.list_roots():
        if root.root_id.hex() not in backed:
            raise MissingKeyError(
                f"the database needs the root {root.root_id.hex()}, which is not in the bundle"
            )


def _destroyed_meanwhile(store: Store, source: RestoreSource) -> list[HsmKeyRecord]:
    """Return the Direct keys that were destroyed between the copy of the database and the wrapping of the keys."""
    backed = {key.key_id for key in source.manifest.keys}
    active = store.list_hsm_keys(HsmKeyState.ACTIVE)
    return [record for record in active if record.may_leave and record.key_id.hex() not in backed]


def _note_bundle(tx: Transaction, source: RestoreSource, now: float) -> None:
    manifest, set_id = source.manifest, bytes.fromhex(source.manifest.set_id)
    if tx.get_backup_set(set_id) is None:
        return
    if tx.get_backup(manifest.backup_id) is not None:
        tx.note_backup_verified(manifest.backup_id, at=now)
        return
    size = source.path.stat().st_size
    tx.insert_backup(
        BackupRecord(
            manifest.backup_id,
            set_id,
            float(manifest.made_at),
            source.sha256,
            str(source.path.absolute()),
            BackupState.PRESENT,
            now,
            size,
        )
    )


def _note_approval(tx: Transaction, approved: ApprovedRestore) -> None:
    """Keep what officers signed, as that of an act that was done: evidence of it can be had as of every other."""
    approval, at = approved.approval, float(approved.at)
    request = read_document(approval.request, ApprovalRequest)
    request_id = document_hash(approval.request)
    tx.insert_approval(
        ApprovalRecord(
            request_id,
            request.verb,
            request.requester,
            approval.request,
            act_digest(request.verb, request.parameters, request.requester),
            float(request.created),
            float(request.expires),
            ApprovalState.EXECUTED,
            at,
            request.requester,
        )
    )
    for approver, signature in zip(approved.approvers, approval.signatures, strict=True):
        tx.insert_approval_signature(ApprovalSignatureRecord(request_id, approver.officer, signature, at))
