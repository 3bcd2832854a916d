"""The pin: what a member remembers of custody, where main cannot forget it for it. Bytes and back.

It names the genesis, and the newest record that the member followed. So a member recognises another genesis, and a chain
that was cut off before a change that it knows of.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from strongroom.custody._canonical import canonical_json, parse_canonical
from strongroom.custody._documents import Hex32
from strongroom.custody._errors import ChainError, CustodyError, MalformedDocumentError

MAX_PIN_BYTES: Final = 1024


class Pin(NamedTuple):
    """What is pinned."""

    genesis_sha256: str
    sequence: int
    """Of the newest record that was followed; 0: the genesis."""
    head: str
    """Hash of that document."""


class _Pinned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["strongroom-pin-v1"]
    genesis: Hex32
    sequence: Annotated[int, msgspec.Meta(ge=0, le=10**6)]
    head: Hex32


def write_pin(pin: Pin) -> bytes:
    """Return the bytes of a pin."""
    document = _Pinned("strongroom-pin-v1", pin.genesis_sha256, pin.sequence, pin.head)
    return canonical_json(msgspec.to_builtins(document))


def read_pin_document(data: bytes) -> Pin:
    """Return the pin that the bytes are. Raises MalformedDocumentError."""
    try:
        document = msgspec.convert(parse_canonical(data, max_bytes=MAX_PIN_BYTES), _Pinned, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedDocumentError(f"the bytes are no pin: {error}") from error
    if document.sequence == 0 and document.head != document.genesis:
        raise MalformedDocumentError("the bytes are no pin: the head of record 0 is the genesis")
    return Pin(document.genesis, document.sequence, document.head)


def newest_pin(found: Iterable[bytes]) -> Pin | None:
    """Return the newest of the pins that a member holds, which are several after a power cut; None if there are none.

    A half-written one beside a whole one is passed over. Raises ChainError when none is whole, or when they contradict
    each other.
    """
    pins: list[Pin] = []
    n_broken = 0
    for data in found:
        try:
            pins.append(read_pin_document(data))
        except CustodyError:
            n_broken += 1
    if not pins:
        if n_broken:
            raise ChainError("the pin", "what the member holds of it is damaged")
        return None
    newest = max(pins, key=lambda pin: pin.sequence)
    of_it = {pin.head for pin in pins if pin.sequence == newest.sequence}
    if len({pin.genesis_sha256 for pin in pins}) > 1 or len(of_it) > 1:
        raise ChainError("the pin", "the member holds two that contradict each other")
    return newest
