"""Blobs of data in few steps: the same bytes and the same opinion of them as ``Blob``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import WrapAlgorithm
from strongroom.envelope import (
    Blob,
    EnvelopeIntegrityError,
    MalformedBlobError,
    Purpose,
    Xaes256Gcm,
    data_binding,
    data_header,
    open_blob,
    open_data,
    parse_data,
    seal_blob,
    seal_data,
)

CIPHER = Xaes256Gcm(bytes(range(32)))
KEY_ID = bytes(range(16))
BINDING = data_binding({"tenant": "7"})


@given(st.binary(min_size=1, max_size=200), st.integers(1, 0xFFFF_FFFF))
def test_each_opens_what_the_other_sealed(plaintext, version):
    ours = seal_data(CIPHER, data_header(KEY_ID, version), plaintext, BINDING)
    assert open_blob(CIPHER, Blob.parse(ours), BINDING) == plaintext
    theirs = seal_blob(CIPHER, Purpose.DATA, KEY_ID, version, plaintext, BINDING)
    parsed = parse_data(theirs)
    assert (parsed.key_id, parsed.key_version) == (KEY_ID, version)
    assert open_data(CIPHER, parsed, BINDING) == plaintext


def check_alike(data):
    try:
        blob = Blob.parse(data)
    except MalformedBlobError:
        blob = None
    parsed = parse_data(data)
    if blob is None or blob.purpose is not Purpose.DATA:
        assert parsed is None
        return
    assert blob.algorithm is WrapAlgorithm.XAES_256_GCM
    assert parsed == (
        blob.wrapping_key_id, blob.wrapping_key_version, blob.header, blob.iv, blob.ciphertext + blob.tag
    )  # fmt: skip


SEALED = seal_blob(CIPHER, Purpose.DATA, KEY_ID, 1, b"some data", BINDING)


@given(at=st.integers(0, len(SEALED)), span=st.integers(0, 3), put=st.binary(max_size=3))
def test_of_any_change_both_think_the_same(at, span, put):
    check_alike(SEALED[:at] + put + SEALED[at + span :])


@given(st.binary(max_size=120))
def test_of_any_bytes_both_think_the_same(data):
    check_alike(data)
    check_alike(SEALED[:3] + data)


@pytest.mark.parametrize("purpose", [Purpose.KEK, Purpose.CREDENTIAL])
def test_what_is_no_data_is_none(purpose):
    assert parse_data(seal_blob(CIPHER, purpose, KEY_ID, 1, b"x", BINDING)) is None


@pytest.mark.parametrize("at", [3, 20, 24, 52, 60, len(SEALED) - 1])
def test_what_was_altered_does_not_open(at):
    spoilt = bytearray(SEALED)
    spoilt[at] ^= 1
    parsed = parse_data(bytes(spoilt))
    assert parsed is not None
    with pytest.raises(EnvelopeIntegrityError):
        open_data(CIPHER, parsed, BINDING)
