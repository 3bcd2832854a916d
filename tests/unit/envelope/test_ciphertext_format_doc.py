"""The example of docs/ciphertext-format.md is what the code makes, and its tables know every number."""

import re
import uuid
from pathlib import Path

from strongroom.core import WrapAlgorithm
from strongroom.envelope import Blob, Purpose, Xaes256Gcm, aad_for, data_binding, open_blob

PAGE = (Path(__file__).parents[3] / "docs" / "ciphertext-format.md").read_text()
KEY_ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff").bytes
CIPHER = Xaes256Gcm(b"\x01" * 32)
BINDING = data_binding({"tenant": "7", "app": "mail"})
PLAINTEXT = b"attack at dawn"


def example_blob() -> Blob:
    algorithm = WrapAlgorithm.XAES_256_GCM
    aad = aad_for(Purpose.DATA, algorithm, KEY_ID, 1, BINDING)
    nonce, sealed = CIPHER.seal(PLAINTEXT, aad, nonce=b"ABCDEFGHIJKLMNOPQRSTUVWX")
    return Blob(Purpose.DATA, algorithm, KEY_ID, 1, nonce, sealed[:-16], sealed[-16:])


def example_text() -> str:
    encoded = example_blob().encode()
    parts = [
        ("format version", 1),
        ("purpose: data", 1),
        ("algorithm: XAES-256-GCM", 1),
        ("wrapping key id", 16),
        ("wrapping key version", 4),
        ("IV length", 1),
        ("IV", 24),
        ("ciphertext length", 4),
        ("ciphertext", len(PLAINTEXT)),
        ("tag length", 1),
        ("tag", 16),
    ]
    lines, at = ["binding", *hex_lines(BINDING), "", "blob"], 0
    for name, length in parts:
        first, *more = hex_lines(encoded[at : at + length])
        lines += [f"{first:<50}  {at:>2}  {name}", *more]
        at += length
    assert at == len(encoded)
    return "\n".join(lines)


def hex_lines(data: bytes) -> list[str]:
    return ["  " + data[at : at + 16].hex(" ") for at in range(0, len(data), 16)]


def test_the_example_is_what_the_code_makes():
    (shown,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown == example_text()


def test_the_example_opens():
    assert open_blob(CIPHER, Blob.parse(example_blob().encode()), BINDING) == PLAINTEXT


def test_the_page_names_every_purpose_and_algorithm():
    purposes = PAGE.split("| Purpose | Protects |")[1].split("\n\n")[0]
    algorithms = PAGE.split("| Algorithm | Meaning |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\d\d)`", purposes, re.MULTILINE) == [f"{purpose:02x}" for purpose in Purpose]
    assert re.findall(r"^\| `(\d\d)`", algorithms, re.MULTILINE) == [f"{one:02x}" for one in WrapAlgorithm]
