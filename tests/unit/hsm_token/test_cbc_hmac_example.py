"""The example of algorithm 03 in docs/ciphertext-format.md is what others compute, and the code opens it."""

import hashlib
import hmac
import re
from pathlib import Path

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from strongroom.core import RootId, WrapAlgorithm
from strongroom.envelope import Blob, Purpose, aad_for, root_canary_binding
from strongroom.hsm.token import load_profile
from strongroom.hsm.token._wrapping_cbc_hmac import CbcHmacWrapping

PAGE = (Path(__file__).parents[3] / "docs" / "ciphertext-format.md").read_text()
ROOT_ID = RootId(bytes.fromhex("00112233445566778899aabbccddeeff"))
CIPHER_KEY, MAC_KEY, IV, PLAINTEXT = b"\x01" * 32, b"\x02" * 32, b"ABCDEFGHIJKLMNOP", b"attack at dawn"
ALGORITHM = WrapAlgorithm.HSM_AES_CBC_HMAC
AAD = aad_for(Purpose.ROOT_CANARY, ALGORITHM, ROOT_ID, 1, root_canary_binding(ROOT_ID))


class TokenOfTheExample:
    """The two keys of the example, as a token's handles 1 and 2."""

    def sign(self, _session, _mechanism, key, data):
        assert key == 2
        return hmac.digest(MAC_KEY, data, "sha256")

    def decrypt(self, _session, mechanism, key, data):
        assert key == 1
        decryptor = Cipher(algorithms.AES(CIPHER_KEY), modes.CBC(mechanism.iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()


def example() -> Blob:
    """Made from the page's words, without the code that is described."""
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(CIPHER_KEY), modes.CBC(IV)).encryptor()
    ciphertext = encryptor.update(padder.update(PLAINTEXT) + padder.finalize()) + encryptor.finalize()
    maced = AAD + IV + ciphertext + (8 * len(AAD)).to_bytes(8, "big")
    tag = hmac.new(MAC_KEY, maced, hashlib.sha256).digest()
    return Blob(Purpose.ROOT_CANARY, ALGORITHM, ROOT_ID, 1, IV, ciphertext, tag)


def example_text() -> str:
    encoded = example().encode()
    parts = [("header", 23), ("IV length", 1), ("IV", 16), ("ciphertext length", 4), ("ciphertext", 16),
             ("tag length", 1), ("tag", 32)]  # fmt: skip
    lines, at = [], 0
    for name, length in parts:
        rows = [encoded[at : at + length][row : row + 16].hex(" ") for row in range(0, length, 16)]
        lines += [f"  {rows[0]:<48}  {at:>2}  {name}", *(f"  {row}" for row in rows[1:])]
        at += length
    assert at == len(encoded)
    return "\n".join(lines)


def test_the_example_on_the_page_is_what_its_words_make():
    (shown,) = re.findall(r"```hex\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown == example_text()


def test_the_example_opens():
    wrapping = CbcHmacWrapping(TokenOfTheExample(), load_profile("softhsm2"))
    blob = Blob.parse(example().encode())
    wrapping.check(blob.wrapped)
    assert wrapping.decrypt(0, (1, 2), blob.wrapped, AAD) == PLAINTEXT
