"""The log of a YubiHSM 2: entries of 32 bytes in a hash chain that is verified here.

    item number (2) ‖ command (1) ‖ length (2) ‖ session key (2) ‖ target key (2) ‖ second key (2) ‖ result (1) ‖ tick (4) ‖ digest (16)

big endian; digest = first 16 bytes of SHA-256(the 16 bytes before ‖ digest of the entry before), as in Yubico's python-yubihsm
(``core.LogEntry``) and yubihsm-shell. They come as those bytes, with or without the five bytes that GET LOG ENTRIES puts before them
(numbers of unlogged boots and authentications, and of entries), as ``yubihsm-shell`` prints them (``audit get``), or as its hexadecimal form.
The device has no clock: ``tick`` counts from its start in a unit that is not documented.
"""

import hashlib
import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from strongroom.vendorlogs._errors import BrokenChainError, UnknownRecordError, VendorLogError
from strongroom.vendorlogs._record import Use

ENTRY_BYTES: Final = 32
DIGEST_BYTES: Final = 16
MAX_BYTES: Final = 64 * 1024 * 1024
_ENTRY: Final = struct.Struct("!HBHHHHBL16s")
_HEAD: Final = struct.Struct("!HHB")
_SHELL: Final = re.compile(
    r"\bitem: {1,6}(\d{1,5}) -- cmd: 0x([0-9a-f]{2}) -- length: {1,6}(\d{1,5}) -- session key: 0x([0-9a-f]{4})"
    r" -- target key: 0x([0-9a-f]{4}) -- second key: 0x([0-9a-f]{4}) -- result: 0x([0-9a-f]{2}) -- tick: (\d{1,10})"
    r" -- hash: ([0-9a-f]{32})\b",
    re.IGNORECASE,
)
_UNLOGGED: Final = re.compile(r"\b(\d{1,5}) unlogged (boots|authentications) found")
_TALK: Final = re.compile(
    r"^\s*(?:\d{1,5} unlogged|Found \d{1,5} items?|No logs|Session keepalive|Created session|Using|yubihsm>|$)"
)
_INITIAL: Final = 0xFF
"""Command of the first entry, which a reset writes."""
_BOOT: Final = 0x00
NO_KEY: Final = frozenset({0x0000, 0xFFFF})

COMMANDS: Final[dict[int, tuple[str, Use]]] = {
    0x00: ("BOOT", "other"),
    0x03: ("CREATE_SESSION", "login"),
    0x04: ("AUTHENTICATE_SESSION", "login"),
    0x08: ("RESET_DEVICE", "destroy"),
    0x40: ("CLOSE_SESSION", "other"),
    0x42: ("PUT_OPAQUE", "other"),
    0x44: ("PUT_AUTHENTICATION_KEY", "make"),
    0x45: ("PUT_ASYMMETRIC_KEY", "make"),
    0x46: ("GENERATE_ASYMMETRIC_KEY", "make"),
    0x47: ("SIGN_PKCS1", "sign"),
    0x49: ("DECRYPT_PKCS1", "decrypt"),
    0x4A: ("EXPORT_WRAPPED", "wrap"),
    0x4B: ("IMPORT_WRAPPED", "unwrap"),
    0x4C: ("PUT_WRAP_KEY", "make"),
    0x4D: ("GET_LOG_ENTRIES", "other"),
    0x4F: ("SET_OPTION", "other"),
    0x52: ("PUT_HMAC_KEY", "make"),
    0x53: ("SIGN_HMAC", "sign"),
    0x55: ("SIGN_PSS", "sign"),
    0x56: ("SIGN_ECDSA", "sign"),
    0x57: ("DERIVE_ECDH", "derive"),
    0x58: ("DELETE_OBJECT", "destroy"),
    0x59: ("DECRYPT_OAEP", "decrypt"),
    0x5A: ("GENERATE_HMAC_KEY", "make"),
    0x5B: ("GENERATE_WRAP_KEY", "make"),
    0x5C: ("VERIFY_HMAC", "verify"),
    0x5D: ("SIGN_SSH_CERTIFICATE", "sign"),
    0x64: ("SIGN_ATTESTATION_CERTIFICATE", "sign"),
    0x67: ("SET_LOG_INDEX", "other"),
    0x68: ("WRAP_DATA", "encrypt"),
    0x69: ("UNWRAP_DATA", "decrypt"),
    0x6A: ("SIGN_EDDSA", "sign"),
    0x6C: ("CHANGE_AUTHENTICATION_KEY", "modify"),
    0x6D: ("PUT_SYMMETRIC_KEY", "make"),
    0x6E: ("GENERATE_SYMMETRIC_KEY", "make"),
    0x6F: ("DECRYPT_ECB", "decrypt"),
    0x70: ("ENCRYPT_ECB", "encrypt"),
    0x71: ("DECRYPT_CBC", "decrypt"),
    0x72: ("ENCRYPT_CBC", "encrypt"),
    0x73: ("PUT_PUBLIC_WRAP_KEY", "make"),
    0x74: ("WRAP_KEY_RSA", "wrap"),
    0x75: ("UNWRAP_KEY_RSA", "unwrap"),
    0x76: ("EXPORT_WRAPPED_RSA", "wrap"),
    0x77: ("IMPORT_WRAPPED_RSA", "unwrap"),
    0xFF: ("INITIALISED", "other"),
}
"""Numbers and names as in python-yubihsm (``defs.COMMAND``); any other one counts as ``other``."""


