"""What a restore takes from a bundle before any HSM is touched: its manifest, verified, and the officers who may let it be restored.

The snapshot opens only once a root is back in an HSM. So the chain of custody by which the restore is judged stands in the manifest;
it is compared with that of the database later. What this cannot show is that set document and bundle are the true ones: the
hashes that are shown are compared with what the ceremony's transcript has.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.backup import (
    AlteredBundleError,
    BackupSet,
    Manifest,
    MissingKeyError,
    NewerBundleError,
    read_set,
    verify_bundle,
)
from strongroom.core import (
    ApprovalRequiredError,
    Clock,
    ConfigError,
    TransportKind,
    WrapAlgorithm,
    random_bytes,
    transport_kind,
)
from strongroom.custody import (
    MAX_REQUEST_BYTES,
    ApprovalRequest,
    Approver,
    Chain,
    CustodyError,
    new_request,
    read_document,
    require_quorum,
    write_document,
)
from strongroom.storage import knows_revision
from strongroom.wiring.backup_members import SOFTWARE_PROFILES
from strongroom.wiring.init_script_form import RestoreScript
from strongroom.wiring.restore_script import require_fits

RESTORE_BACKUP: Final = "RestoreBackup"
_READ_BYTES: Final = 1 << 20


class RestoreApproval(NamedTuple):
    """What proves that officers approved ``RestoreBackup`` of a bundle."""

    request: bytes
    """The document that they signed (``restore_request``)."""
    signatures: Sequence[bytes]
    """SSHSIG blobs (``custody.dearmour``)."""


class ApprovedRestore(NamedTuple):
    """An approval that suffices."""

    approval: RestoreApproval
    approvers: tuple[Approver, ...]
    """In the order of the signatures."""
    at: int
    """When they were counted, in seconds since the Unix epoch."""


class RestoreSource(NamedTuple):
    """A bundle that was verified against the document of its set."""

    path: Path
    sha256: str
    manifest: Manifest
    snapshot_at: int
    """Where in the file the snapshot begins."""
    backup_set: BackupSet
    chain: Chain | None
    """None: the cluster has no officers."""

    @property
    def genesis_sha256(self) -> str:
        """Hash of the genesis; empty for a cluster without officers."""
        return self.manifest.genesis_sha256


def read_restore_source(bundle: Path, set_document: bytes) -> RestoreSource:
    """Verify a bundle. Raises BackupError, one kind for each thing that can be wrong, and OSError."""
    backup_set = read_set(set_document)
    with bundle.open("rb") as file:
        verified = verify_bundle(file, backup_set)
        digest = hashlib.sha256()
        file.seek(0)
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    manifest = verified.manifest
    _require_transports(manifest, backup_set)
    if not knows_revision(manifest.snapshot.revision):
        raise NewerBundleError("database in the backup bundle", manifest.snapshot.revision)
    if any(root.wrap_algorithm != WrapAlgorithm.HSM_AES_GCM for root in manifest.roots):
        raise AlteredBundleError("manifest", "it has a root of a wrap algorithm whose roots leave no HSM")
    return RestoreSource(
        bundle, digest.hexdigest(), manifest, verified.snapshot_at, backup_set, _chain_in(manifest)
    )


def check_against_script(
    source: RestoreSource, script: RestoreScript, *, production_roots_into_softhsm: bool
) -> None:
    """Refuse a script for another cluster, and software tokens for what comes from HSMs. Raises ConfigError."""
    require_fits(script, source.chain)
    software = [member.name for member in script.members if member.profile in SOFTWARE_PROFILES]
    if source.manifest.origin == "hsm" and software and not production_roots_into_softhsm:
        raise ConfigError(
            f"the keys of this bundle are those of HSMs, and member {software[0]} is a software token, which protects no key",
            next_step="describe HSMs in the script; or say that production roots shall leave their protection:"
            " --production-roots-into-softhsm",
        )


def restore_request(source: RestoreSource, *, requester: str, clock: Clock) -> bytes:
    """Return the request that officers are to sign before a restore.

    Raises ConfigError where no rule lets it be restored, and for a cluster without officers.
    """
    if source.chain is None:
        raise ConfigError("the bundle is of a cluster without officers, so nobody has to approve its restore")
    try:
        request = new_request(
            source.chain.state,
            RESTORE_BACKUP,
            {"bundle_sha256": source.sha256},
            requester=requester,
            nonce=random_bytes(16),
            now=int(clock.now()),
        )
    except CustodyError as error:
        raise ConfigError(
            f"nobody can approve that this bundle is restored: {error.message}",
            next_step="restore an older or later bundle, whose officers have a rule for RestoreBackup",
        ) from error
    return write_document(request)


def require_approved(
    source: RestoreSource, approval: RestoreApproval | None, *, now: int
) -> ApprovedRestore | None:
    """Count the officers who approved that this bundle is restored; None where there are no officers.

    Raises ApprovalRequiredError.
    """
    if source.chain is None:
        return None
    if approval is None:
        raise ApprovalRequiredError("restoring this bundle takes an approved RestoreBackup of its officers")
    try:
        request = read_document(approval.request, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
        if (request.verb, request.parameters) != (RESTORE_BACKUP, {"bundle_sha256": source.sha256}):
            raise ApprovalRequiredError(
                "the request is not for restoring this very bundle",
                next_step="have the officers sign the request that was written for it",
            )
        approvers = require_quorum(source.chain.state, request, approval.signatures, now=now)
    except CustodyError as error:
        raise ApprovalRequiredError(
            f"the officers have not approved that this bundle is restored: {error.message}",
            next_step=error.next_step,
        ) from error
    return ApprovedRestore(approval, approvers, now)


def _require_transports(manifest: Manifest, backup_set: BackupSet) -> None:
    """See that the set has what everything in the bundle travels under. Raises MissingKeyError."""
    for kind in {TransportKind.AES, *(transport_kind(key.spec) for key in manifest.keys)}:
        backup_set.transport(manifest.source, kind)


def _chain_in(manifest: Manifest) -> Chain | None:
    if not manifest.genesis_sha256:
        return None
    if not manifest.custody:
        raise MissingKeyError(
            "the bundle is of a cluster with officers, and does not say who they are",
            next_step="restore a bundle that was made by a later version of this software",
        )
    try:
        chain = Chain.from_documents(manifest.custody[0], manifest.custody[1:])
    except CustodyError as error:
        raise AlteredBundleError(
            "manifest", f"the chain of officers in it does not hold: {error.message}"
        ) from error
    if chain.state.head != manifest.custody_head:
        raise AlteredBundleError("manifest", "the chain of officers in it ends elsewhere than it says")
    return chain
