"""Verifying a ceremony: one byte of anything is changed, and the thing is named; signatures; what could not be checked."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes_ceremony import SOFTWARE, CeremonyClock, MemoryEffects, rehearsal_setting, rehearsed
from strongroom.ceremony import (
    NAMESPACE_CEREMONY,
    NO_HASH,
    Artefact,
    Begun,
    CeremonyError,
    CeremonyFolderError,
    CeremonyPausedError,
    CeremonyRunner,
    CeremonyType,
    Outcome,
    Question,
    ScriptedParticipants,
    Software,
    TranscriptError,
    WitnessError,
    example_script,
    open_setting,
    read_transcript,
    rehearsal_key,
    sign_transcript,
    signature_name,
    verify_ceremony,
)
from strongroom.ceremony._entries import Confirmed, Deviation, Done, Ended, Header, Noted
from strongroom.ceremony._transcript import line_hash, write_entry
from strongroom.custody import NAMESPACE_APPROVAL, OfficerPrivateKey, armour


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    setting, _ = asyncio.run(rehearsed(tmp_path_factory.mktemp("complete")))
    return setting.folder


@pytest.fixture
def folder(complete: Path, tmp_path: Path) -> Path:
    """The folder of a ceremony that is complete; each test has its own."""
    return Path(shutil.copytree(complete, tmp_path / "ceremony"))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("artefacts/create.json", "the artefact create.json was changed"),
        ("artefacts/make-set.json", "the artefact make-set.json was changed"),
        ("transcript.jsonl", "transcript.jsonl: entry "),
        ("transcript.jsonl.eva.sig", "transcript.jsonl.eva.sig: "),
    ],
)
@pytest.mark.parametrize("where", [0, 0.3, 0.6, 0.95])
def test_one_byte_changed_in_a_file_makes_verification_fail_and_name_it(
    folder: Path, name: str, said: str, where: float
) -> None:
    verify_ceremony(folder)
    path = folder / name
    _flip(path, int(where * path.stat().st_size))
    with pytest.raises(CeremonyError) as refused:
        verify_ceremony(folder)
    assert said in str(refused.value)


@pytest.mark.parametrize("at", [5, 2000, -3])
def test_a_script_with_one_byte_changed_is_not_the_one_that_was_run(folder: Path, at: int) -> None:
    _flip(folder / "script.yaml", at)
    with pytest.raises(CeremonyError, match=r"^(script\.yaml|transcript\.jsonl: entry 0): "):
        verify_ceremony(folder)


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    (folder / "artefacts" / "create.json").unlink()
    with pytest.raises(CeremonyFolderError, match=r"the artefact create\.json is not there") as refused:
        verify_ceremony(folder)
    assert refused.value.name == "create.json"


def test_a_last_entry_that_was_changed_is_found_by_the_signatures(folder: Path) -> None:
    path = folder / "transcript.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"witnesses_needed":2', b'"witnesses_needed":1'))
    with pytest.raises(TranscriptError, match="the script wants 2 witnesses"):
        verify_ceremony(folder)
    path.write_bytes(
        path.read_bytes()
        .replace(b'"witnesses_needed":1', b'"witnesses_needed":2')
        .replace(b'"size":', b'"sizf":')
    )
    with pytest.raises(WitnessError, match=r"transcript\.jsonl\.eva\.sig"):
        verify_ceremony(folder)


def _forged(folder: Path, change: Callable[[Any], Any]) -> None:
    """Write the transcript anew with entries changed, or left out, and its chain repaired, as somebody without a witness's key can."""
    path, previous, lines = folder / "transcript.jsonl", NO_HASH, []
    changed = [change(entry) for entry in read_transcript(path.read_bytes()).entries]
    if None in changed:
        changed = [msgspec.structs.replace(entry, seq=seq) for seq, entry in enumerate(filter(None, changed))]
    for entry in changed:
        line = write_entry(msgspec.structs.replace(entry, previous=previous))
        previous = line_hash(line)
        lines.append(line + b"\n")
    path.write_bytes(b"".join(lines))


def _replaced(kind: Any, **fields: Any) -> Callable[[Any], Any]:
    return lambda entry: msgspec.structs.replace(entry, **fields) if isinstance(entry, kind) else entry


