"""The main process: owns every other process and every PIN; starts, watches, kills and restarts.

    python -m strongroom.runtime.main

serves the home that STRONGROOM_HOME names, until SIGTERM or SIGINT. Exits with 78 (EX_CONFIG, sysexits.h) when
no member can be started without a person's help, such as after a refused PIN: a service manager must not
start it again by itself then (RestartPreventExitStatus=78), or HSMs lock.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import TypeVar

from strongroom import __version__
from strongroom.audit import AuditLog
from strongroom.config import Config, Home, home_from_environment, load_config, port_override
from strongroom.core import (
    ConfigError,
    EventSink,
    HomeError,
    PinRefusedError,
    StrongroomError,
    SystemClock,
    TokenNotFoundError,
)
from strongroom.custody import Chain
from strongroom.runtime._api_fleet import ApiFleet
from strongroom.runtime._audit_tree import AuditTree, origin_of_log
from strongroom.runtime._audit_witnesses import AuditWitnesses
from strongroom.runtime._control_desks import ControlDesks
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._hsm_logs import HsmLogs
from strongroom.runtime._pin_approvals import approved_by
from strongroom.runtime._pin_changing import PinChanging
from strongroom.runtime._pin_officers import OfficerPins
from strongroom.runtime._shipping import Shipping
from strongroom.runtime._supervisor import Supervisor
from strongroom.service import ApprovalDesk, CustodyBook
from strongroom.storage import ReadOnlyStore, RootRecord, Store, upgrade_database
from strongroom.wiring.config_changes import changed_settings, config_sha256
from strongroom.wiring.context_values import make_context_key
from strongroom.wiring.custody_home import chain_of_home
from strongroom.wiring.development_tls import renew_development_tls
from strongroom.wiring.events import AuditedEvents, configure_logging
from strongroom.wiring.home import locked_home, remove_runtime_folder, require_complete, runtime_folder
from strongroom.wiring.process_protection import protect_process
from strongroom.wiring.quotas import check_quotas
from strongroom.wiring.replication_rules import replication_rules

T = TypeVar("T")

EX_CONFIG = 78
_BACKLOG = 2048


def main() -> None:
    """Serve a home until told to stop."""
    configure_logging()
    try:
        status = asyncio.run(_serve(Home(home_from_environment())))
    except StrongroomError as error:
        _complain(error)
        status = 1
    sys.exit(status)


async def _serve(home: Home) -> int:
    require_complete(home)
    config = check_quotas(load_config(home.root))
    clock = SystemClock()
    with locked_home(home):
        make_context_key(config.audit, home)
        roots = _roots(home)
        renew_development_tls(home.tls, clock=clock)
        listeners = _listen(config)
        runtime_folder(home)  # empty: what a killed service left is removed
        audit = AuditLog.open(home.audit, "main", clock=clock, rotate_s=config.audit.rotate_hours * 3600)
        events = AuditedEvents("main", audit)
        store = Store.open(home.database)
        shipping = Shipping(config.audit.sinks, home, events=events, clock=clock)
        hsm_logs = HsmLogs(config.cluster.members, home, events=events)
        try:
            shipping.start()
            hsm_logs.start()
            return await _run(
                config,
                home,
                roots,
                store=store,
                audit=audit,
                listeners=listeners,
                events=events,
                more_metrics=[shipping.metrics, hsm_logs.metrics],
            )
        finally:
            hsm_logs.close()
            await events.settle()
            await shipping.finish()
            await events.settle()  # it may have had something to tell
            store.close()
            audit.close()
            for listener in listeners:
                listener.close()
            remove_runtime_folder(home)


async def _run(
    config: Config,
    home: Home,
    roots: list[RootRecord],
    *,
    store: Store,
    audit: AuditLog,
    listeners: list[socket.socket],
    events: EventSink,
    more_metrics: list[Callable[[], str]],
) -> int:
    stopping = _stop_signals()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    for refused in protect_process():
        events.emit("main.unprotected", what=refused)
    chain = chain_of_home(home, config, store)
    custody = None if chain is None else _keep_custody(config, home, store, chain, audit=audit, events=events)
    approved, clock = approved_by(custody), SystemClock()
    pins = PinChanging(home, config.pins, events=events, clock=clock, audit=audit, approved=approved)
    supervisor = Supervisor(config, home, roots, events=events, clock=clock, pins=pins)
    supervisor.control.more_metrics.extend(more_metrics)
    api = ApiFleet(home, listeners, control=supervisor.restore_sockets, events=events, clock=clock)
    keys = await supervisor.reconcile_by(store, replication_rules(config.cluster), custody)
    desks = ControlDesks(config, home, store, audit, events, clock, supervisor, custody, api.pids)
    await desks.open_keys(keys)
    desks.open_pins(pins, OfficerPins(home, events=events, clock=clock, approved=approved))
    desks.open_custodians()
    desks.open_retention()
    origin = origin_of_log("" if chain is None else chain.state.cluster)
    witnesses = AuditWitnesses(config.audit.witnesses, home, events=events, clock=clock)
    supervisor.control.more_metrics.append(witnesses.metrics)
    tree = AuditTree(
        home, store, keys, origin=origin, custody=custody, witnesses=witnesses, events=events, clock=clock
    )
    supervisor.control.reminders.append(tree)
    return await _serve_until_stopped(
        stopping, config, home, listeners, supervisor=supervisor, api=api, pins=pins, tree=tree, events=events
    )


async def _serve_until_stopped(
    stopping: asyncio.Event,
    config: Config,
    home: Home,
    listeners: list[socket.socket],
    *,
    supervisor: Supervisor,
    api: ApiFleet,
    pins: PinChanging,
    tree: AuditTree,
    events: EventSink,
) -> int:
    await supervisor.start()
    tree.start()
    serving: asyncio.Task[None] | None = None
    try:
        failures = await _unless(stopping, supervisor.first_outcomes())
        if failures and all(map(_needs_a_person, failures)):
            for failure in failures:
                _complain(failure)
            return EX_CONFIG
        serving = asyncio.ensure_future(api.run())
        await _unless(
            stopping, _tell_start(api, events, _endpoint(config, listeners[0]), config_sha256(home))
        )
        _reload_on_hangup(api, home, config, events)
        await stopping.wait()
        return 0
    finally:
        events.emit("service.stopping")
        if serving is not None:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        try:
            await api.stop()
            await tree.finish()
        finally:
            await supervisor.stop()
            await pins.close()
        events.emit("service.stopped")


def _keep_custody(
    config: Config, home: Home, store: Store, chain: Chain, *, audit: AuditLog, events: EventSink
) -> CustodyKeeping:
    begun = home.custody / "begun" / "main"
    book = CustodyBook(store, None if config.custody is None else config.custody.genesis_sha256)
    desk = ApprovalDesk(store, book, audit, clock=SystemClock())
    return CustodyKeeping(store, chain, begun=begun, desk=desk, events=events, clock=SystemClock())


async def _tell_start(api: ApiFleet, events: EventSink, endpoint: str, config_hash: str = "") -> None:
    """Say that the service has started once it has; complain at the first failure, which may be all there is."""
    await api.first_outcomes()
    if api.failure is not None:
        _complain(api.failure)
    await api.first_success()
    events.emit("service.started", version=__version__, endpoint=endpoint, config_sha256=config_hash)


def _endpoint(config: Config, listener: socket.socket) -> str:
    scheme = "https" if config.service.tls else "http"
    return f"{scheme}://{config.service.host}:{listener.getsockname()[1]}"


def _reload_on_hangup(api: ApiFleet, home: Home, config: Config, events: EventSink) -> None:
    """Have SIGHUP renew the API processes with the configuration as it is then. One reload at a time."""
    reloading: set[asyncio.Task[None]] = set()
    current = config

    async def renew(wanted: Config) -> None:
        nonlocal current
        if await api.reload(changed_settings(current, wanted), config_sha256(home)):
            current = wanted

    def reload() -> None:
        if reloading:
            events.emit("service.reload_failed", cause="another reload is under way")
            return
        try:
            wanted = check_quotas(load_config(home.root))
            make_context_key(wanted.audit, home)
        except StrongroomError as error:
            events.emit("service.reload_failed", cause=str(error))
            return
        task = asyncio.ensure_future(renew(wanted))
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


def _stop_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _unless(stopping: asyncio.Event, work: Coroutine[None, None, T]) -> T | None:
    """Wait for work, or for the order to stop; then the work is cancelled and the answer is None."""
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        return None
    return task.result()


def _roots(home: Home) -> list[RootRecord]:
    upgrade_database(home.database)
    with ReadOnlyStore.open(home.database) as store:
        roots = store.list_roots()
    if not roots:
        raise HomeError(f"{home.database} knows no root KEK", next_step="restore it from a backup")
    return roots


def _listen(config: Config) -> list[socket.socket]:
    """Take the port before anything is started, once for each API process: a taken one is an error at once."""
    host, port = config.service.host, port_override() or config.service.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    count = config.service.processes or len(os.sched_getaffinity(0))
    try:
        # A port that somebody else shares out would take our sockets too: only one alone shows that it is free.
        socket.create_server((host, port), family=family).close()
        listeners = [
            socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=True)
            for _ in range(count)
        ]
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            next_step="stop what listens there, or set STRONGROOM_PORT to another port",
        ) from error
    for listener in listeners:
        listener.setblocking(False)
    return listeners


def _needs_a_person(failure: StrongroomError) -> bool:
    return isinstance(failure, PinRefusedError | TokenNotFoundError | ConfigError)


def _complain(error: StrongroomError) -> None:
    sys.stderr.write(f"strongroom: {error.message}\n")
    if error.next_step is not None:
        sys.stderr.write(f"  what to do: {error.next_step}\n")


if __name__ == "__main__":
    main()
