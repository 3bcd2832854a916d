"""Where a member remembers the genesis of its officers, and the newest record that it followed.

In its token, as a private data object, where the profile says that the token keeps such; a copy lies in ``custody/pins/<member>``
(mode 0600), for workers of the security officer, who sees no private objects. Where the token keeps none, the copy is all there
is, and whoever can change the home can change it.
"""

from pathlib import Path
from typing import Final

from strongroom.core import HsmError, HsmIntegrityError, HsmRequestError
from strongroom.custody import (
    MAX_PIN_BYTES,
    ChainError,
    CustodyError,
    Pin,
    newest_pin,
    read_pin_document,
    write_pin,
)
from strongroom.hsm.token import DataVerbs, KeptValues
from strongroom.hsm.wire import PIN_APPLICATION, PIN_LABEL
from strongroom.wiring.durable_files import write_durably

_STEP: Final = "find out who changed the token or the home; docs/custody.md tells what a pin is for"


class MemberPins:
    """The pin of one member."""

    def __init__(self, name: str, path: Path | None, data: DataVerbs | None, *, is_new: bool = False) -> None:
        """``is_new``: whether the member may be in the middle of its initialisation. ``data``: of the token, if it keeps data objects and the user is logged in; else None."""
        self._name = name
        self._path = path
        self._data = data
        self._is_new = is_new

    def read(self) -> Pin | None:
        """Return what is pinned, as the token says, or, without ``data``, the copy; None if nothing is.

        Raises HsmIntegrityError when that is damaged or contradicts itself, and HsmError. While the member is initialised
        two things are no damage: a first pin that was cut in the middle, and a copy beside a token that is new.
        """
        values = None if self._data is None else self._data.values
        return pin_of_member(self._name, self._path, values, is_new=self._is_new)

    def write(self, pin: Pin) -> None:
        """Pin: in the token first. Another process of the member may have pinned a later record already: that one stays.

        Raises HsmError, also when the copy cannot be written.
        """
        pinned = self.read()
        if (
            pinned is not None
            and pinned.sequence >= pin.sequence
            and pinned.genesis_sha256 == pin.genesis_sha256
        ):
            return
        data = write_pin(pin)
        if self._data is not None:
            self._data.put(PIN_APPLICATION, PIN_LABEL, data)
        if self._path is None:
            raise HsmRequestError("nobody said where the copy of a pin lies")
        try:
            self._path.parent.parent.mkdir(mode=0o700, exist_ok=True)
            write_durably(self._path, data, mode=0o600)
        except OSError as error:
            raise HsmError(f"cannot write {self._path}: {error.strerror}") from error


def pin_of_member(
    name: str, path: Path | None, values: KeptValues | None, *, is_new: bool = False
) -> Pin | None:
    """Return what is pinned, as ``values`` of the token say, or, without them, the copy at ``path``. Raises as ``MemberPins.read``."""
    copies = _copy(path)
    kept = copies if values is None else values(PIN_APPLICATION, PIN_LABEL)
    if is_new and values is not None:
        kept = [data for data in kept if _is_whole(data)]
        copies = []
    try:
        pin = newest_pin(kept)
    except ChainError as error:
        raise HsmIntegrityError(f"member {name}: {error.message}", next_step=_STEP) from error
    if pin is None and copies and values is not None:
        raise HsmIntegrityError(
            f"the token of member {name} does not hold the genesis that it pinned", next_step=_STEP
        )
    return pin


def _copy(path: Path | None) -> list[bytes]:
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            return [file.read(MAX_PIN_BYTES + 1)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HsmRequestError(f"cannot read {path}: {error.strerror}") from error


def _is_whole(data: bytes) -> bool:
    try:
        read_pin_document(data)
    except CustodyError:
        return False
    return True
