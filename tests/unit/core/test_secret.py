"""A secret shows itself only to who asks for it by ``reveal``."""

import copy
import json
import logging
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import Secret

HIDDEN = b"correct horse battery staple"


@pytest.fixture
def secret():
    return Secret(HIDDEN)


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        "{}".format,
        "{:>80}".format,
        "{!r}".format,
        "{0:x}".format,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!s:>80}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # one of the ways under test
        lambda secret: str([secret]),
        lambda secret: str({"pin": secret}),
        lambda secret: str(ValueError(secret)),
        ascii,
    ],
)
def test_no_way_of_formatting_shows_the_bytes(secret, show):
    assert "Secret(<28 bytes>)" in show(secret)
    assert "horse" not in show(secret)


def test_a_log_record_does_not_show_the_bytes(secret, caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("pin is %s", secret)
    assert "horse" not in caplog.text
    assert "Secret(<28 bytes>)" in caplog.text


@pytest.mark.parametrize(
    "encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, bytes, list, iter, pickle.dumps]
)
def test_no_encoder_takes_it(secret, encode):
    with pytest.raises(TypeError):
        encode(secret)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled_by_any_protocol(secret, protocol):
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_it_cannot_be_copied_behind_our_back(secret, duplicate):
    with pytest.raises(TypeError, match="pickled"):
        duplicate(secret)


@pytest.mark.parametrize("other", [Secret(HIDDEN), HIDDEN, "x", None])
def test_comparing_by_operators_is_refused(secret, other):
    for compare in (lambda: secret == other, lambda: secret != other, lambda: other == secret):
        with pytest.raises(TypeError, match="matches"):
            compare()


def test_it_is_unhashable_and_has_no_dict(secret):
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)
    with pytest.raises(TypeError):
        {secret: 1}  # noqa: B018
    assert not hasattr(secret, "__dict__")


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_matches_says_whether_the_bytes_are_equal(left, right):
    assert Secret(left).matches(Secret(left))
    assert Secret(left).matches(Secret(right)) == (left == right)


@given(st.binary(max_size=64))
def test_reveal_and_length_are_those_of_the_bytes(value):
    assert Secret(value).reveal() == value
    assert len(Secret(value)) == len(value)
    assert Secret(memoryview(value)).reveal() == value


def test_it_keeps_a_copy_of_what_it_was_given():
    given_bytes = bytearray(HIDDEN)
    secret = Secret(given_bytes)
    given_bytes[:] = bytes(len(HIDDEN))
    assert secret.reveal() == HIDDEN


def test_zeroize_overwrites_the_buffer_itself(secret):
    buffer = secret._buffer
    secret.zeroize()
    assert buffer == bytes(28)
    assert secret._buffer is buffer
    assert secret.reveal() == bytes(28)
    assert len(secret) == 28


def test_text_is_taken_as_utf_8():
    assert Secret.from_text("pässwörd").reveal() == "pässwörd".encode()
