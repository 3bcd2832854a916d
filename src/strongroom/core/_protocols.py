"""Protocols that cross rooms, so that a user of a thing need not import the room that makes it."""

from collections.abc import Mapping
from typing import Protocol

from strongroom.core._clock import Deadline
from strongroom.core._errors import ApprovalRequiredError
from strongroom.core._secret import Secret
from strongroom.core._values import RootId, WrappedBytes


class HsmUse(Protocol):
    """The use verbs: idempotent, so whoever holds several members may repeat them on another one."""

    async def wrap(
        self, root_id: RootId, key_bytes: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt key bytes under a root KEK inside the HSM, authenticating ``aad``.

        Raises MemberFailedError and its kin (another member may do better) or HsmRequestError (none will).
        """
        ...

    async def unwrap(
        self, root_id: RootId, wrapped: WrappedBytes, aad: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt what ``wrap`` made. Raises HsmIntegrityError when it does not authenticate."""
        ...

    async def random(self, n_bytes: int, *, deadline: Deadline) -> Secret:
        """Return bytes of the HSM's own generator (1 to 1,024)."""
        ...


class HsmMember(HsmUse, Protocol):
    """One HSM of a cluster."""

    @property
    def name(self) -> str:
        """The member's name in the configuration."""
        ...


class ApprovalGate(Protocol):
    """Decides whether an admin verb may run. A gate that is not sure refuses."""

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Return if the verb may run with exactly these parameters. Raises ApprovalRequiredError."""
        ...


class ClosedGate:
    """The gate that refuses everything: what a worker gets when nobody gave it another one."""

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:  # noqa: ARG002  # the Protocol's shape
        """Refuse."""
        raise ApprovalRequiredError(
            f"{verb} changes keys inside the HSM and no approval covers it",
            next_step="admin verbs run during strongroom init",
        )


class EventSink(Protocol):
    """Where rooms report what operators should know (failover, restarts, drift), as name and fields."""

    def emit(self, event: str, **fields: object) -> None:
        """Record one event. Must not block and must not raise; fields never hold secrets."""
        ...
