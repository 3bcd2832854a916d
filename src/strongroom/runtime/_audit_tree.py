"""The audit log's tree in main: entries are gathered once a second, checkpoints signed at most 5 s or 10,000 entries apart.

Nothing here is on the way of a request. While no HSM answers entries gather, and the next checkpoint covers them all. What
fails is told, once and then once an hour, shows in metrics, and is tried again.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from strongroom.audit import Gathered, TreeLog
from strongroom.config import Home
from strongroom.core import Clock, EventSink, StrongroomError, random_bytes
from strongroom.runtime._audit_signing import CheckpointKeys, HsmSigner, SoftwareCosigner
from strongroom.runtime._audit_witnesses import AuditWitnesses
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.storage import Reader
from strongroom.wiring.exposition import family

T = TypeVar("T")

_GATHER_EVERY_S: Final = 1.0
_CHECKPOINT_EVERY_S: Final = 4.0
"""And a look later at the latest: that is 5 s."""
_CHECKPOINT_ENTRIES: Final = 10_000
_THIN_EVERY_S: Final = 60.0
"""How often one file of old checkpoints may be thinned."""
_TRY_AGAIN_S: Final = 30.0
_LATE_S: Final = 60.0
"""How long entries may wait for a checkpoint until it is told."""
_TELL_EVERY_S: Final = 3600.0
_LAST_S: Final = 5.0
"""How long the last checkpoint may take when the service ends."""
COSIGNER_FILE: Final = "audit-cosigner.key"


class AuditTree:
    """Keeps the tree of this host. Belongs to the event loop of main."""

    def __init__(
        self,
        home: Home,
        store: Reader,
        keys: CheckpointKeys,
        *,
        origin: str,
        custody: CustodyKeeping | None = None,
        witnesses: AuditWitnesses | None = None,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``origin``: what the log is called from its first start on. ``custody``: where officers approve keys.

        ``witnesses`` begin and end with the tree, and are given every checkpoint.
        """
        self._home = home
        self._witnesses = witnesses
        self._origin = origin
        self._signer = HsmSigner(store, keys, custody=custody, clock=clock)
        self._events = events
        self._clock = clock
        self._log: TreeLog | None = None
        self._cosigner: SoftwareCosigner | None = None
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._signed_at = self._sign_after = self._thin_after = clock.monotonic()
        self._log_is_usable = True
        self._turn = threading.Lock()  # of whoever uses the log, in a thread
        self._told: dict[str, float] = {}
        self._failures = 0
        self._size = self._checkpointed = 0

    def start(self) -> None:
        """Begin to gather."""
        self._running = asyncio.ensure_future(self._run())
        if self._witnesses is not None:
            self._witnesses.start()

    async def finish(self) -> None:
        """Take in what is there, sign it if a member still does, and end. To be called once writers have ended."""
        self._stopping.set()
        if self._running is not None:
            await self._running
        if self._log is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._guarded(self._last_checkpoint)
            await asyncio.to_thread(self._close)
        if self._witnesses is not None:
            await self._witnesses.finish()

    def close(self) -> None:
        """End without a last checkpoint."""
        self._stopping.set()

    def metrics(self) -> str:
        """Prometheus text: how far the tree and its checkpoints are, and what failed."""
        behind = self._size - self._checkpointed
        return (
            family("audit_tree_entries", "gauge", "Entries in the tree of the audit log.", {"": self._size})
            + family(
                "audit_checkpoint_behind", "gauge", "Entries that no checkpoint covers yet.", {"": behind}
            )
            + family("audit_tree_failures_total", "counter", "What the tree failed at.", {"": self._failures})
        )

    async def _run(self) -> None:
        while not self._stopping.is_set():
            is_well = await self._guarded(self._step)
            if not is_well and self._log is not None and not self._log_is_usable:
                await asyncio.to_thread(self._close)
            await self._pause(_GATHER_EVERY_S if self._log is not None else _TRY_AGAIN_S)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> bool:
        self._log_is_usable = True
        try:
            await work()
        except (StrongroomError, OSError) as error:
            self._tell("audit.tree_failed", str(error))
            return False
        except Exception as error:  # noqa: BLE001  # whatever it was, checkpoints do not end in silence
            self._tell("audit.tree_failed", f"a bug: {type(error).__name__}")
            return False
        return True

    async def _step(self) -> None:
        log = self._log
        if log is None:
            log = self._log = await self._on_disk(self._open)
            self._show_witnesses(log)
        await self._gather(log, is_last=False)
        behind, now = self._size - self._checkpointed, self._clock.monotonic()
        if not behind:
            self._signed_at = max(self._signed_at, now - _CHECKPOINT_EVERY_S)
        elif not self._signer.can_sign:
            if now - self._signed_at >= _LATE_S:
                self._tell("audit.checkpoint_late", "no member serves that could sign one")
        elif now >= self._sign_after and (
            behind >= _CHECKPOINT_ENTRIES or now - self._signed_at >= _CHECKPOINT_EVERY_S
        ):
            self._sign_after = now + _TRY_AGAIN_S  # if this fails
            await self._sign(log)
            self._sign_after = now
        if now >= self._thin_after:
            self._thin_after = now + _THIN_EVERY_S
            await self._on_disk(lambda: log.thin(self._clock.now()))

    async def _last_checkpoint(self) -> None:
        log = self._log
        if log is not None:
            await self._gather(log, is_last=True)
            if self._signer.can_sign:
                await self._sign(log)

    async def _gather(self, log: TreeLog, *, is_last: bool) -> None:
        while True:
            gathered: Gathered = await self._on_disk(lambda: log.gather(is_last=is_last))
            self._size, self._checkpointed = log.size, log.checkpointed
            for writer, error in gathered.stuck.items():
                self._tell("audit.writer_not_gathered", str(error), writer=writer)
            if not (gathered.has_more and gathered.n_entries) or self._stopping.is_set() is not is_last:
                return
            if log.size - log.checkpointed >= _CHECKPOINT_ENTRIES and not is_last:
                return

    async def _sign(self, log: TreeLog) -> None:
        """Make a checkpoint, if there is anything that none covers yet."""
        if log.size == log.checkpointed or self._cosigner is None:
            return
        checkpoint = log.next_checkpoint()
        key, signature = await self._signer.sign(checkpoint)
        other_key, cosignature = self._cosigner.sign(checkpoint)
        await self._on_disk(lambda: log.add(checkpoint, (signature, cosignature), (key, other_key)))
        self._checkpointed = log.checkpointed
        self._signed_at = self._clock.monotonic()
        self._show_witnesses(log)

    def _show_witnesses(self, log: TreeLog) -> None:
        if self._witnesses is not None and log.last is not None:
            self._witnesses.take(log.last)

    def _open(self) -> TreeLog:
        self._cosigner = SoftwareCosigner(self._home.root / COSIGNER_FILE, clock=self._clock)
        return TreeLog(self._home.audit, self._origin)

    def _close(self) -> None:
        with self._turn:
            log, self._log = self._log, None
            if log is not None:
                log.close()

    async def _on_disk(self, work: Callable[[], T]) -> T:
        """Run what blocks beside the event loop; what it raises leaves the log unusable until it is opened anew."""

        def run() -> T:
            with self._turn:
                return work()

        self._log_is_usable = False
        done = await asyncio.to_thread(run)
        self._log_is_usable = True
        return done

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _tell(self, event: str, cause: str, **fields: object) -> None:
        self._failures += 1
        now, key = self._clock.monotonic(), f"{event} {cause}"
        if now - self._told.get(key, -_TELL_EVERY_S) >= _TELL_EVERY_S:
            self._told = {key: now} if len(self._told) > 100 else self._told | {key: now}
            self._events.emit(event, cause=cause, **fields)


def origin_of_log(cluster: str) -> str:
    """Return what a new log is called: ``strongroom/CLUSTER/HOST``; of a home without officers a random name stands first."""
    first = re.sub(r"[^A-Za-z0-9._-]", "-", cluster)[:80] or f"home-{random_bytes(8).hex()}"
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:80] or "host"
    return f"strongroom/{first}/{host}"