FORGERIES = {
    "no rehearsal": (_replaced(Header, is_rehearsal=False), "participants are not those of the script"),
    "another title": (_replaced(Header, title="Another"), "title"),
    "another person acted": (lambda entry: _by(entry, "create", by="ada"), "the step create is another in the script"),
    "another action": (lambda entry: _by(entry, "create", action="restore"), "the step create is another in the script"),
    "initials of another": (lambda entry: _initialled(entry, "create", "ZZ"), "initials of carl are others than at the beginning"),
    "a confirmation left out": (lambda entry: _short(entry, "create"), "not confirmed by those whom the script names"),
    "a confirmation too many": (lambda entry: _joined(entry, "create", "knut"), "somebody confirms it whom the script does not name"),
    "initials of two people": (lambda entry: _same_initials(entry, "attend"), "two people have the same initials"),
    "somebody who did not attend": (lambda entry: _short(entry, "attend"), "did not attend: knut"),
    "fewer witnesses": (_replaced(Ended, witnesses_needed=0), "the script wants 2 witnesses"),
    "another number": (lambda entry: msgspec.structs.replace(entry, seq=entry.seq + (entry.seq > 3)), "entry 4: its number is 5"),
    "a last step that was not taken": (lambda entry: None if getattr(entry, "step", "") == "sign" else entry, "it ends before the step sign"),
    "a step that was not taken": (lambda entry: None if getattr(entry, "step", "") == "create" else entry, "does not come here in the script"),
    "a deviation by nobody": (lambda entry: _deviating(entry, "nobody"), "nobody is no participant"),
    "other facts": (lambda entry: _facts(entry, "create"), r"transcript\.jsonl\.eva\.sig"),
}  # fmt: skip


def _deviating(entry: Any, who: str) -> Any:
    """Put what somebody is said to have told in the place of a note."""
    if not isinstance(entry, Noted):
        return entry
    return Deviation(
        seq=entry.seq, at=entry.at, previous=entry.previous, step=entry.step, who=who, text="It rained."
    )


def _by(entry: Any, step: str, **fields: Any) -> Any:
    return (
        msgspec.structs.replace(entry, **fields) if isinstance(entry, Begun) and entry.step == step else entry
    )


def _initialled(entry: Any, step: str, initials: str) -> Any:
    if not isinstance(entry, Confirmed) or entry.step != step:
        return entry
    first = msgspec.structs.replace(entry.confirmations[0], initials=initials)
    return msgspec.structs.replace(entry, confirmations=(first, *entry.confirmations[1:]))


def _same_initials(entry: Any, step: str) -> Any:
    if not isinstance(entry, Confirmed) or entry.step != step:
        return entry
    first = entry.confirmations[0].initials
    same = tuple(msgspec.structs.replace(one, initials=first) for one in entry.confirmations)
    return msgspec.structs.replace(entry, confirmations=same)


def _short(entry: Any, step: str) -> Any:
    if not isinstance(entry, Confirmed) or entry.step != step:
        return entry
    return msgspec.structs.replace(entry, confirmations=entry.confirmations[:-1])


def _joined(entry: Any, step: str, who: str) -> Any:
    if not isinstance(entry, Confirmed) or entry.step != step:
        return entry
    one_more = msgspec.structs.replace(entry.confirmations[0], who=who)
    return msgspec.structs.replace(entry, confirmations=(*entry.confirmations, one_more))


def _facts(entry: Any, step: str) -> Any:
    return (
        msgspec.structs.replace(entry, facts={"a": 1})
        if isinstance(entry, Done) and entry.step == step
        else entry
    )


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_transcript_whose_chain_holds_is_refused(folder: Path, what: str) -> None:
    change, said = FORGERIES[what]
    _forged(folder, change)
    with pytest.raises(CeremonyError, match=said):
        verify_ceremony(folder)


