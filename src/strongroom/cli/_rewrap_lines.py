"""JSON lines, rewrapped in batches: one line out for each line in, in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import BinaryIO, Final

from strongroom.cli._ciphertext_lines import MAX_LINE_BYTES, Found, LineShape, UnusableLineError
from strongroom.cli._errors import NotDoneError
from strongroom.cli._rewrap_inventory import Counting
from strongroom.client import Client, Item

_MAX_CHUNK_BYTES: Final = 8 * 1024 * 1024


@dataclass
class Tally:
    """What became of the lines; those of an interrupted run count as lines only."""

    lines: int = 0
    rewrapped: int = 0
    without: int = 0
    """Blank lines, and those with null in place of the ciphertext."""
    failed: int = 0
    resumed: int = 0
    n_bytes: int = 0
    """Bytes of input that are done."""

    def document(self) -> dict[str, int]:
        """Return what ``--json`` shows."""
        return {name: value for name, value in asdict(self).items() if name != "n_bytes"}


def lines_of(source: BinaryIO) -> Iterator[bytes]:
    """Yield the lines without their ends. Raises NotDoneError at one that is too long."""
    number = 0
    while line := source.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise NotDoneError(
                f"line {number} is over {MAX_LINE_BYTES} bytes long",
                next_step="is this a file of JSON lines?",
            )
        yield line.removesuffix(b"\n")


def already_done(done: Iterable[bytes], source: Iterator[bytes], shape: LineShape, tally: Tally) -> int:
    """Take from ``source`` the lines that ``done`` has; returns how many.

    Raises NotDoneError when they are not those lines.
    """
    for line in done:
        original = next(source, None)
        if original is None or not shape.is_same(original, line):
            raise NotDoneError(
                f"line {tally.lines + 1} of the unfinished output is not that line of this input",
                next_step="give the same input and fields as before, or delete the .part file to begin anew",
            )
        tally.lines += 1
        tally.n_bytes += len(original) + 1
    return tally.lines


def rewrap_lines(
    client: Client,
    key: str,
    shape: LineShape,
    context: Mapping[str, str],
    *,
    source: Iterator[bytes],
    write: Callable[[bytes], None],
    tally: Tally,
    most: int,
    progress: Callable[[int], None],
    report: Callable[[str], None],
    counting: Counting | None = None,
) -> None:
    """Rewrap all lines of ``source``; ``write`` gets whole lines. Raises as ``Client.rewrap_many``."""
    while chunk := _chunk(source, most):
        found = [_found(shape, line) for line in chunk]
        items = [Item(one.ciphertext, one.context) for one in found if isinstance(one, Found)]
        results = client.rewrap_many(key, items, context=context)
        out: list[bytes] = []
        for line, one in zip(chunk, found, strict=True):
            tally.lines += 1
            tally.n_bytes += len(line) + 1
            made, trouble = None, one if isinstance(one, str) else None
            if isinstance(one, Found):
                made, error = next(results)
                trouble = error.reason if error else None
            if counting is not None and one is not None:
                counting.line(one.ciphertext if isinstance(one, Found) else None, made)
            if trouble is not None:
                tally.failed += 1
                report(f"line {tally.lines}: {trouble}")
            if made is not None and isinstance(one, Found):
                tally.rewrapped += 1
                line = shape.replaced(line, one, made)  # noqa: PLW2901  # the line goes on, with or without it
            elif trouble is None:
                tally.without += 1
            out.append(line)
        write(b"\n".join(out) + b"\n")
        progress(tally.n_bytes)


def _chunk(source: Iterator[bytes], most: int) -> list[bytes]:
    chunk: list[bytes] = []
    n_bytes = 0
    for line in islice(source, most):
        chunk.append(line)
        n_bytes += len(line)
        if n_bytes >= _MAX_CHUNK_BYTES:
            break
    return chunk


def _found(shape: LineShape, line: bytes) -> Found | str | None:
    try:
        return shape.find(line)
    except UnusableLineError as error:
        return error.message
