"""Files that officers hold: private keys under a passphrase, requests, evidence. Read with bounds, written once."""

import os
import stat
import sys
from pathlib import Path

import click

from strongroom.cli._errors import CliError
from strongroom.cli._output import visible
from strongroom.client import new_file
from strongroom.core import Secret
from strongroom.wiring.process_protection import forbid_dumps

_MAX_PASSPHRASE_BYTES = 1024


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return what a file holds. Raises CliError when it is longer, and OSError."""
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise CliError(f"{path} is longer than {max_bytes} bytes, so it is not what it should be")
    return data


def read_private(path: Path, max_bytes: int) -> bytes:
    """Return what a file holds that nobody else may read. Raises CliError when others may, and OSError.

    From then on there is a secret in this process, so it forbids core dumps of itself first.
    """
    forbid_dumps()
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
            raise CliError(f"others can read {path}", next_step=f"make it yours alone: chmod 600 {path}")
        return file.read(max_bytes + 1)[: max_bytes + 1]


def read_line_of(path: Path, max_bytes: int) -> str:
    """Return what a file of text holds, without the line feed at its end. Raises CliError, also when it is no UTF-8."""
    try:
        return read_bounded(path, max_bytes).decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is no text") from error


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that was not there. Raises OutputExistsError and OSError."""
    with new_file(path, mode=mode, overwrite=False) as file:
        file.write(data)


def ask_passphrase(source: Path | None, *, is_new: bool, of: str = "") -> Secret:
    """Return a passphrase: the first line of a file (``-``: of standard input), or typed at the terminal.

    ``of``: the file that it opens, for whoever types it. Raises CliError when there is neither, or it is empty.
    """
    prompt = f"Passphrase of {visible(of)}" if of else "Passphrase"
    return _ask_secret(source, prompt, "passphrase", "--passphrase-file", is_new=is_new)


def ask_pin(source: Path | None, prompt: str, *, option: str = "--pin-file") -> Secret:
    """Return a PIN: the first line of a file (``-``: of standard input), or typed. ``option`` would name a file. Raises CliError."""
    return _ask_secret(source, prompt, "PIN", option, is_new=False)


def _ask_secret(source: Path | None, prompt: str, what: str, option: str, *, is_new: bool) -> Secret:
    forbid_dumps()
    if source is not None:
        return _first_line(source, what)
    if not sys.stdin.isatty():
        raise CliError(
            f"there is no terminal to ask for the {what} at",
            next_step=f"name a file that holds it: {option} FILE (- is standard input)",
        )
    typed = click.prompt(prompt, hide_input=True, confirmation_prompt=is_new, err=True)
    return Secret.from_text(str(typed))


def _first_line(source: Path, what: str) -> Secret:
    if str(source) == "-":
        raw = sys.stdin.buffer.readline(_MAX_PASSPHRASE_BYTES + 2)
    else:
        raw = read_private(source, _MAX_PASSPHRASE_BYTES).split(b"\n", 1)[0]
    line = raw.rstrip(b"\r\n")
    if not line or len(line) > _MAX_PASSPHRASE_BYTES:
        raise CliError(f"the {what} is empty or too long", next_step="its file holds it on the first line")
    return Secret(line)
