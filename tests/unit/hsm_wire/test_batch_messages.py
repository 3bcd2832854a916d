"""Batches on the wire: what goes in comes out, in its order; what is too much is refused; nonsense is noticed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import (
    MAX_BATCH_ITEMS,
    BatchDecrypt,
    BatchEncrypt,
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberBusyError,
    MemberFailedError,
    RootId,
    Secret,
    SigningAlgorithm,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.wire import (
    MAX_BATCH_BYTES,
    Batch,
    Failed,
    Failure,
    ItemAnswer,
    Request,
    Sealed,
    UseCall,
    answers_of,
    call_of,
    encode_batch,
    item_answer,
    item_of,
)

SHORT = st.binary(max_size=40)
WRAPPED = st.builds(WrappedBytes, st.sampled_from(WrapAlgorithm), SHORT, SHORT, SHORT)
KEYS = st.builds(
    lambda key_id, spec: HsmKey(HsmKeyId(key_id), spec, min(spec.usages)), SHORT, st.sampled_from(KeySpec)
)
ITEMS = st.one_of(
    st.builds(BatchWrap, SHORT.map(RootId), SHORT.map(Secret), SHORT),
    st.builds(BatchUnwrap, SHORT.map(RootId), WRAPPED, SHORT),
    st.builds(BatchSign, KEYS, st.sampled_from(SigningAlgorithm), SHORT),
    st.builds(BatchMac, KEYS, SHORT),
    st.builds(BatchEncrypt, KEYS, SHORT.map(Secret), SHORT),
    st.builds(BatchDecrypt, KEYS, WRAPPED, SHORT),
)
ERRORS = st.sampled_from([HsmIntegrityError, MemberBusyError, MemberFailedError]).map(
    lambda kind: kind("why")
)
SENT = st.one_of(
    SHORT,
    st.builds(Sealed, st.integers(-1, 9), SHORT, SHORT, SHORT),
    st.builds(Failed, st.builds(Failure, st.text(max_size=9), st.text(), st.none(), st.none())),
)
UNWRAP = BatchUnwrap(RootId(bytes(16)), WrappedBytes(WrapAlgorithm.HSM_AES_GCM, b"i", b"c", b"t"), b"")
MAC = BatchMac(HsmKey(HsmKeyId(bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC), b"message")


def plain(value):
    """Without its secrecy, so that it can be compared."""
    if isinstance(value, Secret):
        return ("secret", value.reveal())
    if isinstance(value, MemberFailedError | HsmRequestError):
        return (type(value), value.message)
    if isinstance(value, tuple):
        return type(value), tuple(map(plain, value))
    return value


def sent_and_read(items):
    sent = msgspec.msgpack.encode(Request(7, 0.5, encode_batch(items)))
    return msgspec.msgpack.decode(sent, type=Request[UseCall]).call


@given(st.lists(ITEMS, max_size=20))
def test_the_items_of_a_batch_arrive_as_they_were_in_their_order(items):
    batch = sent_and_read(items)
    assert isinstance(batch, Batch)
    assert list(map(plain, map(item_of, batch.items))) == list(map(plain, items))
    assert batch.items == list(map(call_of, items))


@given(st.data(), st.lists(ITEMS, max_size=20))
def test_every_answer_arrives_as_it_was_at_its_place(data, items):
    fitting = {
        BatchWrap: WRAPPED,
        BatchEncrypt: WRAPPED,
        BatchUnwrap: SHORT.map(Secret),
        BatchDecrypt: SHORT.map(Secret),
    }
    answers = [data.draw(st.one_of(fitting.get(type(item), SHORT), ERRORS)) for item in items]
    sent = msgspec.msgpack.encode(list(map(item_answer, answers)))
    read = answers_of(items, msgspec.msgpack.decode(sent, type=list[ItemAnswer]))
    assert list(map(plain, read)) == list(map(plain, answers))


@given(st.lists(ITEMS, max_size=4), st.lists(SENT, max_size=4))
def test_whatever_a_worker_sends_is_an_answer_to_each_item_or_a_failure_of_the_member(items, sent):
    try:
        answers = answers_of(items, sent)
    except MemberFailedError:
        return
    assert len(answers) == len(items)


@given(st.binary(max_size=200))
def test_bytes_from_anywhere_are_a_list_of_answers_or_refused_by_the_decoder(data):
    try:
        msgspec.msgpack.decode(data, type=list[ItemAnswer])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return


@pytest.mark.parametrize(
    ("items", "sent"),
    [
        ([UNWRAP], []),
        ([UNWRAP], [b"a", b"b"]),
        ([UNWRAP], [Sealed(1, b"i", b"c", b"t")]),
        ([MAC], [Sealed(1, b"i", b"c", b"t")]),
        ([BatchWrap(RootId(bytes(16)), Secret(b"k"), b"")], [b"bytes"]),
        ([BatchWrap(RootId(bytes(16)), Secret(b"k"), b"")], [Sealed(99, b"i", b"c", b"t")]),
    ],
)
def test_answers_of_the_wrong_number_or_kind_are_the_members_fault(items, sent):
    with pytest.raises(MemberFailedError):
        answers_of(items, sent)


def test_an_algorithm_that_nobody_knows_reaches_the_token_which_refuses_it():
    wrapped = UNWRAP.wrapped._replace(algorithm=99)
    (call,) = sent_and_read([UNWRAP._replace(wrapped=wrapped)]).items
    assert item_of(call).wrapped.algorithm == 99


def test_too_many_items_and_too_many_bytes_are_refused():
    assert len(sent_and_read([MAC] * MAX_BATCH_ITEMS).items) == MAX_BATCH_ITEMS
    with pytest.raises(HsmRequestError, match="at most 256 items, not 257"):
        encode_batch([MAC] * (MAX_BATCH_ITEMS + 1))
    with pytest.raises(HsmRequestError, match=f"at most {MAX_BATCH_BYTES} bytes"):
        encode_batch([MAC._replace(message=bytes(4096))] * 128)
