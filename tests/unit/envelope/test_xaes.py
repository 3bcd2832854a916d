"""XAES-256-GCM against the published vectors of https://c2sp.org/XAES-256-GCM (section "Test vectors"; CC BY 4.0)."""

import hashlib
import sys
import threading

import pytest
from cryptography.hazmat.primitives.hashes import SHAKE128, XOFHash

from strongroom.core import Secret
from strongroom.envelope import EnvelopeIntegrityError, Xaes256Gcm

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
PLAINTEXT = b"XAES-256-GCM"


class ShakeStream:
    """The specification's generator: SHAKE-128 of nothing, read on and on."""

    def __init__(self) -> None:
        self._xof = XOFHash(SHAKE128(digest_size=sys.maxsize))

    def read(self, n: int) -> bytes:
        return self._xof.squeeze(n) if n else b""

    def read_sized(self) -> bytes:
        return self.read(self.read(1)[0])


def accumulated(rounds: int) -> str:
    stream, ciphertexts = ShakeStream(), hashlib.shake_128()
    for _ in range(rounds):
        key, nonce = stream.read(32), stream.read(24)
        plaintext, aad = stream.read_sized(), stream.read_sized()
        cipher = Xaes256Gcm(key)
        sealed = cipher.seal(plaintext, aad, nonce=nonce).ciphertext_with_tag
        ciphertexts.update(sealed)
        assert cipher.open(nonce, sealed, aad) == plaintext
    return ciphertexts.hexdigest(32)


@pytest.mark.parametrize(
    ("key", "aad", "expected"),
    [
        pytest.param(
            b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271", id="MSB(L)=0"
        ),
        pytest.param(
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            id="MSB(L)=1",
        ),
    ],
)
def test_published_vectors_hold_both_ways(key, aad, expected):
    cipher = Xaes256Gcm(key)
    sealed = cipher.seal(PLAINTEXT, aad, nonce=NONCE)
    assert sealed.nonce == NONCE
    assert sealed.ciphertext_with_tag.hex() == expected
    assert cipher.open(NONCE, bytes.fromhex(expected), aad) == PLAINTEXT


def test_the_generator_starts_as_the_specification_says():
    assert ShakeStream().read(16).hex() == "7f9c2ba4e88f827d616045507605853e"


def test_ten_thousand_accumulated_rounds():
    assert accumulated(10_000) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


@pytest.mark.slow
def test_a_million_accumulated_rounds():
    assert accumulated(1_000_000) == "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"


def test_a_secret_key_is_taken_as_its_bytes():
    sealed = Xaes256Gcm(Secret(b"\x01" * 32)).seal(PLAINTEXT, b"", nonce=NONCE)
    assert sealed == Xaes256Gcm(b"\x01" * 32).seal(PLAINTEXT, b"", nonce=NONCE)


def test_every_message_has_another_nonce_and_ciphertext():
    cipher = Xaes256Gcm(bytes(32))
    sealed = {cipher.seal(PLAINTEXT, b"") for _ in range(100)}
    assert len({one.nonce for one in sealed}) == len({one.ciphertext_with_tag for one in sealed}) == 100


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_other_key_lengths_are_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        Xaes256Gcm(bytes(length))


@pytest.mark.parametrize("length", [0, 12, 23, 25])
def test_other_nonce_lengths_are_refused(length):
    cipher = Xaes256Gcm(bytes(32))
    with pytest.raises(ValueError, match="24 bytes"):
        cipher.seal(PLAINTEXT, b"", nonce=bytes(length))
    with pytest.raises(EnvelopeIntegrityError):
        cipher.open(bytes(length), bytes(40), b"")


@pytest.mark.parametrize("length", [0, 1, 15, 16])
def test_ciphertexts_too_short_for_a_tag_do_not_open(length):
    with pytest.raises(EnvelopeIntegrityError):
        Xaes256Gcm(bytes(32)).open(NONCE, bytes(length), b"")


def test_repr_and_error_hold_no_key():
    cipher = Xaes256Gcm(b"K" * 32)
    with pytest.raises(EnvelopeIntegrityError) as caught:
        cipher.open(NONCE, bytes(40), b"")
    assert "KKKK" not in repr(cipher) + str(caught.value)


def test_threads_share_a_cipher_without_error_or_wrong_result():
    cipher = Xaes256Gcm(bytes(32))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(1_000):
                plaintext = b"%d/%d" % (number, count)
                sealed = cipher.seal(plaintext, b"aad")
                assert cipher.open(*sealed, b"aad") == plaintext
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
