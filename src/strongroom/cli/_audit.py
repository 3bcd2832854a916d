"""``strongroom audit``: read and verify the audit log from its files, without the service and without keys."""

import sys
from pathlib import Path

import click

from strongroom.audit import (
    AuditCorruptError,
    CheckpointFiles,
    Finding,
    LogKey,
    TreeReport,
    VerifyReport,
    inspect_log,
    verify_tree,
)
from strongroom.cli._audit_archive import archive, prune
from strongroom.cli._audit_hsm import hsm
from strongroom.cli._audit_logs import log_below, own_log
from strongroom.cli._audit_proofs import growth, keys, prove, trusted_keys
from strongroom.cli._audit_report import report
from strongroom.cli._audit_search import search, tail
from strongroom.cli._audit_sinks import sinks
from strongroom.cli._audit_witness import witness
from strongroom.cli._audit_witness_verify import (
    AskedWitnesses,
    asked_witnesses,
    confirmed_problem,
    raise_unconfirmed,
    show_confirmed,
    witness_options,
)
from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting

_SHOWN_FINDINGS = 20


@click.group
def audit() -> None:
    """Read and verify the audit log offline."""


audit.add_command(tail)
audit.add_command(search)
audit.add_command(report)
audit.add_command(prove)
audit.add_command(growth)
audit.add_command(keys)
audit.add_command(sinks)
audit.add_command(witness)
audit.add_command(archive)
audit.add_command(prune)
audit.add_command(hsm)


@audit.command
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--key",
    "named_keys",
    multiple=True,
    help="A public key of the log, or a file of them, one a line ('audit keys'). May be given again.",
)
@witness_options
@reporting
def verify(
    output: Output,
    *,
    path: Path | None,
    named_keys: tuple[str, ...],
    named_witnesses: tuple[str, ...],
    needed: int | None,
    witnessed_files: tuple[Path, ...],
) -> None:
    """Check the whole log: every entry against its writer's hash chain, the tree over all of them, every checkpoint.

    PATH is an audit directory, or a home; that of STRONGROOM_HOME if it is left out. Ends with exit status 1
    and the first bad entry when anything is not what its writer wrote. Without --key the checkpoints are checked by
    the keys that stand beside them, which shows nothing to those who do not trust the host. With --witness what
    witnesses cosigned must be of this log too.
    """
    asked = asked_witnesses(named_witnesses, witnessed_files, needed)
    directory = log_below(path) if path is not None else own_log()
    trusted = trusted_keys(directory, named_keys)
    report = inspect_log(directory, progress=_progress(output))
    tree, tree_problem = _verified_tree(output, directory, trusted, asked)
    if named_keys and tree_problem is None and (tree is None or not tree.checkpoints):
        tree_problem = AuditCorruptError(
            "a key was named, and there is no checkpoint that it could have signed"
        )
    unconfirmed = confirmed_problem(asked, tree)
    output.document(_document(directory, report, tree, tree_problem, unconfirmed))
    _show(output, directory, report)
    _show_tree(output, tree, has_named_keys=bool(named_keys))
    problem = report.problems[0] if report.problems else tree_problem
    if problem is not None:
        raise NotDoneError(
            f"the audit log is bad, first at {problem}",
            next_step=_what_to_do(directory),
        )
    show_confirmed(output, asked, tree)
    raise_unconfirmed(unconfirmed)
    output.say("The audit log is sound.")


def _what_to_do(directory: Path) -> str:
    archive = directory / "archive"
    if archive.is_symlink() and not archive.is_dir():
        return f"{archive} leads to {archive.readlink()}, which is not there: mount that volume, and verify again"
    return "keep a copy of the audit directory; then find out who or what changed it"


def _verified_tree(
    output: Output, directory: Path, trusted: tuple[LogKey, ...], asked: AskedWitnesses | None
) -> tuple[TreeReport | None, AuditCorruptError | None]:
    """Return what the tree holds, or what is wrong with it; nothing of a log that never had one."""
    if not (directory / "tree").is_dir() and CheckpointFiles(directory).last() is None:
        return None, None
    try:
        witnesses = None if asked is None else asked.witnesses
        return verify_tree(directory, trusted, witnesses=witnesses, progress=_progress(output)), None
    except AuditCorruptError as error:
        return None, error
    except FileNotFoundError as error:
        return None, AuditCorruptError(f"{error.filename} is not there, though the tree goes over it")


def _show_tree(output: Output, tree: TreeReport | None, *, has_named_keys: bool) -> None:
    if tree is None:
        return
    output.say(
        f"Tree {visible(tree.origin)}: {tree.entries} entries, {tree.checkpoints} checkpoints over the first {tree.checkpointed}"
    )
    if not has_named_keys:
        output.say("warning: the keys of the checkpoints were taken from beside them; name yours with --key")
    output.say(*(f"warning: {visible(warning)}" for warning in tree.warnings[:_SHOWN_FINDINGS]))


class _Counter:
    """Shows on a terminal how far a long verification is."""

    def __call__(self, entries: int) -> None:
        click.echo(f"\r  {entries} entries read", err=True, nl=False)


def _progress(output: Output) -> _Counter | None:
    return _Counter() if sys.stderr.isatty() and not output.is_json else None


def _document(
    directory: Path,
    report: VerifyReport,
    tree: TreeReport | None,
    tree_problem: AuditCorruptError | None,
    unconfirmed: str | None,
) -> dict[str, object]:
    return {
        "directory": str(directory),
        "sound": not report.problems and tree_problem is None and unconfirmed is None,
        "tree": None if tree is None else _tree_document(tree),
        "unconfirmed": unconfirmed,
        "tree_problem": None if tree_problem is None else str(tree_problem),
        "entries": report.entries,
        "writers": [{**writer._asdict(), "chain": writer.chain.hex()} for writer in report.writers],
        "problems": [_finding(finding) for finding in report.problems],
        "warnings": [_finding(finding) for finding in report.warnings],
    }


def _tree_document(tree: TreeReport) -> dict[str, object]:
    confirmed = [one._asdict() for one in tree.confirmed]
    return {**tree._asdict(), "root": tree.root.hex(), "confirmed": confirmed}


def _finding(finding: Finding) -> dict[str, object]:
    return finding._asdict()


def _show(output: Output, directory: Path, report: VerifyReport) -> None:
    output.say(f"Audit log {directory}: {report.entries} entries of {len(report.writers)} writers")
    if report.writers:
        output.table(
            ["WRITER", "ENTRIES", "LAST", "BOOTS", "SEGMENTS", "CHAIN VALUE"],
            [
                [
                    writer.writer,
                    str(writer.entries),
                    str(writer.last_seq),
                    str(writer.boot),
                    str(writer.segments),
                    writer.chain.hex(),
                ]
                for writer in report.writers
            ],
        )
    for writer in report.writers:
        output.say(*(f"{writer.writer}: {visible(line)}" for line in writer.pruned))
    for label, findings in (("warning", report.warnings), ("PROBLEM", report.problems)):
        output.say(*(f"{label}: {visible(str(finding))}" for finding in findings[:_SHOWN_FINDINGS]))
        if len(findings) > _SHOWN_FINDINGS:
            output.say(f"{label}: {len(findings) - _SHOWN_FINDINGS} more; --json lists them")
