"""Checkpoints (C2SP tlog-checkpoint): what a log says of its tree at one moment, as the text of a signed note. Pure.

    origin
    size in decimal
    base64(root)

And what cosigners sign of one (C2SP tlog-cosignature), by Ed25519 and by ML-DSA-44.
"""

import base64
from typing import NamedTuple

from strongroom.audit._errors import MalformedNoteError
from strongroom.audit._note import decode_base64, decode_number
from strongroom.audit._tree import EMPTY_ROOT, HASH_BYTES, MAX_SIZE

MAX_ORIGIN_BYTES = 255
_SUBTREE_LABEL = b"subtree/v1\n\0"


class Checkpoint(NamedTuple):
    """Origin, size and root of a tree."""

    origin: str
    """Which log this is; 1 to 255 bytes of UTF-8."""
    size: int
    """Leaves of the tree."""
    root: bytes
    extensions: tuple[str, ...] = ()
    """Lines that follow; our logs have none, and ML-DSA-44 cosignatures do not cover them."""

    def text(self) -> str:
        """Return the text that is signed."""
        root = base64.b64encode(self.root).decode()
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), root, *self.extensions))


def read_checkpoint(text: str) -> Checkpoint:
    """Read the text of a note as a checkpoint. Raises MalformedNoteError."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise MalformedNoteError("a checkpoint has three lines or more, none of them empty")
    origin, size, root, *extensions = lines
    require_origin(origin)
    checkpoint = Checkpoint(origin, decode_number(size, MAX_SIZE), decode_base64(root), tuple(extensions))
    if len(checkpoint.root) != HASH_BYTES:
        raise MalformedNoteError(f"a root has {HASH_BYTES} bytes")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise MalformedNoteError("an empty tree has another root")
    return checkpoint


def require_origin(origin: str) -> None:
    """Raise MalformedNoteError unless a log may call itself so."""
    length = len(origin.encode("utf-8", "replace"))
    if not 1 <= length <= MAX_ORIGIN_BYTES or any(char < " " for char in origin):
        raise MalformedNoteError(f"an origin is one line of 1 to {MAX_ORIGIN_BYTES} bytes")


def ed25519_cosigned(text: str, timestamp: int) -> bytes:
    """Return what an Ed25519 cosigner signs of the text of a checkpoint. ``timestamp``: seconds since the Unix epoch."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def mldsa_cosigned(name: str, checkpoint: Checkpoint, timestamp: int) -> bytes:
    """Return what the ML-DSA-44 cosigner of this name signs of a checkpoint (``cosigned_message``).

    Raises MalformedNoteError where there are extension lines, which it would not cover.
    """
    if checkpoint.extensions:
        raise MalformedNoteError("an ML-DSA-44 cosignature covers no extension lines")
    signer, origin = name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            _SUBTREE_LABEL,
            len(signer).to_bytes(1, "big"),
            signer,
            timestamp.to_bytes(8, "big"),
            len(origin).to_bytes(1, "big"),
            origin,
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )
