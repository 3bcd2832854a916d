"""What travels between the members of a cluster, and by which kind of transport key."""

from enum import StrEnum
from typing import Final

from strongroom.core._direct import KeySpec
from strongroom.core._random import random_bytes

BACKUP_TRANSPORT_PREFIX: Final = b"BKUP"
"""How the CKA_ID of every backup transport key begins, and of no other key that Strongroom names.

    offset  length  what
    0       4       this
    4       8       the first bytes of the id of the backup set that it belongs to
    12      4       random
"""
BACKUP_SET_ID_BYTES: Final = 16
_ID_BYTES: Final = 16
_SET_ID_PART: Final = slice(4, 12)


class TransportKind(StrEnum):
    """What a transport key carries. Each kind of key has its own, so that nothing arrives as another kind."""

    AES = "aes"
    """Roots, and Direct keys of AES."""
    MAC = "mac"
    """Direct keys of HMAC."""
    RSA = "rsa"
    """Private halves of RSA pairs; so the next two of theirs."""
    EC = "ec"
    EDWARDS = "edwards"

    @property
    def is_private_key(self) -> bool:
        """Whether what it carries is the private half of a pair."""
        return self in {TransportKind.RSA, TransportKind.EC, TransportKind.EDWARDS}


def transport_kind(spec: KeySpec) -> TransportKind:
    """Return by which kind of transport key a Direct key travels."""
    if spec is KeySpec.AES_256:
        return TransportKind.AES
    if spec is KeySpec.ECC_NIST_EDWARDS25519:
        return TransportKind.EDWARDS
    if spec.is_rsa:
        return TransportKind.RSA
    return TransportKind.EC if spec.is_curve else TransportKind.MAC


def new_transport_id() -> bytes:
    """Return a random CKA_ID for a transport key between members: one that is no backup transport key's."""
    while True:
        made = random_bytes(_ID_BYTES)
        if not made.startswith(BACKUP_TRANSPORT_PREFIX):
            return made


def new_backup_transport_id(set_id: bytes) -> bytes:
    """Return a CKA_ID for a transport key of this backup set (16 bytes). Raises ValueError for an id of another length."""
    if len(set_id) != BACKUP_SET_ID_BYTES:
        raise ValueError(f"the id of a backup set has {BACKUP_SET_ID_BYTES} bytes, not {len(set_id)}")
    return BACKUP_TRANSPORT_PREFIX + set_id[:8] + random_bytes(4)


def is_backup_transport(transport_id: bytes, set_id: bytes | None = None) -> bool:
    """Whether this is the CKA_ID of a backup transport key; with ``set_id``: of one of this very set."""
    if len(transport_id) != _ID_BYTES or not transport_id.startswith(BACKUP_TRANSPORT_PREFIX):
        return False
    return set_id is None or (len(set_id) == BACKUP_SET_ID_BYTES and transport_id[_SET_ID_PART] == set_id[:8])
