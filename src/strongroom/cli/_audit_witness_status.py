"""``strongroom audit witness status``: what the witnesses of this host's audit log have confirmed. Offline, from files."""

import click
import msgspec

from strongroom.audit import CheckpointFiles, WitnessedFiles
from strongroom.cli._output import Output, shown_time
from strongroom.cli._reporting import reporting
from strongroom.config import AuditWitnessConfig, Home, home_from_environment, load_config
from strongroom.wiring.audit_witnesses import read_standing


class WitnessShown(msgspec.Struct, frozen=True):
    """What the command tells of a witness."""

    name: str
    url: str
    state: str
    """``new``, ``caught up``, ``behind``, ``failing`` or ``DISAGREES``."""
    confirmed: int
    """Entries that it confirmed."""
    behind_entries: int
    """Entries under a checkpoint that it did not confirm."""
    failing_since: float | None
    cause: str


@click.command
@reporting
def status(output: Output) -> None:
    """Show what each witness of this host's audit log has confirmed, how far it is behind, and why.

    Works with and without the service: it reads what the service keeps beside the checkpoints.
    """
    home = Home(home_from_environment())
    last = CheckpointFiles(home.audit).last()
    size = 0 if last is None else last.checkpoint.size
    shown = [_shown(one, home, size) for one in load_config(home.root).audit.witnesses]
    output.document({"checkpointed": size, "witnesses": shown})
    if not shown:
        output.say("No witnesses are configured ([[audit.witnesses]] in strongroom.toml).")
        return
    output.say(f"The newest checkpoint covers {size} entries.")
    output.table(
        ["WITNESS", "STATE", "CONFIRMED", "BEHIND", "FAILING SINCE", "CAUSE"],
        [
            [
                one.name,
                one.state,
                f"{one.confirmed} entries",
                f"{one.behind_entries} entries",
                shown_time(one.failing_since),
                one.cause,
            ]
            for one in shown
        ],
    )


def _shown(witness: AuditWitnessConfig, home: Home, size: int) -> WitnessShown:
    last = WitnessedFiles(home.audit, witness.name).last()
    confirmed = 0 if last is None else last.checkpoint.size
    standing = read_standing(home.audit, witness.name)
    if standing.disagrees or confirmed > size:
        state = "DISAGREES"
    elif standing.failing_since is not None:
        state = "failing"
    elif confirmed == size:
        state = "caught up" if size else "new"
    else:
        state = "behind" if confirmed else "new"
    return WitnessShown(
        name=witness.name,
        url=witness.url,
        state=state,
        confirmed=confirmed,
        behind_entries=max(size - confirmed, 0),
        failing_since=standing.failing_since,
        cause=standing.cause,
    )
