"""A member worker: one PKCS#11 module, one token, two sockets. Started by ``wiring.workers``.

Reads its bootstrap, PIN included, from standard input, says on standard output that it is at work, and ends
when its standard input ends, when its parent dies, or when the token met an error that only a new process
can cure. What a vendor's library prints goes to standard error: our answer is all that standard output is for.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from strongroom.core import MemberFailedError, StrongroomError
from strongroom.wiring.bootstrap import (
    ONCE_MODES,
    PIN_MODES,
    MemberBootstrap,
    Started,
    failed_frame,
    read_bootstrap,
    started_frame,
)
from strongroom.wiring.events import LoggedEvents, configure_logging
from strongroom.wiring.member import BuiltMember, build_member
from strongroom.wiring.member_tokens import sync_store, work_once
from strongroom.wiring.pin_work import work_on_pin
from strongroom.wiring.process_protection import die_with_parent, protect_process
from strongroom.wiring.softhsm_home import keep_softhsm_config

_BROKEN_STATUS = 3
_FLUSH_S = 0.05
_CLOSE_LIMIT_S = 0.8  # main waits 1 s before it kills


def main() -> None:
    """Run a worker to its end."""
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    protections = protect_process()  # before the PIN is here
    configure_logging()
    bootstrap = read_bootstrap(sys.stdin.fileno(), MemberBootstrap)
    die_with_parent(bootstrap.parent_pid)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        _prepare_store(bootstrap)
        if bootstrap.mode in PIN_MODES:
            token = work_on_pin(bootstrap)
            _answer(answer_fd, started_frame(Started(token=token)))
            status = 0
        elif bootstrap.mode in ONCE_MODES:
            made = work_once(bootstrap)
            _answer(answer_fd, started_frame(Started(token=made.token, wrapping=made.wrapping)))
            status = 0
        else:
            status = asyncio.run(_serve(bootstrap, protections, answer_fd))
    except StrongroomError as error:
        _answer(answer_fd, failed_frame(error))
        status = 1
    # Finalizing a module can hang or crash (HSMs' libraries join threads there), and there is nothing to save.
    os._exit(status)


def _prepare_store(bootstrap: MemberBootstrap) -> None:
    if bootstrap.token_config is not None and bootstrap.token_store is not None:
        store = Path(bootstrap.token_store)
        if keep_softhsm_config(Path(bootstrap.token_config), store):
            LoggedEvents(bootstrap.name).emit("softhsm.config_written", store=str(store))


async def _serve(bootstrap: MemberBootstrap, protections: list[str], answer_fd: int) -> int:
    built = build_member(bootstrap)
    try:
        await built.worker.listen(Path(bootstrap.use_path), Path(bootstrap.admin_path))
    except OSError as error:
        raise MemberFailedError(f"cannot open the worker's sockets: {error.strerror}") from error
    released = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _watch_input, released)
    _answer(answer_fd, started_frame(Started(token=built.token, protections=protections)))
    ended = [asyncio.ensure_future(released.wait()), asyncio.ensure_future(built.worker.broken.wait())]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    if bootstrap.mode != "serve":
        sync_store(bootstrap)
    if built.worker.broken.is_set():
        cause = built.broken_because() or "a thread of the worker ended"
        LoggedEvents(bootstrap.name).emit("worker.gave_up", member=bootstrap.name, cause=cause)
        await asyncio.sleep(_FLUSH_S)  # the answers that tell callers so are on their way
        return _BROKEN_STATUS
    await _log_out(built)
    return 0


async def _log_out(built: BuiltMember) -> None:
    """End the sessions, which an HSM may count and keep for a while otherwise; not at any price."""
    built.worker.close()
    try:
        async with asyncio.timeout(_CLOSE_LIMIT_S):
            await built.worker.ended.wait()
    except TimeoutError:
        return


def _watch_input(released: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        released.set()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def _answer(answer_fd: int, framed: bytes) -> None:
    """Write the one answer, and close the pipe."""
    with os.fdopen(answer_fd, "wb") as pipe:
        pipe.write(framed)


if __name__ == "__main__":
    main()
