"""A sealed blob opens with exactly its key, header and binding, and with nothing else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import WrapAlgorithm
from strongroom.envelope import (
    Blob,
    EnvelopeError,
    EnvelopeIntegrityError,
    MalformedBlobError,
    Purpose,
    Xaes256Gcm,
    aad_for,
    credential_binding,
    data_binding,
    domain_kek_binding,
    kek_binding,
    open_blob,
    root_canary_binding,
    seal_blob,
)

KEY_ID, OTHER_ID = bytes(range(16)), bytes(range(1, 17))
CIPHER = Xaes256Gcm(b"k" * 32)
BINDING = data_binding({"tenant": "7"})
contexts = st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=4)


def sealed_data(plaintext: bytes = b"plaintext", binding: bytes = BINDING) -> bytes:
    return seal_blob(CIPHER, Purpose.DATA, KEY_ID, 1, plaintext, binding)


@given(
    st.sampled_from([Purpose.KEK, Purpose.DATA, Purpose.CREDENTIAL]),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 2**32 - 1),
    st.binary(min_size=1, max_size=4096),
    st.binary(max_size=100),
)
def test_what_was_sealed_opens(purpose, key_id, version, plaintext, binding):
    blob = Blob.parse(seal_blob(CIPHER, purpose, key_id, version, plaintext, binding))
    assert blob[:4] == (purpose, WrapAlgorithm.XAES_256_GCM, key_id, version)
    assert open_blob(CIPHER, blob, binding) == plaintext


def test_every_single_bit_flip_is_refused():
    sealed = sealed_data()
    for position, bit in itertools.product(range(len(sealed)), range(8)):
        altered = bytearray(sealed)
        altered[position] ^= 1 << bit
        with pytest.raises(EnvelopeError):
            open_blob(CIPHER, Blob.parse(bytes(altered)), BINDING)


def test_every_truncation_is_refused():
    sealed = sealed_data()
    for length in range(len(sealed)):
        with pytest.raises(MalformedBlobError):
            Blob.parse(sealed[:length])


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": Purpose.KEK},
        {"purpose": Purpose.CREDENTIAL},
        {"wrapping_key_id": OTHER_ID},
        {"wrapping_key_version": 2},
        {"iv": bytes(24)},
        {"ciphertext": b"plaintext"},
        {"ciphertext": b"p"},
        {"tag": bytes(16)},
    ],
    ids=str,
)
def test_a_blob_with_another_field_does_not_open(changes):
    blob = Blob.parse(sealed_data())._replace(**changes)
    with pytest.raises(EnvelopeIntegrityError):
        open_blob(CIPHER, blob, BINDING)


def test_another_key_does_not_open_it():
    with pytest.raises(EnvelopeIntegrityError):
        open_blob(Xaes256Gcm(b"K" * 32), Blob.parse(sealed_data()), BINDING)


@given(contexts, contexts)
def test_another_context_does_not_open_it(sealed_with, opened_with):
    blob = Blob.parse(sealed_data(binding=data_binding(sealed_with)))
    if sealed_with == opened_with:
        assert open_blob(CIPHER, blob, data_binding(opened_with)) == b"plaintext"
    else:
        with pytest.raises(EnvelopeIntegrityError):
            open_blob(CIPHER, blob, data_binding(opened_with))


def test_pairs_that_read_alike_when_glued_are_told_apart():
    alike = [{"a": "bc"}, {"ab": "c"}, {"abc": ""}, {"": "abc"}, {"a": "b", "c": ""}, {"a": "", "b": "c"}]
    assert len({data_binding(context) for context in alike}) == len(alike)


def test_the_order_of_pairs_does_not_matter():
    assert data_binding({"a": "1", "b": "2"}) == data_binding({"b": "2", "a": "1"})


def test_bindings_of_different_purposes_never_agree():
    text = KEY_ID.decode("latin-1")
    bindings = [
        domain_kek_binding(KEY_ID),
        root_canary_binding(KEY_ID),
        kek_binding(KEY_ID, 1),
        kek_binding(KEY_ID, 2),
        kek_binding(OTHER_ID, 1),
        credential_binding(text),
        data_binding({}),
        data_binding({text: ""}),
    ]
    assert len(set(bindings)) == len(bindings)


@pytest.mark.parametrize(
    "bind", [domain_kek_binding, root_canary_binding, lambda key_id: kek_binding(key_id, 1)]
)
def test_ids_of_another_length_are_not_bound(bind):
    with pytest.raises(ValueError, match="16 bytes"):
        bind(bytes(15))


def test_the_aad_is_the_first_bytes_of_the_blob_and_the_binding():
    sealed = sealed_data()
    aad = aad_for(Purpose.DATA, WrapAlgorithm.XAES_256_GCM, KEY_ID, 1, BINDING)
    assert aad == sealed[:23] + BINDING
    blob = Blob.parse(sealed)
    assert CIPHER.open(blob.iv, blob.ciphertext + blob.tag, aad) == b"plaintext"


def test_software_neither_makes_nor_opens_what_belongs_to_an_hsm():
    with pytest.raises(MalformedBlobError):
        seal_blob(CIPHER, Purpose.DOMAIN_KEK, KEY_ID, 1, b"plaintext", BINDING)
    blob = Blob(Purpose.DOMAIN_KEK, WrapAlgorithm.HSM_AES_GCM, KEY_ID, 1, bytes(12), b"c", bytes(16))
    with pytest.raises(MalformedBlobError):
        open_blob(CIPHER, blob, BINDING)


@pytest.mark.parametrize(("plaintext_len", "limit"), [(4_096, 6_144), (32, 999)])
def test_ciphertexts_keep_to_the_sizes_of_aws_kms(plaintext_len, limit):
    assert len(sealed_data(bytes(plaintext_len))) == plaintext_len + 69 <= limit


@pytest.mark.parametrize("plaintext_len", [0, 6_076])
def test_empty_or_over_long_plaintexts_are_refused(plaintext_len):
    with pytest.raises(MalformedBlobError):
        sealed_data(bytes(plaintext_len))
