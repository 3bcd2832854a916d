"""What main does on the disk for archive and retention, in a thread that stands back behind others."""

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from strongroom.audit import (
    Archived,
    Archiver,
    AuditCorruptError,
    Planner,
    PrunePlan,
    Pruner,
    PruneRecord,
    require_old_enough,
    retention_status,
)
from strongroom.config import AuditConfig, Home
from strongroom.core import Clock, ConfigError, StrongroomError
from strongroom.shipping import needed_segments

_DAY_S: Final = 86_400
_PACE_BYTES: Final = 256 * 1024
_LONGEST_REST_S: Final = 1.0


class EndedError(StrongroomError):
    """The service ends; what was begun is taken up at the next start."""


class Pace:
    """Rests as long as the work took: never more than half of a core."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bytes = 0
        self._since = clock.monotonic()
        self._ending = threading.Event()

    def __call__(self, n_bytes: int) -> None:
        """Count what was worked on, and rest now and then. Raises EndedError once ``end`` was called."""
        self._bytes += n_bytes
        if self._bytes < _PACE_BYTES:
            return
        took_s = self._clock.monotonic() - self._since
        if self._ending.wait(min(max(took_s, 0.0), _LONGEST_REST_S)):
            raise EndedError("the service ends")
        self._bytes, self._since = 0, self._clock.monotonic()

    def end(self) -> None:
        """Have the work end at its next step."""
        self._ending.set()


class Archiving:
    """For one thread at a time. Everything raises StrongroomError and OSError."""

    def __init__(self, home: Home, config: AuditConfig, *, clock: Clock) -> None:
        self._home, self._config, self._clock = home, config, clock
        self.pace = Pace(clock)
        self._archiver = Archiver(home.audit, pace=self.pace)
        self.planner = Planner(home.audit, pace=self.pace)
        self.pruner = Pruner(home.audit, pace=self.pace)

    def link(self) -> None:
        """Have ``audit/archive`` be the folder that is configured. Raises ConfigError where segments would be out of reach."""
        link, wanted = self._home.audit / "archive", self._config.archive
        if not wanted:
            if link.is_symlink():
                raise ConfigError(
                    f"{link} leads to {link.readlink()}, and audit.archive names nothing",
                    next_step="name that folder, or move it to where the link is",
                )
            return
        if link.is_symlink() and not link.is_dir():
            raise ConfigError(
                f"{link} leads to {link.readlink()}, which is not there: what is archived is out of reach",
                next_step="mount its volume; or, if it is gone for good, remove that link",
            )
        target = self._home.root / wanted
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if link.is_symlink() and link.readlink() == target:
            return
        if not _files_of(link) <= _files_of(target):
            raise ConfigError(
                f"{link} holds segments that are not in {target}, which audit.archive names",
                next_step=f"stop the service, move what is in {link} there, and start it again",
            )
        if link.is_dir() and not link.is_symlink():
            for folder in link.iterdir():
                raise ConfigError(f"{folder} is in the way of the link to {target}", next_step="move it away")
            link.rmdir()
        draft = link.with_name("archive.new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(target)
        draft.replace(link)

    def archive(self) -> Archived:
        """Archive what is due."""
        before_us = int((self._clock.now() - self._config.hot_days * _DAY_S) * 1_000_000)
        return self._archiver.run(before_us=before_us, needed=self._needed())

    def plan(self, day: str) -> PrunePlan:
        """Return what may be pruned of entries from before a day."""
        self._require_old(day)
        return self.planner.plan(day, needed=self._needed())

    def plan_again(self, record: PruneRecord) -> PrunePlan:
        """Return the plan of a record that was begun. Raises RetentionError where it is not what may be pruned."""
        self._require_old(record.before)
        plan = self.planner.plan(record.before, needed=None)
        removed = {writer: one for writer, one in record.writers.items() if one.removed}
        if (plan.writers, plan.tree_size, plan.tree_root) != (removed, record.tree_size, record.tree_root):
            raise AuditCorruptError(
                "the record of a pruning that was begun names something else than the log holds"
            )
        return plan

    def prune_due(self) -> tuple[int, int]:
        """Return how many archived segments are older than they are kept, and the time of the oldest entry, microseconds."""
        keep_from = int((self._clock.now() - self._config.keep_days * _DAY_S) * 1_000_000)
        found = retention_status(self._home.audit, hot_from_us=0, keep_from_us=keep_from)
        oldest = min((one.oldest_at for one in found if one.prune_due), default=0)
        return sum(one.prune_due for one in found), oldest

    def _require_old(self, day: str) -> None:
        require_old_enough(
            day,
            now=self._clock.now(),
            keep_days=self._config.keep_days,
            newest_checkpoint=self.planner.newest_checkpoint(),
        )

    def _needed(self) -> Mapping[str, int] | None:
        return needed_segments(self._home.audit, [sink.name for sink in self._config.sinks])


def _files_of(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    return {
        f"{path.parent.name}/{path.name}"
        for path in itertools.chain(folder.glob("*/*.xz"), folder.glob("*/*.torn"))
    }
