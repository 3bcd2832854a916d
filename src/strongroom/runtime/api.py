"""An API process: HTTP in front of the data plane. Started by main; loads no PKCS#11 library.

Ends in order when its standard input ends: it takes no new connections, finishes what is under way, makes
the audit log durable. Dies with main.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import uvloop

from strongroom.api import Handler, HttpConnections
from strongroom.config import Home, load_config
from strongroom.core import AuditUnavailableError, StrongroomError, SystemClock
from strongroom.hsm.cluster import HsmCluster
from strongroom.runtime._control_client import ControlClient
from strongroom.runtime._domain_rotations import finish_domain_rotations
from strongroom.runtime._keys_at_main import KeysAtMain
from strongroom.runtime._metrics import MetricsOfAll
from strongroom.wiring.bootstrap import ApiBootstrap, Started, failed_frame, read_bootstrap, started_frame
from strongroom.wiring.configured_callers import bearer_tokens, client_identities
from strongroom.wiring.data_plane import DataPlane, build_data_plane
from strongroom.wiring.events import LoggedEvents, configure_logging
from strongroom.wiring.process_protection import die_with_parent, protect_process
from strongroom.wiring.server_tls import server_tls

_ASK_S = 1.0
_SWEEP_EVERY_S = 1.0
_REPORT_EVERY_S = 1.0
_DESTROY_EVERY_S = 60.0
_ROTATE_EVERY_S = 60.0
_FIRST_WRITER = "api-0"
_CREDENTIALS_RETRY_S = 0.5
_FOLLOW_ACCESS_KEYS_S = 1.0
_NOTE_USES_S = 60.0
_LOOKS_A_NOTE = 30  # so often it is seen whether the uses of very many keys need to be written earlier
_CREDENTIALS_WAIT_S = 3.0
_BACKLOG = 2048
_COLLECT_EVERY = 20_000  # objects made and not freed
_TLS_HANDSHAKE_S = 10.0
_TLS_SHUTDOWN_S = 1.0  # a peer that never says goodbye must not hold up our end
_DRAIN_MARGIN_S = 2.0  # beyond the longest that a request may wait for the HSMs


def main() -> None:
    """Run an API process to its end."""
    configure_logging()
    protections = protect_process()
    _raise_descriptor_limit()
    bootstrap = read_bootstrap(sys.stdin.fileno(), ApiBootstrap)
    die_with_parent(bootstrap.parent_pid)
    # Main alone decides when we end, through our standard input; a signal would cut calls short.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
    control = await ControlClient.connect(bootstrap.control_path, only_pid=bootstrap.parent_pid)
    cluster = HsmCluster(
        clock=clock, events=events, attempt_s=config.deadlines.attempt_s, report=control.report
    )
    keys = KeysAtMain(control.ask)
    plane = build_data_plane(config, home, cluster, keys, writer=bootstrap.writer, clock=clock)
    metrics = MetricsOfAll()
    issuer, tokens = bearer_tokens(config, home, clock)
    handler = Handler(
        plane.service,
        plane.health,
        clock=clock,
        account_id=config.service.account_id,
        identities=client_identities(config),
        tokens=tokens,
        of_all_processes=metrics.total,
    )
    connections = HttpConnections(handler, lane=handler.lane, metrics=handler.metrics)
    tls = server_tls(config, home)
    reading_keys = [] if issuer is None else [asyncio.ensure_future(issuer.follow(events))]
    released, followed, credentials = (
        asyncio.ensure_future(_until_released()),
        asyncio.ensure_future(_follow(control, cluster, metrics, keys)),
        asyncio.ensure_future(_load_credentials(plane, events)),
    )
    # Callers are not accepted before we can recognise them; when no HSM answers we serve all the same, to say so.
    await asyncio.wait(
        {released, followed, credentials},
        timeout=_CREDENTIALS_WAIT_S,
        return_when=asyncio.FIRST_COMPLETED,
    )
    if issuer is not None:
        await issuer.tried(_CREDENTIALS_WAIT_S)
    server = await asyncio.get_running_loop().create_server(
        connections.protocol,
        sock=socket.socket(fileno=bootstrap.listener_fd),
        backlog=_BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=_TLS_HANDSHAKE_S if config.service.tls else None,
        ssl_shutdown_timeout=_TLS_SHUTDOWN_S if config.service.tls else None,
    )
    _spare_the_collector()
    _answer(started_frame(Started(protections=protections)))
    background = [released, followed, credentials, *reading_keys]
    background += [
        asyncio.ensure_future(work)
        for work in (
            _sweep(plane),
            connections.watch(),
            _die_with_the_log(plane),
            _report_metrics(control, handler),
            _sum_refusals(plane),
            _follow_access_keys(plane, events),
            _note_uses(plane, events),
            _rotate_and_expire(plane, events, is_ours=bootstrap.writer.startswith(_FIRST_WRITER)),
            finish_domain_rotations(plane, events, is_ours=bootstrap.writer.startswith(_FIRST_WRITER)),
            _destroy_due_keys(plane, events, is_ours=bootstrap.writer.startswith(_FIRST_WRITER)),
            _rewrap_under_the_root(plane, is_ours=bootstrap.writer.startswith(_FIRST_WRITER)),
        )
    ]
    try:
        await _first_end(background)
        plane.health.is_stopping = True
        server.close()
        await connections.drain(ask_s=_ASK_S, limit_s=config.deadlines.request_s + _DRAIN_MARGIN_S)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        with contextlib.suppress(StrongroomError):
            await plane.refusals.tell()
        with contextlib.suppress(StrongroomError):
            await plane.access_keys.note_uses()
            await plane.service.flush_key_uses()
            await plane.service.give_back_uses(all_of_them=True)
        cluster.close()
        plane.close()


async def _first_end(background: list[asyncio.Task[None]]) -> None:
    """Wait until we are released or main is gone; raise what any of the others broke with."""
    released, followed, *_ = background
    pending = set(background)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # an unexpected end is fatal: main starts another process
        if released in done or followed in done:
            return


async def _follow(
    control: ControlClient, cluster: HsmCluster, metrics: MetricsOfAll, keys: KeysAtMain
) -> None:
    """Hand over what main tells until it has gone."""
    try:
        await control.follow(cluster.apply, metrics.take, keys.answered)
    finally:
        keys.over()


async def _until_released() -> None:
    """Return when our standard input ends."""
    released = asyncio.Event()
    fd = sys.stdin.fileno()

    def watch() -> None:
        if not os.read(fd, 4096):
            asyncio.get_running_loop().remove_reader(fd)
            released.set()

    asyncio.get_running_loop().add_reader(fd, watch)
    await released.wait()


async def _load_credentials(plane: DataPlane, events: LoggedEvents) -> None:
    """Unwrap the secrets of access keys as soon as an HSM answers; until then nobody is recognised."""
    while True:
        try:
            await plane.load_credentials(events)
        except StrongroomError as error:
            events.emit("credentials.not_loaded", cause=str(error))
            await asyncio.sleep(_CREDENTIALS_RETRY_S)
        else:
            return


async def _destroy_due_keys(plane: DataPlane, events: LoggedEvents, *, is_ours: bool) -> None:
    """Carry out the destruction of keys whose date has come: one process of the host does it for all."""
    while True:
        await asyncio.sleep(_DESTROY_EVERY_S)
        if is_ours:
            try:
                destroyed = await plane.service.destroy_due_keys()
            except StrongroomError as error:
                events.emit("keys.not_destroyed", cause=str(error))
            else:
                if destroyed:
                    events.emit("keys.destroyed", count=destroyed)


async def _rewrap_under_the_root(plane: DataPlane, *, is_ours: bool) -> None:
    """Rewrap what hangs under old roots: one process of the host does it for all."""
    if is_ours:
        await plane.root_rewraps.run()


async def _rotate_and_expire(plane: DataPlane, events: LoggedEvents, *, is_ours: bool) -> None:
    """Rotate keys and delete imported material whose date has come: one process of the host does it for all."""
    while True:
        await asyncio.sleep(_ROTATE_EVERY_S)
        if is_ours:
            try:
                rotated = await plane.service.rotate_due_keys()
                expired = await plane.service.expire_due_material()
                if ending := await plane.service.warn_of_cryptoperiods():
                    events.emit("keys.cryptoperiods_end_soon", count=ending)
            except StrongroomError as error:
                events.emit("keys.not_rotated_or_expired", cause=str(error))
            else:
                if rotated or expired:
                    events.emit("keys.rotated_or_expired", rotated=rotated, expired=expired)


async def _follow_access_keys(plane: DataPlane, events: LoggedEvents) -> None:
    """Recognise access keys that are new, and no longer those that are gone; what they may is known without this."""
    while True:
        await asyncio.sleep(_FOLLOW_ACCESS_KEYS_S)
        try:
            await plane.access_keys.follow(events)
        except StrongroomError as error:
            events.emit("credentials.not_loaded", cause=str(error))


async def _note_uses(plane: DataPlane, events: LoggedEvents) -> None:
    while True:
        for _ in range(_LOOKS_A_NOTE):
            await asyncio.sleep(_NOTE_USES_S / _LOOKS_A_NOTE)
            if plane.keyring.last_uses.is_filling:
                break
        try:
            await plane.access_keys.note_uses()
            await plane.service.flush_key_uses(gently=True)
            await plane.service.give_back_uses()
        except StrongroomError as error:
            events.emit("access_key.use_not_noted", cause=str(error))


async def _sum_refusals(plane: DataPlane) -> None:
    while True:
        await asyncio.sleep(plane.refusals.rules.sum_every_s)
        with contextlib.suppress(AuditUnavailableError):  # then it is part of the next sum
            await plane.refusals.tell()


async def _die_with_the_log(plane: DataPlane) -> None:
    """Nothing can be answered when the audit log's thread is dead; another process can begin a new segment."""
    raise AuditUnavailableError(f"the audit log's thread has died: {await plane.audit.wait_dead()}")


async def _report_metrics(control: ControlClient, handler: Handler) -> None:
    while True:
        control.report_metrics(handler.own_metrics())
        await asyncio.sleep(_REPORT_EVERY_S)


async def _sweep(plane: DataPlane) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        plane.keyring.sweep()


def _spare_the_collector() -> None:
    """Let the garbage collector leave alone what stays for good, and look for cycles less often.

    Requests make hardly any cycles, but hundreds of them under way are objects enough to make it look all the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system lets us: each connection takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _answer(framed: bytes) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(framed)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
