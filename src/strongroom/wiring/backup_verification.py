"""Whether a backup is of use: looked at from outside, or opened with its shares in a token that is destroyed afterwards.

    closed   form, size, hashes, and the signature by the key that the document of the set names
    opened   the shares give the key of the set → it opens in a scratch token, by ``open_backup`` → every root and Direct key is
             taken in, and proved by its canary or public half → a root opens the key of the snapshot → the database is whole, has
             the rows that the manifest says, and names no root that is not in the bundle → a domain KEK under each root opens

Nothing of the service is asked or changed. What comes from an HSM is put into SoftHSM only if the caller says so.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from uuid import UUID

from strongroom.backup import (
    DATABASE_PART,
    BackedKey,
    BackedRoot,
    BackupError,
    BackupSet,
    Bundle,
    Manifest,
    MissingKeyError,
    UnusableBackupError,
    check_share_key,
    decrypt_snapshot,
    snapshot_key_blob,
    verify_bundle,
)
from strongroom.core import (
    Clock,
    Deadline,
    HsmIntegrityError,
    HsmKeyId,
    HsmRequestError,
    RootId,
    Secret,
    StorageError,
    WrapAlgorithm,
)
from strongroom.envelope import (
    Blob,
    EnvelopeError,
    Purpose,
    aad_for,
    backup_snapshot_binding,
    domain_kek_binding,
)
from strongroom.hsm.cluster import Canary, RemoteMember, prove_canary, prove_key
from strongroom.hsm.token import load_profile
from strongroom.hsm.wire import KeyCheck
from strongroom.storage import (
    HsmKeyRecord,
    HsmKeyState,
    ReadOnlyStore,
    upgrade_database,
)
from strongroom.wiring.backup_files import require_database
from strongroom.wiring.backup_opening import OpenedBackup, open_backup
from strongroom.wiring.cluster_setup import ROOT_LABEL, Progress
from strongroom.wiring.throwaway_member import throwaway_member

_STEP_S: Final = 30.0
_PIECE_BYTES: Final = 1 << 20


class ProductionRootsError(BackupError):
    """Roots of an HSM would be put into SoftHSM, and nobody said that this may be."""


class ScratchCannotOpenError(BackupError):
    """A scratch token of SoftHSM cannot open what the members of this set wrap."""


class ClosedVerdict(NamedTuple):
    """What was seen of a bundle from outside: all of it was verified."""

    bundle: Bundle
    sha256: str
    """Of the whole file, in hex."""
    size: int


class OpenedVerdict(NamedTuple):
    """What was opened of a bundle."""

    n_roots: int
    n_keys: int
    n_domains: int
    """Domain KEKs that were opened, one under each root that has any."""
    revision: str
    counts: dict[str, int]


def verify_closed(file: BinaryIO, backup_set: BackupSet) -> ClosedVerdict:
    """Verify a bundle without its shares. Blocks. Raises BackupError and OSError."""
    bundle = verify_bundle(file, backup_set)
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return ClosedVerdict(bundle, digest.hexdigest(), file.tell())


def require_scratch_allowed(backup_set: BackupSet, manifest: Manifest, *, is_accepted: bool) -> None:
    """Raise ProductionRootsError for a bundle whose roots come from HSMs, unless that is accepted; ScratchCannotOpenError.

    Ask this before anybody is asked for a share.
    """
    _require_same_oaep(backup_set, manifest.source)
    if "hsm" in {backup_set.origin, manifest.origin} and not is_accepted:
        raise ProductionRootsError(
            "this bundle holds roots that were made in HSMs, and verifying it with shares puts them into a SoftHSM token of this"
            " machine for a while, where whoever owns the machine can read them",
            next_step="verify without shares; or rehearse the recovery with HSMs (docs/backup.md); or accept just this:"
            " --production-roots-into-softhsm",
        )


def _require_same_oaep(backup_set: BackupSet, member: str) -> None:
    theirs, ours = backup_set.transports_of(member).oaep_hash, load_profile("softhsm2").oaep_hash
    if theirs != ours:
        raise ScratchCannotOpenError(
            f"the keys of member {member} are wrapped by RSA-OAEP with {theirs}, and SoftHSM knows {ours} only",
            next_step="verify without shares, and rehearse a restore with HSMs of this kind (docs/backup.md)",
        )


async def verify_opened(
    file: BinaryIO,
    closed: ClosedVerdict,
    backup_set: BackupSet,
    share_key: Secret,
    folder: Path,
    *,
    clock: Clock,
    progress: Progress,
) -> OpenedVerdict:
    """Open a bundle that was verified in a scratch token in an empty folder, and prove everything in it.

    The folder is for the caller to remove. Raises BackupError, HsmError and StorageError.
    """
    manifest = closed.bundle.manifest
    check_share_key(backup_set, share_key)
    token, files = folder / "token", folder / "files"
    for part in (token, files):
        part.mkdir(mode=0o700)
    progress("making a scratch token")
    async with throwaway_member(token) as member:
        progress("opening the backup key of the set in it")
        async with open_backup(member.admin, backup_set, share_key, member=manifest.source) as opened:
            await _take_all(opened, manifest, member.use, clock, progress)
            progress("opening the snapshot of the database")
            key = await _snapshot_key(file, closed.bundle, member.use, clock)
            try:
                written = await asyncio.to_thread(
                    decrypt_snapshot, file, manifest, key, files, begins_at=closed.bundle.snapshot_at
                )
            finally:
                key.zeroize()
            verdict = await _database_verdict(written[DATABASE_PART], manifest, member.use, clock)
        progress("destroying the scratch token")
    return verdict


async def _take_all(
    opened: OpenedBackup, manifest: Manifest, use: RemoteMember, clock: Clock, progress: Progress
) -> None:
    for root in manifest.roots:
        progress(f"taking in root {root.root_id}, and comparing check value and canary")
        await _take_root(opened, root, use, clock)
    if manifest.keys:
        progress(f"taking in the Direct keys, {len(manifest.keys)} in all, and using each")
    for key in manifest.keys:
        await _take_key(opened, key, use, clock)


async def _take_root(opened: OpenedBackup, root: BackedRoot, use: RemoteMember, clock: Clock) -> None:
    root_id = RootId(bytes.fromhex(root.root_id))
    check = KeyCheck(root.check_kind, root.check_value)
    canary = Canary(root.canary, bytes.fromhex(root.canary_digest))
    try:
        await opened.take_root(root_id, ROOT_LABEL, wrapped=root.wrapped, check=check)
        await prove_canary(root_id, canary, use, deadline=_step(clock))
    except HsmRequestError as error:  # HsmIntegrityError is one
        raise UnusableBackupError(
            f"root {root.root_id} in the bundle is not what it says: {error.message}"
        ) from error


async def _take_key(opened: OpenedBackup, key: BackedKey, use: RemoteMember, clock: Clock) -> None:
    record = HsmKeyRecord(
        HsmKeyId(bytes.fromhex(key.key_id)),
        key.spec,
        key.usage,
        key.label,
        may_leave=True,
        state=HsmKeyState.ACTIVE,
        public_key=key.public_key,
        created_at=0.0,
        canary=key.canary or None,
    )
    try:
        await opened.take_key(record.key, key.label, wrapped=key.wrapped, spki_der=key.public_key)
        await prove_key(record, use, None, deadline=_step(clock))
    except (HsmRequestError, StorageError) as error:  # HsmIntegrityError is one; of a canary that is none
        raise UnusableBackupError(
            f"Direct key {key.key_id} ({key.label}) in the bundle is not what it says: {error.message}"
        ) from error


async def _snapshot_key(file: BinaryIO, bundle: Bundle, use: RemoteMember, clock: Clock) -> Secret:
    manifest = bundle.manifest
    blob = snapshot_key_blob(file, manifest, begins_at=bundle.snapshot_at)
    root_id = RootId(blob.wrapping_key_id)
    binding = backup_snapshot_binding(bytes.fromhex(manifest.backup_id))
    aad = aad_for(Purpose.SNAPSHOT_KEY, WrapAlgorithm.HSM_AES_GCM, root_id, 1, binding)
    try:
        return await use.unwrap(root_id, blob.wrapped, aad, deadline=_step(clock))
    except HsmIntegrityError as error:
        raise UnusableBackupError("the key of the snapshot does not open under the root") from error


async def _database_verdict(path: Path, manifest: Manifest, use: RemoteMember, clock: Clock) -> OpenedVerdict:
    await asyncio.to_thread(require_database, path, manifest)
    await asyncio.to_thread(upgrade_database, path)
    n_domains = 0
    with ReadOnlyStore.open(path) as store:
        _require_every_key(store, manifest)
        for root_id in store.count_domains_by_root():
            n_domains += await _opens_a_domain(store, root_id, manifest, use, clock)
    snapshot = manifest.snapshot
    return OpenedVerdict(
        len(manifest.roots), len(manifest.keys), n_domains, snapshot.revision, snapshot.counts
    )


def _require_every_key(store: ReadOnlyStore, manifest: Manifest) -> None:
    """Raise MissingKeyError unless each Direct key of the database is in the bundle, or said not to be."""
    named = {key.key_id for key in manifest.keys} | {key.key_id for key in manifest.left_out}
    for record in store.list_hsm_keys(HsmKeyState.ACTIVE):
        if record.key_id.hex() not in named:
            raise MissingKeyError(
                f"the database in the bundle needs the Direct key {record.key_id.hex()}, of which the bundle says nothing"
            )


async def _opens_a_domain(
    store: ReadOnlyStore, root_id: bytes, manifest: Manifest, use: RemoteMember, clock: Clock
) -> int:
    """Open a domain KEK under a root. Raises MissingKeyError and UnusableBackupError."""
    if root_id.hex() not in {root.root_id for root in manifest.roots}:
        raise MissingKeyError(
            f"the database in the bundle needs root {root_id.hex()}, which the bundle does not hold"
        )
    domains = store.list_domains_under(root_id, after="", limit=1)
    for domain in domains:
        try:
            blob = Blob.parse(domain.wrapped)
            binding = domain_kek_binding(UUID(domain.domain_id).bytes)
            aad = aad_for(Purpose.DOMAIN_KEK, blob.algorithm, root_id, 1, binding)
            kek = await use.unwrap(RootId(root_id), blob.wrapped, aad, deadline=_step(clock))
        except (HsmRequestError, EnvelopeError, ValueError) as error:  # HsmIntegrityError is one
            raise UnusableBackupError(
                f"domain {domain.domain_id} of the database in the bundle does not open under its root"
            ) from error
        kek.zeroize()
    return len(domains)


def _step(clock: Clock) -> Deadline:
    return Deadline.after(clock, _STEP_S)