class LogItem(NamedTuple):
    """One entry."""

    number: int
    command: int
    length: int
    session_key: int
    target_key: int
    second_key: int
    result: int
    tick: int
    digest: bytes

    @classmethod
    def parse(cls, data: bytes) -> "LogItem":
        """Read 32 bytes. Raises UnknownRecordError for another number of them."""
        if len(data) != ENTRY_BYTES:
            raise UnknownRecordError(f"an entry has {ENTRY_BYTES} bytes, not {len(data)}")
        return cls(*_ENTRY.unpack(data))

    def encode(self) -> bytes:
        """Return the 32 bytes."""
        return _ENTRY.pack(*self)

    @property
    def is_initial(self) -> bool:
        """Whether a reset of the device wrote it: a chain begins here."""
        return self.number == 1 and self.command == _INITIAL

    def follows(self, number: int) -> bool:
        """Whether it is the next one; numbers wrap at 65,536."""
        return (self.number - number) & 0xFFFF == 1

    def verify_after(self, digest: bytes) -> None:
        """Check it against the digest of the entry before. Raises BrokenChainError."""
        made = hashlib.sha256(self.encode()[:-DIGEST_BYTES] + digest).digest()[:DIGEST_BYTES]
        if made != self.digest:
            raise BrokenChainError(
                f"entry {self.number} does not fit the device's hash chain",
                next_step="keep the file; read the log from the device again, and find out who changed this copy",
            )


class YubiHsmLog(NamedTuple):
    """What one reading of the device's log gave."""

    items: list[LogItem]
    unlogged_boots: int
    unlogged_authentications: int
    unknown: list[bytes]
    """Lines that are neither an entry nor what the tool says around them."""


def read_yubihsm(data: bytes) -> YubiHsmLog:
    """Read a log in any of its forms; nothing of it is verified yet. Raises VendorLogError."""
    if len(data) > MAX_BYTES:
        raise VendorLogError(f"the log is over {MAX_BYTES >> 20} MiB", next_step="import it in parts")
    text = data.strip()
    if re.fullmatch(rb"[0-9A-Fa-f]{8}(?:[0-9A-Fa-f]{64})*", text):
        return _of_hex(bytes.fromhex(text.decode()))
    if b"item:" in data or b"unlogged" in data:
        return _of_shell(data)
    if data and len(data) % ENTRY_BYTES == 0:
        return YubiHsmLog(list(_items(data)), 0, 0, [])
    if len(data) >= _HEAD.size and (len(data) - _HEAD.size) % ENTRY_BYTES == 0:
        boots, authentications, count = _HEAD.unpack_from(data)
        if count * ENTRY_BYTES == len(data) - _HEAD.size:
            return YubiHsmLog(list(_items(data[_HEAD.size :])), boots, authentications, [])
    raise VendorLogError(
        "this is no log of a YubiHSM 2",
        next_step="give the bytes of GET LOG ENTRIES, or what 'yubihsm-shell' prints on 'audit get'",
    )


def _of_hex(data: bytes) -> YubiHsmLog:
    boots, authentications = struct.unpack_from("!HH", data)
    return YubiHsmLog(list(_items(data[4:])), boots, authentications, [])


def _of_shell(data: bytes) -> YubiHsmLog:
    items, unknown, unlogged = [], [], {"boots": 0, "authentications": 0}
    for line in data.splitlines():
        text = line[:1_000].decode("utf-8", "backslashreplace")
        found, said = _SHELL.search(text), _UNLOGGED.search(text)
        if found is not None:
            try:
                items.append(_of_fields(found))
            except struct.error:
                unknown.append(line)
        elif said is not None:
            unlogged[said[2]] += int(said[1])
        elif not _TALK.match(text):
            unknown.append(line)
    return YubiHsmLog(items, unlogged["boots"], unlogged["authentications"], unknown)


def _of_fields(found: re.Match[str]) -> LogItem:
    number, length, tick = int(found[1]), int(found[3]), int(found[8])
    rest = (int(found[4], 16), int(found[5], 16), int(found[6], 16), int(found[7], 16))
    item = LogItem(number, int(found[2], 16), length, *rest, tick, bytes.fromhex(found[9]))
    item.encode()  # numbers that do not fit are refused here
    return item


def _items(data: bytes) -> Iterator[LogItem]:
    for start in range(0, len(data), ENTRY_BYTES):
        yield LogItem.parse(data[start : start + ENTRY_BYTES])
