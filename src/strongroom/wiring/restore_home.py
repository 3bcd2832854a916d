"""``backup restore``: from a bundle, shares and blank HSMs to a home that serves what was backed up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from strongroom.backup import BackupSet
from strongroom.core import Clock, Secret
from strongroom.wiring.cluster_setup import Progress
from strongroom.wiring.init_script_form import RestoreScript


class RestoreApproval(NamedTuple):
    """What proves that officers approved ``RestoreBackup`` of a bundle."""

    request: bytes
    """The document that they signed (``restore_request``)."""
    signatures: Sequence[bytes]
    """SSHSIG blobs (``custody.dearmour``)."""


class RestoredHome(NamedTuple):
    """What was made, or found made."""

    was_made: bool
    """False: this bundle was restored here before, and nothing was changed."""
    backup_id: str
    bundle_sha256: str
    set_id: str
    made_at: float
    """When the bundle was made."""
    genesis_sha256: str
    """Empty for a cluster without officers."""
    deliveries: dict[str, str]
    """Paths, relative to the home, of the encrypted PINs of security officers, by member."""
    n_roots: int
    n_keys: int
    """Direct keys that every member holds."""
    lost: tuple[str, ...]
    """Labels of Direct keys that could not leave the HSMs that are gone."""


def restore_request(bundle: Path, set_document: bytes, *, requester: str, clock: Clock) -> bytes | None:
    """Return the request that officers are to sign before a restore; None for a cluster without officers.

    Raises BackupError for a bundle that does not verify, and ConfigError where no rule lets it be restored.
    """
    raise NotImplementedError


async def restore_home(
    root: Path,
    bundle: Path,
    set_document: bytes,
    script: RestoreScript,
    *,
    share_key: Callable[[BackupSet], Secret],
    approval: RestoreApproval | None,
    production_roots_into_softhsm: bool = False,
    clock: Clock,
    progress: Progress,
) -> RestoredHome:
    """Make a home of a bundle, or go on with a restore that was interrupted.

    ``share_key``: asked once all else is checked and before a token is touched, and again after an interruption for as long as keys
    are still to be taken in; it combines shares (``combined_share_key``), and what it returns is overwritten here.
    """
    raise NotImplementedError
