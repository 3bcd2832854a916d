"""What can be wrong with an audit log.

AuditCorruptError          bytes on disk are not what a writer of this log can have left
TreeDamagedError           the same of the tree and its checkpoints (an AuditCorruptError)
AuditWriterInUseError      another process holds the writer's lock (an AuditUnavailableError)
MalformedNoteError         outside bytes that are no signed note, checkpoint, proof or key
ProofError                 a proof does not show what it should
"""

from strongroom.core import AuditUnavailableError, StrongroomError


class AuditCorruptError(StrongroomError):
    """Bytes of the log are not what its writer can have written: damage, or somebody changed them.

    ``writer``, ``segment`` (number), ``offset`` (bytes into the segment) and ``seq`` (of the entry that should
    be there) name the place, as far as they are known.
    """

    def __init__(
        self,
        message: str,
        *,
        writer: str = "",
        segment: int | None = None,
        offset: int | None = None,
        seq: int | None = None,
    ) -> None:
        super().__init__(
            message, next_step="keep a copy of the audit directory, then run: strongroom audit verify"
        )
        self.writer = writer
        self.segment = segment
        self.offset = offset
        self.seq = seq

    def __str__(self) -> str:
        parts = [f"writer {self.writer}"] if self.writer else []
        if self.segment is not None:
            parts.append(f"segment {self.segment:08d}")
        if self.offset is not None:
            parts.append(f"offset {self.offset}")
        if self.seq is not None:
            parts.append(f"entry {self.seq}")
        return f"{', '.join(parts)}: {self.message}" if parts else self.message


class AuditWriterInUseError(AuditUnavailableError):
    """Another process appends under this writer's name."""


class MalformedNoteError(StrongroomError):
    """Bytes that should be a signed note, a checkpoint, a proof or a public key of a log are none."""


class ProofError(StrongroomError):
    """A proof does not show what it should: the entry is not in that tree, or one tree does not go on from the other."""


class TreeDamagedError(AuditCorruptError):
    """Files of the Merkle tree or of the checkpoints are not what the service wrote."""
