"""Many uses of keys in one call to an HSM, each with an answer of its own."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from strongroom.core._clock import Deadline
from strongroom.core._direct import HsmKey, SigningAlgorithm
from strongroom.core._errors import HsmError
from strongroom.core._secret import Secret
from strongroom.core._values import RootId, WrappedBytes

MAX_BATCH_ITEMS: Final = 256
"""The most that one batch may hold."""


class BatchWrap(NamedTuple):
    """``HsmUse.wrap``. Answered by WrappedBytes."""

    root_id: RootId
    key_bytes: Secret
    aad: bytes


class BatchUnwrap(NamedTuple):
    """``HsmUse.unwrap``. Answered by a Secret."""

    root_id: RootId
    wrapped: WrappedBytes
    aad: bytes


class BatchSign(NamedTuple):
    """``HsmDirectUse.sign``. Answered by bytes."""

    key: HsmKey
    algorithm: SigningAlgorithm
    signed: bytes


class BatchMac(NamedTuple):
    """``HsmDirectUse.mac``. Answered by bytes."""

    key: HsmKey
    message: bytes


class BatchEncrypt(NamedTuple):
    """``HsmDirectUse.encrypt``. Answered by WrappedBytes."""

    key: HsmKey
    plaintext: Secret
    aad: bytes


class BatchDecrypt(NamedTuple):
    """``HsmDirectUse.decrypt``. Answered by a Secret."""

    key: HsmKey
    sealed: WrappedBytes
    aad: bytes


BatchItem = BatchWrap | BatchUnwrap | BatchSign | BatchMac | BatchEncrypt | BatchDecrypt
"""One of the verbs that a batch may hold, with what it is to be done on. Kinds may be mixed."""
BatchAnswer = Secret | WrappedBytes | bytes | HsmError
"""What the item's verb returns, or what it would have raised."""


class HsmBatchUse(Protocol):
    """The batch verb."""

    async def batch(self, items: Sequence[BatchItem], *, deadline: Deadline) -> list[BatchAnswer]:
        """Do 0 to 256 things and return as many answers, in the same order.

        One that fails does not touch the others, and one for which no time was left has a MemberDeadlineError or
        NoMemberError as its answer. Raises HsmRequestError when the batch itself is too long, and other HsmErrors
        when nothing at all came back.
        """
        ...
