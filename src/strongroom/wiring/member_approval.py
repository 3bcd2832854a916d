"""The approval by which a member is added in a home with officers, and its way to the members that are to believe it."""

from typing import NamedTuple

from strongroom.config import Home, MemberConfig
from strongroom.core import Clock
from strongroom.storage import Store
from strongroom.wiring.cluster_setup import Doors, Progress
from strongroom.wiring.new_member import Joining

ADD_MEMBER = "AddMember"


class ApprovedAddition(NamedTuple):
    """What proves to a member that its officers approved."""

    genesis: bytes
    records: tuple[bytes, ...]
    request: bytes
    signatures: tuple[bytes, ...]


async def approve_addition(
    home: Home,
    store: Store,
    added: MemberConfig,
    joining: Joining | None,
    *,
    clock: Clock,
    progress: Progress,
) -> ApprovedAddition | None:
    """Return the approval; None in a home without officers. Raises ApprovalRequiredError, which names the request."""


async def admit_addition(doors: Doors, approval: ApprovedAddition | None, name: str) -> None:
    """Have every member but the new one follow the chain, and hold the approved act ready. Raises ApprovalRequiredError."""


async def pin_member(doors: Doors, approval: ApprovedAddition | None, name: str, progress: Progress) -> None:
    """Pin the genesis in the new member, and have it follow the chain to its end. Raises HsmError."""
