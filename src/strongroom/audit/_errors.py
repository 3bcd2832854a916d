"""What can be wrong with an audit log.

AuditCorruptError          bytes on disk are not what a writer of this log can have left
AuditWriterInUseError      another process holds the writer's lock (an AuditUnavailableError)
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
