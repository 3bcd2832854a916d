"""What a module tells about itself, its slots, tokens, sessions and mechanisms, as plain values."""

from typing import Any, NamedTuple

from strongroom.hsm.cryptoki._constants import (
    MechanismFlag,
    SessionFlag,
    SessionState,
    SlotFlag,
    TokenFlag,
)
from strongroom.hsm.cryptoki._declarations import UNAVAILABLE_INFORMATION, ffi


class Version(NamedTuple):
    """Two numbers of one byte each."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class LibraryInfo(NamedTuple):
    """CK_INFO: the module itself."""

    cryptoki_version: Version
    manufacturer: str
    description: str
    library_version: Version


class SlotInfo(NamedTuple):
    """CK_SLOT_INFO."""

    description: str
    manufacturer: str
    flags: SlotFlag
    hardware_version: Version
    firmware_version: Version


class TokenInfo(NamedTuple):
    """CK_TOKEN_INFO. Texts have lost the blanks that pad them.

    A maximum of 0 means that there is none or that the token does not say. What is counted, and memory in
    bytes, is None where the token does not say.
    """

    label: str
    manufacturer: str
    model: str
    serial: str
    flags: TokenFlag
    max_session_count: int
    session_count: int | None
    max_rw_session_count: int
    rw_session_count: int | None
    max_pin_len: int
    min_pin_len: int
    total_public_memory: int | None
    free_public_memory: int | None
    total_private_memory: int | None
    free_private_memory: int | None
    hardware_version: Version
    firmware_version: Version
    utc_time: str
    """YYYYMMDDhhmmssxx where TokenFlag.CLOCK_ON_TOKEN is set; as the token wrote it."""


class SessionInfo(NamedTuple):
    """CK_SESSION_INFO. A state that the specification does not know stays a plain int."""

    slot: int
    state: SessionState | int
    flags: SessionFlag
    device_error: int


class MechanismInfo(NamedTuple):
    """CK_MECHANISM_INFO. The unit of the key sizes, bits or bytes, depends on the mechanism."""

    min_key_size: int
    max_key_size: int
    flags: MechanismFlag


def _text(field: Any) -> str:
    raw: bytes = ffi.buffer(field)[:]
    return raw.decode("utf-8", "replace").rstrip(" \x00")


def _version(field: Any) -> Version:
    return Version(field.major, field.minor)


def _known(number: int) -> int | None:
    return None if number == UNAVAILABLE_INFORMATION else number


def library_info(info: Any) -> LibraryInfo:
    """Read a CK_INFO."""
    return LibraryInfo(
        cryptoki_version=_version(info.cryptokiVersion),
        manufacturer=_text(info.manufacturerID),
        description=_text(info.libraryDescription),
        library_version=_version(info.libraryVersion),
    )


def slot_info(info: Any) -> SlotInfo:
    """Read a CK_SLOT_INFO."""
    return SlotInfo(
        description=_text(info.slotDescription),
        manufacturer=_text(info.manufacturerID),
        flags=SlotFlag(info.flags),
        hardware_version=_version(info.hardwareVersion),
        firmware_version=_version(info.firmwareVersion),
    )


def token_info(info: Any) -> TokenInfo:
    """Read a CK_TOKEN_INFO."""
    return TokenInfo(
        label=_text(info.label),
        manufacturer=_text(info.manufacturerID),
        model=_text(info.model),
        serial=_text(info.serialNumber),
        flags=TokenFlag(info.flags),
        max_session_count=_known(info.ulMaxSessionCount) or 0,
        session_count=_known(info.ulSessionCount),
        max_rw_session_count=_known(info.ulMaxRwSessionCount) or 0,
        rw_session_count=_known(info.ulRwSessionCount),
        max_pin_len=info.ulMaxPinLen,
        min_pin_len=info.ulMinPinLen,
        total_public_memory=_known(info.ulTotalPublicMemory),
        free_public_memory=_known(info.ulFreePublicMemory),
        total_private_memory=_known(info.ulTotalPrivateMemory),
        free_private_memory=_known(info.ulFreePrivateMemory),
        hardware_version=_version(info.hardwareVersion),
        firmware_version=_version(info.firmwareVersion),
        utc_time=_text(info.utcTime),
    )


def session_info(info: Any) -> SessionInfo:
    """Read a CK_SESSION_INFO."""
    known = info.state in SessionState.__members__.values()
    return SessionInfo(
        slot=info.slotID,
        state=SessionState(info.state) if known else info.state,
        flags=SessionFlag(info.flags),
        device_error=info.ulDeviceError,
    )


def mechanism_info(info: Any) -> MechanismInfo:
    """Read a CK_MECHANISM_INFO."""
    return MechanismInfo(info.ulMinKeySize, info.ulMaxKeySize, MechanismFlag(info.flags))
