"""How far ``strongroom backup restore`` came, and, at the end, of which bundle a home was made. There is no secret in either."""

from pathlib import Path
from typing import Final

import msgspec

from strongroom.config import Home
from strongroom.core import HomeError
from strongroom.wiring.durable_files import sync_folder, write_durably
from strongroom.wiring.init_journal import MemberJournal

_MAX_BYTES: Final = 4 * 1024 * 1024


class RestoreJournal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a restore came."""

    version: int
    script_sha256: str
    """Of the script's meaning: comments and the order of its lines do not matter."""
    bundle_sha256: str
    set_sha256: str
    request: bytes = b""
    """By which officers approved it; empty where there are none."""
    signatures: list[bytes] = []
    approved_at: int = 0
    """When their signatures were last counted."""
    members: dict[str, MemberJournal] = {}
    is_keyed: bool = False
    """The database is there, and every member holds its roots and keys, each proved: shares are not needed any more."""
    n_keys: int = 0
    """Direct keys that every member holds."""
    is_pinned: bool = False
    """Every token has the genesis pinned, and followed the chain to its end."""
    is_configured: bool = False
    """The configuration is written: all that is left to do is to remove what nobody needs any more."""

    def with_member(self, name: str, member: MemberJournal) -> "RestoreJournal":
        """Return it with one member changed."""
        return msgspec.structs.replace(self, members=self.members | {name: member})


class RestoreJournalFile:
    """The journal on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> RestoreJournal | None:
        """Read it; None where no restore was begun. Raises HomeError when it is damaged."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_BYTES), type=RestoreJournal)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise HomeError(
                f"the journal {self._path} cannot be read: {error}",
                next_step="put it back; without it nobody can tell which tokens this restore has begun. Or reset those"
                " tokens with the vendor's tool, and begin anew in an empty home",
            ) from error

    def save(self, journal: RestoreJournal) -> None:
        """Write it; it is on disk when this returns. Raises OSError."""
        write_durably(self._path, msgspec.json.format(msgspec.json.encode(journal)), mode=0o600)

    def remove(self) -> None:
        """Remove it, at the end. Raises OSError."""
        self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)


class RestoredFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which bundle a home was made."""

    version: int
    backup_id: str
    bundle_sha256: str
    set_id: str
    made_at: float
    """When the bundle was made."""
    restored_at: float
    genesis_sha256: str
    n_roots: int
    n_keys: int
    lost: list[str]
    """Labels of Direct keys that were not in it."""


def read_restored_from(home: Home) -> RestoredFrom | None:
    """Return of which bundle a home was made; None where it was made by ``init``. Raises HomeError when that cannot be read."""
    try:
        with home.restored_from.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=RestoredFrom)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise HomeError(f"{home.restored_from} cannot be read: {error}") from error


def write_restored_from(home: Home, note: RestoredFrom) -> None:
    """Write it durably. Raises OSError."""
    write_durably(home.restored_from, msgspec.json.format(msgspec.json.encode(note)) + b"\n", mode=0o600)
