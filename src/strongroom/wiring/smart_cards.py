"""Smart cards of people: which library speaks to them, and how long they may take. It is loaded in processes of its own alone."""

from pathlib import Path
from typing import Final

from strongroom.core import StrongroomError
from strongroom.custody import CardUri

CARD_LIMIT_S: Final = 180.0
"""Somebody may have to type at a PIN pad, or touch the card."""
_LIBRARIES: Final = tuple(
    Path(folder) / "opensc-pkcs11.so"
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
)  # fmt: skip
"""Where OpenSC's library is, which knows most cards; others are named by module-path."""


class CardError(StrongroomError):
    """A card cannot be spoken to, or says no."""


def card_library(uri: CardUri) -> str:
    """Return the path of the library that a URI names, else of OpenSC's. Raises CardError when that is not there."""
    if uri.module_path is not None:
        return uri.module_path
    for path in _LIBRARIES:
        if path.is_file():
            return str(path)
    raise CardError(
        "no library for smart cards is installed where it usually is",
        next_step="install OpenSC, or name the library: pkcs11:...?module-path=/path/of/the/library.so",
    )
