"""How far ``strongroom init`` came: a file in the home that lets the same command go on after any interruption.

There is no secret in it. It is written, durably, before and after whatever cannot be told from the outside: so a token of
whom the journal says that it was begun may be ours, and any other is somebody else's and left alone.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from strongroom.core import HomeError
from strongroom.wiring.bootstrap import TokenFound, WrapTried
from strongroom.wiring.cluster_setup import MadeRoot
from strongroom.wiring.durable_files import sync_folder, write_durably

_MAX_BYTES: Final = 4 * 1024 * 1024


class MemberStep(StrEnum):
    """What a member has behind it."""

    PINS_SEALED = "pins-sealed"
    """Its PINs are made and lie sealed in the home; its token does not know them."""
    TOKEN_BEGUN = "token-begun"  # noqa: S105  # a step, no secret
    """C_InitToken is called, or about to be."""
    TOKEN_MADE = "token-made"  # noqa: S105  # a step, no secret
    """The token has its label and the security officer's PIN."""
    USER_SET = "user-set"
    """It has its user PIN, which was proved by a login."""


class MemberJournal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far one member came."""

    step: MemberStep
    token: TokenFound | None = None
    """From TOKEN_MADE on."""
    wrapping: list[WrapTried] = []
    """From USER_SET on."""


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far an initialisation came."""

    version: int
    script_sha256: str
    """Of the script's meaning: comments and the order of its lines do not matter."""
    genesis_sha256: str
    members: dict[str, MemberJournal] = {}
    root: MadeRoot | None = None
    """Held by every member, each copy proved."""
    is_recorded: bool = False
    """The database has everything, and the secrets of access keys are where they belong."""
    is_pinned: bool = False
    """Every token has the genesis pinned."""
    is_configured: bool = False
    """The configuration is written: all that is left to do is to remove what nobody needs any more."""

    def with_member(self, name: str, member: MemberJournal) -> "Journal":
        """Return it with one member changed."""
        return msgspec.structs.replace(self, members=self.members | {name: member})


class JournalFile:
    """The journal on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether an initialisation was begun here and has not come to its end."""
        return self._path.exists()

    def load(self) -> Journal:
        """Read it. Raises HomeError when it is damaged."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_BYTES), type=Journal)
        except (OSError, msgspec.MsgspecError) as error:
            raise HomeError(
                f"the journal {self._path} cannot be read: {error}",
                next_step="restore it; without it nobody can tell which tokens this init has begun. Or reset those tokens"
                " with the vendor's tool, and begin anew in an empty home",
            ) from error

    def save(self, journal: Journal) -> None:
        """Write it; it is on disk when this returns. Raises OSError."""
        write_durably(self._path, msgspec.json.format(msgspec.json.encode(journal)), mode=0o600)

    def remove(self) -> None:
        """Remove it, at the end. Raises OSError."""
        self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)
