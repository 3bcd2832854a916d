"""``strongroom ceremony run`` and ``rehearse``: the one in a home with people, the other on throw-away tokens."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from strongroom.cli._errors import CliError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, opened_key

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.ceremony import Console, Participant, Setting, Transcript

_PATH: Final = click.Path(path_type=Path)
_FOLDER: Final = "Where script, transcript, files and signatures go; the same again after an interruption."


@click.command
@click.argument("script", type=_PATH)
@click.option("--folder", required=True, type=_PATH, metavar="FOLDER", help=_FOLDER)
@click.option(
    "--previous",
    metavar="FOLDER",
    help="Folder of the ceremony before, whose transcript this one names; none: this is the first one.",
)
@click.option(
    "--agent-socket",
    type=_PATH,
    envvar="SSH_AUTH_SOCK",
    metavar="PATH",
    help="Socket of the SSH agent of witnesses who sign here; SSH_AUTH_SOCK if left out.",
)
@reporting
def run(output: Output, *, script: Path, folder: Path, previous: str | None, agent_socket: Path | None) -> None:  # fmt: skip
    """Run a ceremony, step by step, at this terminal. After any interruption the same command goes on.

    At each question: /deviation WORDS records that something was done otherwise, /pause stops, /abandon gives it up.
    """
    from strongroom.ceremony import NO_HASH, open_setting
    from strongroom.cli._ceremony import transcript_hash
    from strongroom.cli._ceremony_console import TerminalConsole
    from strongroom.config import home_from_environment
    from strongroom.core import SystemClock

    if previous is None:
        raise CliError(
            "say which ceremony this one follows",
            next_step="--previous FOLDER: the folder of the ceremony before; --previous none: this is the first one",
        )
    console = TerminalConsole(is_rehearsal=False)
    before = NO_HASH if previous == "none" else transcript_hash(Path(previous))
    setting = open_setting(
        script, folder, home=home_from_environment(), is_rehearsal=False, clock=SystemClock()
    )
    transcript = _hold(setting, console, before)
    asyncio.run(_gather_signatures(setting, transcript, console, agent_socket))
    _tell(output, setting)


@click.command
@click.argument("script", type=_PATH)
@click.option("--folder", required=True, type=_PATH, metavar="FOLDER", help=_FOLDER)
@click.option(
    "--unattended", "is_unattended", is_flag=True, help="Scripted participants do it, who make no mistake."
)
@reporting
def rehearse(output: Output, *, script: Path, folder: Path, is_unattended: bool) -> None:
    """Run a script with made-up people, on throw-away SoftHSM tokens. Everything of it says REHEARSAL."""
    from strongroom.ceremony import NO_HASH, ScriptedParticipants, open_setting
    from strongroom.cli._ceremony_console import TerminalConsole
    from strongroom.core import SystemClock

    console: Console | None = None if is_unattended else TerminalConsole(is_rehearsal=True)
    setting = open_setting(script, folder, home=None, is_rehearsal=True, clock=SystemClock())
    if console is None:
        console = ScriptedParticipants(
            setting.script, watch=lambda page: output.progress(f"{page.position}  {page.title}")
        )
    transcript = _hold(setting, console, NO_HASH)
    _sign_as_made_up(setting, transcript)
    _tell(output, setting)


def _hold(setting: "Setting", console: "Console", previous: str) -> "Transcript":
    """Have the runner do it, in a process that leaves no core dump. Whatever happens, no share stays on the screen."""
    from strongroom import __version__
    from strongroom.ceremony import CeremonyRunner, installed_software
    from strongroom.wiring.ceremony_effects import ceremony_effects
    from strongroom.wiring.process_protection import forbid_dumps

    forbid_dumps()
    software = installed_software(__version__)
    ended_by: list[signal.Signals] = []

    def end(task: "asyncio.Task[object] | None", by: signal.Signals) -> None:
        ended_by.append(by)
        if task is not None:
            task.cancel(f"ended from outside ({by.name})")

    async def hold() -> "Transcript":
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(one, end, task, one)
        try:
            async with ceremony_effects(setting) as effects:
                runner = CeremonyRunner(setting, console, effects, software, previous=previous)
                return await runner.run()
        finally:
            await console.clear()

    try:
        return asyncio.run(hold())
    except asyncio.CancelledError:
        raise SystemExit(128 + ended_by[0] if ended_by else 1) from None


async def _gather_signatures(
    setting: "Setting", transcript: "Transcript", console: "Console", agent_socket: Path | None
) -> None:
    """Ask the witnesses who have not signed for their keys, one after the other. They may sign later, on their own machines."""
    from strongroom.ceremony import Page, Question, read_signatures, read_transcript_file
    from strongroom.custody import spoken

    data = read_transcript_file(setting.folder)
    for one in setting.script.witnesses:
        if one.id in read_signatures(setting.folder, data, transcript):
            continue
        page = Page(
            "The transcript is closed",
            who=f"{one.name}, {one.role.replace('-', ' ')}",
            aloud="I read the hash of the transcript. Every witness writes it down.",
            lines=(
                f"Sign here, or on your own machine: strongroom ceremony sign {setting.folder} --key KEY",
                "KEY is a file, agent:FINGERPRINT, or pkcs11:...",
            ),
            facts=(
                ("transcript", transcript.sha256),
                ("transcript in words", " ".join(spoken(transcript.sha256))),
            ),
        )
        await console.show(page)
        while key := await console.ask(
            Question("signing-key", one.id, f"{one.name}: your key (Enter: later)")
        ):
            try:
                _sign(setting.folder, data, transcript, one, KeyChoice(key, agent_socket=agent_socket))
                break
            except CliError as error:
                await console.say(str(error))


def _sign(
    folder: Path, data: bytes, transcript: "Transcript", witness: "Participant", key: KeyChoice
) -> None:
    from strongroom.ceremony import sign_transcript, signature_name
    from strongroom.cli._officer_files import write_new
    from strongroom.core import StrongroomError

    try:
        with opened_key(key) as signer:
            who, signature = sign_transcript(data, transcript, signer)
    except (StrongroomError, OSError) as error:
        raise CliError(f"not signed: {error}") from error
    if who.id != witness.id:
        raise CliError(f"this is the key of {who.id}")
    write_new(folder / signature_name(who.id), signature, mode=0o644)


def _sign_as_made_up(setting: "Setting", transcript: "Transcript") -> None:
    from strongroom.ceremony import read_transcript_file, rehearsal_key, sign_transcript, signature_name
    from strongroom.cli._officer_files import write_new

    data = read_transcript_file(setting.folder)
    for one in setting.script.witnesses:
        _, signature = sign_transcript(data, transcript, rehearsal_key(setting.ceremony, one.id))
        target = setting.folder / signature_name(one.id)
        if not target.exists():
            write_new(target, signature, mode=0o644)


def _tell(output: Output, setting: "Setting") -> None:
    """Say what came of it, and what is left to do."""
    from strongroom.ceremony import WitnessError, read_transcript, read_transcript_file, verify_ceremony
    from strongroom.cli._ceremony_print import PRINTED, print_if_possible
    from strongroom.custody import describe_hash

    transcript = read_transcript(read_transcript_file(setting.folder))
    end = transcript.end
    trouble = print_if_possible(setting.folder)
    try:
        signed, left = sorted(verify_ceremony(setting.folder).signatures), ""
    except WitnessError as error:
        signed, left = [], error.message
    output.document(
        {
            "folder": str(setting.folder),
            "ceremony": setting.ceremony,
            "type": setting.script.type,
            "is_rehearsal": setting.is_rehearsal,
            "state": "" if end is None else end.state,
            "transcript_sha256": transcript.sha256,
            "signed_by": signed,
            "left_to_do": left,
        }
    )
    output.say(
        f"{'REHEARSAL: ' if setting.is_rehearsal else ''}{visible(setting.script.title)}: {'' if end is None else end.state}",
        *describe_hash(transcript.sha256),
        f"Folder:  {visible(str(setting.folder))}; what to print is in {PRINTED}/",
        *map(visible, trouble),
        f"Left to do: {visible(left)}"
        if left
        else f"Signed by {', '.join(signed)}; verify it anywhere: strongroom ceremony verify",
    )
