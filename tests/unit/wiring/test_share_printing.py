"""A share sheet is handed to a printing program, and nothing of it is left anywhere else."""

import sys

import pytest

from backup_documents import SET_ID
from paper_reading import read_pages
from strongroom.ceremony import CeremonyRole, Delivery, Participant, ScriptError, read_script
from strongroom.core import Secret, SystemClock, random_bytes
from strongroom.shares import SharePlan, split
from strongroom.wiring.backup_set import ShareToGive
from strongroom.wiring.ceremony_shares import GivingShares
from strongroom.wiring.share_printing import PrintingError, SheetPrinter, print_share_sheet

PERSON = Participant(id="kai", name="Kai Example", role=CeremonyRole.CUSTODIAN, organisation="Example Ltd", location="Safe 2", delivery=Delivery.PAPER)  # fmt: skip
PLAN = SharePlan(3, 5)


@pytest.fixture
def given():
    share = split(Secret(random_bytes(32)), PLAN)[1]
    return ShareToGive(bytes.fromhex(SET_ID), share, PERSON, PLAN)


def program(tmp_path, text):
    """A printing program: Python, by its absolute path."""
    path = tmp_path / "printing.py"
    path.write_text(f"import sys, time, pathlib\n{text}\n")
    return (sys.executable, str(path))


def printer(command, *, is_rehearsal=False):
    return SheetPrinter(command, ceremony="0c" * 16, is_rehearsal=is_rehearsal, clock=SystemClock())


class Custodian:
    """A console with a custodian who copies what was shown."""

    def __init__(self):
        self.shown, self.said = [], []

    async def show_share(self, page):
        self.shown.append(page)

    async def clear(self):
        pass

    async def say(self, line):
        self.said.append(line)

    async def ask(self, _question):
        return ""

    async def ask_hidden(self, _question):
        return Secret.from_text(" ".join(self.shown[-1].words))


def giving(console, notes, tmp_path, command):
    async def note(text, _who):
        notes.append(text)

    return GivingShares(
        console,
        tmp_path,
        note=note,
        is_rehearsal=True,
        clock=SystemClock(),
        printer=printer(command, is_rehearsal=True),
    )


async def test_the_program_gets_the_sheet_at_its_standard_input(tmp_path, given):
    command = program(
        tmp_path, f"pathlib.Path({str(tmp_path / 'paper.pdf')!r}).write_bytes(sys.stdin.buffer.read())"
    )
    console, notes = Custodian(), []
    await giving(console, notes, tmp_path, command).give(given)
    (page,) = read_pages((tmp_path / "paper.pdf").read_bytes())
    assert [word.text for word in page.words if word.size == 16] == list(given.share.words)
    assert "Kai Example" in page.text
    assert "REHEARSAL" in page.text
    assert notes == ["the sheet of share 2 was printed", "share 2 of 5 was given, and the copy was proved"]
    assert "Compare every word with your sheet" in console.shown[0].lines[-1]


async def test_where_the_printer_fails_the_words_are_copied_and_it_is_told(tmp_path, given):
    console, notes = Custodian(), []
    await giving(console, notes, tmp_path, program(tmp_path, "sys.exit(7)")).give(given)
    assert console.shown
    assert "ended with 7" in notes[0]
    assert notes[1] == "share 2 of 5 was given, and the copy was proved"
    told = " ".join([*notes, *console.said])
    assert not [word for word in given.share.words if f" {word} " in told]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sys.exit(3)", "it ended with 3"),
        ("sys.stdin.close(); sys.exit(4)", "it ended with 4"),
        ("time.sleep(600)", "it took longer"),
    ],
)
async def test_a_program_that_does_not_print_is_told_and_ended(tmp_path, given, text, why):
    from strongroom.wiring.share_delivery import ShareAddress, share_sheet

    sheet = share_sheet(
        given.share, ShareAddress(given.set_id, 5, "kai"), custodian_name="Kai", made_at="", is_rehearsal=True
    )
    limit = 1.0 if "600" in text else 100.0
    with pytest.raises(PrintingError, match=why):
        await print_share_sheet(sheet, program(tmp_path, text), limit_s=limit)
    with pytest.raises(PrintingError, match="No such file"):
        await print_share_sheet(sheet, ("/nowhere/lp",))


def test_the_script_names_the_program_by_its_absolute_path():
    from strongroom.ceremony import CeremonyType, example_script

    script = example_script(CeremonyType.BACKUP).decode()
    with_printer = script.replace(
        "      threshold: 3\n", "      threshold: 3\n      print-command: [/usr/bin/lp, -d, ceremony]\n", 1
    )
    step = next(step for step in read_script(with_printer.encode()).steps if step.do == "make-backup-set")
    assert step.parameters.print_command == ("/usr/bin/lp", "-d", "ceremony")
    with pytest.raises(ScriptError, match="absolute path"):
        read_script(with_printer.replace("/usr/bin/lp", "lp").encode())
