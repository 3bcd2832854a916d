"""Bounds on every argument, checked before the module is called.

A module may crash on what the specification forbids (SoftHSM does, on a NULL pointer with a length), so nothing
reaches it unchecked. The sizes are ours: far above what a key management service needs, far below what could
exhaust memory.
"""

from typing import Final

from strongroom.hsm.cryptoki._declarations import ULONG_MAX
from strongroom.hsm.cryptoki._errors import ParameterError

MAX_DATA_BYTES: Final = 16 * 1024 * 1024
MAX_RANDOM_BYTES: Final = 1024 * 1024
MAX_PIN_BYTES: Final = 1024
MAX_ATTRIBUTES: Final = 128
MAX_ATTRIBUTE_BYTES: Final = 1024 * 1024
MAX_OBJECTS: Final = 1024 * 1024
TOKEN_LABEL_BYTES: Final = 32


def check_ulong(value: object, what: str) -> int:
    """Return ``value`` if a CK_ULONG can hold it. Raises ParameterError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= ULONG_MAX:
        raise ParameterError(f"{what} must be an integer from 0 to {ULONG_MAX}")
    return value


def check_count(value: object, what: str, most: int) -> int:
    """Return ``value`` if it is from 1 to ``most``. Raises ParameterError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ParameterError(f"{what} must be an integer from 1 to {most}")
    return value


def check_bytes(value: object, what: str, *, least: int = 0, most: int = MAX_DATA_BYTES) -> bytes:
    """Return ``value`` if it is ``bytes`` of ``least`` to ``most`` bytes. Raises ParameterError."""
    if not isinstance(value, bytes):
        raise ParameterError(f"{what} must be bytes")
    if not least <= len(value) <= most:
        raise ParameterError(f"{what} must have {least} to {most} bytes, not {len(value)}")
    return value


def check_operation(session: object, key: object, data: object) -> None:
    """Check what every cryptographic operation takes; written for speed. Raises ParameterError."""
    if (
        type(session) is int
        and 0 <= session <= ULONG_MAX
        and type(key) is int
        and 0 <= key <= ULONG_MAX
        and type(data) is bytes
        and len(data) <= MAX_DATA_BYTES
    ):
        return
    check_ulong(session, "session")
    check_ulong(key, "key")
    check_bytes(data, "data")
