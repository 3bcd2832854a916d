"""Many blobs at once are the blobs that are made one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.envelope import (
    DataBlob,
    EnvelopeIntegrityError,
    MalformedBlobError,
    Xaes256Gcm,
    cut_data,
    data_header,
    open_cut_data,
    open_data,
    open_many_data,
    parse_data,
    seal_data,
    seal_many_data,
)

CIPHER_OF_CUTS = Xaes256Gcm(bytes(32))
KEY_ID = bytes(range(16))
HEADER = data_header(KEY_ID, 3)
messages = st.lists(st.tuples(st.binary(min_size=1, max_size=80), st.binary(max_size=40)), max_size=40)


def parsed(blob: bytes) -> DataBlob:
    found = parse_data(blob)
    assert found is not None
    return found


@given(key=st.binary(min_size=32, max_size=32), items=messages)
def test_each_blob_opens_by_itself_as_what_it_was(key, items):
    cipher = Xaes256Gcm(key)
    blobs = seal_many_data(cipher, HEADER, [text for text, _ in items], [bound for _, bound in items])
    assert len({parsed(blob).nonce for blob in blobs}) == len(items)
    for blob, (text, bound) in zip(blobs, items, strict=True):
        assert open_data(cipher, parsed(blob), bound) == text


@given(key=st.binary(min_size=32, max_size=32), items=messages)
def test_blobs_made_one_by_one_open_together(key, items):
    cipher = Xaes256Gcm(key)
    blobs = [parsed(seal_data(cipher, HEADER, text, bound)) for text, bound in items]
    assert open_many_data(cipher, blobs, [bound for _, bound in items]) == [text for text, _ in items]


@given(items=messages.filter(bool), data=st.data())
def test_one_that_is_spoilt_does_not_open_and_spoils_no_other(items, data):
    cipher = Xaes256Gcm(bytes(32))
    texts, bindings = [text for text, _ in items], [bound for _, bound in items]
    blobs = [parsed(blob) for blob in seal_many_data(cipher, HEADER, texts, bindings)]
    spoilt = data.draw(st.integers(0, len(items) - 1))
    kind = data.draw(st.sampled_from(["binding", "tag", "nonce", "header"]))
    blob = blobs[spoilt]
    if kind == "binding":
        bindings[spoilt] += b"!"
    elif kind == "tag":
        sealed = blob.ciphertext_with_tag
        blobs[spoilt] = blob._replace(ciphertext_with_tag=sealed[:-1] + bytes((sealed[-1] ^ 1,)))
    elif kind == "nonce":
        blobs[spoilt] = blob._replace(nonce=bytes((blob.nonce[0] ^ 1,)) + blob.nonce[1:])
    else:
        blobs[spoilt] = blob._replace(header=data_header(KEY_ID, 4))
    with pytest.raises(EnvelopeIntegrityError):
        open_data(cipher, blobs[spoilt], bindings[spoilt])
    expected = [None if at == spoilt else text for at, text in enumerate(texts)]
    assert open_many_data(cipher, blobs, bindings) == expected


def test_a_message_of_an_impossible_length_is_refused():
    for bad in (b"", bytes(6_076)):
        with pytest.raises(MalformedBlobError):
            seal_many_data(Xaes256Gcm(bytes(32)), HEADER, [b"fine", bad], [b"", b""])


def test_bindings_and_messages_go_in_pairs():
    with pytest.raises(ValueError, match="shorter"):
        seal_many_data(Xaes256Gcm(bytes(32)), HEADER, [b"a", b"b"], [b""])
    with pytest.raises(ValueError, match="shorter"):
        open_many_data(
            Xaes256Gcm(bytes(32)), [parsed(seal_data(Xaes256Gcm(bytes(32)), HEADER, b"a", b""))], []
        )


def test_nothing_at_all_is_nothing():
    cipher = Xaes256Gcm(bytes(32))
    assert (seal_many_data(cipher, HEADER, [], []), open_many_data(cipher, [], [])) == ([], [])


@given(data=st.data())
def test_a_blob_is_cut_just_where_reading_it_finds_that_header_and_opens_alike(data):
    key_id, other_id = bytes(range(16)), bytes(16)
    header = data_header(key_id, 3)
    sealed = seal_data(CIPHER_OF_CUTS, header, data.draw(st.binary(min_size=1, max_size=80)), b"bound")
    change = data.draw(st.sampled_from(["none", "byte", "cut", "longer", "version", "key"]))
    at = data.draw(st.integers(0, len(sealed) - 1))
    if change == "byte":
        sealed = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    elif change == "cut":
        sealed = sealed[:at]
    elif change == "longer":
        sealed += data.draw(st.binary(min_size=1, max_size=5))
    elif change == "version":
        header = data_header(key_id, 4)
    elif change == "key":
        header = data_header(other_id, 3)
    parsed = parse_data(sealed)
    cut = cut_data(header, sealed)
    assert (cut is not None) == (parsed is not None and parsed.header == header)
    if cut is not None:
        assert open_cut_data(CIPHER_OF_CUTS, header, [cut], [b"bound"]) == open_many_data(
            CIPHER_OF_CUTS, [parsed], [b"bound"]
        )


def test_blobs_that_were_cut_open_each_with_its_own_binding():
    header, texts, bindings = data_header(bytes(16), 1), [b"a", b"bb", b"c", b"d"], [b"x", b"y", b"y", b"x"]
    sealed = seal_many_data(CIPHER_OF_CUTS, header, texts, bindings)
    cut = [cut_data(header, one) for one in sealed]
    assert open_cut_data(CIPHER_OF_CUTS, header, cut, bindings) == texts
    assert open_cut_data(CIPHER_OF_CUTS, header, cut, bindings[::-1]) == [b"a", b"bb", b"c", b"d"]
    assert open_cut_data(CIPHER_OF_CUTS, header, cut, [b"y", b"x", b"y", b""]) == [None, None, b"c", None]
    with pytest.raises(ValueError, match="zip"):
        open_cut_data(CIPHER_OF_CUTS, header, cut, bindings[:2])
