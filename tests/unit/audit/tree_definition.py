"""RFC 6962, section 2.1, written out a second time: slow, and as it stands there."""

import hashlib


def definition_root(entries: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + definition_root(entries[:k]) + definition_root(entries[k:])).digest()


def nodes_of(entries: list[bytes]):
    return lambda level, index: definition_root(entries[index << level : (index + 1) << level])


def entries_of(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]
