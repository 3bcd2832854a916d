"""A whole host's audit log until it is killed: two writers, the tree, checkpoints, a sink. Prints each id once its entry is committed.

Arguments: directory, a name for this run (ids are made of it). Needs the tests in PYTHONPATH.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from strongroom.audit import AuditLog, TreeLog
from strongroom.core import SystemClock
from strongroom.shipping import FileSink
from unit.audit.signed_logs import ORIGIN, sign
from unit.shipping.shipping_fakes import shipper_to

TASKS = 4
LINES = "lines.jsonl"


def grow(directory: Path) -> None:
    tree = TreeLog(directory, ORIGIN)
    while True:
        tree.gather()
        if tree.size > tree.checkpointed:
            sign(tree, at=int(time.time()))
        time.sleep(0.02)


async def main(directory: Path, run: str) -> None:
    clock = SystemClock()
    logs = [AuditLog.open(directory, name, clock=clock, segment_bytes=60_000) for name in ("api-0", "main")]
    shipper_to(FileSink(directory / LINES), directory).start()

    async def work(task: int) -> None:
        log, number = logs[task % len(logs)], 0
        while True:
            request_id = f"{run}.{task}.{number}"
            await log.record("event", "e", request_id=request_id, detail={"padding": "x" * (number % 400)})
            os.write(1, f"{request_id}\n".encode())
            number += 1

    await asyncio.gather(asyncio.to_thread(grow, directory), *(work(task) for task in range(TASKS)))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
