"""What the owner of a home asks of the running service about its root, over main's control socket."""

from typing import Annotated, Literal

import msgspec

from strongroom.config import Home
from strongroom.hsm.wire import Failure
from strongroom.wiring.members_door import ask_main

LEAST_DOMAINS_PER_S = 0.1
MOST_DOMAINS_PER_S = 10_000.0
DEFAULT_DOMAINS_PER_S = 10.0
"""Thirty HSM operations a second: small beside what any HSM does, and a thousand domains in two minutes."""

DomainsPerS = Annotated[float, msgspec.Meta(ge=LEAST_DOMAINS_PER_S, le=MOST_DOMAINS_PER_S)]


class RootRequest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Rotate the root, change how fast domain KEKs are rewrapped, or destroy the old roots."""

    action: Literal["rotate", "rate", "retire"]
    domains_per_s: DomainsPerS = DEFAULT_DOMAINS_PER_S
    """Of ``rotate`` and ``rate``."""
    approval: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    """Of ``rotate`` and ``retire``: the request by which officers approved it; empty where there are none.
    The beginning of its id will do."""


class RetiredRoot(msgspec.Struct, frozen=True):
    """A root that was destroyed for good."""

    root_id: str
    left_on: list[str]
    """Members that may still hold it: it is destroyed there when they come back or are next looked at."""


class RootAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a request."""

    root_id: str = ""
    """Of ``rotate``: the new root."""
    held_by: list[str] = []
    """Of ``rotate``: the members that proved it. Of ``retire``: those that proved the current root."""
    lacking: list[str] = []
    """Of ``rotate``: members that served and did not get it; they serve again once they have it."""
    n_domains: int = 0
    """Of ``rotate``: domain KEKs that are to be rewrapped. Of ``retire``: those that were opened under the current root."""
    retired: list[RetiredRoot] = []
    failure: Failure | None = None
    """Why nothing was done, or not all."""


async def ask_root(home: Home, request: RootRequest, *, timeout_s: float) -> RootAnswer:
    """Ask the service that runs on a home. Raises MembersNotReachableError."""
    return await ask_main(home, request, RootAnswer, timeout_s=timeout_s)
