"""The example of docs/file-format.md is what the code makes, and its numbers are the code's."""

import re
from pathlib import Path

from strongroom.envelope import MAX_HEADER_BYTES, ChunkDecryptor, ChunkEncryptor, FileHeader, encrypted_bytes

PAGE = (Path(__file__).parents[3] / "docs" / "file-format.md").read_text()
KEY = bytes(range(32))
HEADER = FileHeader(b"wrapped", {"tenant": "7"})
DATA = b"attack at dawn"


def example_file() -> bytes:
    encryptor = ChunkEncryptor(KEY, HEADER.encode(), salt=b"ABCDEFGHIJKLMNOPQRSTUVWX")
    return HEADER.encode() + encryptor.prologue + encryptor.update(DATA) + encryptor.finish()


def example_text() -> str:
    parts = [
        ("magic", 8),
        ("format version", 1),
        ("algorithm: Cobblestone-256", 1),
        ("length of the wrapped data key", 2),
        ("wrapped data key", 7),
        ("length of the encryption context", 2),
        ("key length, key", 8),
        ("value length, value", 3),
        ("salt", 24),
        ("commitment", 32),
        ("chunk 0, the last: data", len(DATA)),
        ("tag of chunk 0", 16),
    ]
    encoded, lines, at = example_file(), [], 0
    for name, length in parts:
        rows = [encoded[at : at + length][row : row + 16].hex(" ") for row in range(0, length, 16)]
        lines += [f"  {rows[0]:<50}{at:>3}  {name}", *(f"  {row}" for row in rows[1:])]
        at += length
    assert at == len(encoded)
    return "\n".join(lines)


def test_the_example_is_what_the_code_makes():
    (shown,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown == example_text()


def test_the_example_opens():
    encoded, header = example_file(), HEADER.encode()
    assert FileHeader.parse(encoded[: len(header)]) == HEADER
    decryptor = ChunkDecryptor(KEY, header, encoded[len(header) :][:56])
    assert decryptor.update(encoded[len(header) + 56 :]) + decryptor.finish() == DATA


def test_the_sizes_on_the_page_are_the_codes():
    assert f"{MAX_HEADER_BYTES:,} bytes at most" in PAGE
    own_key = FileHeader(bytes(32 + 69), {})
    assert f"a file is {len(own_key.encode()) + encrypted_bytes(0)} bytes longer" in PAGE
