"""Pinning the genesis in a member's token: the last thing that ``strongroom init`` has a token do."""

from strongroom.hsm.cluster import RemoteAdmin


async def pin_custody(member: RemoteAdmin, genesis: bytes) -> None:
    """Have a member pin a genesis, from which on it lets nothing be done without its officers. Raises HsmError."""
