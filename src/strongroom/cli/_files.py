"""``strongroom encrypt`` and ``strongroom decrypt``: files and pipes of any size, in constant memory."""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from strongroom.cli._context_option import context_option
from strongroom.cli._endpoint import find_service
from strongroom.cli._errors import NotDoneError
from strongroom.cli._file_ends import (
    SUFFIX,
    CountingOutput,
    Ends,
    ends_of_decryption,
    ends_of_encryption,
    size_of,
)
from strongroom.cli._file_progress import FileProgress, readable_size
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.config import Home, home_from_environment
from strongroom.core import StrongroomError, SystemClock

_PIECE_BYTES = 512 * 1024


class _Range(NamedTuple):
    start: int
    length: int | None
    """None: to the end."""


class _RangeType(click.ParamType[_Range]):
    """START:LENGTH in bytes."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> _Range:
        start, colon, length = str(value).partition(":")
        if not colon or not _is_number(start) or not (_is_number(length) or not length):
            self.fail(f"{value!r} is not START:LENGTH, nor START: for all that follows", param, ctx)
        return _Range(int(start), int(length) if length else None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _output_option(words: str) -> Callable[[Any], Any]:
    return click.option(
        "--output", "-o", "target", metavar="FILE", help=f"{words} if left out; - is standard output."
    )


_force_option = click.option("--force", is_flag=True, help="Replace the output file if it is there.")


@click.command
@click.argument("source", metavar="FILE")
@click.option("--key", "-k", "key_id", required=True, help="Key id, ARN or alias/NAME to encrypt under.")
@_output_option(f"FILE{SUFFIX}")
@context_option("Encryption context: stored in clear, and authenticated")
@_force_option
@reporting
def encrypt(
    output: Output, *, source: str, key_id: str, target: str | None, context: Mapping[str, str], force: bool
) -> None:
    """Encrypt a file, or standard input if FILE is -.

    The service makes a data key for it; the data itself does not leave this machine. An output file gets its
    name when it is whole and on disk.
    """
    from strongroom.client import ENCRYPTED_MODE

    ends = ends_of_encryption(source, target, overwrite=force)
    _require_place_for_answer(output, ends)
    if ends.is_piped_out and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show encrypted data: use -o FILE, or a pipe")
    with (
        _envelope(key_id) as envelope,
        ends.opened(mode=ENCRYPTED_MODE) as (read_from, write_to),
        _progress(output, size_of(read_from)) as progress,
    ):
        done = envelope.encrypt_stream(read_from, write_to, context=context, progress=progress)
    _answer(output, ends, done._asdict(), progress)
    _say(output, ends, f"Encrypted {readable_size(done.plaintext_bytes)} under {visible(done.key_id)}")


@click.command
@click.argument("source", metavar="FILE")
@_output_option(f"FILE without {SUFFIX}")
@click.option("--key", "-k", "key_id", help="Decrypt only what this key encrypted.")
@context_option("What the encryption context must hold")
@click.option(
    "--range",
    "part",
    type=_RangeType(),
    metavar="START:LENGTH",
    help="Only these bytes of the data; to standard output unless -o is given.",
)
@_force_option
@reporting
def decrypt(
    output: Output,
    *,
    source: str,
    target: str | None,
    key_id: str | None,
    context: Mapping[str, str],
    part: _Range | None,
    force: bool,
) -> None:
    """Decrypt a file, or standard input if FILE is -.

    An output file (mode 0600) gets its name when all of it has proved authentic and is on disk; a failure
    leaves none. To standard output each chunk goes as soon as it has proved authentic; that the input was cut
    off shows at its end only. So when the exit status is not 0, do not use what came out.
    """
    from strongroom.client import PLAINTEXT_MODE

    ends = ends_of_decryption(source, target, overwrite=force, is_part=part is not None)
    _require_place_for_answer(output, ends)
    with (
        _envelope(key_id) as envelope,
        ends.opened(mode=PLAINTEXT_MODE, is_part=part is not None) as (read_from, write_to),
        _progress(output, size_of(read_from)) as progress,
        _half_output_told(ends, write_to),
    ):
        if part is None:
            done = envelope.decrypt_stream(read_from, write_to, context=context, progress=progress)
            facts: Mapping[str, object] = done._asdict()
        else:
            facts = _decrypt_part(envelope, read_from, write_to, context, part)
    _answer(output, ends, facts, progress)
    _say(output, ends, f"Decrypted {readable_size(write_to.n_bytes)}; all of it is authentic")


def _decrypt_part(
    envelope: Any, source: io.RawIOBase, target: CountingOutput, context: Mapping[str, str], part: _Range
) -> Mapping[str, object]:
    from strongroom.client import write_all

    if not source.seekable():
        raise click.UsageError("--range needs a file: a pipe cannot be read from its middle")
    with envelope.open(source, context=context) as file:
        total = file.seek(0, os.SEEK_END)
        if part.start > total:
            raise NotDoneError(
                f"the data has {total} bytes, so nothing begins at {part.start}",
                next_step="choose another --range",
            )
        end = total if part.length is None else min(part.start + part.length, total)
        file.seek(part.start)
        left = end - part.start
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            left -= len(piece)
            write_all(target, piece)
    return {"start": part.start, "plaintext_bytes": end - part.start, "total_bytes": total}


@contextmanager
def _envelope(key_id: str | None) -> Iterator[Any]:
    from strongroom.client import Envelope, KmsClient

    service = find_service(Home(home_from_environment()))
    with KmsClient(service, clock=SystemClock()) as client:
        yield Envelope(key_id, source=client)


@contextmanager
def _progress(output: Output, total: int | None) -> Iterator[FileProgress]:
    progress = FileProgress(total, clock=SystemClock(), is_shown=not output.is_json)
    try:
        yield progress
    finally:
        progress.wipe()


@contextmanager
def _half_output_told(ends: Ends, target: CountingOutput) -> Iterator[None]:
    """Say it in the failure when some of the data is out already and cannot be called back."""
    try:
        yield
    except StrongroomError as error:
        if not ends.is_piped_out or not target.n_bytes:
            raise
        raise NotDoneError(
            f"{error.message}. Before that showed, {target.n_bytes} bytes went to standard output: "
            "authentic, but not all of the data",
            next_step="do not use what came out; get the whole encrypted file again",
        ) from error


def _require_place_for_answer(output: Output, ends: Ends) -> None:
    if output.is_json and ends.is_piped_out:
        raise click.UsageError("--json and the data would both go to standard output: use -o FILE")


def _answer(output: Output, ends: Ends, facts: Mapping[str, object], progress: FileProgress) -> None:
    output.document(
        {"input": ends.source, "output": ends.target, **facts, "seconds": round(progress.elapsed_s, 3)}
    )


def _say(output: Output, ends: Ends, words: str) -> None:
    if not ends.is_piped_out:
        output.say(f"{words}: {visible(ends.target)}")
    elif sys.stderr.isatty():
        output.progress(words)
