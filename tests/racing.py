"""Processes that race: each gets ready, all are let go at the same moment, and all are ended whatever happens."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


async def race(program, *racers):
    """Run Python text in a process for each list of arguments; returns what each wrote.

    The text prints ``ready``, reads a line, and then does what is raced for.
    """
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    processes = []
    try:
        for arguments in racers:
            process = subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
            processes.append(process)
        for process in processes:
            assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [out for out, _ in said]
