"""``strongroom demo``: a guided tour of the running development service."""

import base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click

from strongroom.audit import Entry, last_entries
from strongroom.cli._answers import (
    DecryptAnswer,
    EncryptAnswer,
    KeyMetadataAnswer,
    MemberEntry,
    StatusDocument,
)
from strongroom.cli._audit_logs import OpenLog, entry_line, opened_log
from strongroom.cli._demo_load import Load, LoadResult, kill_worker, wait_for_return
from strongroom.cli._endpoint import home_service, require_development
from strongroom.cli._errors import NotDoneError, NotReadyError
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.cli._status import read_readiness, read_status
from strongroom.client import RequestRefusedError, Service, ServiceClient
from strongroom.config import Config, Home, home_from_environment
from strongroom.core import Clock, SystemClock

_PLAINTEXT = b"account 4711 belongs to Ada Lovelace"
_CONTEXT = {"purpose": "demo"}
_SEARCHED_ENTRIES = 100_000
_SHOWN_EVENTS = 8
_LAST_ENTRIES = 4


class _Outage(NamedTuple):
    """What happened when a member's worker was killed."""

    member: str
    killed_pid: int
    new_pid: int | None
    """None: it did not come back in time."""
    return_s: float
    load: LoadResult
    failovers: int


@click.command
@click.option(
    "--seconds",
    type=click.FloatRange(2, 60),
    default=6.0,
    show_default=True,
    help="How long the load runs at least.",
)
@reporting
def demo(output: Output, *, seconds: float) -> None:
    """Walk through the running service: make a key, encrypt, kill a member, see that nothing breaks.

    For development homes only. The key that it makes stays.
    """
    home = Home(home_from_environment())
    config = require_development(home)
    clock = SystemClock()
    began = clock.now()
    service = home_service(home)
    with ServiceClient(service, clock=clock) as client:
        _require_ready(client)
        key_id = _show_a_key(output, client)
        outage = _show_an_outage(output, service, client, key_id, seconds=seconds, clock=clock)
    _say_what_was_seen(output, config, outage)
    with opened_log(home.root, "demo", {}) as log:
        entries = _telling_entries(log, since=began)
    _show_audit_tail(output, entries)
    output.document(_document(key_id, outage, entries))
    _judge(outage)
    output.say("", "Go on with: strongroom audit verify, strongroom keys list, strongroom status")


def _require_ready(client: ServiceClient) -> None:
    readiness = read_readiness(client)
    if not readiness.ready:
        raise NotReadyError(
            f"the service is not ready: {'; '.join(readiness.reasons)}", next_step="see: strongroom status"
        )


def _show_a_key(output: Output, client: ServiceClient) -> str:
    output.say("1. A key. Its key bytes exist in clear only in the memory of the service; the root key that")
    output.say("   protects them never leaves the HSMs.")
    made = client.call("CreateKey", {"Description": "strongroom demo"}, KeyMetadataAnswer).key_metadata
    output.say(f"   created {made.arn}", "")
    output.say("2. Encrypt and decrypt, as any AWS SDK would.")
    plaintext = {"KeyId": made.key_id, "Plaintext": _PLAINTEXT, "EncryptionContext": _CONTEXT}
    sealed = client.call("Encrypt", plaintext, EncryptAnswer).ciphertext_blob
    output.say(
        f"   encrypted  {_PLAINTEXT.decode()!r}", f"   into       {base64.b64encode(sealed).decode()[:60]}…"
    )
    opened = client.call("Decrypt", {"CiphertextBlob": sealed, "EncryptionContext": _CONTEXT}, DecryptAnswer)
    if opened.plaintext != _PLAINTEXT:
        raise NotDoneError("the service decrypted something else than was encrypted")
    output.say(f"   and back   {opened.plaintext.decode()!r}")
    _require_refusal(client, sealed)
    output.say("   With another encryption context the service refuses to decrypt it.", "")
    return made.key_id


