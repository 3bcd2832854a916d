"""A ceremony at a real terminal: what is shown, what is typed, what a share leaves behind, and how it stops."""

import re
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from ceremony_terminal import TerminalProcess, ceremony_at_terminal, without_controls
from fakes_ceremony import words_of_share
from strongroom.ceremony import CeremonyType, example_script, read_transcript, verify_ceremony
from strongroom.core import Secret
from strongroom.custody import OfficerPrivateKey

_OTHER, _FIRST, _FORGET = "\x1b[?1049h", "\x1b[?1049l", "\x1b[2J\x1b[H\x1b[3J"
PASSPHRASE = "a long enough passphrase"
TREES = ("Ash", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper")


class Person:
    """Answers as everybody in the room."""

    def __init__(self, **first: str) -> None:
        self._custodian = 0
        self._first = dict(first)
        self.always = False
        """Whether ``first`` is what they always say."""
        self.asked: list[str] = []

    def __call__(self, question: str) -> str | None:
        self.asked.append(question)
        for part, text in self._first.items():
            if part in question:
                if not self.always:
                    del self._first[part]
                return text
        name = re.search(rf"Rehearsal ({'|'.join(TREES)})", question)
        if "nitials" in question or "I hold a copy" in question:
            return chr(65 + TREES.index(name[1])) * 2 if name else self._custodian_initials()
        if "Type it back" in question:
            self._custodian += 1
            words = words_of_share(self._custodian)
            return "\n".join((" ".join(words[:9]), words[9], "yogurtt", " ".join(words[10:])))
        if "Number of the bag" in question:
            return f"bag {question.split('Share of ')[1][:3]}"
        return ""

    def _custodian_initials(self) -> str:
        return chr(65 + 4 + self._custodian) * 2


class Witnesses(Person):
    """Answers as the people of the example, by their own names, and types passphrases."""

    def __call__(self, question: str) -> str | None:
        name = re.search(r"(Ada|Walter|Eva|Carl|Cora) Example", question)
        if name is not None and "nitials" in question:
            return f"{name[1][:2]}X"
        return super().__call__(question)


def _script(world: Path, kind: CeremonyType = CeremonyType.BACKUP) -> tuple[str, ...]:
    (world / "script.yaml").write_bytes(example_script(kind))
    return ("rehearse", str(world / "script.yaml"), "--folder", str(world / "ceremony"))


def _shares(terminal: TerminalProcess) -> list[str]:
    return [part.split(_FIRST)[0] for part in terminal.screen.split(_OTHER)[1:]]


def test_a_ceremony_is_held_at_a_terminal_and_shares_leave_nothing_on_it(tmp_path: Path) -> None:
    person = Person(**{"I did it": "/deviation the telephone rang"})
    with ceremony_at_terminal(tmp_path, *_script(tmp_path), rows=24, columns=80) as terminal:
        assert terminal.run(person) == 0
    assert any("more on this page" in question for question in person.asked)
    transcript = verify_ceremony(tmp_path / "ceremony").transcript
    screen = terminal.screen
    assert "REHEARSAL" in screen
    assert "READ ALOUD" in screen
    shares = _shares(terminal)
    assert len(shares) == 5
    for number, share in enumerate(shares, 1):  # on the other screen, and forgotten there before it is left
        plain = without_controls(share)
        for place, word in enumerate(words_of_share(number), 1):
            assert plain.count(f"{place:2}  {word}") == 1
        assert share.endswith("\x1b[2J\x1b[H\x1b[3J")
    pairs = [pair for number in range(1, 6) for pair in pairwise(words_of_share(number))]
    assert not [pair for pair in pairs if " ".join(pair) in screen], "what is typed unseen is shown"
    assert "yogurtt" not in screen
    assert screen.count("Word 11 is not in the list. Type this line again.") == 5
    for part in screen.split(_FIRST):
        assert not re.search(r"\b 1  [a-z]", part.split(_OTHER)[0])
    assert screen.count(_FIRST + _FORGET) == 5
    data = (tmp_path / "ceremony" / "transcript.jsonl").read_bytes()
    assert b"the telephone rang" in data
    assert not [pair for pair in pairs if " ".join(pair).encode() in data]
    assert transcript.header.is_rehearsal


def test_a_ceremony_with_people_is_run_signed_and_followed_by_the_next(tmp_path: Path) -> None:
    text = example_script(CeremonyType.ROOT_CA).decode()
    answers = {}
    for name in ("walter", "eva"):
        key = OfficerPrivateKey.generate()
        text = text.replace('key: ""', f"key: {key.public.line}", 1)
        (tmp_path / name).write_bytes(key.file_bytes(Secret.from_text(PASSPHRASE), rounds=1))
        (tmp_path / name).chmod(0o600)
        answers[f"{name.title()} Example: your key"] = str(tmp_path / name)
    (tmp_path / "script.yaml").write_text(text)
    run = ("run", str(tmp_path / "script.yaml"), "--folder", str(tmp_path / "ceremony"), "--previous", "none")
    with ceremony_at_terminal(tmp_path, *run) as terminal:
        assert terminal.run(Witnesses(**answers)) == 0
    assert PASSPHRASE not in terminal.screen
    assert "REHEARSAL" not in terminal.screen
    verified = verify_ceremony(tmp_path / "ceremony")
    assert set(verified.signatures) == {"walter", "eva"}
    assert not verified.transcript.header.is_rehearsal


def test_a_terminal_that_is_too_small_shows_no_part_of_a_share(tmp_path: Path) -> None:
    with ceremony_at_terminal(tmp_path, *_script(tmp_path), rows=12, columns=80) as terminal:
        assert terminal.run(Person()) == 1
    assert "too small for a share" in " ".join(terminal.screen.split())
    assert " 1  " not in without_controls(terminal.screen)
    assert _OTHER not in terminal.screen


def test_a_ceremony_that_is_stopped_at_the_terminal_says_so_and_goes_on(tmp_path: Path) -> None:
    arguments = _script(tmp_path, CeremonyType.ROOT_CA)
    path = tmp_path / "ceremony" / "transcript.jsonl"
    for typed, status, said in (
        ("\x03", 130, b"stopped at the keyboard"),
        ("\x04", 1, b"the terminal was closed"),
        ("/pause", 1, b"paused"),
    ):
        with ceremony_at_terminal(tmp_path, *arguments) as terminal:
            assert terminal.run(Person(**{"it is to be done": typed})) == status
        assert said in path.read_bytes().splitlines()[-1]
    with ceremony_at_terminal(tmp_path, *arguments) as terminal:
        assert terminal.run(Person()) == 0
    assert read_transcript(path.read_bytes()).end is not None


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_ceremony_that_is_ended_while_a_share_is_shown_leaves_none_on_the_screen(
    tmp_path: Path, ending: signal.Signals
) -> None:
    person = Person()
    with ceremony_at_terminal(tmp_path, *_script(tmp_path)) as terminal:
        while "every word is copied" not in (question := terminal.question() or ""):
            assert question, "it ended before a share was shown"
            terminal.type(person(question) or "")
        assert terminal.end_by(ending) == 128 + ending
    assert terminal.screen.count(_OTHER) == terminal.screen.count(_FIRST + _FORGET) == 1
    assert terminal.screen.rindex(_FORGET) > terminal.screen.rindex(words_of_share(1)[0])
    last = (tmp_path / "ceremony" / "transcript.jsonl").read_bytes().splitlines()[-1]
    assert b"ended from outside" in last


def test_what_is_typed_before_a_question_answers_it_never(tmp_path: Path) -> None:
    """An Enter too many would take a share away that nobody has seen, and initials would be given for others."""
    person = Person(**{"it is to be done": "\n\n\n", "Rehearsal Ash: I did it": "AA\nBB\nCC\n"})
    person.always = True
    with ceremony_at_terminal(tmp_path, *_script(tmp_path)) as terminal:
        assert terminal.run(person) == 0
    assert sum("every word is copied" in question for question in person.asked) == 5
    for name in ("Ash: I did it", "Birch: I saw it", "Cedar: I saw it"):
        assert sum(name in question for question in person.asked) >= 5, name


def test_a_page_stays_while_it_is_asked_about_and_a_refusal_says_why(tmp_path: Path) -> None:
    person = Person(
        **{"Rehearsal Birch, internal": "aa", "Rehearsal Cedar, external": "1", "Ash: I did it": "BB"}
    )
    with ceremony_at_terminal(
        tmp_path, *_script(tmp_path, CeremonyType.ROOT_CA), rows=24, columns=80
    ) as terminal:
        assert terminal.run(person) == 0
    screens = [" ".join(without_controls(part).split()) for part in terminal.screen.split("\x1b[2J\x1b[H")]
    for said, title in (
        ("AA are Rehearsal Ash's initials: choose others.", "ATTEND"),
        ("1 are no initials: those are two to five letters.", "ATTEND"),
        ("BB are Rehearsal Birch's initials: type those that Rehearsal Ash gave", "READ ALOUD"),
    ):
        (screen,) = (one for one in screens if said in one.split("▶")[0])
        assert title in screen.split(said)[0]
    assert all(one.count("▶") <= 1 for one in screens)
