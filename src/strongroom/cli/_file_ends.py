"""Where a command reads data and where it writes it: files, or standard input and output."""

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import click

from strongroom.client import new_file

PIPE = "-"
SUFFIX = ".strongroom"


class Ends(NamedTuple):
    """From where to where; ``-`` is standard input or output."""

    source: str
    target: str
    overwrite: bool

    @property
    def is_piped_out(self) -> bool:
        """Whether the data goes to standard output, where nothing else may go then."""
        return self.target == PIPE

    @contextmanager
    def opened(self, *, mode: int, is_part: bool = False) -> Iterator[tuple[io.RawIOBase, "CountingOutput"]]:
        """Open both without buffers. A file gets its name when the block ends well; raises OutputExistsError.

        Unless the output is a part of the input only, room on the disk is set aside for it.
        """
        with _opened_source(self.source) as source:
            if self.is_piped_out:
                yield source, CountingOutput(_raw(sys.stdout.buffer))
                return
            about = 0 if is_part else size_of(source) or 0
            with new_file(Path(self.target), mode=mode, overwrite=self.overwrite, reserve=about) as file:
                yield source, CountingOutput(file)


@contextmanager
def _opened_source(name: str) -> Iterator[io.RawIOBase]:
    if name == PIPE:
        yield _raw(sys.stdin.buffer)
        return
    with io.FileIO(name) as file:
        yield file


class CountingOutput(io.RawIOBase):
    """An output that knows how much it took."""

    def __init__(self, target: io.RawIOBase) -> None:
        super().__init__()
        self._target = target
        self.n_bytes = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int | None:  # type: ignore[override]  # collections.abc.Buffer, which Python 3.11 lacks
        """Write some or all; return how much."""
        written = self._target.write(data)
        self.n_bytes += written or 0
        return written


def ends_of_encryption(source: str, target: str | None, *, overwrite: bool) -> Ends:
    """Name the output after the input if it has no name."""
    return Ends(source, target or (PIPE if source == PIPE else source + SUFFIX), overwrite)


def ends_of_decryption(source: str, target: str | None, *, overwrite: bool, is_part: bool) -> Ends:
    """Name the output after the input if it has no name; parts, and what comes by a pipe, go to standard output."""
    if target is None and (source == PIPE or is_part):
        target = PIPE
    if target is None:
        target = source.removesuffix(SUFFIX)
        if target == source or not Path(target).name:
            raise click.UsageError(
                f"{source} does not end with {SUFFIX}: name the output with -o FILE, or -o -"
            )
    return Ends(source, target, overwrite)


def size_of(source: io.RawIOBase) -> int | None:
    """Return how many bytes an ordinary file has, None for everything else."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _raw(stream: BinaryIO) -> io.RawIOBase:
    """Return the stream below the buffer: chunks are large, and a second copy of them is of no use."""
    return cast("io.RawIOBase", getattr(stream, "raw", stream))
