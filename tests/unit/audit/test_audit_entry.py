"""Entries: limits, encoding, and what is no entry."""

import contextlib
import hashlib
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import (
    MAX_PAYLOAD_BYTES,
    MAX_TEXT_BYTES,
    AuditCorruptError,
    Entry,
    decode_entry,
    leaf_hash,
)
from strongroom.audit._entry import DETAIL_CUT, encode_entry

_BASE = {
    "version": 1,
    "writer": "main",
    "seq": 1,
    "boot": 1,
    "at": 1_800_000_000_000_000,
    "kind": "event",
    "event": "e",
}
_TEXTS = [
    "principal",
    "access_key_id",
    "source_address",
    "request_id",
    "key_id",
    "key_version",
    "outcome",
    "member",
]

any_text = st.text(st.characters(codec=None), max_size=3000) | st.integers(0, 9000).map(lambda n: "ä" * n)


def test_an_entry_within_its_limits_is_stored_as_it_is():
    entry = Entry(**_BASE, principal="user/app", detail={"context": "tenant"})
    assert decode_entry(encode_entry(entry)) == entry


def test_defaults_are_not_stored_but_the_version_is():
    stored = msgspec.msgpack.decode(encode_entry(Entry(**_BASE)))
    assert stored == _BASE


def test_an_over_long_text_is_cut_at_a_character_and_says_how_long_it_was():
    cut = decode_entry(encode_entry(Entry(**_BASE, principal="ä" * 1000))).principal
    assert len(cut.encode()) <= MAX_TEXT_BYTES
    assert cut.startswith("ää")
    assert cut.endswith("ä[cut: 2000 bytes]")


def test_detail_that_does_not_fit_is_left_out_and_counted():
    detail = {f"name-{i}": "x" * 100 for i in range(50)}
    kept = decode_entry(encode_entry(Entry(**_BASE, detail=detail))).detail
    assert int(kept[DETAIL_CUT]) + len(kept) - 1 == 50
    assert len(kept) > 10


def test_a_lone_surrogate_is_stored_escaped():
    assert decode_entry(encode_entry(Entry(**_BASE, principal="a\udcff"))).principal == "a\\udcff"


def test_control_characters_are_stored_escaped_wherever_a_caller_may_put_them():
    hostile, escaped = "a\x00b\x1b[2J\r\n\x7f\x9bc", r"a\x00b\x1b[2J\r\n\x7f\x9bc"
    entry = Entry(**(_BASE | dict.fromkeys([*_TEXTS, "event"], hostile)), detail={hostile: hostile})
    read = decode_entry(encode_entry(entry))
    assert {getattr(read, name) for name in [*_TEXTS, "event"]} == {escaped}
    assert read.detail == {escaped: escaped}


def test_text_that_is_unprintable_but_no_control_character_stays_as_it_is():
    text = "\u00a0\u3000\u202e\U0001f511\ue000"
    assert decode_entry(encode_entry(Entry(**_BASE, principal=text))).principal == text


@given(
    st.fixed_dictionaries(dict.fromkeys([*_TEXTS, "event"], any_text)),
    st.dictionaries(any_text, any_text, max_size=30),
)
def test_any_texts_give_an_entry_that_fits_and_reads_back(texts, detail):
    payload = encode_entry(Entry(**(_BASE | texts), detail=detail))
    assert len(payload) <= MAX_PAYLOAD_BYTES
    read = decode_entry(payload)
    assert all(len(getattr(read, name).encode()) <= MAX_TEXT_BYTES for name in _TEXTS)
    # Read back and written again it is the same, unless the count of what was left out takes room of its own.
    assert DETAIL_CUT in read.detail or encode_entry(read) == payload
    stored = [read.event, *(getattr(read, name) for name in _TEXTS), *read.detail, *read.detail.values()]
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in "".join(stored))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_entry_or_corrupt(data):
    with contextlib.suppress(AuditCorruptError):
        decode_entry(data)


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"kind": "rumour"}, {"extra": 1}, {"seq": "1"}, {"detail": {"a": 1}}]
)
def test_a_map_that_is_no_entry_of_version_1_is_corrupt(change):
    with pytest.raises(AuditCorruptError, match="version"):
        decode_entry(msgspec.msgpack.encode(_BASE | change))


def test_the_leaf_hash_is_that_of_rfc_6962():
    # The first leaf of the reference tree of RFC 6962 implementations is the empty string.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"abc") == hashlib.sha256(b"\x00abc").digest()
