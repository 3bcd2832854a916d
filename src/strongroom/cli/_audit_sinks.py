"""``strongroom audit sinks``: where copies of entries go, and how far each place is behind. Offline, from files."""

import click
import msgspec

from strongroom.audit import MAX_PAYLOAD_BYTES, LogFollower, LogHeads
from strongroom.cli._output import Output, shown_time
from strongroom.cli._reporting import reporting
from strongroom.config import Home, SinkConfig, home_from_environment, load_config
from strongroom.core import SystemClock
from strongroom.shipping import PositionsUnreadableError, SinkRecord, read_record, record_path
from strongroom.wiring.audit_sinks import kind_of


class SinkShown(msgspec.Struct, frozen=True):
    """What the command tells of a sink."""

    name: str
    kind: str
    state: str
    """``new``, ``caught up``, ``behind``, ``failing``, ``stuck`` or ``unreadable``."""
    lag_entries: int
    lag_s: float
    is_alarm: bool
    """The lag is beyond one of the configured limits."""
    accepted: int
    accepted_at: float | None
    failing_since: float | None
    cause: str


@click.command
@reporting
def sinks(output: Output) -> None:
    """Show the sinks of the audit log: what each has accepted, how far it is behind, and why.

    Works with and without the service: it reads what the service keeps beside the log. Entries that are on their way count
    as behind until the sink has confirmed them.
    """
    home = Home(home_from_environment())
    configured = load_config(home.root).audit.sinks
    heads, now = LogHeads(home.audit).look(), SystemClock.now()
    shown = [_shown(sink, home, heads, now=now) for sink in configured]
    output.document({"sinks": shown})
    if not shown:
        output.say("No sinks are configured ([[audit.sinks]] in strongroom.toml).")
        return
    output.table(
        ["SINK", "KIND", "STATE", "BEHIND", "FOR", "LAST ACCEPTED", "CAUSE"],
        [
            [
                one.name,
                one.kind,
                f"{one.state} (ALARM)" if one.is_alarm else one.state,
                f"{one.lag_entries} entries",
                f"{one.lag_s:.0f} s",
                shown_time(one.accepted_at),
                one.cause,
            ]
            for one in shown
        ],
    )


def _shown(sink: SinkConfig, home: Home, heads: dict[str, int], *, now: float) -> SinkShown:
    try:
        record, unreadable = read_record(record_path(home.audit, sink.name)), ""
    except PositionsUnreadableError as error:
        record, unreadable = SinkRecord(), str(error)
    accepted = {writer: position.at.seq - 1 for writer, position in record.positions.items()}
    lag_entries = sum(max(last - accepted.get(writer, 0), 0) for writer, last in heads.items())
    lag_s = _lag_s(home, record, len(heads), now=now) if lag_entries else 0.0
    stuck = "; ".join(f"{writer}: {cause}" for writer, cause in sorted(record.stuck.items()))
    return SinkShown(
        name=sink.name,
        kind=kind_of(sink),
        state="unreadable" if unreadable else _state(record, lag_entries),
        lag_entries=lag_entries,
        lag_s=round(lag_s, 3),
        is_alarm=lag_entries >= sink.alarm_entries or lag_s >= sink.alarm_s,
        accepted=record.accepted,
        accepted_at=record.accepted_at,
        failing_since=record.failing_since,
        cause=unreadable or record.failure or stuck,
    )


def _lag_s(home: Home, record: SinkRecord, n_writers: int, *, now: float) -> float:
    """Return the age of the oldest entry that was not accepted: one of the next ones of each writer."""
    follower = LogFollower(home.audit, record.positions)
    waiting = follower.read(most=n_writers, most_bytes=n_writers * MAX_PAYLOAD_BYTES)
    oldest = min((entry.at for entry in waiting.entries), default=None)
    return 0.0 if oldest is None else max(now - oldest / 1e6, 0.0)


def _state(record: SinkRecord, lag_entries: int) -> str:
    if record.failing_since is not None:
        return "failing"
    if record.stuck:
        return "stuck"
    if not lag_entries:
        return "caught up"
    return "behind" if record.positions else "new"