def _require_refusal(client: ServiceClient, sealed: bytes) -> None:
    wrong: Mapping[str, object] = {"CiphertextBlob": sealed, "EncryptionContext": {"purpose": "theft"}}
    try:
        client.call("Decrypt", wrong, DecryptAnswer)
    except RequestRefusedError as error:
        if error.code == "InvalidCiphertextException":
            return
        raise
    raise NotDoneError("the service decrypted under a wrong encryption context")


def _show_an_outage(
    output: Output, service: Service, client: ServiceClient, key_id: str, *, seconds: float, clock: Clock
) -> _Outage:
    before = read_status(client)
    victim = _victim(before)
    output.say(
        f"3. An outage. Clients encrypt and decrypt while the worker of member {victim.name} is killed."
    )
    with Load(service, key_id, clock=clock) as load:
        load.run_for(seconds / 3)
        pid = kill_worker(victim)
        output.say(f"   kill -9 {pid}   ({victim.name}; {load.calls} calls so far)")
        killed_at = clock.monotonic()
        returned = wait_for_return(client, victim, clock=clock)
        return_s = clock.monotonic() - killed_at
        if returned is not None:
            output.say(
                f"   {victim.name} is {returned.state} again after {return_s:.1f} s, as process {returned.pid}"
            )
        load.run_for(max(0.5, seconds * 2 / 3 - return_s))
    after = read_status(client)
    new_pid = None if returned is None else returned.pid
    return _Outage(victim.name, pid, new_pid, return_s, load.result(), after.failovers - before.failovers)


def _victim(status: StatusDocument) -> MemberEntry:
    active = [entry for entry in status.members if entry.state == "active" and entry.pid]
    if len({entry.name for entry in active}) < 2:
        raise NotReadyError(
            "fewer than two members are active, so none is killed now",
            next_step="wait until both are: strongroom status",
        )
    return active[0]


def _say_what_was_seen(output: Output, config: Config, outage: _Outage) -> None:
    load = outage.load
    output.say(
        f"   {load.calls} calls, {load.failed} failed; slowest {load.slowest_s * 1000:.0f} ms; "
        f"{outage.failovers} moved on to the other member."
    )
    if config.cache.ttl_s > 0:
        output.say(
            f"   Most were answered from memory: unwrapped keys are kept for {config.cache.ttl_s:g} s. With ttl_s = 0",
            "   under [cache] in strongroom.toml every call needs a member; run the demo again to see that.",
        )
    output.say("")


def _show_audit_tail(output: Output, entries: Sequence[Entry]) -> None:
    output.say(
        "4. The record. Every call has an entry that was on disk before its answer. What happened to the"
    )
    output.say("   members, and the last calls:")
    output.say(*(f"   {entry_line(entry)}" for entry in entries))


def _telling_entries(log: OpenLog, *, since: float) -> list[Entry]:
    """Return the events since the demo began (Unix time), few beside its calls, and its last entries."""
    entries = list(log.others(last_entries(log.directory, _SEARCHED_ENTRIES)))
    shown = entries[-_LAST_ENTRIES:]
    events = [
        entry for entry in entries[:-_LAST_ENTRIES] if entry.kind == "event" and entry.at >= since * 1e6
    ]
    return [*events[-_SHOWN_EVENTS:], *shown]


def _document(key_id: str, outage: _Outage, entries: Sequence[Entry]) -> Mapping[str, object]:
    return {
        "key_id": key_id,
        "member": outage.member,
        "killed_pid": outage.killed_pid,
        "new_pid": outage.new_pid,
        "return_s": round(outage.return_s, 3),
        "calls": outage.load.calls,
        "failed_calls": outage.load.failed,
        "first_failure": outage.load.first_failure,
        "slowest_call_s": round(outage.load.slowest_s, 4),
        "failovers": outage.failovers,
        "audit_tail": entries,
    }


def _judge(outage: _Outage) -> None:
    if outage.load.failed:
        raise NotDoneError(
            f"{outage.load.failed} of {outage.load.calls} calls failed, first: {outage.load.first_failure}",
            next_step="look at the log of the service and report this",
        )
    if outage.new_pid is None:
        raise NotDoneError(
            f"member {outage.member} did not come back", next_step="see: strongroom status, and the log"
        )
