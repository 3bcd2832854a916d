"""Tiles, and the tree on disk: paths as published, and crashes at every step.

Paths: C2SP tlog-tiles.md and golang/mod ``sumdb/tlog/tlog_test.go`` (there the height stands in the path too).
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import AuditWriterInUseError
from strongroom.audit._errors import MalformedNoteError, TreeDamagedError
from strongroom.audit._tiles import last_tile, read_tile_path, tile_path
from strongroom.audit._tree import (
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    tree_root,
)
from strongroom.audit._tree_files import TreeFiles, TreeWriter
from strongroom.audit._tree_state import Run, read_run
from unit.audit.tree_disks import FailingDisk, PowerDisk, grow, leaves_of


def root_of(size: int) -> bytes:
    frontier = Frontier()
    for leaf in leaves_of(0, size):
        frontier.add(leaf)
    return frontier.root()


def require_sound(directory: Path, *, at_least: int = 0, of: set[int] | None = None) -> int:
    """Open the tree as the service does, read it as others do, and return its size."""
    tree = TreeWriter(directory)
    tree.close()
    files = TreeFiles(directory)
    node, size = files.nodes(), tree.size
    assert size >= at_least
    assert of is None or size in of
    assert tree.root == tree_root(size, node) == root_of(size)
    for number in {0, size // 2, size - 1} if size else set():
        check_inclusion(leaves_of(number, 1)[0], number, size, tree.root, inclusion_path(number, size, node))
        older = root_of(number)
        check_consistency(number, older, size, tree.root, consistency_path(number, size, node))
    found = (
        [files.run("main", number) for number in range(files.state().writers["main"].runs)] if size else []
    )
    assert sum(run.n_entries for run in found) == size
    return size


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/001", (0, 1, 256)),
        ("tile/0/001.p/5", (0, 1, 5)),
        ("tile/5/x123/x456/078", (5, 123456078, 256)),
        ("tile/5/x123/x456/078.p/2", (5, 123456078, 2)),
        ("tile/0/x003/x057/500", (0, 3057500, 256)),
        ("tile/63/x001/x234/067.p/255", (63, 1234067, 255)),
    ],
)
def test_paths_are_the_published_ones(path, tile):
    assert tile_path(*tile) == path
    assert read_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/5/123/456/078",
        "tile/-1/123",
        "tile/64/001",
        "tile/00/001",
        "tile/0/01",
        "tile/0/x000/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/05",
        "tile/0/001.p/999",
        "tile/0/001\n",
        "tile/0/\u0661\u0661\u0661",
        "tile/0/" + "x001/" * 30 + "001",
        "",
    ],
)
def test_what_is_no_path_of_a_tile_is_refused(path):
    with pytest.raises(MalformedNoteError):
        read_tile_path(path)


@given(st.integers(0, 7), st.integers(0, 2**40), st.integers(1, 256))
def test_a_path_reads_back(level, number, width):
    assert read_tile_path(tile_path(level, number, width)) == (level, number, width)


@given(st.text(max_size=30))
def test_arbitrary_text_is_no_path_of_a_tile(text):
    with pytest.raises(MalformedNoteError):
        read_tile_path(f"tile/{text}/")


def test_a_tree_of_70000_has_the_tiles_of_the_specification():
    assert [last_tile(70_000, level) for level in range(4)] == [(273, 112), (1, 17), (0, 1), (0, 0)]
    assert [last_tile(256, level) for level in range(3)] == [(1, 0), (0, 1), (0, 0)]


def test_a_tree_that_grew_in_steps_is_the_tree_that_grew_at_once(tmp_path):
    for name, steps in [("steps", [1, 254, 1, 1, 512, 255, 1976]), ("once", [3000])]:
        tree = TreeWriter(tmp_path / name)
        for step in steps:
            grow(tree, step)
        tree.close()
        require_sound(tmp_path / name, of={3000})
    names = {
        path.relative_to(tmp_path / "once"): path.read_bytes()
        for path in (tmp_path / "once" / "tree" / "tile").rglob("*")
        if path.is_file()
    }
    assert len(names) == 11 + 1 + 1
    for name, data in names.items():
        assert (tmp_path / "steps" / name).read_bytes() == data
    assert len(names[Path("tree/tile/0/010")]) == 8192
    assert len(names[Path("tree/tile/1/000.part")]) == 11 * 32


def test_one_process_at_a_time_makes_a_tree_grow(tmp_path):
    tree = TreeWriter(tmp_path)
    with pytest.raises(AuditWriterInUseError):
        TreeWriter(tmp_path)
    tree.close()
    TreeWriter(tmp_path).close()


@pytest.mark.parametrize("is_done_first", [False, True])
def test_a_disk_that_fails_at_any_call_leaves_the_tree_of_before_or_of_after(tmp_path, is_done_first):
    counting = FailingDisk()
    tree = TreeWriter(tmp_path / "count", counting)
    grow(tree, 250)
    before = counting.n_calls
    grow(tree, 20)
    tree.close()
    for call in range(1, counting.n_calls - before + 1):
        disk, directory = FailingDisk(), tmp_path / f"{call}"
        tree = TreeWriter(directory, disk)
        grow(tree, 250)
        disk.fails_at, disk.is_done_first = disk.n_calls + call, is_done_first
        with pytest.raises(OSError, match=r"."):
            grow(tree, 20)
        tree.close()
        size = require_sound(directory, of={250, 270})
        tree = TreeWriter(directory)
        grow(tree, 300 - size)
        tree.close()
        require_sound(directory, of={300})


class PowerGoneError(Exception):
    pass


def _stop_after(disk: PowerDisk, n_calls: int) -> None:
    """Have the power go at the call after so many."""
    left = [n_calls]

    def stopping(call):
        def run(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise PowerGoneError
            call(*arguments)

        return run

    for name in ("write", "cut", "rename", "sync"):
        setattr(disk, name, stopping(getattr(disk, name)))


@pytest.mark.parametrize("seed", range(12))
def test_a_power_loss_leaves_a_tree_that_goes_on(tmp_path, seed):
    chance = random.Random(seed)
    durable = 0
    for _ in range(3):
        disk = PowerDisk(chance, tmp_path)
        tree = TreeWriter(tmp_path, disk)
        try:
            assert tree.size >= durable
            grow(tree, chance.randint(1, 300))
            durable = tree.size
            _stop_after(disk, chance.randint(0, 12))
            grow(tree, chance.randint(1, 900))
            durable = tree.size
        except PowerGoneError:
            pass
        finally:
            tree.close()
        disk.cut_power(tmp_path / "tree")
        require_sound(tmp_path, at_least=durable)


@pytest.mark.parametrize("seed", range(4))
def test_a_process_that_is_killed_leaves_a_sound_tree(tmp_path, seed):
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("tree_crash_writer.py")), str(tmp_path), str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert child.stdout is not None
        for _ in range(3 + seed):
            last = child.stdout.readline()
        time.sleep(random.Random(seed).random() / 50)
    finally:
        child.kill()
        rest, _ = child.communicate()
    promised = (
        int((rest.splitlines() or [last])[-1].split()[0]) if rest.endswith(b"\n") else int(last.split()[0])
    )
    require_sound(tmp_path, at_least=promised)


@pytest.mark.parametrize("name", ["tile/0/002.part", "tile/1/000.part", "position"])
def test_damage_at_the_right_edge_is_found_when_the_tree_is_opened(tmp_path, name):
    tree = TreeWriter(tmp_path)
    grow(tree, 600)
    tree.close()
    path = tmp_path / "tree" / name
    data = path.read_bytes()
    for changed in (bytes([data[0] ^ 1]) + data[1:], data[:-1]):
        path.write_bytes(changed)
        with pytest.raises(TreeDamagedError):
            TreeWriter(tmp_path)
    path.write_bytes(data)
    require_sound(tmp_path, of={600})


def test_a_missing_tile_is_named(tmp_path):
    tree = TreeWriter(tmp_path)
    grow(tree, 600)
    tree.close()
    (tmp_path / "tree" / "tile" / "0" / "001").unlink()
    with pytest.raises(TreeDamagedError, match="tile/0/001 is not there"):
        inclusion_path(300, 600, TreeFiles(tmp_path).nodes())


@given(st.builds(Run, *[st.integers(0, 2**63 - 1)] * 2, *[st.integers(0, 2**32 - 1)] * 3), st.integers(0, 31))
def test_a_run_reads_back_and_damage_is_found(run, place):
    data = run.encode()
    assert read_run(data, "main") == run
    with pytest.raises(TreeDamagedError):
        read_run(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :], "main")
    with pytest.raises(TreeDamagedError):
        read_run(data[:place], "main")
