"""The manifest of a bundle that was verified, as it is printed."""

import datetime as dt
import hashlib
from typing import Final

from strongroom.backup import BackedKey, BackupSet, LeftOutKey, Manifest, SnapshotPart
from strongroom.custody import spoken
from strongroom.paper import BackedUpKey, BackupPage, PrintedHash
from strongroom.wiring.backup_verification import ClosedVerdict

_WHY: Final = {
    "may-not-leave": "it was made to stay in its member",
    "in-quarantine": "no member shows that it is the key of its record",
    "unreadable-record": "its record says what cannot be",
}


def backup_page(
    closed: ClosedVerdict, backup_set: BackupSet, *, name: str, is_rehearsal: bool = False
) -> BackupPage:
    """Return the manifest as ``paper.backup_pdf`` and ``backup_html`` take it. ``name``: of the bundle's file."""
    manifest = closed.bundle.manifest
    return BackupPage(
        backup_id=manifest.backup_id,
        set_id=manifest.set_id,
        threshold=backup_set.threshold,
        count=backup_set.count,
        cluster=manifest.cluster_id,
        member=manifest.source,
        mechanism=f"CKM 0x{backup_set.transports_of(manifest.source).mechanism:04X}",
        made_at=dt.datetime.fromtimestamp(manifest.made_at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S"),
        origin=manifest.origin,
        is_rehearsal=is_rehearsal,
        bundle_name=name,
        bundle_size=closed.size,
        bundle_hash=_hash(closed.sha256),
        signing_key=_hash(hashlib.sha256(backup_set.signing_key.spki).hexdigest()),
        software=(("version", manifest.software),),
        snapshot=_snapshot(manifest),
        keys=_keys(manifest),
        left_out=tuple(_left_out(one) for one in manifest.left_out),
        members=tuple(
            (one.name, f"{one.profile}, serial {one.token_serial}, label {one.token_label}") for one in manifest.members
        ),
        custodians=tuple(
            (one.name, one.location) for one in sorted(backup_set.custodians, key=lambda one: one.share_index)
        ),
        facts=_facts(manifest),
    )  # fmt: skip


def _keys(manifest: Manifest) -> tuple[BackedUpKey, ...]:
    """Each key by its id and label: roots first."""
    roots = (
        BackedUpKey(
            id=root.root_id,
            what="root KEK, the current one" if root.is_current else "root KEK",
            kcv=f"{root.check_kind} {root.check_value}",
        )
        for root in manifest.roots
    )
    return (*roots, *(BackedUpKey(id=f"{one.key_id} {one.label}", what=_what(one)) for one in manifest.keys))


def _what(key: BackedKey) -> str:
    return f"{key.spec}, {key.usage}{', of ' if key.made_for else ''}{key.made_for}"


def _left_out(key: LeftOutKey) -> BackedUpKey:
    kind = ", ".join(part for part in (key.spec, key.usage, key.made_for) if part) or "unknown"
    return BackedUpKey(id=f"{key.key_id} {key.label}", what=f"{kind}: {_WHY[key.why]}")


def _snapshot(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    snapshot = manifest.snapshot
    return (
        ("size, encrypted", f"{snapshot.size:,} bytes"),
        ("SHA-256, encrypted", snapshot.sha256),
        ("revision of the database", snapshot.revision),
        *(row for part in snapshot.parts for row in _file(part)),
        *((f"rows / {table}", f"{count:,}") for table, count in sorted(snapshot.counts.items())),
    )


def _file(part: SnapshotPart) -> tuple[tuple[str, str], ...]:
    return (
        (f"files / {part.name} / size", f"{part.size:,} bytes"),
        (f"files / {part.name} / SHA-256", part.sha256),
    )


def _facts(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    return (
        ("document of the set, SHA-256", manifest.set_sha256),
        ("genesis, SHA-256", manifest.genesis_sha256 or "none: a home without officers"),
        ("newest record of custody", manifest.custody_head or "none"),
        ("records of custody in it", str(len(manifest.custody))),
        ("approved by request", manifest.approval or "none"),
        ("root that opens the snapshot", manifest.snapshot_key_root),
    )


def _hash(hashed: str) -> PrintedHash:
    return PrintedHash(hex=hashed, words=spoken(hashed))
