"""Power loss without pulling a plug: run programs in a folder, kill them, keep only what they had synced.

    layer = PowerlossLayer(root=home, shadow=tmp_path / "shadow", build_dir=build_dir)
    process = subprocess.Popen([...], env={**os.environ, **layer.environment()})
    ...
    process.kill(); process.wait()
    layer.cut_power()             # home now holds what would have survived
    layer.cut_power(pages=random.Random(7))   # some of what was appended and not synced survived as well

Children inherit the layer as long as they inherit the environment. What the layer sees and what it does not
is told at the top of powerloss.c. Needs gcc (the test that asks for it is skipped otherwise) and a file
system that keeps birth times (ext4, xfs, btrfs, tmpfs).
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

_SOURCE = Path(__file__).with_name("powerloss.c")
_FIELDS = 4
_PAGE_BYTES = 4096

_SYNC_ALL = """
import os, stat, sys
for folder, _, names in os.walk(sys.argv[1], topdown=False):
    for path in [*(os.path.join(folder, name) for name in names), folder]:
        if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
"""


class _Record(NamedTuple):
    """One name in a durable listing."""

    kind: str
    """``f``, ``d`` or ``l``."""
    key: str
    """Of the inode; for ``l`` the link's target."""
    mode: str
    name: str


class PowerlossLayer:
    """Simulates power losses for everything below ``root``. ``root`` need not exist yet.

    What is in ``root`` already counts as durable. ``is_strict``: new and changed names need an fsync of their
    directory (POSIX); otherwise an fsync of the file is enough (ext4).
    """

    def __init__(self, root: Path, shadow: Path, build_dir: Path, *, is_strict: bool = False) -> None:
        self.root, self.shadow = root.resolve(), shadow.resolve()
        if self.shadow.is_relative_to(self.root) or self.root.is_relative_to(self.shadow):
            raise ValueError("the shadow must stand beside the root")
        self._is_strict = is_strict
        self._library = build_library(build_dir)
        self.make_durable()

    def environment(self) -> dict[str, str]:
        """Return the variables to add to the environment of every program that works in the root."""
        others = os.environ.get("LD_PRELOAD")
        return {
            "LD_PRELOAD": f"{self._library} {others}" if others else str(self._library),
            "STRONGROOM_POWERLOSS_ROOT": str(self.root),
            "STRONGROOM_POWERLOSS_SHADOW": str(self.shadow),
            "STRONGROOM_POWERLOSS_STRICT_DIRS": "1" if self._is_strict else "0",
        }

    def make_durable(self) -> None:
        """Count all that is in the root now as durable, as if sync(1) had run. No program may run there."""
        shutil.rmtree(self.shadow, ignore_errors=True)
        for name in ("files", "dirs"):
            (self.shadow / name).mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SYNC_ALL, str(self.root)],
            env={**os.environ, **self.environment()},
            check=True,
            timeout=60,
        )

    def cut_power(self, pages: random.Random | None = None) -> None:
        """Put into the root what would have survived. Every program that worked there must have been killed.

        Without ``pages`` nothing survives that was not synced. With it, chance decides of each 4 KiB page that was
        written and not synced, in a file that did not get shorter: a kernel writes pages back in any order, at any time. The file then
        ends with its last page that survived, or is as long as it was; zeros stand for what was lost behind its durable end.
        """
        if not self.root.exists():
            return
        survivors = {} if pages is None else self._appended(self.root, "root", pages)
        for path in self.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._restore(self.root, "root", survivors)
        self.make_durable()

    def _restore(self, folder: Path, key: str, survivors: dict[str, bytes]) -> None:
        for record in self._listing(key):
            path = folder / record.name
            if record.kind == "l":
                path.symlink_to(record.key)
            elif record.kind == "d":
                path.mkdir()
                self._restore(path, record.key, survivors)
                path.chmod(int(record.mode, 8))
            else:
                path.write_bytes(survivors.get(record.key, self._durable_content(record.key)))
                path.chmod(int(record.mode, 8))

    def _appended(self, folder: Path, key: str, pages: random.Random) -> dict[str, bytes]:
        """Decide what survives of appends below ``folder``; returns whole contents by inode key."""
        found: dict[str, bytes] = {}
        for record in self._listing(key):
            path = folder / record.name
            if record.kind == "d" and path.is_dir():
                found |= self._appended(path, record.key, pages)
            elif (
                record.kind == "f"
                and path.is_file()
                and f"{path.stat().st_ino:x}" == record.key.split("-")[0]
            ):
                durable, written = self._durable_content(record.key), path.read_bytes()
                if len(written) >= len(durable) and written != durable:
                    found[record.key] = _surviving(durable, written, pages)
        return found

    def _durable_content(self, key: str) -> bytes:
        path = self.shadow / "files" / key
        return path.read_bytes() if path.exists() else b""

    def _listing(self, key: str) -> list[_Record]:
        path = self.shadow / "dirs" / key
        if not path.exists():
            return []
        fields = os.fsdecode(path.read_bytes()).split("\0")[:-1]
        return [_Record(*fields[i : i + _FIELDS]) for i in range(0, len(fields), _FIELDS)]


def _surviving(durable: bytes, written: bytes, pages: random.Random) -> bytes:
    content, end = bytearray(written), len(durable)
    for start in range(0, len(written), _PAGE_BYTES):
        stop = min(start + _PAGE_BYTES, len(written))
        before = durable[start:stop].ljust(stop - start, b"\0")
        if stop <= len(durable) and written[start:stop] == before:
            continue
        if pages.random() < 0.5:
            end = max(end, stop)
        else:
            content[start:stop] = before
    return bytes(content if pages.random() < 0.5 else content[:end])


def build_library(build_dir: Path) -> Path:
    """Compile the layer into ``build_dir``, unless it is there; skips the test when there is no compiler."""
    library = build_dir.resolve() / "powerloss.so"
    if library.exists() and library.stat().st_mtime >= _SOURCE.stat().st_mtime:
        return library
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("the power-loss layer needs a C compiler: apt-get install gcc libc6-dev")
    build_dir.mkdir(parents=True, exist_ok=True)
    draft = library.with_suffix(f".{os.getpid()}.so")
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", draft, _SOURCE, "-ldl"], check=True, timeout=60)
    draft.replace(library)
    return library
