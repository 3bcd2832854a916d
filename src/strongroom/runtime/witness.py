"""A stand-alone witness of audit logs: no home, no HSM, no database. ``strongroom audit witness serve`` becomes this program.

python -m strongroom.runtime.witness FOLDER
"""

import asyncio
import contextlib
import signal
import ssl
import sys
from pathlib import Path
from typing import Final

import uvloop

from strongroom.api import HttpConnections, Timeouts
from strongroom.audit import Witness, WitnessStore
from strongroom.config import WitnessConfig, load_witness_config
from strongroom.core import ConfigError, StrongroomError, SystemClock
from strongroom.runtime._audit_witness_server import WitnessHandler
from strongroom.wiring.events import LoggedEvents, configure_logging
from strongroom.wiring.witness_folder import read_signer, watched_logs

_BACKLOG: Final = 128
_TLS_HANDSHAKE_S: Final = 10.0
_TLS_SHUTDOWN_S: Final = 1.0
_ASK_S: Final = 0.5
_DRAIN_S: Final = 5.0
_TIMEOUTS: Final = Timeouts(request_s=10.0, idle_s=60.0, write_s=10.0)


def main() -> None:
    """Run a witness until SIGTERM or SIGINT."""
    configure_logging()
    folder = Path(sys.argv[1])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(folder))
    except (StrongroomError, OSError) as error:
        sys.stderr.write(f"strongroom: {error}\n")
        if isinstance(error, StrongroomError) and error.next_step:
            sys.stderr.write(f"  what to do: {error.next_step}\n")
        sys.exit(1)


async def _serve(folder: Path) -> None:
    config, clock, events = load_witness_config(folder), SystemClock(), LoggedEvents("witness")
    signer, logs, tls = read_signer(folder, config.name), watched_logs(config), _tls(config, folder)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with contextlib.closing(WitnessStore(folder)) as store:
        handler = WitnessHandler(Witness(logs, signer, store, clock=clock), events=events, clock=clock)
        connections = HttpConnections(handler, timeouts=_TIMEOUTS, max_connections=config.max_connections)
        host, port = config.address
        server = await loop.create_server(
            connections.protocol,
            host,
            port,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=_TLS_HANDSHAKE_S if tls else None,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_S if tls else None,
        )
        watching = asyncio.ensure_future(connections.watch())
        listening = server.sockets[0].getsockname()
        events.emit("witness.started", name=config.name, host=listening[0], port=listening[1], logs=len(logs))
        await stopping.wait()
        events.emit("witness.stopping")
        server.close()
        await connections.drain(ask_s=_ASK_S, limit_s=_DRAIN_S)
        watching.cancel()
        await asyncio.to_thread(handler.close)
    events.emit("witness.stopped")


def _tls(config: WitnessConfig, folder: Path) -> ssl.SSLContext | None:
    """Return how logs are spoken to; None for plain HTTP. Raises ConfigError."""
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(folder / config.tls_certificate, folder / config.tls_key, password="")
        if config.tls_client_ca:
            context.load_verify_locations(folder / config.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"the TLS files cannot be used: {error.strerror or error}",
            next_step="see tls_certificate, tls_key and tls_client_ca in witness.toml",
        ) from error
    return context


if __name__ == "__main__":
    main()
