"""A log with a tree and checkpoints, as a test signs them."""

import itertools

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from strongroom.audit import KeyKind, LogKey, Signature, TreeLog, mldsa_cosigned
from strongroom.audit._files import WalFolder
from strongroom.audit._segments import SegmentWriter, recover
from unit.audit.audit_fakes import payload_of

ORIGIN = "strongroom/test/host"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
COSIGNER = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
KEY = LogKey(ORIGIN, KeyKind.ED25519, SIGNER.public_key().public_bytes_raw())
COSIGNER_KEY = LogKey(ORIGIN, KeyKind.MLDSA44_COSIGNER, COSIGNER.public_key().public_bytes_raw())


def write_entries(directory, writer: str, count: int, **fields) -> None:
    """Open a writer's log, add entries, close it."""
    folder = WalFolder(directory / "wal" / writer)
    log = SegmentWriter(folder, recover(folder).end, segment_bytes=100_000)
    seq = log.position.seq
    for part in itertools.batched(range(count), 3) if hasattr(itertools, "batched") else [range(count)]:
        log.write([payload_of(seq + i, boot=log.boot, writer=writer, **fields) for i in part])
    log.close()


def sign(log: TreeLog, *, at: int = 1_700_000_000, signer: Ed25519PrivateKey = SIGNER):
    """Add a checkpoint of the tree as it is."""
    checkpoint = log.next_checkpoint()
    key = LogKey(ORIGIN, KeyKind.ED25519, signer.public_key().public_bytes_raw())
    data = signer.sign(checkpoint.text().encode())
    cosigned = at.to_bytes(8, "big") + COSIGNER.sign(mldsa_cosigned(ORIGIN, checkpoint, at))
    signatures = [
        Signature(ORIGIN, key.key_id, data),
        Signature(ORIGIN, COSIGNER_KEY.key_id, cosigned),
    ]
    return log.add(checkpoint, signatures, [key, COSIGNER_KEY])


def make_signed_log(
    directory, rounds=((2, 3), (4, 0), (1, 300)), *, signer: Ed25519PrivateKey = SIGNER, **fields
) -> list:
    """Write to api-0 and main in rounds, each gathered and under a checkpoint; return the checkpoints."""
    notes = []
    for api, main in rounds:
        for writer, count in (("api-0", api), ("main", main)):
            if count:
                write_entries(directory, writer, count, **fields)
        log = TreeLog(directory, ORIGIN)
        log.gather(is_last=True)
        notes.append(sign(log, signer=signer))
        log.close()
    return notes
