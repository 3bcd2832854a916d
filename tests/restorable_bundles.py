"""Bundles that verify and whose officers and shares are real; what is wrapped in them is not, so no HSM is needed to look at them."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from backup_documents import SHARE_KEY, SoftwareSigner, a_manifest, a_set, a_snapshot
from fakes_custody import RULES, SO, genesis_body, key_of, person, signed_genesis
from strongroom.backup import (
    BackupSet,
    SetCustodian,
    manifest_digest,
    write_bundle,
    write_manifest,
    write_set,
)
from strongroom.core import Secret
from strongroom.custody import Chain, QuorumRule, document_hash
from strongroom.shares import Share, SharePlan, possession_public_key, split

RESTORE_RULES = {**RULES, "RestoreBackup": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False)}
SCRIPT = b"""
version = 1
cluster = { name = "test cluster" }
service = { tls = false }
[[members]]
name = "gamma"
profile = "softhsm2"
"""


class Restorable(NamedTuple):
    """A bundle, the document of its set, and the shares that open it."""

    path: Path
    backup_set: BackupSet
    shares: tuple[Share, ...]
    chain: Chain | None

    @property
    def set_document(self) -> bytes:
        return write_set(self.backup_set)


def a_genesis(rules: Any = RESTORE_RULES) -> bytes:
    """A genesis whose security officers have recipients."""
    body = genesis_body(rules=rules)
    people = [
        person(one.id, recipient=key_of(one.id).public.line) if SO in one.roles else one
        for one in body.people
    ]
    genesis: bytes = signed_genesis(msgspec.structs.replace(body, people=tuple(people)))
    return genesis


def restorable(
    folder: Path, *, genesis: bytes | None = None, origin: str = "softhsm", **changes: Any
) -> Restorable:
    """Make a bundle of 3 of 5. ``changes`` are of its manifest."""
    signer = SoftwareSigner()
    shares = split(Secret(SHARE_KEY), SharePlan(3, 5))
    set_id = bytes.fromhex("5e" * 16)
    custodians = tuple(
        SetCustodian(
            id=f"custodian-{share.index}", name=f"Custodian {share.index}", location="Bern",
            share_index=share.index, delivery="paper", possession_key=possession_public_key(share, set_id),
        )
        for share in shares
    )  # fmt: skip
    backup_set = a_set(
        signer.spki,
        slip39_identifier=shares[0].set_identifier,
        custodians=custodians,
        origin=origin,
        genesis_sha256="" if genesis is None else document_hash(genesis),
    )
    chain = None if genesis is None else Chain.from_documents(genesis)
    if chain is not None and genesis is not None:
        changes = {
            "custody": (genesis,), "genesis_sha256": document_hash(genesis), "custody_head": chain.state.head,
            **changes,
        }  # fmt: skip
    snapshot, encrypted = a_snapshot()
    manifest = write_manifest(a_manifest(backup_set, snapshot, **changes))
    out = io.BytesIO()
    write_bundle(out, manifest, signer.sign(manifest_digest(manifest)), [encrypted])
    path = folder / "home.bundle"
    path.write_bytes(out.getvalue())
    return Restorable(path, backup_set, shares, chain)
