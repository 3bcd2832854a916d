"""What ``audit verify`` and ``audit prove`` have to do with witnesses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from strongroom.audit import (
    EntryProof,
    MalformedNoteError,
    TreeLookup,
    TreeReport,
    Witnesses,
    confirmed_by,
    newest_witnessed,
    read_log_key,
    read_note,
    with_cosignatures,
)
from strongroom.cli._errors import CliError, NotDoneError
from strongroom.cli._output import Output, shown_time, visible
from strongroom.core import VerificationFailedError

F = TypeVar("F", bound=Callable[..., Any])

_MAX_FILE_BYTES = 1024 * 1024


class AskedWitnesses(NamedTuple):
    """Whose word is asked for, and how many of them must have given it."""

    witnesses: Witnesses
    needed: int


def witness_options(command: F) -> F:
    """Give ``audit verify`` the options by which witnesses are named."""
    for option in (
        click.option(
            "--witnessed",
            "witnessed_files",
            multiple=True,
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="A checkpoint that a witness cosigned, got from the witness ('audit witness show --origin'). May be given again.",
        ),
        click.option(
            "--witnesses",
            "needed",
            type=click.IntRange(min=1),
            help="So many of the named witnesses must have confirmed the log; all of them if left out.",
        ),
        click.option(
            "--witness",
            "named_witnesses",
            multiple=True,
            help="A public key of a witness, or a file of them, one a line. May be given again.",
        ),
    ):
        command = option(command)
    return command


def asked_witnesses(
    named: tuple[str, ...], files: tuple[Path, ...], needed: int | None
) -> AskedWitnesses | None:
    """Return the witnesses that were named; None where none was. Raises CliError."""
    if not named:
        if files or needed:
            raise CliError("--witnesses and --witnessed need the witnesses' keys: name them with --witness")
        return None
    lines: list[str] = []
    for name in named:
        path = Path(name)
        lines += path.read_text().split("\n") if "+" not in name or path.is_file() else [name]
    try:
        keys = tuple(read_log_key(line) for line in lines if line)
        notes = [read_note(path.read_bytes()[:_MAX_FILE_BYTES]) for path in files]
        witnesses = Witnesses(keys, notes)
    except (MalformedNoteError, VerificationFailedError) as error:
        raise CliError(f"what was named is of no witness: {error.message}") from error
    if not keys or not all(key.kind.is_cosigner for key in keys):
        raise CliError(
            "--witness needs keys of witnesses", next_step="'strongroom audit witness show' prints them"
        )
    count = len(witnesses.names)
    if needed is not None and needed > count:
        raise CliError(f"--witnesses {needed} is more than the {count} witnesses that were named")
    return AskedWitnesses(witnesses, needed or count)


def confirmed_problem(asked: AskedWitnesses | None, tree: TreeReport | None) -> str | None:
    """Return what is wrong where too few witnesses confirmed a log that is sound otherwise."""
    if asked is None:
        return None
    if tree is not None and tree.origin in asked.witnesses.names:
        return f"{tree.origin} is the log itself, and no witness of it"
    there = [] if tree is None else [one.witness for one in tree.confirmed if one.size]
    if len(there) >= asked.needed:
        return None
    missing = ", ".join(name for name in asked.witnesses.names if name not in there)
    return f"{len(there)} of the witnesses that were named confirmed it, {asked.needed} are needed: nothing of {missing}"


def show_confirmed(output: Output, asked: AskedWitnesses | None, tree: TreeReport | None) -> None:
    """Say how far each witness confirmed the log, and how far as many did as are needed."""
    if asked is None or tree is None:
        return
    for one in tree.confirmed:
        output.say(
            f"Witness {visible(one.witness)}: {one.checkpoints} checkpoints, the newest of {one.size} entries, at {shown_time(one.at)}"
        )
    size = confirmed_by(tree.confirmed, asked.needed)
    if not size:
        return
    of_all = f"{asked.needed} of {len(asked.witnesses.names)} witnesses"
    output.say(f"Confirmed by {of_all}: the first {size} of {tree.entries} entries")
    if size < tree.entries:
        output.say(
            f"warning: nothing that they confirmed covers the last {tree.entries - size} entries: who holds the log's keys can"
            " have written those anew"
        )


def raise_unconfirmed(problem: str | None) -> None:
    """Raise NotDoneError where too few witnesses confirmed the log."""
    if problem is not None:
        raise NotDoneError(
            f"the log is not confirmed: {problem}",
            next_step="see 'strongroom audit witness status' on the host; if it never had these witnesses, or what they"
            " confirmed was removed, ask them: 'strongroom audit witness show --origin', and name that with --witnessed",
        )


def witnessed_proof(
    directory: Path, writer: str, seq: int, size: int | None, n_witnesses: int | None
) -> EntryProof:
    """Prove an entry under a checkpoint with the cosignatures that there are of it; at least ``n_witnesses``. Raises CliError."""
    if n_witnesses is not None and size is None:
        size = newest_witnessed(directory, n_witnesses)
        if size is None:
            raise CliError(
                f"there is no checkpoint of late that {n_witnesses} witnesses confirmed",
                next_step="see 'strongroom audit witness status'",
            )
    proof = TreeLookup(directory).prove(writer, seq, size=size)
    return proof._replace(checkpoint=with_cosignatures(directory, proof.checkpoint))
