"""``--inventory FILE`` of the rewrap commands: begun with the run, written and handed in at its end."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from strongroom.cli._endpoint import find_service
from strongroom.cli._output import Output
from strongroom.config import Home, home_from_environment
from strongroom.core import StorageError, SystemClock

if TYPE_CHECKING:
    from strongroom.cli._rewrap_inventory import Counting
    from strongroom.client import ServiceClient

inventory_option = click.option(
    "--inventory",
    "inventory_file",
    metavar="FILE",
    help="Write here what was found of each key version, and hand it in.",
)


def begin_counting(file: str | None, key: str, kind: str, store: str) -> "Counting | None":
    """Begin to count for an inventory, if one is wanted. Raises StorageError when its file is there already."""
    if file is None:
        return None
    from strongroom.cli._key_calls import id_of
    from strongroom.cli._rewrap_inventory import Counting

    if Path(file).exists():
        raise StorageError(f"{file} is there already", next_step="choose another --inventory")
    with _service() as service:
        return Counting(id_of(service, key), kind, store, SystemClock())


def finish_counting(file: str | None, counting: "Counting | None", output: Output) -> None:
    """Write the inventory and hand it in, if one is wanted. Raises NotDoneError where only an officer may hand it in."""
    if file is not None and counting is not None:
        from strongroom.cli._keys_versions import write_and_hand_in

        write_and_hand_in(Path(file), counting.inventory(is_complete=True), _service, output)


def _service() -> "ServiceClient":
    from strongroom.client import ServiceClient

    return ServiceClient(find_service(Home(home_from_environment())), clock=SystemClock())
