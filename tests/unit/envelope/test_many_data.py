"""Many blobs at once are the blobs that are made one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.envelope import (
    DataBlob,
    EnvelopeIntegrityError,
    MalformedBlobError,
    Xaes256Gcm,
    data_header,
    open_data,
    open_many_data,
    parse_data,
    seal_data,
    seal_many_data,
)

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
