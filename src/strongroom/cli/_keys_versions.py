"""``strongroom keys versions``, ``retire-version`` and ``inventory``: single versions of a key, and the end of former ones."""

from collections.abc import Callable, Mapping
from pathlib import Path

import click
import msgspec

from strongroom.cli._errors import NotDoneError
from strongroom.cli._key_calls import document_about_key, id_of, post
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.client import RequestRefusedError, ServiceClient
from strongroom.core import MAX_INVENTORY_BYTES, Inventory, StorageError, read_inventory

_BAR = "-"


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    version: int
    material_id: str
    created_at: float
    is_current: bool
    used_at: float | None = None
    is_in_use: bool = True
    retired_at: float | None = None
    closed_by: str = ""

    def row(self, current: int) -> list[str]:
        """Say how it stands."""
        stands = "current" if self.is_current else "waiting"
        if self.retired_at is not None:
            stands = f"retired {shown_time(self.retired_at)}"
        elif self.version < current:
            stands = "in recent use" if self.is_in_use else "may be retired"
        created, used = shown_time(self.created_at), shown_time(self.used_at)
        return [str(self.version), self.material_id[:16], created, used, stands, self.closed_by[:16] or _BAR]


class _Versions(msgspec.Struct, frozen=True, rename="camel"):
    key_id: str
    state: str
    versions: list[_Version]


class _Retired(msgspec.Struct, frozen=True, rename="camel"):
    key_id: str
    version: int
    material_id: str
    closed_by: str


class _Kept(msgspec.Struct, frozen=True, rename="camel"):
    inventory_id: str
    key_id: str
    sha256: str
    received_at: float


def version_commands(connect: Callable[[], ServiceClient]) -> Mapping[str, click.Command]:
    """Make the commands; ``connect`` opens a client of the service."""

    @click.command
    @click.argument("key")
    @reporting
    def versions(output: Output, *, key: str) -> None:
        """Show the versions of a key, and which of them may be retired.

        KEY is a key id, an alias (alias/NAME) or the ARN of either.
        """
        with connect() as client:
            found = post(client, id_of(client, key), "uses", _Versions)
        output.document(document_about_key(found))
        output.say(f"{visible(found.key_id)} is {visible(found.state)}.")
        current = max((version.version for version in found.versions if version.is_current), default=1)
        columns = ["VERSION", "MATERIAL", "CREATED", "LAST USED", "STANDING", "CLOSED BY"]
        output.table(columns, [version.row(current) for version in found.versions])

    @click.command("retire-version")
    @click.argument("key")
    @click.argument("version", type=click.IntRange(1, 2**31))
    @click.option("--yes", "is_sure", is_flag=True, help="Do it: there is no way back.")
    @reporting
    def retire_version(output: Output, *, key: str, version: int, is_sure: bool) -> None:
        """Destroy the material of a former version for good: what is under it can never be opened again.

        One in recent use needs an inventory that closes it, or an approval. KEY is a key id, an alias (alias/NAME) or the ARN of
        either.
        """
        if not is_sure:
            raise click.UsageError("what is under the version is lost for ever; say --yes if that is meant")
        with connect() as client:
            retired = post(client, id_of(client, key), f"versions/{version}/retire", _Retired)
        output.say(f"Version {retired.version} of {visible(retired.key_id)} is retired.")
        output.document(document_about_key(retired))

    @click.command
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @reporting
    def inventory(output: Output, *, file: Path) -> None:
        """Hand in an inventory that "strongroom rewrap --inventory FILE" wrote, and vouch for it."""
        with file.open("rb") as opened:
            found = read_inventory(opened.read(MAX_INVENTORY_BYTES + 1))
        with connect() as client:
            kept = hand_in(client, found)
        output.say(f"The inventory {kept.sha256[:16]} of {visible(found.store)} is kept.", *closing(found))
        output.document(document_about_key(kept))

    return {"versions": versions, "retire-version": retire_version, "inventory": inventory}


def hand_in(client: ServiceClient, inventory: Inventory) -> _Kept:
    """Hand in an inventory. Raises as ``post``."""
    return post(client, inventory.key_id, "inventories", _Kept, _document(inventory))


def write_and_hand_in(
    path: Path, inventory: Inventory, connect: Callable[[], ServiceClient], output: Output
) -> None:
    """Write an inventory to a new file and hand it in. Raises NotDoneError where only an officer may do the latter."""
    try:
        with path.open("xb") as file:
            file.write(inventory.file())
    except FileExistsError:
        raise StorageError(f"{path} is there already", next_step="choose another --inventory") from None
    try:
        with connect() as client:
            kept = hand_in(client, inventory)
    except RequestRefusedError as error:
        if error.code != "AccessDeniedException":
            raise
        raise NotDoneError(
            f"the inventory is in {path}, and this access key may not hand it in",
            next_step=f"have a crypto officer vouch for it: strongroom keys inventory {path}",
        ) from error
    output.say(
        f"The inventory {kept.sha256[:16]} is in {visible(str(path))}, and kept by the service.",
        *closing(inventory),
    )


def closing(inventory: Inventory) -> list[str]:
    """Say which versions an inventory closes."""
    if not inventory.complete:
        return ["It is not complete, so it closes no version."]
    left = [str(found.version) for found in inventory.versions if found.left]
    return [
        f"It finds ciphertexts under version {', '.join(left) or 'none'}; it closes all former ones but those."
    ]


def _document(inventory: Inventory) -> Mapping[str, object]:
    return {"inventory": msgspec.to_builtins(inventory), "sha256": inventory.digest}
