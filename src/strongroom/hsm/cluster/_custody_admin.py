"""What a member is told of its officers, through the admin socket of a worker that one command runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from strongroom.hsm.wire import (
    MAX_RECORDS,
    AdmitAct,
    CustodyPlace,
    FollowChain,
    PinCustody,
    WhereInChain,
    WireClient,
)


class RemoteCustodyAdmin(ABC):
    """The custody part of an admin door. Its errors are those that cross the socket."""

    async def pin_custody(self, genesis: bytes) -> CustodyPlace:
        """Pin a genesis for good; without effect where it is pinned. Raises ApprovalRequiredError, HsmRequestError."""
        client, timeout_s = self._door()
        return await client.call(PinCustody(genesis), timeout_s=timeout_s)

    async def is_pinned(self) -> bool:
        """Whether it pinned a genesis."""
        client, timeout_s = self._door()
        return bool((await client.call(WhereInChain(), timeout_s=timeout_s)).genesis_sha256)

    async def follow_chain(self, records: Sequence[bytes]) -> None:
        """Show it every change of officers and rules, from the first on. Raises ApprovalRequiredError."""
        client, timeout_s = self._door()
        for begin in range(0, len(records), MAX_RECORDS):
            part = list(records[begin : begin + MAX_RECORDS])
            await client.call(FollowChain(part), timeout_s=timeout_s)

    async def admit_act(self, request: bytes, signatures: Sequence[bytes]) -> None:
        """Hand it an approved act, right before the calls that it covers. Raises ApprovalRequiredError."""
        client, timeout_s = self._door()
        await client.call(AdmitAct(request, list(signatures)), timeout_s=timeout_s)

    @abstractmethod
    def _door(self) -> tuple[WireClient, float]: ...
