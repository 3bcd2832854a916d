"""The chain as it was earlier: for whoever wrote down its value at some moment, and compares it years later."""

from pathlib import Path

from strongroom.audit._cursor import SegmentReader
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_segments
from strongroom.audit._read import list_writers
from strongroom.audit._retention_record import pruned_end


def chain_after(directory: Path, writer: str, entries: int) -> bytes:
    """Return the value of a writer's chain after so many of its entries, read and checked from its first one on.

    ``WriterReport.chain`` is this value after all entries. Raises AuditCorruptError where the log does not hold together up
    to there, has fewer entries, or no such writer, and OSError.
    """
    if writer not in list_writers(directory):
        raise AuditCorruptError("it is not there any more", writer=writer)
    folder = directory / "wal" / writer
    before = pruned_end(directory, writer)
    left = entries - (0 if before is None else before.seq - 1)
    if left < 0 and before is not None:
        raise AuditCorruptError(
            f"entries 1 to {before.seq - 1} were pruned, so the chain after entry {entries} cannot be computed any more",
            writer=writer,
        )
    for number in list_segments(folder):
        if before is not None and number <= before.segment:
            continue
        with SegmentReader(folder, number) as reader:
            reader.check_joint(before)
            if left == 0:
                return reader.position.chain
            for _ in reader:
                left -= 1
                if left == 0:
                    return reader.position.chain
            before = reader.end()
    raise AuditCorruptError(f"it has {entries - left} entries, and had {entries} before", writer=writer)
