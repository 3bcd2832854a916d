"""Logs for witnesses: leaves in memory, checkpoints signed by the log's key, requests as a log sends them."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.audit import GrowthProof, KeyKind, LogKey, Note, Signature, WitnessSigner
from strongroom.audit._checkpoint import Checkpoint
from strongroom.audit._tree import consistency_path
from unit.audit.tree_definition import definition_root, nodes_of

ORIGIN = "strongroom/test/host"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = LogKey(ORIGIN, KeyKind.ED25519, SIGNER.public_key().public_bytes_raw())
LOGS = {ORIGIN: (KEY,)}
WITNESS = WitnessSigner("witness.example/w1", bytes(range(64)))
NOW = 1_700_000_000


class StandingClock:
    """A ``Clock`` that stands still."""

    def now(self) -> float:
        return NOW + 0.5

    def monotonic(self) -> float:
        return 0.0


def leaves_of_past(past: str, count: int) -> list[bytes]:
    return [f"{past} {number}".encode() for number in range(count)]


def checkpoint_of(leaves, size: int, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, definition_root(leaves[:size]))


def signed(checkpoint: Checkpoint, signer=SIGNER, key=KEY) -> Note:
    text = checkpoint.text()
    return Note(text, (Signature(key.name, key.key_id, signer.sign(text.encode())),))


def request_of(leaves, old: int, new: int, origin: str = ORIGIN) -> bytes:
    """The body by which a log with these leaves asks to cosign its first ``new`` ones."""
    path = consistency_path(old, new, nodes_of(leaves[:new])) if old <= new else ()
    return GrowthProof(old, path, signed(checkpoint_of(leaves, new, origin))).encode()
