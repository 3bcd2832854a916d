"""Batches of one member, through its worker's use socket."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from strongroom.core import BatchAnswer, BatchItem, Deadline
from strongroom.hsm.cluster._direct_member import seconds_left
from strongroom.hsm.wire import WireClient, answers_of, encode_batch


class RemoteBatchUse(ABC):
    """``core.HsmBatchUse`` over one use socket."""

    async def batch(self, items: Sequence[BatchItem], *, deadline: Deadline) -> list[BatchAnswer]:
        """Have many things done in one message (``core.HsmBatchUse.batch``): 256, and 512 KiB, at most."""
        if not items:
            return []
        call = encode_batch(items)
        client = await self._connected(deadline)
        return answers_of(items, await client.call(call, timeout_s=seconds_left(deadline)))

    @abstractmethod
    async def _connected(self, deadline: Deadline) -> WireClient: ...
