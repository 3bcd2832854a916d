"""The calls of custody, from the wire to whoever judges by them, and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from strongroom.hsm.wire import AdmitAct, CustodyPlace, FollowChain, PinCustody, RejectAct, WhereInChain


class CustodyDoor(Protocol):
    """What a member knows of officers and approved acts. Safe to use from several threads.

    Its errors are those that cross the socket: ApprovalRequiredError for what the rules refuse, HsmError for what fails.
    """

    def place(self) -> CustodyPlace:
        """Where the member stands in the chain."""
        ...

    def follow(self, records: Sequence[bytes]) -> CustodyPlace:
        """Take changes of officers and rules in."""
        ...

    def admit(self, request: bytes, signatures: Sequence[bytes], *, executed: int, parameters: bytes) -> None:
        """Hold an approved act ready."""
        ...

    def reject(self, request: bytes, signature: bytes) -> None:
        """Remember that a request was rejected."""
        ...

    def pin(self, genesis: bytes) -> CustodyPlace:
        """Pin a genesis for good."""
        ...

    def ended(self, verb: str, parameters: Mapping[str, object], failure: Exception | None) -> None:
        """Take notice of what became of a call that the gate let through. Never raises."""
        ...


def custody_calls(custody: CustodyDoor) -> Mapping[type, Callable[[Any], object]]:
    """Tell how each call is done."""

    def admit(call: AdmitAct) -> None:
        custody.admit(call.request, call.signatures, executed=call.executed, parameters=call.parameters)

    def reject(call: RejectAct) -> None:
        custody.reject(call.request, call.signature)

    def follow(call: FollowChain) -> CustodyPlace:
        return custody.follow(call.records)

    def pin(call: PinCustody) -> CustodyPlace:
        return custody.pin(call.genesis)

    def where(_call: WhereInChain) -> CustodyPlace:
        return custody.place()

    return {AdmitAct: admit, RejectAct: reject, FollowChain: follow, PinCustody: pin, WhereInChain: where}
