"""Writes a log under RLIMIT_FSIZE until that refuses, lifts the limit, goes on; prints each committed id."""

import asyncio
import resource
import sys
from pathlib import Path

from strongroom.audit import AuditLog
from strongroom.audit._format import HEADER_BYTES
from strongroom.audit._segments import KEPT_BYTES
from strongroom.core import AuditUnavailableError, SystemClock


async def main(directory: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + KEPT_BYTES + 4096, hard))
    log = AuditLog.open(directory, "main", clock=SystemClock(), retry_after_s=0.02)
    for number in range(100):
        try:
            await log.record("event", "e", request_id=str(number))
        except AuditUnavailableError:
            break
        print(number)
    await asyncio.sleep(0.1)
    assert not log.is_writable
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    while not log.is_writable:
        await asyncio.sleep(0.01)
    await log.record("event", "e", request_id="after-lifting")
    print("after-lifting")
    log.close()


asyncio.run(main(Path(sys.argv[1])))
