"""``strongroom audit witness``: run a witness of other hosts' audit logs; and what the witnesses of this host have confirmed."""

import datetime as dt
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from strongroom.audit import MalformedNoteError, WitnessFiles, WitnessStore, read_checkpoint
from strongroom.cli._audit_witness_status import status
from strongroom.cli._errors import CliError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.config import load_witness_config
from strongroom.wiring.witness_folder import make_witness, read_signer, watched_logs

_PROGRAM = "strongroom.runtime.witness"
_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder of the witness: witness.toml, its key, and what it cosigned last.",
)


@click.group
def witness() -> None:
    """Witnesses, which keep an operator from rewriting the audit log unseen: run one, or watch those of this host."""


@witness.command
@_FOLDER
@click.option(
    "--name", required=True, help="What it is called for good: a name such as witness.example.com/w1."
)
@click.option("--listen", default="127.0.0.1:8450", show_default=True, help="Address and port to listen on.")
@reporting
def init(output: Output, *, folder: Path, name: str, listen: str) -> None:
    """Make a witness: a folder with its key and a witness.toml to write the logs into. Needs no home and no HSM."""
    try:
        signer = make_witness(folder, name=name, listen=listen)
    except MalformedNoteError as error:
        raise CliError(f"a witness cannot be called {name!r}: {error.message}") from error
    keys = [key.text() for key in signer.keys]
    output.document({"folder": str(folder), "name": name, "keys": keys})
    output.say(
        f"Made: {folder}",
        "Its public keys; give them to those who run the logs, and to those who verify them:",
        *keys,
        f"Write the logs that it watches into {folder / 'witness.toml'}, then run:",
        f"  strongroom audit witness serve --folder {folder}",
    )


@witness.command
@_FOLDER
@reporting
def serve(output: Output, *, folder: Path) -> None:
    """Run a witness until Ctrl-C or SIGTERM. The log goes to standard error."""
    config = load_witness_config(folder)
    read_signer(folder, config.name)
    logs = watched_logs(config)
    WitnessStore(folder).close()  # an early, clear error; the program takes the lock for good
    output.progress(f"witness {visible(config.name)} at {config.listen}, {len(logs)} logs; Ctrl-C stops it")
    _become(folder)


@witness.command
@_FOLDER
@click.option("--origin", help="Print the checkpoint of this log that was cosigned last, and nothing else.")
@reporting
def show(output: Output, *, folder: Path, origin: str | None) -> None:
    """Show a witness's public keys, the logs it watches, and the size of what it cosigned last of each."""
    config = load_witness_config(folder)
    files = WitnessFiles(folder)
    if origin is not None:
        note = files.note(origin)
        if note is None:
            raise CliError(f"nothing was cosigned of a log {origin!r}")
        output.document({"origin": origin, "checkpoint": note.encode().decode()})
        if not output.is_json:
            sys.stdout.write(note.encode().decode())
        return
    signer = read_signer(folder, config.name)
    keys = [key.text() for key in signer.keys]
    shown = [_shown(files, one, is_watched=True) for one in watched_logs(config)]
    watched = {one["origin"] for one in shown}
    shown += [_shown(files, one, is_watched=False) for one in files.known() if one not in watched]
    output.document({"name": config.name, "keys": keys, "logs": shown})
    output.say(*keys)
    output.table(
        ["LOG", "WATCHED", "COSIGNED", "AT"],
        [
            [str(one["origin"]), "yes" if one["watched"] else "no", str(one["size"]), str(one["at"] or "-")]
            for one in shown
        ],
    )


witness.add_command(status)


def _shown(files: WitnessFiles, origin: str, *, is_watched: bool) -> dict[str, object]:
    note = files.note(origin)
    size = 0 if note is None else read_checkpoint(note.text).size
    at = None if note is None else dt.datetime.fromtimestamp(files.kept_at(origin), dt.UTC).isoformat()
    return {"origin": origin, "watched": is_watched, "size": size, "at": at}


def _become(folder: Path) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", _PROGRAM, str(folder)])  # noqa: S606  # our own interpreter, no shell
