"""Backups of the vendor's own kind: made by its tools onto its devices, and noted here so that their age is looked at.

A backup HSM, a vendor's cloning, or the backups of a cloud cluster hold keys that ours cannot: those that may not leave. We make
none of them and verify none; a person says that one was made, and a drill shows that it is of use (docs/backup.md).
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from strongroom.config import Home
from strongroom.core import HomeError
from strongroom.wiring.durable_files import write_durably

_MOST: Final = 1_000
_MAX_BYTES: Final = 1 << 20
_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class VendorBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One that somebody said was made."""

    kind: _Words
    """By what, such as ``luna-backup-hsm``."""
    reference: _Words
    """What finds it."""
    at: Annotated[float, msgspec.Meta(ge=0, le=2**40)]
    """When it was made."""
    noted_at: Annotated[float, msgspec.Meta(ge=0, le=2**40)]
    noted_by: _Words


class _Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    backups: list[VendorBackup]


def vendor_file(home: Home) -> Path:
    """Return where they are noted."""
    return home.backups / "vendor-backups.json"


def read_vendor_backups(home: Home) -> list[VendorBackup]:
    """Return what was noted, oldest note first. Raises HomeError when the file cannot be read."""
    path = vendor_file(home)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        return list(msgspec.json.decode(data[:_MAX_BYTES], type=_Noted).backups)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HomeError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise HomeError(
            f"{path} is not as it was written",
            next_step="move it away, and note the newest vendor backup again",
        ) from error


def note_vendor_backup(home: Home, noted: VendorBackup) -> None:
    """Add one; of more than a thousand the oldest notes are dropped. Raises HomeError and OSError."""
    kept = [*read_vendor_backups(home), noted][-_MOST:]
    content = msgspec.json.format(msgspec.json.encode(_Noted(1, kept)), indent=2)
    write_durably(vendor_file(home), content + b"\n", mode=0o600)
