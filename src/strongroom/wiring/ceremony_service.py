"""The service of a rehearsal's home, run for as long as a step needs it. It dies with whoever runs it."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import Final

from strongroom.config import Home, runtime_base, worker_environment
from strongroom.core import MemberDeadlineError, MemberFailedError
from strongroom.wiring.members_door import MembersNotReachableError, MembersRequest, ask_members

_PROGRAM: Final = "strongroom.runtime.rehearsed"
_START_LIMIT_S: Final = 120.0
_PAUSE_S: Final = 0.2
_END_LIMIT_S: Final = 30.0
_LOG: Final = "rehearsal.log"


@contextlib.asynccontextmanager
async def running_service(home: Home) -> AsyncIterator[None]:
    """Run the service until the block ends; inside, every member has proved itself. Raises MemberFailedError."""
    environment = worker_environment(
        {
            "STRONGROOM_HOME": str(home.root),
            "STRONGROOM_PORT": str(_free_port()),
            "XDG_RUNTIME_DIR": str(runtime_base()),
        }
    )
    with (home.root.parent / _LOG).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _PROGRAM, str(os.getpid()), stdin=asyncio.subprocess.DEVNULL,
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    try:
        await _until_ready(home, process)
        yield
    finally:
        await _end(process)


async def _until_ready(home: Home, process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            while not await _is_ready(home):
                if process.returncode is not None:
                    raise MemberFailedError(f"the rehearsal's service ended with {process.returncode}")
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError as error:
        raise MemberDeadlineError("the rehearsal's service did not begin to serve") from error


async def _is_ready(home: Home) -> bool:
    try:
        answer = await ask_members(home, MembersRequest("test", None), timeout_s=30.0)
    except MembersNotReachableError:
        return False
    return bool(answer.tests) and not any(test.failure for test in answer.tests)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_LIMIT_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
