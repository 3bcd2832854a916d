"""Proofs as files that anybody can check offline (C2SP tlog-proof, and the request of C2SP tlog-witness). Pure.

That an entry is in a log:                     That one checkpoint goes on from an earlier tree:

    c2sp.org/tlog-proof@v1                         old SIZE
    extra base64(entry)                            base64(hash) ...
    index N                                        (empty line)
    base64(hash) ...                               checkpoint
    (empty line)
    checkpoint

The entry itself stands in ``extra``, which nothing authenticates but the proof that follows.
"""

import base64
from collections.abc import Sequence
from typing import NamedTuple

from strongroom.audit._checkpoint import Checkpoint, read_checkpoint
from strongroom.audit._checkpoint_keys import LogKey, verify_checkpoint
from strongroom.audit._entry import leaf_hash
from strongroom.audit._errors import MalformedNoteError, ProofError
from strongroom.audit._note import (
    MAX_NOTE_BYTES,
    Note,
    decode_base64,
    decode_number,
    read_note,
)
from strongroom.audit._tree import HASH_BYTES, MAX_PATH, MAX_SIZE, check_consistency, check_inclusion

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_MAX_BYTES = MAX_NOTE_BYTES + 64 * 1024


class EntryProof(NamedTuple):
    """That an entry is the leaf ``number``, counted from 0, in the tree of a checkpoint."""

    number: int
    path: tuple[bytes, ...]
    checkpoint: Note
    entry: bytes = b""
    """The leaf: the entry as it is stored. Empty where the proof leaves it out."""

    def encode(self) -> bytes:
        """Return the file, usually named ``.tlog-proof``."""
        lines = [_FIRST_LINE]
        if self.entry:
            lines.append(f"extra {base64.b64encode(self.entry).decode()}")
        lines += [f"index {self.number}", *_encoded(self.path), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint.encode()

    def check(self, keys: Sequence[LogKey], entry: bytes | None = None) -> Checkpoint:
        """Return the checkpoint that one of ``keys`` signed and whose tree holds the entry: that of the proof, or ``entry``.

        Raises VerificationFailedError, ProofError and MalformedNoteError.
        """
        verify_checkpoint(self.checkpoint, keys)
        checkpoint = read_checkpoint(self.checkpoint.text)
        leaf = leaf_hash(self.entry if entry is None else entry)
        check_inclusion(leaf, self.number, checkpoint.size, checkpoint.root, self.path)
        return checkpoint


class GrowthProof(NamedTuple):
    """That the tree of a checkpoint goes on from one of ``old_size`` leaves; a witness takes it as its request."""

    old_size: int
    path: tuple[bytes, ...]
    checkpoint: Note

    def encode(self) -> bytes:
        """Return the file, or the body of an ``add-checkpoint`` request."""
        lines = [f"old {self.old_size}", *_encoded(self.path), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint.encode()

    def check(self, keys: Sequence[LogKey], old: Checkpoint) -> Checkpoint:
        """Return the checkpoint that one of ``keys`` signed and that goes on from ``old``, which the caller trusts.

        Raises VerificationFailedError, ProofError and MalformedNoteError.
        """
        verify_checkpoint(self.checkpoint, keys)
        checkpoint = read_checkpoint(self.checkpoint.text)
        if (checkpoint.origin, self.old_size) != (old.origin, old.size):
            raise ProofError("the proof is of another log, or begins at another tree")
        check_consistency(old.size, old.root, checkpoint.size, checkpoint.root, self.path)
        return checkpoint


def read_entry_proof(data: bytes) -> EntryProof:
    """Read a file of C2SP tlog-proof. Raises MalformedNoteError."""
    lines, checkpoint = _parts(data)
    if not lines or lines.pop(0) != _FIRST_LINE:
        raise MalformedNoteError("the proof does not begin with its name and version")
    entry = b""
    if lines and lines[0].startswith("extra "):
        entry = decode_base64(lines.pop(0).removeprefix("extra "))
        if not entry:
            raise MalformedNoteError("the proof says that it holds the entry, and does not")
    if not lines or not lines[0].startswith("index "):
        raise MalformedNoteError("the proof tells no index")
    index = decode_number(lines.pop(0).removeprefix("index "), MAX_SIZE)
    return EntryProof(index, _hashes(lines), checkpoint, entry)


def read_growth_proof(data: bytes) -> GrowthProof:
    """Read a proof between two trees, or the body of an ``add-checkpoint`` request. Raises MalformedNoteError."""
    lines, checkpoint = _parts(data)
    if not lines or not lines[0].startswith("old "):
        raise MalformedNoteError("the proof tells no old size")
    old_size = decode_number(lines.pop(0).removeprefix("old "), MAX_SIZE)
    return GrowthProof(old_size, _hashes(lines), checkpoint)


def _parts(data: bytes) -> tuple[list[str], Note]:
    if len(data) > _MAX_BYTES:
        raise MalformedNoteError(f"a proof has {len(data)} bytes; {_MAX_BYTES} are the most")
    head, separator, note = data.partition(b"\n\n")
    if not separator:
        raise MalformedNoteError("no empty line stands between the proof and its checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedNoteError("the lines of a proof are ASCII") from error
    checkpoint = read_note(note)
    read_checkpoint(checkpoint.text)
    return lines, checkpoint


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > MAX_PATH:
        raise MalformedNoteError(f"a proof has {len(lines)} hashes; {MAX_PATH} are the most")
    path = tuple(decode_base64(line) for line in lines)
    if any(len(one) != HASH_BYTES for one in path):
        raise MalformedNoteError(f"a hash has {HASH_BYTES} bytes")
    return path


def _encoded(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in path]
