"""The layout: what encode writes parse reads back, and parse takes nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import WrapAlgorithm, WrappedBytes
from strongroom.envelope import MAX_BLOB_BYTES, Blob, MalformedBlobError, Purpose

KEY_ID = bytes(range(16))
SOFTWARE = (
    *(Purpose.KEK, Purpose.DATA, Purpose.CREDENTIAL, Purpose.KEY_MATERIAL),
    *(Purpose.IMPORT_TOKEN, Purpose.IMPORT_DIGEST_KEY),
)
HSM = (Purpose.DOMAIN_KEK, Purpose.ROOT_CANARY)

LENGTHS = st.integers(1, 200)
BLOCKS = st.integers(1, 16).map(lambda blocks: 16 * blocks)
MODULI = st.sampled_from((384, 512, 640, 768, 896, 1024))


def shapes(purposes, algorithm, *, iv, ciphertext=LENGTHS, tag=16):
    return st.tuples(st.sampled_from(purposes), st.just(algorithm), iv, ciphertext, st.just(tag))


combinations = st.one_of(
    shapes(SOFTWARE, WrapAlgorithm.XAES_256_GCM, iv=st.just(24)),
    shapes((*HSM, Purpose.SNAPSHOT_KEY), WrapAlgorithm.HSM_AES_GCM, iv=st.sampled_from((12, 16))),
    shapes(HSM, WrapAlgorithm.HSM_AES_CBC_HMAC, iv=st.just(16), ciphertext=BLOCKS, tag=32),
    shapes(HSM, WrapAlgorithm.HSM_RSA_OAEP, iv=st.just(1), ciphertext=MODULI, tag=0),
)


@st.composite
def blobs(draw):
    purpose, algorithm, iv_len, ciphertext_len, tag_len = draw(combinations)
    return Blob(
        purpose,
        algorithm,
        draw(st.binary(min_size=16, max_size=16)),
        draw(st.integers(1, 2**32 - 1)),
        draw(st.binary(min_size=iv_len, max_size=iv_len)),
        draw(st.binary(min_size=ciphertext_len, max_size=ciphertext_len)),
        draw(st.binary(min_size=tag_len, max_size=tag_len)),
    )


def data_blob(**changes) -> Blob:
    blob = Blob(Purpose.DATA, WrapAlgorithm.XAES_256_GCM, KEY_ID, 1, bytes(24), b"c" * 32, b"t" * 16)
    return blob._replace(**changes)


@given(blobs())
def test_parse_reads_what_encode_wrote(blob):
    encoded = blob.encode()
    parsed = Blob.parse(encoded)
    assert parsed == blob
    assert isinstance(parsed.purpose, Purpose)
    assert isinstance(parsed.algorithm, WrapAlgorithm)
    assert encoded.startswith(blob.header)
    assert len(blob.header) == 23


@given(st.binary(max_size=300))
def test_parse_of_any_bytes_raises_nothing_but_malformed(data):
    try:
        blob = Blob.parse(data)
    except MalformedBlobError:
        return
    assert blob.encode() == data


@given(blobs(), st.data())
def test_parse_of_a_damaged_blob_is_refused_or_has_one_encoding(blob, data):
    encoded = bytearray(blob.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = Blob.parse(bytes(encoded))
    except MalformedBlobError:
        return
    assert parsed.encode() == encoded


@given(blobs(), st.data())
def test_truncated_or_extended_blobs_are_refused(blob, data):
    encoded = blob.encode()
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedBlobError):
        Blob.parse(encoded[:cut])
    with pytest.raises(MalformedBlobError):
        Blob.parse(encoded + data.draw(st.binary(min_size=1, max_size=20)))


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, 0),
        (0, 2),
        (1, 0),
        (1, 9),
        (1, 255),
        (2, 0),
        (2, 3),
        (1, Purpose.DOMAIN_KEK),
        (2, 1),
        (23, 12),
        (23, 255),
    ],
)
def test_unknown_or_unfitting_bytes_in_the_header_are_refused(offset, value):
    encoded = bytearray(data_blob().encode())
    encoded[offset] = value
    with pytest.raises(MalformedBlobError):
        Blob.parse(bytes(encoded))


@pytest.mark.parametrize(
    "changes",
    [
        {"wrapping_key_id": bytes(15)},
        {"wrapping_key_id": bytes(17)},
        {"wrapping_key_version": 0},
        {"wrapping_key_version": 2**32},
        {"wrapping_key_version": -1},
        {"iv": bytes(12)},
        {"iv": b""},
        {"tag": bytes(15)},
        {"tag": bytes(256)},
        {"ciphertext": b""},
        {"ciphertext": bytes(MAX_BLOB_BYTES - 68)},
        {"purpose": Purpose.DOMAIN_KEK},
        {"algorithm": WrapAlgorithm.HSM_AES_GCM},
    ],
)
def test_fields_that_do_not_fit_are_not_encoded(changes):
    with pytest.raises(MalformedBlobError):
        data_blob(**changes).encode()


def test_the_longest_blob_is_the_longest_that_parses():
    longest = data_blob(ciphertext=bytes(MAX_BLOB_BYTES - 69)).encode()
    assert len(longest) == MAX_BLOB_BYTES
    assert Blob.parse(longest).encode() == longest
    with pytest.raises(MalformedBlobError):
        Blob.parse(longest + b"\0")


@pytest.mark.parametrize(
    ("algorithm", "iv_len", "ciphertext_len", "tag_len"),
    [
        (WrapAlgorithm.HSM_AES_GCM, 13, 32, 16),
        (WrapAlgorithm.HSM_AES_CBC_HMAC, 16, 47, 32),
        (WrapAlgorithm.HSM_AES_CBC_HMAC, 16, 48, 16),
        (WrapAlgorithm.HSM_AES_CBC_HMAC, 12, 48, 32),
        (WrapAlgorithm.HSM_RSA_OAEP, 1, 256, 0),
        (WrapAlgorithm.HSM_RSA_OAEP, 1, 385, 0),
        (WrapAlgorithm.HSM_RSA_OAEP, 0, 384, 0),
        (WrapAlgorithm.HSM_RSA_OAEP, 1, 384, 16),
        (WrapAlgorithm.HSM_RSA_OAEP, 1, 2048, 0),
    ],
)
def test_lengths_that_the_algorithm_of_an_hsm_never_makes_are_not_encoded(
    algorithm, iv_len, ciphertext_len, tag_len
):
    lengths = {"iv": bytes(iv_len), "ciphertext": bytes(ciphertext_len), "tag": bytes(tag_len)}
    with pytest.raises(MalformedBlobError):
        data_blob(purpose=Purpose.DOMAIN_KEK, algorithm=algorithm, **lengths).encode()


def test_a_huge_ciphertext_length_is_refused():
    encoded = bytearray(data_blob().encode())
    encoded[48:52] = b"\xff\xff\xff\xff"
    with pytest.raises(MalformedBlobError, match="lengths"):
        Blob.parse(bytes(encoded))


def test_what_an_hsm_made_comes_back_from_its_blob():
    wrapped = WrappedBytes(WrapAlgorithm.HSM_AES_GCM, bytes(12), b"c" * 32, b"t" * 16)
    blob = Blob.of_wrapped(Purpose.DOMAIN_KEK, KEY_ID, wrapped)
    parsed = Blob.parse(blob.encode())
    assert parsed.wrapped == wrapped
    assert (parsed.wrapping_key_id, parsed.wrapping_key_version) == (KEY_ID, 1)
