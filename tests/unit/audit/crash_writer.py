"""Writes a log with several tasks until it is killed; prints each id once its entry is committed.

Arguments: directory, a name for this run (ids are made of it), how many tasks (8).
"""

import asyncio
import os
import sys
from pathlib import Path

from strongroom.audit import AuditLog
from strongroom.core import SystemClock


async def main(directory: Path, run: str, tasks: int) -> None:
    log = AuditLog.open(directory, "main", clock=SystemClock(), segment_bytes=200_000)

    async def work(task: int) -> None:
        number = 0
        while True:
            request_id = f"{run}.{task}.{number}"
            await log.record("event", "e", request_id=request_id, detail={"padding": "x" * (number % 400)})
            os.write(1, f"{request_id}\n".encode())
            number += 1

    await asyncio.gather(*(work(task) for task in range(tasks)))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 8))
