"""Tiles (C2SP tlog-tiles): a tree as rows of 256 hashes, and the nodes and roots that are read out of them. Pure.

Tile *n* of level *l* holds the nodes of level 8 * l from n * 256 on. A tree of *s* leaves has s >> 8 * l of them; the
last tile of a level is partial unless that is a multiple of 256.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence

from strongroom.audit._errors import MalformedNoteError, TreeDamagedError
from strongroom.audit._tree import EMPTY_ROOT, HASH_BYTES, NodeReader, node_hash, perfect_root

TILE_HEIGHT = 8
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_LEVEL = 7
"""A tree of 2**63 leaves has no higher one."""
_KEPT_TILES = 64
_TILE = re.compile(r"tile/(\d|[1-5]\d|6[0-3])/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)


def tile_path(level: int, number: int, width: int = TILE_WIDTH) -> str:
    """Return where a tile is served, such as ``tile/0/x001/234`` or, partial, ``tile/1/000.p/17``."""
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{number_path(number)}{suffix}"


def number_path(number: int) -> str:
    """Return the number of a tile as elements of a path: 1234067 is ``x001/x234/067``."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts))


def read_tile_path(path: str) -> tuple[int, int, int]:
    """Return level, number and width. Raises MalformedNoteError for any path but the one that ``tile_path`` writes."""
    match = _TILE.fullmatch(path) if len(path) < 64 else None
    if match is None:
        raise MalformedNoteError("this is no path of a tile")
    number = int(match[2].replace("x", "").replace("/", ""))
    found = int(match[1]), number, int(match[3] or TILE_WIDTH)
    if tile_path(*found) != path or found[2] > TILE_WIDTH:
        raise MalformedNoteError("this is no path of a tile")
    return found


def last_tile(size: int, level: int) -> tuple[int, int]:
    """Return number and width of the tile of a level that is not full yet; its width may be 0."""
    return divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)


def nodes_of_tiles(read_tile: Callable[[int, int], bytes]) -> NodeReader:
    """Return what reads nodes out of tiles; the last few tiles are kept.

    ``read_tile`` returns the hashes of a level and number, at least as many as the tree has there.
    """
    kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def tile(level: int, number: int) -> bytes:
        key = (level, number)
        if key in kept:
            kept.move_to_end(key)
        else:
            kept[key] = read_tile(level, number)
            if len(kept) > _KEPT_TILES:
                kept.popitem(last=False)
        return kept[key]

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        number, first = divmod(index << height, TILE_WIDTH)
        found = tile(tile_level, number)[first * HASH_BYTES : (first + (1 << height)) * HASH_BYTES]
        if len(found) != HASH_BYTES << height:
            raise TreeDamagedError(f"{tile_path(tile_level, number)} is too short")
        return perfect_root(split_hashes(found))

    return node


def split_hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


class TileRows:
    """The right edge of a tree in tiles: of each level the hashes of the tile that is not full. It grows by leaves.

    ``filled`` is told of each tile that becomes full: level, number, and all its hashes.
    """

    def __init__(self, size: int, rows: Sequence[Sequence[bytes]]) -> None:
        self.size = size
        self.rows: list[list[bytes]] = [list(row) for row in rows] + [
            [] for _ in range(MAX_LEVEL + 1 - len(rows))
        ]

    def add(self, leaf: bytes, filled: Callable[[int, int, list[bytes]], None]) -> None:
        """Add the hash of one more leaf."""
        self.size += 1
        found = leaf
        for level, row in enumerate(self.rows):
            row.append(found)
            if len(row) < TILE_WIDTH:
                return
            filled(level, last_tile(self.size, level)[0] - 1, row)
            found = perfect_root(row)
            self.rows[level] = []

    def root(self) -> bytes:
        """Return the root of the tree."""
        peaks = [peak for row in reversed(self.rows) for peak in _peaks(row)]
        if not peaks:
            return EMPTY_ROOT
        root = peaks[-1]
        for peak in reversed(peaks[:-1]):
            root = node_hash(peak, root)
        return root


def _peaks(row: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the perfect subtrees that a row consists of, largest first."""
    peaks, start = [], 0
    for height in reversed(range(TILE_HEIGHT)):
        if len(row) >> height & 1:
            peaks.append(perfect_root(row[start : start + (1 << height)]))
            start += 1 << height
    return peaks
