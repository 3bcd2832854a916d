"""The part of an API process that finishes rotations of domains."""

import asyncio

from strongroom.core import StrongroomError
from strongroom.wiring.data_plane import DataPlane
from strongroom.wiring.events import LoggedEvents

_EVERY_S = 1.0


async def finish_domain_rotations(plane: DataPlane, events: LoggedEvents, *, is_ours: bool) -> None:
    """Move the keys of domains whose KEK was replaced: one process of the host does it for all.

    Looking takes microseconds; who asked for a rotation may have been answered by another process.
    """
    while True:
        await asyncio.sleep(_EVERY_S)
        if is_ours:
            try:
                finished = await plane.service.finish_domain_rotations()
            except StrongroomError as error:
                events.emit("domains.not_rotated", cause=str(error))
            else:
                if finished:
                    events.emit("domains.rotated", count=finished)
