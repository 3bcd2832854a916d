"""``strongroom status``: whether the service is ready, and how its members are."""

import click
import msgspec

from strongroom.cli._answers import Anything, Readiness, StatusDocument
from strongroom.cli._endpoint import find_service
from strongroom.cli._errors import CliError, NotReadyError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.client import RequestRefusedError, ServiceClient, read_answer
from strongroom.config import Config, Home, home_from_environment, load_config
from strongroom.core import ConfigError, StorageError, StrongroomError, SystemClock


@click.command
@reporting
def status(output: Output) -> None:
    """Show whether the service is ready, its members and their worker processes.

    Ends with exit status 3 when the service does not answer or is not ready.
    """
    home = Home(home_from_environment())
    service = find_service(home)
    with ServiceClient(service, clock=SystemClock()) as client:
        readiness = read_readiness(client)
        try:
            raw = client.read("/api/v1/status", Anything)
        except RequestRefusedError:
            if readiness.ready:
                raise
            raw = {}  # a service without its credentials recognises nobody, but says so at /readyz
    document = _convert(raw) if raw else StatusDocument(members=[])
    output.document(
        {
            "endpoint": service.endpoint.url,
            "ready": readiness.ready,
            "reasons": readiness.reasons,
            "warnings": (warnings := _warnings(home)),
            **raw,
        }
    )
    _show(output, service.endpoint.url, readiness, document)
    output.say(*(f"Warning: {warning}" for warning in warnings))
    if not readiness.ready:
        raise NotReadyError(
            "the service is not ready", next_step="see the reasons above, and the log of the service"
        )


def read_readiness(client: ServiceClient) -> Readiness:
    """Ask /readyz. Raises ServiceUnreachableError and ForeignAnswerError."""
    answer = client.probe("/readyz")
    return read_answer(answer._replace(status=200) if answer.status == 503 else answer, Readiness)


def read_status(client: ServiceClient) -> StatusDocument:
    """Ask for the operator's view. Raises as ``ServiceClient.read``."""
    return client.read("/api/v1/status", StatusDocument)


def _warnings(home: Home) -> list[str]:
    """What the profiles of the members say of their validation, and PINs, backups and custodians that a person has to look after.

    Nothing where this home has no readable configuration.
    """
    from strongroom.wiring.hsm_log_status import hsm_log_warnings
    from strongroom.wiring.pin_status import pin_warnings, read_pin_status
    from strongroom.wiring.profile_warnings import profile_warnings

    try:
        config = load_config(home.root)
        members = config.cluster.members
        pins = read_pin_status(home, members, config.pins, now=SystemClock().now())
        said = [*profile_warnings(members), *pin_warnings(pins), *hsm_log_warnings(home, members)]
    except ConfigError:
        return []
    return [*said, *_about_backups(home, config), *_about_custodians(home, config)]


def _about_backups(home: Home, config: Config) -> list[str]:
    from strongroom.wiring.backup_status import backup_warnings, read_backup_status

    now = SystemClock().now()
    try:
        return backup_warnings(read_backup_status(home, config.backups, now=now), now=now)
    except StorageError as error:
        return [f"how old the backups are is not known: {error.message}"]


def _about_custodians(home: Home, config: Config) -> list[str]:
    """What is to be done about the custodians of the backup; nothing where the database cannot be read, which shows elsewhere."""
    from strongroom.storage import ReadOnlyStore
    from strongroom.wiring.custodian_status import custodian_warnings, read_set_status

    try:
        with ReadOnlyStore.open(home.database) as store:
            found = read_set_status(store, config.custodians, now=SystemClock().now())
    except StrongroomError:
        return []
    return [] if found is None else custodian_warnings(found)


def _convert(raw: Anything) -> StatusDocument:
    try:
        return msgspec.convert(raw, StatusDocument)
    except msgspec.ValidationError as error:
        raise CliError(f"the status document of the service is of another version: {error}") from error


def _show(output: Output, url: str, readiness: Readiness, document: StatusDocument) -> None:
    state = "ready" if readiness.ready else "NOT READY"
    output.say(f"Strongroom {visible(document.version)} at {url}: {state}")
    output.say(*(f"  because {visible(reason)}" for reason in readiness.reasons))
    if document.members:
        output.say("")
        output.table(
            ["MEMBER", "WORKER", "STATE", "PRIORITY", "GENERATION", "PID", "P50/P99 MS", "REASON"],
            [
                [
                    entry.name,
                    str(entry.worker),
                    entry.state,
                    str(entry.priority),
                    str(entry.generation),
                    str(entry.pid or "-"),
                    _latency(entry.latency_ms),
                    entry.reason or "-",
                ]
                for entry in document.members
            ],
        )
        output.say(
            "",
            f"Failovers: {document.failovers}   KEKs in memory: {document.cached_keks}   "
            f"audit entries: {document.audit_entries}",
        )
    if document.quarantined_keys:
        count = "all" if "" in document.quarantined_keys else len(document.quarantined_keys)
        output.say(
            f"Direct keys in quarantine, which nobody may use: {count}; see: strongroom members reconcile"
        )
    if document.audit_failure is not None:
        output.say(f"The audit log cannot be written: {visible(document.audit_failure)}")


def _latency(by_verb: dict[str, list[float | None]]) -> str:
    """The verb whose calls take the longest, in full; the others are in the document."""
    known = {verb: times for verb, times in by_verb.items() if len(times) == 2 and None not in times}
    if not known:
        return "-"
    verb = max(known, key=lambda each: known[each][1] or 0.0)
    half, most = known[verb]
    return f"{half:g}/{most:g} ({visible(verb)})"
