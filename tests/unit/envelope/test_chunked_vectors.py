"""Wycheproof's vectors for C2SP chunked encryption (Cobblestone-256) and for the AES-GCM below it."""

import hashlib
import io
import json
import zlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.envelope import (
    ENCRYPTED_CHUNK_BYTES,
    PROLOGUE_BYTES,
    ChunkDecryptor,
    ChunkEncryptor,
    ChunkReader,
    EnvelopeError,
)

FOLDER = Path(__file__).parents[2] / "vectors" / "wycheproof"
CHUNKED = json.loads((FOLDER / "c2sp_chunked_encryption_aes_256_gcm.json").read_text())
AES_GCM = json.loads((FOLDER / "aes_gcm.json").read_text())
CASES = [case for group in CHUNKED["testGroups"] for case in group["tests"]]


def _parts(case):
    """Key, context and ciphertext; the latter is stored compressed."""
    return bytes.fromhex(case["key"]), bytes.fromhex(case["ctx"]), zlib.decompress(bytes.fromhex(case["ct"]))


def _stream(case, step):
    """Decrypt in steps; returns what came before the end or the error, and the error."""
    key, context, ciphertext = _parts(case)
    given = b""
    try:
        decryptor = ChunkDecryptor(key, context, ciphertext[:PROLOGUE_BYTES])
        for at in range(PROLOGUE_BYTES, len(ciphertext), step):
            given += decryptor.update(ciphertext[at : at + step])
        given += decryptor.finish()
    except (EnvelopeError, ValueError) as error:
        return given, error
    return given, None


def _expected(case):
    if "msgLength" not in case:
        return 0, hashlib.sha512(b"").hexdigest()
    return case["msgLength"], case["msgSha512"]


def test_all_vectors_are_here_and_of_the_right_algorithm():
    assert (CHUNKED["algorithm"], CHUNKED["numberOfTests"], len(CASES)) == ("Cobblestone-256", 35, 35)
    assert {(group["aead"], group["sha"]) for group in CHUNKED["testGroups"]} == {
        ("AEAD_AES_256_GCM", "SHA-512")
    }


@pytest.mark.parametrize("step", [ENCRYPTED_CHUNK_BYTES, 1000, 65_536 + 7])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['tcId']}")
def test_a_stream_gives_the_message_or_fails_and_keeps_failing(case, step):
    given, error = _stream(case, step)
    length, digest = _expected(case)
    assert (error is None) == (case["result"] == "valid")
    if (
        error is None or step == ENCRYPTED_CHUNK_BYTES
    ):  # longer steps lose a valid beginning to the same error
        assert (len(given), hashlib.sha512(given).hexdigest()) == (length, digest)
    assert len(given) <= length


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['tcId']}")
def test_random_access_gives_the_message_or_fails(case):
    key, context, ciphertext = _parts(case)
    try:
        reader = ChunkReader(io.BytesIO(ciphertext), key, context)
        message = reader.read_range(0, reader.length)
    except (EnvelopeError, ValueError):
        assert case["result"] == "invalid"
    else:
        assert case["result"] == "valid"
        assert (len(message), hashlib.sha512(message).hexdigest()) == _expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['tcId']}")
def test_a_message_opens_for_random_access_exactly_where_its_final_chunk_is_valid(case):
    key, context, ciphertext = _parts(case)
    flags = set(case["flags"])
    try:
        ChunkReader(io.BytesIO(ciphertext), key, context)
    except (EnvelopeError, ValueError):
        assert case["result"] == "invalid"
        assert "ValidFinalChunk" not in flags
    else:
        assert case["result"] == "valid" or "ValidFinalChunk" in flags


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["result"] == "valid"], ids=lambda case: f"{case['tcId']}"
)
def test_encrypting_the_message_again_with_its_salt_gives_the_vector(case):
    key, context, ciphertext = _parts(case)
    message, _ = _stream(case, ENCRYPTED_CHUNK_BYTES)
    encryptor = ChunkEncryptor(key, context, salt=ciphertext[:24])
    assert encryptor.prologue + encryptor.update(message) + encryptor.finish() == ciphertext


def test_the_aes_gcm_below_it_passes_all_vectors_that_its_interface_takes():
    passed = 0
    for group in AES_GCM["testGroups"]:
        for case in group["tests"]:
            key, nonce, aad, message, ciphertext, tag = (
                bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
            )
            if group["tagSize"] != 128 or not 8 <= len(nonce) <= 128:
                continue
            cipher, target = AESGCM(key), bytearray(len(message))
            if case["result"] == "valid":
                assert cipher.encrypt(nonce, message, aad) == ciphertext + tag
                cipher.decrypt_into(nonce, ciphertext + tag, aad, target)
                assert target == message
            else:
                with pytest.raises(InvalidTag):
                    cipher.decrypt_into(nonce, ciphertext + tag, aad, target)
            passed += 1
    assert passed == 283
