"""What is said to an SSH agent and what it answers (draft-ietf-sshm-ssh-agent), as bytes: whoever has a socket carries them.

    uint32  length of what follows           request  11  list keys          answer  12  uint32 n, n x (string key, string comment)
    byte    kind of message                           13  sign                       14  string signature
    ...     contents                                      string key, string data,    5  refused
                                                          uint32 flags (0)

An agent is trusted with nothing: a signature that it gives is checked before anybody sees it.
"""

import struct
from typing import Final, NamedTuple, NoReturn

from strongroom.custody._errors import OfficerKeyError, SignatureRefusedError
from strongroom.custody._officer_keys import OfficerKey
from strongroom.custody._ssh_signatures import signature_blob, signed_bytes, verify_signature
from strongroom.custody._ssh_wire import WireError, WireReader, wire_string

MAX_AGENT_ANSWER_BYTES: Final = 256 * 1024
"""As OpenSSH has it (AGENT_MAX_LEN)."""
_MAX_KEYS: Final = 2048
_MAX_BLOB_BYTES: Final = 64 * 1024
"""Of keys and certificates of kinds that officers do not use; they are skipped."""
_FAILURE: Final = 5
_REQUEST_IDENTITIES: Final = 11
_IDENTITIES_ANSWER: Final = 12
_SIGN_REQUEST: Final = 13
_SIGN_RESPONSE: Final = 14


class AgentIdentity(NamedTuple):
    """A key that the agent says it has."""

    key: OfficerKey
    comment: str
    """As the agent has it: not made harmless for terminals."""


def identities_request() -> bytes:
    """Return the message that asks for the keys."""
    return _framed(bytes((_REQUEST_IDENTITIES,)))


def sign_request(key: OfficerKey, message: bytes, namespace: str) -> bytes:
    """Return the message that asks for a signature as ``ssh-keygen -Y sign`` makes it."""
    data = signed_bytes(message, namespace)
    return _framed(bytes((_SIGN_REQUEST,)) + wire_string(key.blob) + wire_string(data) + struct.pack(">I", 0))


def agent_answer_bytes(head: bytes) -> int:
    """Return how many bytes follow the first four of an answer. Raises OfficerKeyError when too many, or none."""
    length = int.from_bytes(head, "big")
    if len(head) != 4 or not 0 < length <= MAX_AGENT_ANSWER_BYTES:
        raise _malformed("its length")
    return length


def read_identities(answer: bytes) -> tuple[AgentIdentity, ...]:
    """Return the keys of an answer that officers can use, in its order. Raises OfficerKeyError for what is no such answer."""
    reader = _opened(answer, _IDENTITIES_ANSWER)
    found: list[AgentIdentity] = []
    try:
        n_keys = reader.uint32()
        if n_keys > _MAX_KEYS:
            raise WireError("too many keys")
        for _ in range(n_keys):
            blob, comment = reader.string(max_bytes=_MAX_BLOB_BYTES), reader.string()
            try:
                found.append(AgentIdentity(OfficerKey.from_blob(blob), comment.decode("utf-8", "replace")))
            except OfficerKeyError:
                continue  # RSA, certificates and others: not ours to use, and no fault of the agent
        reader.end()
    except WireError as error:
        raise _malformed(str(error)) from error
    return tuple(found)


def read_agent_signature(answer: bytes, key: OfficerKey, message: bytes, namespace: str) -> bytes:
    """Return the signature of an answer as an SSHSIG blob, once it verifies. Raises OfficerKeyError."""
    reader = _opened(answer, _SIGN_RESPONSE)
    try:
        blob = signature_blob(key, namespace, reader.string())
        reader.end()
        verify_signature(blob, message, namespace)
    except WireError as error:
        raise _malformed(str(error)) from error
    except SignatureRefusedError as error:
        raise OfficerKeyError(f"the agent's signature is not what was asked for: {error.message}") from error
    return blob


def _opened(answer: bytes, expected: int) -> WireReader:
    if len(answer) > MAX_AGENT_ANSWER_BYTES:
        raise _malformed("its length")
    kind = answer[0] if answer else None
    if kind == _FAILURE:
        _refused()
    if kind != expected:
        raise _malformed("its kind")
    return WireReader(answer[1:])


def _framed(body: bytes) -> bytes:
    return wire_string(body)


def _refused() -> NoReturn:
    raise OfficerKeyError(
        "the SSH agent refused",
        next_step="see whether it is locked (ssh-add -X), asks for a touch or a confirmation, or has lost the key (ssh-add -l)",
    )


def _malformed(what: str) -> OfficerKeyError:
    return OfficerKeyError(f"the answer of the SSH agent is malformed: {what}")
