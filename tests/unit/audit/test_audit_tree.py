"""Trees and proofs, by published vectors and by the recursive definitions of RFC 6962 written out a second time.

Vectors: transparency-dev/merkle ``proof/verify_test.go`` (they come from Certificate Transparency's reference code);
the responses of Google's Argon 2020 log in golang/mod ``sumdb/tlog/testdata/argon2020``; C2SP merkle-tree.md.
"""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import leaf_hash
from strongroom.audit._errors import ProofError
from strongroom.audit._tree import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    node_hash,
    perfect_root,
    tree_root,
)
from unit.audit.tree_definition import definition_root, entries_of, nodes_of

ARGON = json.loads((Path(__file__).parents[2] / "vectors" / "tlog" / "argon2020.json").read_text())
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N2 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N6 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
N1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
INCLUSION = [
    (0, 1, []),
    (0, 8, [N1, N2, N47]),
    (5, 8, [N4, N67, ROOTS[3]]),
    (2, 3, [ROOTS[1]]),
    (1, 5, [ROOTS[0], N2, N4]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [N1, N2, N47]),
    (6, 8, [N45, N67, ROOTS[3]]),
    (2, 5, [N2, N4]),
    (6, 7, [N45, N6, ROOTS[3]]),
]


def _hex(hashes) -> list[str]:
    return [one.hex() for one in hashes]


def test_the_empty_tree_has_the_hash_of_nothing():
    assert tree_root(0, nodes_of([])) == Frontier().root() == EMPTY_ROOT == hashlib.sha256().digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_trees(size):
    frontier = Frontier()
    for entry in LEAVES[:size]:
        frontier.add(leaf_hash(entry))
    assert frontier.root().hex() == tree_root(size, nodes_of(LEAVES)).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index, size, path):
    made = inclusion_path(index, size, nodes_of(LEAVES))
    assert _hex(made) == path
    check_inclusion(leaf_hash(LEAVES[index]), index, size, bytes.fromhex(ROOTS[size - 1]), made)


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(old, new, path):
    made = consistency_path(old, new, nodes_of(LEAVES))
    assert _hex(made) == path
    check_consistency(old, bytes.fromhex(ROOTS[old - 1]), new, bytes.fromhex(ROOTS[new - 1]), made)


def test_the_example_of_the_specification_has_these_proofs():
    entries = entries_of(7)
    a, b, c, d, e, f, g = (leaf_hash(entry) for entry in entries)
    h, i, j = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, right = node_hash(h, i), node_hash(j, g)
    assert tree_root(7, nodes_of(entries)) == node_hash(k, right)
    assert inclusion_path(0, 7, nodes_of(entries)) == (b, i, right)
    assert inclusion_path(3, 7, nodes_of(entries)) == (c, h, right)
    assert inclusion_path(4, 7, nodes_of(entries)) == (f, g, k)
    assert inclusion_path(6, 7, nodes_of(entries)) == (j, k)
    assert consistency_path(3, 7, nodes_of(entries)) == (c, d, h, right)
    assert consistency_path(4, 7, nodes_of(entries)) == (right,)
    assert consistency_path(6, 7, nodes_of(entries)) == (j, g, k)


def test_proofs_of_a_public_log_of_a_billion_entries_are_accepted():
    decoded = {name: base64.b64decode(ARGON[name]) for name in ("leaf_input", "root", "old_root")}
    size, old_size = ARGON["size"], ARGON["old_size"]
    path = [base64.b64decode(one) for one in ARGON["inclusion"]]
    check_inclusion(leaf_hash(decoded["leaf_input"]), ARGON["index"], size, decoded["root"], path)
    path = [base64.b64decode(one) for one in ARGON["consistency"]]
    check_consistency(old_size, decoded["old_root"], size, decoded["root"], path)
    path[7] = bytes(32)
    with pytest.raises(ProofError):
        check_consistency(old_size, decoded["old_root"], size, decoded["root"], path)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.data())
def test_every_leaf_and_every_older_tree_is_proved_and_nothing_else_is(size, data):
    entries = entries_of(size)
    node, root = nodes_of(entries), definition_root(entries)
    assert tree_root(size, node) == Frontier.of(size, node).root() == root
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, node)
    check_inclusion(leaf_hash(entries[index]), index, size, root, path)
    old = data.draw(st.integers(0, size))
    old_root, grown = definition_root(entries[:old]), consistency_path(old, size, node)
    check_consistency(old, old_root, size, root, grown)
    other = data.draw(
        st.integers(0, size - 1).filter(lambda one: one != index) if size > 1 else st.just(None)
    )
    if other is not None:
        with pytest.raises(ProofError):
            check_inclusion(leaf_hash(entries[other]), index, size, root, path)
        with pytest.raises(ProofError):
            check_inclusion(leaf_hash(entries[index]), other, size, root, path)
    for wrong in _spoilt(path, data):
        with pytest.raises(ProofError):
            check_inclusion(leaf_hash(entries[index]), index, size, root, wrong)
    for wrong in _spoilt(grown, data):
        with pytest.raises(ProofError):
            check_consistency(old, old_root, size, root, wrong)


def _spoilt(path, data):
    """Proofs with a hash too many, a short one, or one bit or hash changed."""
    path = list(path)
    yield [*path, EMPTY_ROOT]
    yield [EMPTY_ROOT, *path]
    yield [*path, b""]
    if path:
        yield path[:-1]
        yield path[1:]
        place = data.draw(st.integers(0, len(path) - 1))
        changed = bytes([path[place][0] ^ 8]) + path[place][1:]
        yield [*path[:place], changed, *path[place + 1 :]]


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (1, 2**63)])
def test_no_proof_exists_between_impossible_sizes(old, new):
    with pytest.raises(ProofError):
        consistency_path(old, new, nodes_of(LEAVES))
    with pytest.raises(ProofError):
        check_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (0, 2**63)])
def test_no_proof_exists_of_a_leaf_that_is_not_there(index, size):
    with pytest.raises(ProofError):
        inclusion_path(index, size, nodes_of(LEAVES))
    with pytest.raises(ProofError):
        check_inclusion(EMPTY_ROOT, index, size, EMPTY_ROOT, [])


def test_an_empty_tree_begins_every_other_but_by_its_own_root_alone():
    root = definition_root(LEAVES)
    check_consistency(0, EMPTY_ROOT, 8, root, [])
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    for old_root, new, new_root, path in [
        (root, 8, root, []),
        (EMPTY_ROOT, 8, root, [root]),
        (EMPTY_ROOT, 0, root, []),
    ]:
        with pytest.raises(ProofError):
            check_consistency(0, old_root, new, new_root, path)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(0, 100))
def test_a_right_edge_that_was_read_back_goes_on_as_if_it_had_never_been_away(size, more):
    entries = entries_of(size + more)
    frontier = Frontier.of(size, nodes_of(entries))
    for entry in entries[size:]:
        frontier.add(leaf_hash(entry))
    assert (frontier.size, frontier.root()) == (size + more, definition_root(entries))


def test_a_row_of_nodes_has_the_root_of_its_subtree():
    hashes = [leaf_hash(entry) for entry in entries_of(256)]
    assert perfect_root(hashes) == definition_root(entries_of(256))
    assert perfect_root(hashes[:1]) == hashes[0]
