"""The folder of a ceremony: its script, its transcript, what it made, and the witnesses' signatures.

| File | What |
|---|---|
| ``script.yaml`` | the script, byte for byte |
| ``transcript.jsonl`` | the transcript |
| ``transcript.jsonl.ID.sig`` | the signature of the witness ID |
| ``artefacts/`` | what the steps made; the transcript has the hash of each file |
"""

import os
from pathlib import Path
from typing import Final

from strongroom.ceremony._effects import Setting
from strongroom.ceremony._entries import Header
from strongroom.ceremony._errors import CeremonyFolderError
from strongroom.ceremony._journal import TRANSCRIPT_NAME
from strongroom.ceremony._rehearsal import rehearsal_script
from strongroom.ceremony._script import read_script, require_runnable
from strongroom.ceremony._strict_yaml import MAX_SCRIPT_BYTES
from strongroom.ceremony._transcript import MAX_ENTRY_BYTES, MAX_TRANSCRIPT_BYTES, read_entry
from strongroom.core import Clock, random_bytes

SCRIPT_NAME: Final = "script.yaml"
ARTEFACTS_NAME: Final = "artefacts"
_OWN_NAMES: Final = frozenset({SCRIPT_NAME, ARTEFACTS_NAME, TRANSCRIPT_NAME, f".{SCRIPT_NAME}.new"})


def open_setting(
    script_file: Path, folder: Path, *, home: Path | None, is_rehearsal: bool, clock: Clock
) -> Setting:
    """Get a folder ready for a ceremony, or for going on with the one that is there.

    Raises ScriptError, CeremonyFolderError when another script was begun there, TranscriptError and OSError.
    """
    data = read_file(script_file, MAX_SCRIPT_BYTES)
    script = read_script(data)
    if not is_rehearsal:
        require_runnable(script)
    header = _header_in(folder)
    if header is not None and header.script_sha256 != script.sha256:
        raise CeremonyFolderError(
            "the ceremony in this folder was begun with another script",
            name=str(folder),
            next_step="name the script as it was, or an empty folder",
        )
    if header is not None and header.is_rehearsal != is_rehearsal:
        raise CeremonyFolderError(
            f"the ceremony in this folder is {'a' if header.is_rehearsal else 'no'} rehearsal",
            name=str(folder),
            next_step="name the folder of this ceremony, or an empty one",
        )
    _make(folder, data, is_new=header is None)
    ceremony = header.ceremony if header is not None else random_bytes(16).hex()
    return Setting(
        script=rehearsal_script(script, ceremony) if is_rehearsal else script,
        script_folder=script_file.resolve().parent,
        folder=folder.absolute(),  # other processes, which stand elsewhere, are told of it
        home=home,
        is_rehearsal=is_rehearsal,
        clock=clock,
        ceremony=ceremony,
    )


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return what a file holds. Raises CeremonyFolderError when it is longer or not there, and OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise CeremonyFolderError(f"there is no file {path}", name=path.name) from None
    if len(data) > max_bytes:
        raise CeremonyFolderError(f"{path} is longer than {max_bytes} bytes", name=path.name)
    return data


def read_transcript_file(folder: Path) -> bytes:
    """Return the bytes of the transcript in a folder. Raises CeremonyFolderError and OSError."""
    return read_file(folder / TRANSCRIPT_NAME, MAX_TRANSCRIPT_BYTES)


def _header_in(folder: Path) -> Header | None:
    """Return the header of the transcript in a folder; None when none was wholly written."""
    try:
        with (folder / TRANSCRIPT_NAME).open("rb") as file:
            line = file.readline(MAX_ENTRY_BYTES)
    except FileNotFoundError:
        return None
    if not line.endswith(b"\n"):
        return None
    header = read_entry(line[:-1], 0)
    return header if isinstance(header, Header) else None


def _make(folder: Path, script: bytes, *, is_new: bool) -> None:
    if is_new and folder.is_dir() and {path.name for path in folder.iterdir()} - _OWN_NAMES:
        raise CeremonyFolderError(
            "the folder is in use for something else", name=str(folder), next_step="name an empty or new one"
        )
    (folder / ARTEFACTS_NAME).mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = folder / SCRIPT_NAME
    if not copy.exists() or copy.read_bytes() != script:
        draft = folder / f".{SCRIPT_NAME}.new"
        with draft.open("wb") as file:
            file.write(script)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(copy)
