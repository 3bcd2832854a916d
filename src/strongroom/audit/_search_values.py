"""What a search tells of the log that it went through."""

from msgspec import Struct

from strongroom.audit._entry import Entry


class WriterCoverage(Struct):
    """What was read of one writer's log."""

    writer: str
    entries: int = 0
    """That were read, each checked against the hash chain, whether they were wanted or not."""
    first_seq: int = 0
    last_seq: int = 0
    """Of the entries that were read."""
    first_at: int = 0
    last_at: int = 0
    """The earliest and the latest time of those, in microseconds since the Unix epoch."""
    skipped_segments: int = 0
    skipped_entries: int = 0
    """In segments without any entry of the time that was asked for; not checked against the hash chain."""
    is_damaged: bool = False
    """Whether something could not be read."""

    def add(self, entry: Entry) -> None:
        """Count an entry that was read."""
        at = entry.at
        if not self.entries:
            self.first_seq, self.first_at, self.last_at = entry.seq, at, at
        self.entries += 1
        self.last_seq = entry.seq
        if at > self.last_at:
            self.last_at = at
        elif at < self.first_at:
            self.first_at = at

    def skip(self, n_entries: int) -> None:
        """Count a segment that was left out."""
        self.skipped_segments += 1
        self.skipped_entries += n_entries
