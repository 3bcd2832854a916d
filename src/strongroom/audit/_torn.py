"""What recovery cut off a segment: kept beside it, and told in the log by ``log.recovered``.

``NNNNNNNN.torn`` holds the bytes that stood behind the last whole entry of segment NNNNNNNN. It is durable before
they are cut off, and an entry with its length and SHA-256 is the first that becomes durable afterwards.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._archive_names import torn_path
from strongroom.audit._entry import Entry
from strongroom.audit._format import torn_name

RECOVERED_EVENT = "log.recovered"


class Cut(NamedTuple):
    """Bytes that were cut off the end of a segment."""

    segment: int
    n_bytes: int
    sha256: str
    """Lower-case hexadecimal."""

    def detail(self) -> dict[str, str]:
        """Return the ``detail`` of the entry that tells of it."""
        return {
            "segment": str(self.segment),
            "cut_bytes": str(self.n_bytes),
            "sha256": self.sha256,
            "kept_as": torn_name(self.segment),
        }


class CutFinding(NamedTuple):
    """What is to be said of one cut."""

    what: str
    is_problem: bool


def read_cut(folder: Path, segment: int) -> Cut:
    """Measure the bytes that were cut off a segment, from the file that keeps them. Raises OSError."""
    try:
        opened = (folder / torn_name(segment)).open("rb")
    except FileNotFoundError:  # archived, or just now on its way there
        opened = torn_path(folder, segment).open("rb")
    with opened as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Cut(segment, file.tell(), digest)


def told_cut(entry: Entry) -> Cut | None:
    """Read what a ``log.recovered`` entry tells; None for every other entry."""
    if entry.event != RECOVERED_EVENT:
        return None
    return _from_detail(entry.detail)


def describe_cut(told: Cut | None, kept: Cut | None) -> CutFinding:
    """Compare what the log tells of a cut with the file that keeps it; one of them is there."""
    if told is None:
        n_bytes = kept.n_bytes if kept else 0
        return CutFinding(f"{n_bytes} bytes were cut off this segment, and no entry tells of them", False)
    what = f"{told.n_bytes} bytes were cut off this segment as a write that was never finished"
    name = torn_name(told.segment)
    if kept is None:
        return CutFinding(f"{what}; {name}, which kept them, is not there", False)
    if kept != told:
        return CutFinding(f"{what}; {name}, which should keep them, holds other bytes", True)
    return CutFinding(f"{what}; {name} keeps them", False)


def _from_detail(detail: Mapping[str, str]) -> Cut | None:
    segment, n_bytes = detail.get("segment", ""), detail.get("cut_bytes", "")
    if not (_is_number(segment) and _is_number(n_bytes)):
        return None
    return Cut(int(segment), int(n_bytes), detail.get("sha256", ""))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 8
