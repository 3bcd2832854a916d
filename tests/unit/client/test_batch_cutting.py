"""Cutting items into batches: nothing lost, nothing doubled, order kept, every request within its bounds."""

from itertools import cycle, islice

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.client import (
    AccessKey,
    Client,
    Endpoint,
    Item,
    ItemRefusedError,
    RequestRefusedError,
    Result,
    Service,
    values,
)
from strongroom.client._batches import DECRYPT, ENCRYPT, MAX_BODY_BYTES, MAX_SIGN_ITEMS, SIGN, Cutter
from strongroom.client._http import Answer
from strongroom.core import Secret

KEY = "0d9d1b2e-6a5b-4f0e-8f1d-2b8f7a0c6f3e"
CONTEXTS = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3)
ITEMS = st.lists(
    st.binary(max_size=40)
    | st.sampled_from([4_096, 4_097]).map(bytes)
    | st.builds(Item, st.binary(max_size=40), CONTEXTS),
    max_size=60,
)


def cut(items, *, verb=ENCRYPT, context=None, max_items=10_000):
    cutter = Cutter(verb, KEY, {"context": context or {}}, max_items=max_items)
    for item in items:
        if batch := cutter.add(item):
            yield batch
    if batch := cutter.finish():
        yield batch


def mirrored(batch):
    """The answer of a service whose ciphertexts are the plaintexts with their contexts."""
    if batch.request is None:
        return None
    asked = msgspec.msgpack.decode(batch.request.body)
    made = [
        {"ciphertext": msgspec.msgpack.encode([item["plaintext"], item.get("context", asked["context"])])}
        for item in asked["items"]
    ]
    return Answer(200, msgspec.msgpack.encode({"keyId": "arn", "items": made}))


@given(items=ITEMS, context=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3), max_items=st.integers(1, 20))  # fmt: skip
def test_each_item_gets_its_own_result_in_its_place(items, context, max_items):
    results, sizes = [], []
    for batch in cut(items, context=context, max_items=max_items):
        sizes.append(batch.n_items)
        results += batch.results(mirrored(batch))
    assert all(size == max_items for size in sizes[:-1])
    assert len(results) == len(items)
    for position, (item, result) in enumerate(zip(items, results, strict=True)):
        data, own = item if isinstance(item, Item) else (item, None)
        if 1 <= len(data) <= 4_096:
            expected = msgspec.msgpack.encode([data, context if own is None else own])
            assert result == Result(expected)
        else:
            assert isinstance(result.error, ItemRefusedError)
            assert (result.error.position, result.error.code) == (position, "ValidationException")


@given(sizes=st.lists(st.integers(500, 6_144), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_bodies_keep_to_one_and_a_half_mebibytes_and_are_filled(sizes):
    many = islice(cycle(sizes), 3 * MAX_BODY_BYTES * len(sizes) // sum(sizes))
    batches = list(cut([bytes(size) for size in many], verb=DECRYPT))
    bodies = [len(batch.request.body) for batch in batches]
    assert len(bodies) >= 3
    assert max(bodies) <= MAX_BODY_BYTES
    assert all(body > MAX_BODY_BYTES - 6_200 for body in bodies[:-1])


def test_signatures_come_a_thousand_at_a_time():
    cutter = Cutter(SIGN, KEY, {"signingAlgorithm": "ECDSA_SHA_256"})
    batches = [batch for number in range(2_500) if (batch := cutter.add(b"%d" % number))]
    assert [batch.n_items for batch in batches] == [MAX_SIGN_ITEMS] * 2


def test_a_context_that_is_changed_afterwards_does_no_harm():
    context, items = {"n": "0"}, []

    def made():
        for number in range(3):
            context["n"] = str(number)
            yield Item(b"x", context)

    [batch] = cut(made())
    items = msgspec.msgpack.decode(batch.request.body)["items"]
    assert [item["context"] for item in items] == [{"n": "0"}, {"n": "1"}, {"n": "2"}]


def test_a_context_that_fits_into_no_request_is_refused_alone():
    [batch] = cut([b"x", Item(b"y", {"a": "b" * MAX_BODY_BYTES}), b"z"])
    assert [result.error is None for result in batch.results(mirrored(batch))] == [True, False, True]
    with pytest.raises(ValueError, match="context is too long"):
        Cutter(ENCRYPT, KEY, {"context": {"a": "b" * MAX_BODY_BYTES}})


@pytest.mark.parametrize("item", ["text", bytearray(b"x"), None, Item("text")])
def test_what_is_no_bytes_is_a_mistake_of_the_program(item):
    with pytest.raises(TypeError, match="bytes"):
        list(cut([item]))


def test_plaintexts_are_not_shown():
    [batch] = cut([b"the-plaintext"])
    shown = repr(Item(b"the-plaintext")) + repr(Result(b"the-plaintext")) + repr(batch)
    assert "the-plaintext" not in shown


def test_the_first_error_is_raised_with_its_place():
    error = ItemRefusedError(1, "InvalidCiphertextException", "")
    results = values([Result(b"a"), Result(None, error), Result(b"c")])
    assert next(results) == b"a"
    with pytest.raises(RequestRefusedError, match="item 1: the ciphertext") as caught:
        next(results)
    assert caught.value.code == "InvalidCiphertextException"


def test_a_whole_batch_that_is_refused_raises():
    [batch] = cut([b"x"])
    with pytest.raises(RequestRefusedError, match="DisabledException"):
        batch.results(Answer(400, b'{"__type": "DisabledException", "message": ""}'))


@pytest.mark.parametrize("n_bytes", [-200, -128, 0, 1_025])
def test_data_keys_of_an_impossible_length_are_a_mistake_of_the_program(n_bytes):
    """Whoever asks for five and gets none without a word might go on without any."""
    service = Service(Endpoint("http", "127.0.0.1", 9, None), AccessKey("AKIA", Secret(b"s")), "us-east-1")
    with Client(service) as client, pytest.raises(ValueError, match="1 to 1,024"):
        list(client.generate_data_keys(KEY, 5, n_bytes=n_bytes))
