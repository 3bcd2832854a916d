"""A member worker: one PKCS#11 module, one token, two sockets. Started by ``wiring.workers``.

Reads its bootstrap, PIN included, from standard input, says on standard output that it is at work, and ends
when its standard input ends, when its parent dies, or when the token met an error that only a new process
can cure.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from strongroom.core import StrongroomError
from strongroom.runtime._protect import die_with_parent, protect_process
from strongroom.wiring.bootstrap import (
    MemberBootstrap,
    Started,
    failed_frame,
    read_bootstrap,
    started_frame,
)
from strongroom.wiring.events import configure_logging
from strongroom.wiring.member import build_member, initialise_member, sync_store

_BROKEN_STATUS = 3
_FLUSH_S = 0.05


def main() -> None:
    """Run a worker to its end."""
    configure_logging()
    bootstrap = read_bootstrap(sys.stdin.buffer, MemberBootstrap)
    die_with_parent(bootstrap.parent_pid)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    protections = protect_process()
    try:
        if bootstrap.mode == "initialise":
            _say(Started(token=initialise_member(bootstrap)))
            status = 0
        else:
            status = asyncio.run(_serve(bootstrap, protections))
    except StrongroomError as error:
        _answer(failed_frame(error))
        status = 1
    # Finalizing a module can hang or crash (HSMs' libraries join threads there), and there is nothing to save.
    os._exit(status)


async def _serve(bootstrap: MemberBootstrap, protections: list[str]) -> int:
    built = build_member(bootstrap)
    await built.worker.listen(Path(bootstrap.use_path), Path(bootstrap.admin_path))
    _say(Started(token=built.token, protections=protections))
    released = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _watch_input, released)
    ended = [asyncio.ensure_future(released.wait()), asyncio.ensure_future(built.worker.broken.wait())]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    if bootstrap.mode != "serve":
        sync_store(bootstrap)
    if built.worker.broken.is_set():
        await asyncio.sleep(_FLUSH_S)  # the answers that tell callers so are on their way
        return _BROKEN_STATUS
    return 0


def _watch_input(released: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        released.set()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def _say(started: Started) -> None:
    _answer(started_frame(started))


def _answer(framed: bytes) -> None:
    sys.stdout.buffer.write(framed)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
