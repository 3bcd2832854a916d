"""A disk for the archive that fails at a chosen call, or on which the power goes; removals count there too."""

import os

from strongroom.audit._archive_disk import ArchiveDisk
from unit.audit.tree_disks import FailingDisk, PowerDisk


class FailingArchiveDisk(FailingDisk, ArchiveDisk):
    """The call ``fails_at`` does half of its work, or all of it, and fails; so does each later one."""

    def remove(self, path) -> None:
        act = super().remove
        self._run(lambda: act(path))


class PowerArchiveDisk(PowerDisk, ArchiveDisk):
    """``cut_power`` brings some of the files back whose removal was not made durable."""

    def __init__(self, chance, folder, aside) -> None:
        super().__init__(chance, folder)
        self._aside = aside
        self._removed = []
        aside.mkdir(exist_ok=True)

    def remove(self, path) -> None:
        if path.exists():
            kept = self._aside / f"{len(self._removed)}-{path.stat().st_ino}"
            os.link(path, kept)
            self._removed.append((path, kept))
        super().remove(path)

    def sync(self, path) -> None:
        super().sync(path)
        if path.is_dir():
            self._removed = [one for one in self._removed if one[0].parent != path]

    def cut_power(self, folder) -> None:
        super().cut_power(folder)
        for path, kept in reversed(self._removed):
            if self._chance.random() < 0.5 and not path.exists():
                os.link(kept, path)
