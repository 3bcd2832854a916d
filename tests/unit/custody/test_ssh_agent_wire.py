"""What is said to an SSH agent, byte for byte, and answers that no agent would give."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED, key_of
from strongroom.custody import (
    MAX_AGENT_ANSWER_BYTES,
    NAMESPACE_APPROVAL,
    NAMESPACE_REJECTION,
    OfficerKeyError,
    agent_answer_bytes,
    identities_request,
    read_agent_signature,
    read_identities,
    sign_request,
    verify_signature,
)
from strongroom.custody._ssh_signatures import signed_bytes  # what an agent is given

ANNA = key_of("anna")
MESSAGE = b"{}"


def _string(raw):
    return struct.pack(">I", len(raw)) + raw


def _identities(*pairs, n=None):
    body = b"".join(_string(blob) + _string(comment) for blob, comment in pairs)
    return b"\x0c" + struct.pack(">I", len(pairs) if n is None else n) + body


def _signed(name="anna", namespace=NAMESPACE_APPROVAL, message=MESSAGE):
    """The answer of an agent that holds the key of somebody."""
    inner = key_of(name)._private.sign(signed_bytes(message, namespace))
    return b"\x0e" + _string(_string(b"ssh-ed25519") + _string(inner))


def test_requests_are_those_of_the_protocol():
    assert identities_request() == bytes.fromhex("000000010b")
    asked = sign_request(ANNA.public, MESSAGE, NAMESPACE_APPROVAL)
    body = _string(ANNA.public.blob) + _string(signed_bytes(MESSAGE, NAMESPACE_APPROVAL)) + bytes(4)
    assert asked == _string(b"\x0d" + body)


def test_keys_that_officers_cannot_use_are_passed_over():
    rsa = _string(b"ssh-rsa") + _string(b"\x01\x00\x01") + _string(b"\x00" + b"\xff" * 512)
    certificate = _string(b"ssh-ed25519-cert-v01@openssh.com") + bytes(9_000)
    answer = _identities((rsa, b"r"), (ANNA.public.blob, b"anna\x1b\xff"), (certificate, b""), (b"", b""))
    assert [(one.key, one.comment) for one in read_identities(answer)] == [(ANNA.public, "anna\x1b\ufffd")]
    assert read_identities(_identities()) == ()


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\x0c", b"\x06", b"\x0e" + bytes(4), _identities(n=1), _identities((b"x", b""), n=0), _identities((b"x", b"")) + b"\0",
        _identities(n=2**32 - 1), _identities(*[(b"", b"")] * 2049), b"\x0c" + struct.pack(">II", 1, 70_000) + bytes(70_004),
        b"\x0c" + bytes(MAX_AGENT_ANSWER_BYTES),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused(answer):
    with pytest.raises(OfficerKeyError, match="malformed"):
        read_identities(answer)


@pytest.mark.parametrize(
    "head", [b"", bytes(3), bytes(4), b"\xff\xff\xff\xff", b"\x00\x04\x00\x01", bytes(5)]
)
def test_a_length_that_no_answer_has_is_refused(head):
    with pytest.raises(OfficerKeyError, match="length"):
        agent_answer_bytes(head)


def test_a_signature_of_the_agent_verifies_like_any_other():
    blob = read_agent_signature(_signed(), ANNA.public, MESSAGE, NAMESPACE_APPROVAL)
    assert verify_signature(blob, MESSAGE, NAMESPACE_APPROVAL) == ANNA.public
    assert blob == ANNA.sign(MESSAGE, NAMESPACE_APPROVAL)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x05", "refused"),
        (b"\x0c" + bytes(4), "malformed"),
        (_signed() + b"\0", "malformed"),
        (_signed("ben"), "not what was asked for"),
        (_signed(namespace=NAMESPACE_REJECTION), "not what was asked for"),
        (_signed(message=b"[]"), "not what was asked for"),
        (b"\x0e" + _string(b""), "not what was asked for"),
        (b"\x0e" + _string(bytes(5_000)), "malformed"),
    ],
)
def test_a_signature_that_is_another_is_never_seen(answer, words):
    with pytest.raises(OfficerKeyError, match=words):
        read_agent_signature(answer, ANNA.public, MESSAGE, NAMESPACE_APPROVAL)


@UNHURRIED
@given(st.binary(max_size=200) | st.binary(max_size=120).map(b"\x0c\x00\x00\x00\x01".__add__))
def test_any_bytes_are_an_answer_or_refused(answer):
    for read in (
        read_identities,
        lambda raw: read_agent_signature(raw, ANNA.public, MESSAGE, NAMESPACE_APPROVAL),
    ):
        with contextlib.suppress(OfficerKeyError):
            read(answer)


@UNHURRIED
@given(st.data())
def test_no_bit_of_a_signature_can_be_changed(data):
    answer = bytearray(_signed())
    answer[data.draw(st.integers(0, len(answer) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(OfficerKeyError):
        read_agent_signature(bytes(answer), ANNA.public, MESSAGE, NAMESPACE_APPROVAL)
