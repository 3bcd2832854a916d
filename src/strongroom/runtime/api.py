"""An API process: HTTP in front of the data plane. Started by main; loads no PKCS#11 library.

Ends in order when its standard input ends: it takes no new connections, finishes what is under way, makes
the audit log durable. Dies with main.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from strongroom.api import create_app
from strongroom.config import Config, Home, load_config
from strongroom.core import StrongroomError, SystemClock
from strongroom.hsm.cluster import HsmCluster
from strongroom.runtime._control import ControlClient
from strongroom.runtime._protect import die_with_parent, protect_process
from strongroom.wiring.bootstrap import ApiBootstrap, Started, failed_frame, read_bootstrap, started_frame
from strongroom.wiring.data_plane import DataPlane, build_data_plane
from strongroom.wiring.events import LoggedEvents, configure_logging

_KEEP_ALIVE_S = 60
_GRACE_S = 10
_SWEEP_EVERY_S = 1.0
_CREDENTIALS_RETRY_S = 0.5
_BACKLOG = 2048


def main() -> None:
    """Run an API process to its end."""
    configure_logging()
    bootstrap = read_bootstrap(sys.stdin.buffer, ApiBootstrap)
    die_with_parent(bootstrap.parent_pid)
    # Main alone decides when we end, through our standard input; a signal would cut calls short.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    protections = protect_process()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(bootstrap, protections))
        except StrongroomError as error:
            _answer(failed_frame(error))
            sys.exit(1)


async def _run(bootstrap: ApiBootstrap, protections: list[str]) -> None:
    clock = SystemClock()
    events = LoggedEvents(bootstrap.writer)
    home = Home(Path(bootstrap.home))
    config = load_config(home.root)
    control = await ControlClient.connect(bootstrap.control_path)
    cluster = HsmCluster(
        clock=clock, events=events, attempt_s=config.deadlines.attempt_s, report=control.report
    )
    plane = build_data_plane(config, home, cluster, writer=bootstrap.writer, clock=clock)
    app = create_app(plane.service, plane.health, clock=clock, account_id=config.service.account_id)
    server = uvicorn.Server(_server_config(app, config, home))
    background = [
        asyncio.ensure_future(work)
        for work in (
            control.follow(cluster.apply),
            _load_credentials(plane),
            _sweep(plane),
            _announce(server, Started(protections=protections)),
        )
    ]
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _watch_input, server, plane)
    try:
        await server.serve(sockets=[socket.socket(fileno=bootstrap.listener_fd)])
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        cluster.close()
        plane.close()


def _server_config(app: object, config: Config, home: Home) -> uvicorn.Config:
    tls = {}
    if config.service.tls:
        tls = {
            "ssl_certfile": str(home.root / config.service.tls_certificate),
            "ssl_keyfile": str(home.root / config.service.tls_key),
        }
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # our ASGI types are narrower than uvicorn's
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=_BACKLOG,
        **tls,  # type: ignore[arg-type]
    )


def _watch_input(server: uvicorn.Server, plane: DataPlane) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        plane.health.is_stopping = True
        server.should_exit = True


async def _load_credentials(plane: DataPlane) -> None:
    """Unwrap the secrets of access keys as soon as an HSM answers; until then nobody is recognised."""
    while True:
        try:
            await plane.load_credentials()
        except StrongroomError as error:
            LoggedEvents("api").emit("credentials.not_loaded", cause=str(error))
            await asyncio.sleep(_CREDENTIALS_RETRY_S)
        else:
            return


async def _sweep(plane: DataPlane) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        plane.keyring.sweep()


async def _announce(server: uvicorn.Server, started: Started) -> None:
    """Say that we are at work once the server accepts connections."""
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    _answer(started_frame(started))


def _answer(framed: bytes) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(framed)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
