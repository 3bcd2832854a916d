"""``strongroom audit prove``, ``growth`` and ``keys``: what a stranger can check without this program, from the files alone."""

import sys
from pathlib import Path

import click

from strongroom.audit import (
    CheckpointFiles,
    LogKey,
    MalformedNoteError,
    TreeLookup,
    read_checkpoint,
    read_log_key,
    read_note,
    verify_checkpoint,
)
from strongroom.cli._audit_logs import opened_log
from strongroom.cli._audit_witness_verify import witnessed_proof
from strongroom.cli._errors import CliError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.config import Home, home_from_environment
from strongroom.wiring.durable_files import write_new_durably

_MAX_FILE_BYTES = 1024 * 1024


@click.command
@click.argument("entry", metavar="WRITER/NUMBER")
@click.option(
    "--size",
    type=click.IntRange(min=1),
    help="Prove it under the checkpoint of so many entries; else the newest.",
)
@click.option(
    "--witnesses",
    "n_witnesses",
    type=click.IntRange(min=1),
    help="Prove it under the newest checkpoint that so many witnesses confirmed.",
)
@click.option(
    "--output",
    "path",
    type=click.Path(path_type=Path),
    help="Write the proof to a new file instead of standard output.",
)
@reporting
def prove(
    output: Output, *, entry: str, size: int | None, n_witnesses: int | None, path: Path | None
) -> None:
    """Prove that an entry is in the log: ENTRY is as 'audit tail' names it, such as api-0/1234.

    The proof (C2SP tlog-proof) holds the entry, its path in the tree and a signed checkpoint, with the cosignatures of
    witnesses that there are of it. Whoever has the log's public
    keys checks it without this program: tools/check_audit_proof.py.
    """
    writer, _, number = entry.partition("/")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise CliError(
            f"{entry!r} names no entry", next_step="name one as 'strongroom audit tail' does: api-0/1234"
        )
    if size is not None and n_witnesses is not None:
        raise CliError("--size and --witnesses name one checkpoint each: give one of them")
    with opened_log(None, "prove", {"entry": entry}) as log:
        proof = witnessed_proof(log.directory, writer, int(number), size, n_witnesses)
        _give(output, proof.encode(), path)
        log.reading.shown = 1


@click.command
@click.argument("old", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--size", type=click.IntRange(min=1), help="Up to the checkpoint of so many entries; else the newest."
)
@click.option(
    "--output",
    "path",
    type=click.Path(path_type=Path),
    help="Write the proof to a new file instead of standard output.",
)
@reporting
def growth(output: Output, *, old: Path, size: int | None, path: Path | None) -> None:
    """Prove that the log goes on from an older checkpoint, which the file OLD holds: that nothing before it was changed.

    A proof of 'audit prove' holds a checkpoint too, and may be named.
    """
    data = old.read_bytes()[:_MAX_FILE_BYTES]
    if data.startswith(b"c2sp.org/tlog-proof"):
        data = data.partition(b"\n\n")[2]
    note = read_note(data)
    lookup = TreeLookup(_audit())
    if keys := CheckpointFiles(_audit()).keys():
        verify_checkpoint(note, keys)
    _give(output, lookup.prove_growth(read_checkpoint(note.text), size=size).encode(), path)


@click.command
@reporting
def keys(output: Output) -> None:
    """Show the public keys of the log's checkpoints, one a line. Keep them elsewhere: who checks the log needs them."""
    files = CheckpointFiles(_audit())
    found = files.keys()
    output.document({"origin": files.origin(), "keys": [key.text() for key in found]})
    output.say(*(visible(key.text()) for key in found))
    if not found:
        raise CliError("no checkpoint was signed yet", next_step="start the service: strongroom serve")


def trusted_keys(directory: Path, named: tuple[str, ...]) -> tuple[LogKey, ...]:
    """Return the keys that were named, each as itself or as a file of them; those beside the log where none was."""
    if not named:
        return CheckpointFiles(directory).keys()
    lines: list[str] = []
    for name in named:
        path = Path(name)
        lines += path.read_text().split("\n") if "+" not in name or path.is_file() else [name]
    try:
        return tuple(read_log_key(line) for line in lines if line)
    except MalformedNoteError as error:
        raise CliError(f"what was named is no public key of a log: {error.message}") from error


def _give(output: Output, proof: bytes, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(proof.decode())
        return
    write_new_durably(path.absolute(), proof, mode=0o644)
    output.document({"written": str(path)})
    output.say(f"Written: {path}")


def _audit() -> Path:
    return Home(home_from_environment()).audit
