"""Merkle trees: hashes, roots and proofs of RFC 6962, section 2.1; checked by the algorithms of RFC 9162. Pure.

    leaf hash  SHA-256(0x00 || entry)                 (``leaf_hash``)
    node hash  SHA-256(0x01 || left || right)
    a tree of n > 1 leaves splits after k leaves, k being the largest power of two below n

The node of *level* l and *index* i is the root over the 2**l leaves from i * 2**l on; it never changes once all of
them are there. Whoever makes proofs needs a way to read such nodes (``NodeReader``), nothing else.
"""

import hashlib
from collections.abc import Callable, Sequence

from strongroom.audit._errors import ProofError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
"""Of a tree: what a checkpoint can say (C2SP tlog-checkpoint, as witnesses read it)."""
MAX_PATH = 64
"""Hashes of the longest proof there can be."""
EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""Returns the node of a level and an index."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree that grows: roots of the perfect subtrees that it consists of, largest first.

    Enough to go on adding leaves and to tell the root at any moment; at most 63 hashes.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self._peaks: list[bytes] = []
        self.size = 0
        """Leaves so far."""

    def add(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        size, peaks = self.size, self._peaks
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    @classmethod
    def of(cls, size: int, node: NodeReader) -> "Frontier":
        """Return the right edge of a tree that is there already."""
        frontier, start = cls(), 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                frontier._peaks.append(node(level, start >> level))
                start += 1 << level
        frontier.size = size
        return frontier


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2**n neighbouring nodes of one level."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def tree_root(size: int, node: NodeReader) -> bytes:
    """Return the root of the tree of the first ``size`` leaves."""
    return _range_root(0, size, node) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that leaf ``index`` is in the tree of ``size`` leaves (RFC 6962, section 2.1.1).

    Raises ProofError when that tree has no such leaf.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    return tuple(reversed(path))


def consistency_path(old: int, new: int, node: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``old`` leaves is the beginning of that of ``new`` (RFC 6962, section 2.1.2).

    Empty where ``old`` is 0 or ``new``. Raises ProofError when ``old`` is the larger one.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofError(f"a tree of {old} leaves is not the beginning of one of {new}")
    path: list[bytes] = []
    start, end = 0, new
    while old not in {0, end}:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    if start:
        path.append(_range_root(start, end, node))
    return tuple(reversed(path))


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check that the leaf of this hash is number ``index`` in the tree (RFC 9162, section 2.1.3.2). Raises ProofError."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes(leaf, root, *path)
    first, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofError("the proof has more hashes than the tree has levels")
        if first & 1 or first == last:
            found = node_hash(sibling, found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    if last or found != root:
        raise ProofError("the proof does not lead to the root of the tree")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that one tree is the beginning of the other (RFC 9162, section 2.1.4.2). Raises ProofError."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofError(f"a tree of {old} leaves is not the beginning of one of {new}")
    _check_hashes(old_root, new_root, *path)
    if old in {0, new}:
        _check_trivial(old, old_root, new, new_root, path)
        return
    hashes = list(path)
    if not old & (old - 1):  # the old root is a node of the new tree
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofError("the proof is empty")
    if _roots_by(hashes, old - 1, new - 1) != (old_root, new_root):
        raise ProofError("the proof does not lead to the roots of both trees")


def _roots_by(hashes: Sequence[bytes], first: int, last: int) -> tuple[bytes, bytes]:
    """Return the two roots that a consistency proof leads to, from the last leaf of either tree on."""
    while first & 1:
        first, last = first >> 1, last >> 1
    old_found = new_found = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the proof has more hashes than the tree has levels")
        if first & 1 or first == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new_found = node_hash(new_found, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise ProofError("the proof has fewer hashes than the tree has levels")
    return old_found, new_found


def _check_trivial(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check what needs no proof: a tree and itself, and the empty tree before any other."""
    if path or old_root != (new_root if old else EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
        raise ProofError("the proof does not fit two trees of these sizes")


def _split(n_leaves: int) -> int:
    """Return the largest power of two below a number above 1."""
    return 1 << ((n_leaves - 1).bit_length() - 1)


def _range_root(start: int, end: int, node: NodeReader) -> bytes:
    """Return the root over leaves ``start`` to ``end``, of a range that is a subtree."""
    n_leaves = end - start
    if not n_leaves & (n_leaves - 1):
        level = n_leaves.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(n_leaves)
    return node_hash(_range_root(start, middle, node), _range_root(middle, end, node))


def _check_hashes(*hashes: bytes) -> None:
    if len(hashes) > MAX_PATH + 2 or any(len(one) != HASH_BYTES for one in hashes):
        raise ProofError(f"a proof is at most {MAX_PATH} hashes of {HASH_BYTES} bytes")
