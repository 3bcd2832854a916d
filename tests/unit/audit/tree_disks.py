"""Disks for the tree: one that fails at a chosen call, and one on which the power goes."""

import errno
import os
import random
from pathlib import Path

from strongroom.audit._tree_files import NewRun, TreeDisk
from strongroom.audit._tree_state import Place


class FailingDisk(TreeDisk):
    """Counts its calls; the call ``fails_at`` does half of its work, or all of it, and fails."""

    def __init__(self) -> None:
        self.n_calls = 0
        self.fails_at = 0
        self.is_done_first = False

    def write(self, path: Path, offset: int, data: bytes) -> None:
        whole = super().write
        self._run(lambda: whole(path, offset, data), lambda: whole(path, offset, data[: len(data) // 2]))

    def cut(self, path: Path, length: int) -> None:
        act = super().cut
        self._run(lambda: act(path, length))

    def rename(self, path: Path, target: Path) -> None:
        act = super().rename
        self._run(lambda: act(path, target))

    def sync(self, path: Path) -> None:
        act = super().sync
        self._run(lambda: act(path))

    def _run(self, act, half=lambda: None) -> None:
        self.n_calls += 1
        if self.n_calls == self.fails_at:
            (act if self.is_done_first else half)()
        if self.fails_at and self.n_calls >= self.fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        act()


class PowerDisk(TreeDisk):
    """Remembers what was synced; ``cut_power`` leaves of the rest any pages, and any of the names since then."""

    PAGE = 512

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self._chance = chance
        self._durable = {
            path.stat().st_ino: path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }  # by inode
        self._renames: list[tuple[Path, Path, int]] = []
        self._made: set[Path] = set()

    def write(self, path: Path, offset: int, data: bytes) -> None:
        is_new = not path.exists()
        super().write(path, offset, data)
        if is_new:
            self._made.add(path)
            self._durable.pop(path.stat().st_ino, None)

    def rename(self, path: Path, target: Path) -> None:
        before = target.stat().st_ino if target.exists() else 0
        if before:
            os.link(target, target.with_name(f"{target.name}.{before}.replaced"))
        super().rename(path, target)
        self._renames.append((path, target, before))

    def sync(self, path: Path) -> None:
        super().sync(path)
        if path.is_dir():
            self._made = {one for one in self._made if one.parent != path}
            for old, target, before in [one for one in self._renames if one[1].parent == path]:
                self._renames.remove((old, target, before))
                if before:
                    target.with_name(f"{target.name}.{before}.replaced").unlink()
        else:
            self._durable[path.stat().st_ino] = path.read_bytes()

    def cut_power(self, folder: Path) -> None:
        for path in [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]:
            self._lose_pages(path)
        for old, target, before in reversed(self._renames):
            replaced = target.with_name(f"{target.name}.{before}.replaced")
            if self._chance.random() < 0.5:
                target.rename(old)
                if before:
                    replaced.rename(target)
            elif before:
                replaced.unlink()
        for path in self._made:
            if path.exists() and self._chance.random() < 0.5:
                path.unlink()

    def _lose_pages(self, path: Path) -> None:
        now, durable = path.read_bytes(), self._durable.get(path.stat().st_ino, b"")
        pages = []
        for start in range(0, max(len(now), len(durable)), self.PAGE):
            kept = now if self._chance.random() < 0.5 else durable
            pages.append(kept[start : start + self.PAGE].ljust(self.PAGE, b"\0"))
        length = len(now) if self._chance.random() < 0.5 else max(len(durable), 0)
        path.write_bytes(b"".join(pages)[:length].ljust(length, b"\0"))


def leaves_of(first: int, count: int) -> list[bytes]:
    """Leaf hashes that tell their number."""
    return [number.to_bytes(32, "big") for number in range(first, first + count)]


def grow(tree, count: int, writer: str = "main") -> None:
    """Add leaves to a tree as entries of one writer."""
    first = tree.size
    run = NewRun(writer, first + 1, 1, 128 + first, leaves_of(first, count))
    place = Place(
        segment=1,
        offset=128 + first + count,
        seq=first + count + 1,
        chain="00" * 32,
        group=first + 1,
        boot=1,
        runs=0,
    )
    tree.append([run], {writer: place})