@pytest.mark.parametrize("left", [(), ("walter",)])
async def test_fewer_signatures_than_the_script_wants_are_not_enough(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    setting, _ = await rehearsed(tmp_path, signers=left)
    with pytest.raises(WitnessError, match=f"{len(left)} witnesses have signed, and 2 are needed"):
        verify_ceremony(setting.folder)


def _signed(folder: Path, key: OfficerPrivateKey, name: str, namespace: str = "ceremony@strongroom") -> None:
    data = (folder / "transcript.jsonl").read_bytes()
    (folder / name).write_bytes(armour(key.sign(data, namespace)))


async def test_signatures_of_others_for_other_purposes_and_under_other_names_are_refused(
    tmp_path: Path,
) -> None:
    setting, _ = await rehearsed(tmp_path, signers=("walter",))
    name, own = "transcript.jsonl.eva.sig", rehearsal_key(setting.ceremony, "eva")
    for key, namespace, said in (
        (OfficerPrivateKey.generate(), "ceremony@strongroom", "is no witness's"),
        (rehearsal_key(setting.ceremony, "ada"), "ceremony@strongroom", "only witnesses sign"),
        (rehearsal_key(setting.ceremony, "walter"), "ceremony@strongroom", "it is the signature of walter"),
        (own, NAMESPACE_APPROVAL, "another purpose"),
    ):
        _signed(setting.folder, key, name, namespace)
        with pytest.raises(WitnessError, match=said) as refused:
            verify_ceremony(setting.folder)
        assert name in str(refused.value)
    _signed(setting.folder, own, name)
    verify_ceremony(setting.folder)


async def test_a_transcript_that_is_not_closed_is_neither_signed_nor_verified(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path)
    people = ScriptedParticipants(setting.script, answers={"go-on": lambda _: "/pause"})
    with pytest.raises(CeremonyPausedError):
        await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    data = (setting.folder / "transcript.jsonl").read_bytes()
    with pytest.raises(WitnessError, match="not over"):
        sign_transcript(data, read_transcript(data), rehearsal_key(setting.ceremony, "eva"))
    with pytest.raises(TranscriptError, match="not over"):
        verify_ceremony(setting.folder)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen (openssh-client) is not installed")
async def test_ssh_keygen_verifies_our_signature_and_we_verify_its(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    setting, _ = await rehearsed(tmp_path, signers=("walter",))
    transcript = setting.folder / "transcript.jsonl"
    allowed = tmp_path / "allowed"
    allowed.write_text(f"walter {rehearsal_key(setting.ceremony, 'walter').public.line}\n")
    verify = ["ssh-keygen", "-Y", "verify", "-n", "ceremony@strongroom", "-f", str(allowed), "-I", "walter"]
    subprocess.run(
        [*verify, "-s", f"{transcript}.walter.sig"],
        input=transcript.read_bytes(),
        check=True,
        capture_output=True,
    )
    key = tmp_path / "eva"
    private = rehearsal_key(setting.ceremony, "eva")._private
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()))  # fmt: skip
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-Y", "sign", "-n", "ceremony@strongroom", "-f", str(key), str(transcript)], check=True, capture_output=True)  # fmt: skip
    Path(f"{transcript}.sig").rename(f"{transcript}.eva.sig")
    assert set(verify_ceremony(setting.folder).signatures) == {"eva", "walter"}


async def test_what_could_not_be_checked_is_said(folder: Path) -> None:
    (folder / "artefacts" / "more").mkdir()
    (folder / "artefacts" / "more" / "notes.txt").write_text("x")
    said = " ".join(
        verify_ceremony(
            folder, software=Software(version="9", sha256="9" * 64, files=1, python="3")
        ).unchecked
    )
    for part in (
        "fingerprints",
        "HSMs",
        "clock",
        "which is not what is installed here",
        "audit checkpoint",
        "more/notes.txt",
    ):
        assert part in said
    assert "installed here" not in " ".join(verify_ceremony(folder, software=SOFTWARE).unchecked)


async def test_an_artefact_that_is_kept_elsewhere_is_said_and_not_looked_for(tmp_path: Path) -> None:
    class Elsewhere(MemoryEffects):
        def _outcome(self, step: Any) -> Outcome:
            found = super()._outcome(step)
            return found._replace(artefacts=(Artefact("large.bundle", "c" * 64, "on the backup server"),))

    setting = rehearsal_setting(tmp_path, CeremonyType.ROOT_CA)
    await CeremonyRunner(setting, ScriptedParticipants(setting.script), Elsewhere(tmp_path), SOFTWARE).run()
    for one in ("walter", "eva"):
        _signed(setting.folder, rehearsal_key(setting.ceremony, one), f"transcript.jsonl.{one}.sig")
    assert any("on the backup server" in line for line in verify_ceremony(setting.folder).unchecked)


async def test_a_ceremony_names_the_transcript_before_it(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path, CeremonyType.ROOT_CA)
    people = ScriptedParticipants(setting.script)
    await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE, previous="d" * 64).run()
    for one in ("walter", "eva"):
        _signed(setting.folder, rehearsal_key(setting.ceremony, one), f"transcript.jsonl.{one}.sig")
    assert "It follows" in verify_ceremony(setting.folder, previous="d" * 64).checked[-1]
    with pytest.raises(TranscriptError, match="and not eeee"):
        verify_ceremony(setting.folder, previous="e" * 64)


