"""Making one bundle: what is taken from where, in which order.

    the database is copied → a member proves the roots of that copy, and gives roots and Direct keys, wrapped
        → the copy is encrypted, its key wrapped by the current root → manifest → signed inside an HSM
        → written, verified as it lies on disk

The copy comes first, and says what the bundle has to hold: every root and Direct key that a record of the copy refers to.
What is made later is in the next backup. No key is ever here in clear but that of the snapshot.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from strongroom import __version__
from strongroom.backup import (
    DATABASE_PART,
    BackedKey,
    BackedRoot,
    BackupSet,
    LeftOutKey,
    Manifest,
    MissingKeyError,
    Snapshot,
    manifest_digest,
    new_snapshot_key,
    set_hash,
    write_manifest,
)
from strongroom.config import Home
from strongroom.core import (
    Clock,
    Deadline,
    HsmError,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    NoMemberError,
    RootId,
    Secret,
    SigningAlgorithm,
    TransportKind,
    WrapAlgorithm,
    random_bytes,
    transport_kind,
)
from strongroom.envelope import Blob, Purpose, aad_for, backup_snapshot_binding
from strongroom.hsm.cluster import Canary, Replica, prove_canary
from strongroom.runtime._backup_contents import (
    ENCRYPTED_NAME,
    BackupNotPossibleError,
    Copied,
    backed_key,
    backed_member,
    backed_root,
    copy_database,
    encrypt_copy,
    left_out,
)
from strongroom.storage import DatabaseSnapshot, HsmKeyRecord, RootRecord
from strongroom.wiring.backup_files import draft_folder, store_bundle

_STEP_S: Final = 10.0
BACKUP_ID_BYTES: Final = 16


class Custodial(NamedTuple):
    """What a manifest says of the officers; all empty in a home without them."""

    cluster_id: str = ""
    genesis_sha256: str = ""
    head: str = ""
    approval: str = ""
    documents: tuple[bytes, ...] = ()
    """The genesis and the records behind it."""


class MadeBundle(NamedTuple):
    """A bundle that lies on disk."""

    manifest: Manifest
    path: Path
    sha256: str
    size: int


class _Wrapped(NamedTuple):
    source: Replica
    roots: tuple[BackedRoot, ...]
    keys: tuple[BackedKey, ...]
    gone: frozenset[bytes]
    """Direct keys that were destroyed since the copy was made."""


class BackupMaking:
    """Makes bundles. Belongs to the event loop of main; files are worked on by threads."""

    def __init__(
        self,
        home: Home,
        serving: Callable[[], Sequence[Replica]],
        lives: Callable[[HsmKeyId], bool],
        quarantined: Callable[[], Collection[bytes]],
        *,
        clock: Clock,
    ) -> None:
        """``serving()``: the members that serve, best first. ``lives``: whether a Direct key is still to be there.

        ``quarantined()``: the Direct keys of which nobody knows that they are those of their records; they are left out.
        """
        self._home = home
        self._serving = serving
        self._lives = lives
        self._quarantined = quarantined
        self._clock = clock

    def require_source(self, backup_set: BackupSet) -> list[Replica]:
        """Return the members that can give keys under a set, best first. Raises BackupNotPossibleError when none serves."""
        in_set = {transport.member for transport in backup_set.transports}
        members = [member for member in self._serving() if member.name in in_set]
        if not members:
            raise BackupNotPossibleError(
                f"none of the members that serve has backup transport keys of set {backup_set.set_id}",
                next_step="see: strongroom members list; members that came later need another set (a ceremony of type reshare)",
            )
        return members

    async def make(
        self, backup_set: BackupSet, backup_id: str, path: Path, custodial: Custodial
    ) -> MadeBundle:
        """Make a bundle at a path. Raises BackupNotPossibleError, BackupError, HsmError, StorageError and OSError."""
        with draft_folder(self._home.backups, backup_id) as draft:
            copied = await asyncio.to_thread(copy_database, self._home.database, draft / DATABASE_PART)
            quarantined = frozenset(self._quarantined())
            wanted = [key for key in copied.keys if key.may_leave and key.key_id not in quarantined]
            wrapped = await self._wrapped(backup_set, copied.roots, wanted)
            snapshot = await self._encrypted(draft, backup_id, copied.current_root, copied.snapshot)
            manifest = self._manifest(
                backup_set,
                backup_id,
                custodial,
                copied=copied,
                wrapped=wrapped,
                left=left_out(copied, quarantined=quarantined, gone=wrapped.gone),
                snapshot=snapshot,
            )
            manifest_bytes = await asyncio.to_thread(write_manifest, manifest)
            signature = await self._signature(backup_set, manifest_digest(manifest_bytes))
            store = partial(
                store_bundle,
                path,
                backup_set,
                manifest=manifest_bytes,
                signature=signature,
                snapshot=draft / ENCRYPTED_NAME,
            )
            sha256, size = await asyncio.to_thread(store)
        return MadeBundle(manifest, path, sha256, size)

    def _manifest(
        self,
        backup_set: BackupSet,
        backup_id: str,
        custodial: Custodial,
        *,
        copied: Copied,
        wrapped: _Wrapped,
        left: tuple[LeftOutKey, ...],
        snapshot: Snapshot,
    ) -> Manifest:
        return Manifest(
            backup_id=backup_id,
            set_id=backup_set.set_id,
            set_sha256=set_hash(backup_set),
            cluster_id=custodial.cluster_id,
            made_at=int(self._clock.now()),
            software=__version__,
            origin=backup_set.origin,
            genesis_sha256=custodial.genesis_sha256,
            custody_head=custodial.head,
            custody=custodial.documents,
            approval=custodial.approval,
            source=wrapped.source.name,
            members=tuple(map(backed_member, copied.members)),
            roots=wrapped.roots,
            keys=wrapped.keys,
            left_out=left,
            snapshot_key_root=copied.current_root.root_id.hex(),
            snapshot=snapshot,
        )

    async def _wrapped(
        self, backup_set: BackupSet, roots: Sequence[RootRecord], keys: Sequence[HsmKeyRecord]
    ) -> _Wrapped:
        """Have one member give everything; where it fails, another one. Raises NoMemberError and as ``make``."""
        failures = []
        for member in self.require_source(backup_set):
            try:
                return await self._wrapped_by(member, backup_set, roots, keys)
            except HsmIntegrityError:
                raise
            except HsmError as error:
                failures.append(f"{member.name}: {error.message}")
        raise NoMemberError(
            f"no member could give all keys ({'; '.join(failures)})", next_step="see: strongroom members list"
        )

    async def _wrapped_by(
        self,
        member: Replica,
        backup_set: BackupSet,
        roots: Sequence[RootRecord],
        keys: Sequence[HsmKeyRecord],
    ) -> _Wrapped:
        transport = bytes.fromhex(backup_set.transport(member.name, TransportKind.AES).cka_id)
        backed_roots, backed_keys, gone = [], [], set()
        for root in roots:
            root_id = RootId(root.root_id)
            canary = Canary(root.canary, root.canary_digest)
            await prove_canary(root_id, canary, member.use, deadline=self._step())
            blob = await member.keys.wrap_out(root_id, TransportKind.AES, transport, deadline=self._step())
            backed_roots.append(backed_root(root, blob))
        for record in keys:
            try:
                backed_keys.append(backed_key(record, await self._key_by(member, backup_set, record)))
            except HsmKeyNotFoundError:
                if self._lives(record.key_id):
                    raise
                gone.add(bytes(record.key_id))
        return _Wrapped(member, tuple(backed_roots), tuple(backed_keys), frozenset(gone))

    async def _key_by(self, member: Replica, backup_set: BackupSet, record: HsmKeyRecord) -> bytes:
        kind = transport_kind(record.spec)
        transport = bytes.fromhex(backup_set.transport(member.name, kind).cka_id)
        return await member.keys.wrap_out(record.key_id, kind, transport, deadline=self._step())

    async def _encrypted(
        self, draft: Path, backup_id: str, root: RootRecord, copied: DatabaseSnapshot
    ) -> Snapshot:
        key = new_snapshot_key()
        try:
            blob = await self._sealed(RootId(root.root_id), key, bytes.fromhex(backup_id))
            encrypt = partial(
                encrypt_copy,
                draft,
                self._home.config_file,
                backup_id=backup_id,
                key=key,
                blob=blob,
                copied=copied,
            )
            return await asyncio.to_thread(encrypt)
        finally:
            key.zeroize()

    async def _sealed(self, root_id: RootId, key: Secret, backup_id: bytes) -> Blob:
        binding = backup_snapshot_binding(backup_id)
        aad = aad_for(Purpose.SNAPSHOT_KEY, WrapAlgorithm.HSM_AES_GCM, root_id, 1, binding)
        failure: HsmError | None = None
        for member in self._serving():
            try:
                wrapped = await member.use.wrap(root_id, key, aad, deadline=self._step())
                return Blob.of_wrapped(Purpose.SNAPSHOT_KEY, root_id, wrapped)
            except HsmRequestError:
                raise
            except HsmError as error:
                failure = error
        raise NoMemberError("no member could wrap the key of the snapshot") from failure

    async def _signature(self, backup_set: BackupSet, digest: bytes) -> bytes:
        key_id = HsmKeyId(bytes.fromhex(backup_set.signing_key.cka_id))
        key = HsmKey(key_id, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
        failure: HsmError | None = None
        for member in self._serving():
            try:
                return await member.use.sign(
                    key, SigningAlgorithm.ECDSA_SHA_256, digest, deadline=self._step()
                )
            except HsmKeyNotFoundError as error:
                failure = error
            except HsmRequestError:
                raise
            except HsmError as error:
                failure = error
        if isinstance(failure, HsmKeyNotFoundError):
            raise MissingKeyError(
                f"no member holds the backup signing key of set {backup_set.set_id}",
                next_step="make another set, by a ceremony of the type reshare",
            ) from failure
        raise NoMemberError("no member could sign the manifest") from failure

    def _step(self) -> Deadline:
        return Deadline.after(self._clock, _STEP_S)


def new_backup_id() -> str:
    """Return a random id for a backup, in hex."""
    return random_bytes(BACKUP_ID_BYTES).hex()
