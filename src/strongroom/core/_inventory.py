"""``Inventory``: what somebody found who looked at every ciphertext of a store, in a form that has one digest."""

import hashlib
from typing import Annotated, Final, Literal

import msgspec

from strongroom.core._errors import StrongroomError

INVENTORY_FORMAT: Final = "strongroom-inventory-1"
MAX_INVENTORY_BYTES: Final = 65_536

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Date = Annotated[float, msgspec.Meta(gt=0, lt=1e11)]


class InventoryUnreadableError(StrongroomError):
    """What was given is no inventory, or its digest is another one."""


class VersionFound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many ciphertexts of one key version there were."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    found: _Count
    """Before anything was changed."""
    rewrapped: _Count
    left: _Count
    """At the end."""


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ciphertexts of one key in one store: a file of JSON lines, or a column of a table."""

    format: Literal["strongroom-inventory-1"]
    key_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    kind: Literal["lines", "table"]
    store: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    """What was looked at, in words that its owner knows again; no password."""
    began_at: _Date
    """Seconds since the Unix epoch, by the clock of who looked."""
    finished_at: _Date
    scanned: _Count
    """Ciphertexts of this key that were looked at."""
    unreadable: _Count
    """What stood where a ciphertext should and could not be dealt with."""
    complete: bool
    """Whether everything in the store was looked at and dealt with."""
    versions: Annotated[list[VersionFound], msgspec.Meta(max_length=500)]
    """In the order of their numbers; one that is not here was not found."""

    def canonical(self) -> bytes:
        """Return the bytes that ``digest`` is of: JSON with sorted names and without white space."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 of ``canonical``, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def left_of(self, version: int) -> int:
        """Return how many ciphertexts of a version were left."""
        return sum(found.left for found in self.versions if found.version == version)

    def file(self) -> bytes:
        """Return the text of a file with the inventory and its digest, which ``read_inventory`` takes."""
        return msgspec.json.format(_File(self, self.digest).encode(), indent=2) + b"\n"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inventory: Inventory
    sha256: str

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def read_inventory(data: bytes) -> Inventory:
    """Read what ``Inventory.file`` wrote, with its digest. Raises InventoryUnreadableError."""
    if len(data) > MAX_INVENTORY_BYTES:
        raise InventoryUnreadableError("this is larger than an inventory can be")
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InventoryUnreadableError(f"this is no inventory: {error}") from None
    require_digest(file.inventory, file.sha256)
    return file.inventory


def require_digest(inventory: Inventory, digest: str) -> None:
    """Return if this is the digest of an inventory that makes sense. Raises InventoryUnreadableError."""
    if inventory.digest != digest:
        raise InventoryUnreadableError(
            "the digest is that of another inventory: it was changed since it was made"
        )
    if inventory.finished_at < inventory.began_at:
        raise InventoryUnreadableError("the inventory ends before it begins")
    if len({found.version for found in inventory.versions}) != len(inventory.versions):
        raise InventoryUnreadableError("a version stands there twice")
