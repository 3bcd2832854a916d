"""What secrets look like in files: as they are, in hex, in base64; and shares as any four words behind each other."""

import base64
from collections.abc import Iterable
from pathlib import Path

from strongroom.shares import read_share


def in_forms(secret: bytes) -> list[bytes]:
    """A secret, as it may have been written."""
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)]


def forms_of_share(words: str) -> list[bytes]:
    """Any four words of a share but the first four, which all shares of a set have; and its value."""
    each = words.split()
    runs = [each[at : at + 4] for at in range(4, len(each) - 3)]
    found = [mark.join(run).encode() for run in runs for mark in (" ", "\n", '","', '", "')]
    return found + in_forms(read_share(words).value.reveal())


def files_with(folder: Path, secrets: Iterable[bytes], *, but: Iterable[Path] = ()) -> list[Path]:
    """Files below a folder that hold one of these, but some where it is by design."""
    wanted, passed_over = list(secrets), set(but)
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in passed_over and any(one in path.read_bytes() for one in wanted)
    ]
