"""The batch verb on the wire: calls that have messages of their own, many in one, and an answer for each.

Both ends turn them into the items and answers of ``core`` here: ``encode_batch`` and ``answers_of`` at the caller's,
``item_of`` and ``item_answer`` at the worker's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from strongroom.core import (
    MAX_BATCH_ITEMS,
    BatchAnswer,
    BatchDecrypt,
    BatchEncrypt,
    BatchItem,
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    HsmError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.wire._direct_messages import DirectDecrypt, DirectEncrypt, DirectMac, DirectSign
from strongroom.hsm.wire._errors import error_of, failure_from
from strongroom.hsm.wire._messages import BatchCall, EncodedBatch, Failed, ItemAnswer, Sealed, Unwrap, Wrap

MAX_BATCH_BYTES: Final = 512 * 1024
"""Of a batch as it is sent. No answer is so much longer than its item that 256 of them would not fit into a frame."""

_ALGORITHMS: Final[Mapping[int, WrapAlgorithm]] = {int(algorithm): algorithm for algorithm in WrapAlgorithm}
_CALLS: Final[Mapping[type, Callable[[Any], BatchCall]]] = {
    BatchWrap: lambda item: Wrap(item.root_id, item.key_bytes.reveal(), item.aad),
    BatchUnwrap: lambda item: _unwrap(*item),
    BatchSign: lambda item: DirectSign(*item),
    BatchMac: lambda item: DirectMac(*item),
    BatchEncrypt: lambda item: DirectEncrypt(item.key, item.plaintext.reveal(), item.aad),
    BatchDecrypt: lambda item: DirectDecrypt(*item),
}
_ITEMS: Final[Mapping[type, Callable[[Any], BatchItem]]] = {
    Wrap: lambda call: BatchWrap(RootId(call.root_id), Secret(call.key_bytes), call.aad),
    Unwrap: lambda call: BatchUnwrap(
        call.root_id,
        WrappedBytes(_algorithm(call.algorithm), call.iv, call.ciphertext, call.wrap_tag),
        call.aad,
    ),
    DirectSign: lambda call: BatchSign(call.key, call.algorithm, call.signed),
    DirectMac: lambda call: BatchMac(call.key, call.message),
    DirectEncrypt: lambda call: BatchEncrypt(call.key, Secret(call.plaintext), call.aad),
    DirectDecrypt: lambda call: BatchDecrypt(call.key, call.sealed, call.aad),
}
_SECRET: Final = frozenset({BatchUnwrap, BatchDecrypt})
_SEALED: Final = frozenset({BatchWrap, BatchEncrypt})


def check_batch_len(n_items: int) -> None:
    """Raise HsmRequestError when a batch has more items than it may."""
    if n_items > MAX_BATCH_ITEMS:
        raise HsmRequestError(
            f"a batch has at most {MAX_BATCH_ITEMS} items, not {n_items}", next_step="send several batches"
        )


def encode_batch(items: Sequence[BatchItem]) -> EncodedBatch:
    """Put items into one message. Raises HsmRequestError when they are too many or too long together."""
    check_batch_len(len(items))
    encoded = msgspec.msgpack.encode([_CALLS[type(item)](item) for item in items])
    if len(encoded) > MAX_BATCH_BYTES:
        raise HsmRequestError(
            f"a batch has at most {MAX_BATCH_BYTES} bytes, not {len(encoded)}",
            next_step="send several batches",
        )
    return EncodedBatch(msgspec.Raw(encoded))


def call_of(item: BatchItem) -> BatchCall:
    """Return the message that asks for an item by itself."""
    return _CALLS[type(item)](item)


def item_of(call: BatchCall) -> BatchItem:
    """Return the item that a message asks for. Whether there can be such is for the token to say."""
    return _ITEMS[type(call)](call)


def item_answer(answer: BatchAnswer) -> ItemAnswer:
    """Return an answer as it is sent."""
    if isinstance(answer, Secret):
        return answer.reveal()
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, HsmError):
        return Failed(failure_from(answer))
    return Sealed(*answer)


def answers_of(items: Sequence[BatchItem], sent: Sequence[ItemAnswer]) -> list[BatchAnswer]:
    """Return what was sent in answer to these items. Raises MemberFailedError when it is of the wrong form."""
    if len(sent) != len(items):
        raise MemberFailedError(f"the worker sent {len(sent)} answers to a batch of {len(items)}")
    return list(map(_answer, items, sent))


def _unwrap(root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Unwrap:
    algorithm, iv, ciphertext, tag = wrapped
    return Unwrap(root_id, algorithm, iv, ciphertext, tag, aad)


def _answer(item: BatchItem, sent: ItemAnswer) -> BatchAnswer:
    kind = type(item)
    if type(sent) is bytes and kind not in _SEALED:
        return Secret(sent) if kind in _SECRET else sent
    if isinstance(sent, Failed):
        error = error_of(sent.failure)
        return error if isinstance(error, HsmError) else MemberFailedError(error.message)
    if isinstance(sent, Sealed) and kind in _SEALED and sent.algorithm in _ALGORITHMS:
        return WrappedBytes(_ALGORITHMS[sent.algorithm], sent.iv, sent.ciphertext, sent.wrap_tag)
    raise MemberFailedError("the worker sent an answer of the wrong form")


def _algorithm(number: int) -> WrapAlgorithm:
    # A number that stands for none is refused by the token, as is every algorithm but its own.
    return _ALGORITHMS.get(number, cast("WrapAlgorithm", number))
