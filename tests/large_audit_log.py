"""Makes a large audit log as the service would: segments, the tree and signed checkpoints, by the code that the service runs.

    python tests/large_audit_log.py DIRECTORY ENTRIES      (PYTHONPATH=tests)

Only the key of the checkpoints is a software one, and groups are larger than under most loads.
"""

import os
import sys
from pathlib import Path

from strongroom.audit import Entry, TreeLog
from strongroom.audit._entry import encode_entry
from strongroom.audit._files import WalFolder
from strongroom.audit._segments import SegmentWriter, recover
from unit.audit.signed_logs import KEY, ORIGIN, sign

WRITERS = ("api-0", "api-1", "main")
GROUP = 250
A_CHECKPOINT = 7_500
FIRST_AT = 1_800_000_000_000_000
A_SECOND = 5_000
"""Entries in all; of the times that stand in them."""


def make_large_log(directory: Path, n_entries: int, *, segment_bytes: int = 64 * 1024 * 1024) -> None:
    """Make a log of so many entries; with ``signed_logs.KEY`` it verifies."""
    folders = [WalFolder(directory / "wal" / name) for name in WRITERS]
    writers = [SegmentWriter(one, recover(one).end, segment_bytes=segment_bytes) for one in folders]
    tree, written = TreeLog(directory, ORIGIN), 0
    try:
        while written < n_entries:
            for _ in range(A_CHECKPOINT // (GROUP * len(WRITERS))):
                for writer, name in zip(writers, WRITERS, strict=True):
                    count = min(GROUP, n_entries - written)
                    if count:
                        first = writer.position.seq
                        writer.write([_payload(name, first + i, written + i) for i in range(count)])
                        written += count
            is_last = written == n_entries
            while tree.gather(is_last=is_last).has_more:
                pass
            if is_last:
                tree.gather(is_last=True)
            sign(tree, at=(FIRST_AT // 1_000_000) + written // A_SECOND + 1)
    finally:
        tree.close()
        for writer in writers:
            writer.close()


def _payload(writer: str, seq: int, number: int) -> bytes:
    key = f"{seq % 100:08x}-1c2b-4d3e-8f90-1234567890ab"
    return encode_entry(
        Entry(
            version=1,
            writer=writer,
            seq=seq,
            boot=1,
            at=FIRST_AT + number * 1_000_000 // A_SECOND,
            kind="outcome",
            event="kms.Decrypt",
            principal="arn:aws:iam::000000000000:user/app",
            access_key_id="AKIAEXAMPLE000000001",
            source_address="192.0.2.17",
            request_id=f"{number:08x}-5e6f-4a7b-9c8d-fedcba987654",
            key_id=key,
            key_version="1",
            outcome="ok",
            detail={"context": '["tenant"]'},
        )
    )


if __name__ == "__main__":
    os.fsync = os.fdatasync = lambda _fd: None  # nobody is promised anything
    make_large_log(Path(sys.argv[1]), int(sys.argv[2]))
    print(KEY.text())