async def test_a_folder_of_another_ceremony_is_not_taken(tmp_path: Path) -> None:
    setting, _ = await rehearsed(tmp_path)
    with pytest.raises(CeremonyFolderError, match="begun with another script"):
        rehearsal_setting(tmp_path, CeremonyType.RECOVERY)
    other = tmp_path / "other"
    other.mkdir()
    (other / "ceremony").mkdir()
    (other / "ceremony" / "letters.txt").write_text("x")
    with pytest.raises(CeremonyFolderError, match="in use for something else"):
        rehearsal_setting(other)
    assert setting.folder.is_dir()


def test_a_transcript_that_is_cut_short_and_closed_as_abandoned_is_said_to_be_anybodys(folder: Path) -> None:
    """An abandoned ceremony needs no signature, so whoever cuts a complete one has to take the signatures away too."""
    path = folder / "transcript.jsonl"
    entries = read_transcript(path.read_bytes()).entries
    end, cut = entries[-1], entries[: len(entries) // 2]
    lines = [write_entry(entry) for entry in cut]
    closed = msgspec.structs.replace(
        end, seq=len(cut), previous=line_hash(lines[-1]), state="abandoned", reason="so it is said"
    )
    path.write_bytes(b"".join(line + b"\n" for line in (*lines, write_entry(closed))))
    with pytest.raises(WitnessError, match=r"transcript\.jsonl\.eva\.sig"):
        verify_ceremony(folder)
    for signature in folder.glob("*.sig"):
        signature.unlink()
    verified = verify_ceremony(folder)
    assert any("ABANDONED" in line for line in verified.checked)
    assert any("no witness has signed it" in line for line in verified.unchecked)


async def test_a_witness_who_did_not_attend_signs_nothing(tmp_path: Path) -> None:
    wanda = (
        "  - id: wanda\n    name: Wanda Example\n    role: internal-witness\n    organisation: Example Ltd\n"
    )
    text = (
        example_script(CeremonyType.ROOT_CA).decode().replace("  - id: carl\n", f"{wanda}  - id: carl\n", 1)
    )
    script = tmp_path / "script.yaml"
    script.write_text(text)
    setting = open_setting(script, tmp_path / "ceremony", home=None, is_rehearsal=True, clock=CeremonyClock())
    others = iter(("AA", "BB", "CC", "DD", "EE", "FF", "GG"))
    initials: dict[str, str] = {}

    def attend(question: Question) -> str:
        return initials.setdefault(question.who, next(others) if question.who != "wanda" else "-")

    people = ScriptedParticipants(
        setting.script, answers={"attend": attend, "initials": lambda question: initials[question.who]}
    )
    transcript = await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    data = (setting.folder / "transcript.jsonl").read_bytes()
    key = rehearsal_key(setting.ceremony, "wanda")
    with pytest.raises(WitnessError, match="wanda did not attend"):
        sign_transcript(data, transcript, key)
    signature = armour(key.sign(data, NAMESPACE_CEREMONY))
    (setting.folder / signature_name("wanda")).write_bytes(signature)
    with pytest.raises(WitnessError, match=r"wanda\.sig: wanda did not attend"):
        verify_ceremony(setting.folder)


async def test_a_ceremony_goes_on_as_what_it_was_begun_as(tmp_path: Path) -> None:
    """Otherwise it would be told of one ceremony before and name another, or note a rehearsal's refusal in a real transcript."""
    setting = rehearsal_setting(tmp_path, CeremonyType.ROOT_CA)
    people = ScriptedParticipants(setting.script, answers={"go-on": lambda _question: "/pause"})
    with pytest.raises(CeremonyPausedError):
        await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE, previous="d" * 64).run()
    before = (setting.folder / "transcript.jsonl").read_bytes()
    runner = CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE, previous="e" * 64)
    with pytest.raises(CeremonyFolderError, match=r"begun as one that follows d{64}, and not e{64}"):
        await runner.run()
    assert (setting.folder / "transcript.jsonl").read_bytes() == before, "nothing is noted in it"
    line = write_entry(msgspec.structs.replace(read_transcript(before).header, is_rehearsal=False))
    (setting.folder / "transcript.jsonl").write_bytes(line + b"\n")
    with pytest.raises(CeremonyFolderError, match="no rehearsal"):
        rehearsal_setting(tmp_path, CeremonyType.ROOT_CA)
    assert (setting.folder / "transcript.jsonl").read_bytes() == line + b"\n"
