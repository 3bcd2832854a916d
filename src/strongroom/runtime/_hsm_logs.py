"""The HSMs' own logs in the main process: told at the start what is known of them, and watched whether they come."""

import asyncio
from collections.abc import Sequence
from typing import Final

from strongroom.config import Home, MemberConfig
from strongroom.core import EventSink, StrongroomError
from strongroom.wiring.exposition import family
from strongroom.wiring.hsm_log_status import HsmLogStatus, read_hsm_log_status

_LOOK_EVERY_S: Final = 60.0


class HsmLogs:
    """Belongs to the event loop of main. Nobody waits for it; what is read are a few small files."""

    def __init__(self, members: Sequence[MemberConfig], home: Home, *, events: EventSink) -> None:
        self._members = members
        self._home = home
        self._events = events
        self._silent: set[str] = set()
        self._found: dict[str, HsmLogStatus] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tell once what is known of each member's HSM, and begin to watch those whose log is said to come."""
        self.look()
        for found in self._found.values():
            if found.is_software:
                continue  # it can have no log, and is for development
            if found.is_off:
                self._events.emit(
                    "hsm.audit_logging_off", member=found.member, cause=found.doubt or found.logging.known_by
                )
            elif found.logging.state == "unknown":
                self._events.emit(
                    "hsm.audit_logging_unknown",
                    member=found.member,
                    said=found.said or "nothing",
                    cause=found.logging.known_by,
                )
        if any(member.has_hsm_log for member in self._members):
            self._task = asyncio.ensure_future(self._look_now_and_then())

    def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    def look(self) -> None:
        """Look at every member, and tell of a log that comes no more, or again."""
        for member in self._members:
            try:
                found = read_hsm_log_status(self._home, member)
            except (StrongroomError, OSError):
                continue  # a file that cannot be read: ``doctor`` and ``status`` say so
            self._found[member.name] = found
            if found.is_silent and member.name not in self._silent:
                self._silent.add(member.name)
                self._events.emit(
                    "hsm.log_silent",
                    member=member.name,
                    seconds=int(found.silent_s),
                    limit_s=int(member.hsm_log_silent_s),
                )
            elif not found.is_silent and member.name in self._silent:
                self._silent.discard(member.name)
                self._events.emit("hsm.log_comes_again", member=member.name)

    def metrics(self) -> str:
        """Prometheus text of each member whose HSM's log is said to come; nothing where there is none."""
        found = {
            f'{{member="{member.name}"}}': self._found[member.name]
            for member in self._members
            if member.has_hsm_log and member.name in self._found
        }
        if not found:
            return ""
        return "".join(
            (
                family(
                    "hsm_log_records",
                    "gauge",
                    "Records of the HSM's own log that were taken in.",
                    {label: one.records for label, one in found.items()},
                ),
                family(
                    "hsm_log_silent_seconds",
                    "gauge",
                    "For how long the HSM was used without a record of it having been taken in.",
                    {label: round(one.silent_s, 3) for label, one in found.items()},
                ),
                family(
                    "hsm_unknown_uses",
                    "gauge",
                    "Uses that the HSM saw and no worker made, as the last comparison found.",
                    {label: one.unknown_uses for label, one in found.items()},
                ),
            )
        )

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self.look()
