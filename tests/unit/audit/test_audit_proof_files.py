"""Proofs as files: C2SP tlog-proof, and the request of C2SP tlog-witness.

Refused forms: transparency-dev/merkle ``proof/tlog_proof_test.go``; the request's example: tlog-witness.md.
"""

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit._checkpoint import Checkpoint, read_checkpoint
from strongroom.audit._checkpoint_keys import KeyKind, LogKey
from strongroom.audit._checkpoint_proof import (
    EntryProof,
    GrowthProof,
    read_entry_proof,
    read_growth_proof,
)
from strongroom.audit._errors import MalformedNoteError, ProofError
from strongroom.audit._note import Note, Signature
from strongroom.audit._tree import consistency_path, inclusion_path
from strongroom.core import VerificationFailedError
from unit.audit.tree_definition import definition_root, entries_of, nodes_of

NOTE = "o\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n\n— o AAAAAAA=\n"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = LogKey("example.com/log", KeyKind.ED25519, SIGNER.public_key().public_bytes_raw())
ENTRIES = entries_of(13)


def signed_checkpoint(size: int, origin: str = KEY.name) -> Note:
    text = Checkpoint(origin, size, definition_root(ENTRIES[:size])).text()
    return Note(text, (Signature(KEY.name, KEY.key_id, SIGNER.sign(text.encode())),))


def entry_proof(number: int = 5, size: int = 13) -> EntryProof:
    path = inclusion_path(number, size, nodes_of(ENTRIES))
    return EntryProof(number, path, signed_checkpoint(size), ENTRIES[number])


def test_a_proof_reads_back_and_shows_its_entry():
    proof = read_entry_proof(entry_proof().encode())
    assert proof == entry_proof()
    assert proof.check([KEY]).size == 13
    bare = proof._replace(entry=b"")
    assert b"extra" not in bare.encode()
    assert read_entry_proof(bare.encode()).check([KEY], ENTRIES[5]).size == 13


def test_a_proof_has_the_documented_lines():
    lines = entry_proof(0, 2).encode().decode().split("\n")
    assert lines[:5] == [
        "c2sp.org/tlog-proof@v1",
        f"extra {base64.b64encode(ENTRIES[0]).decode()}",
        "index 0",
        base64.b64encode(definition_root(ENTRIES[1:2])).decode(),
        "",
    ]
    assert "\n".join(lines[5:]) == signed_checkpoint(2).encode().decode()


def test_a_proof_of_anything_else_is_refused():
    proof, other = entry_proof(), Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    stranger = LogKey(KEY.name, KeyKind.ED25519, other.public_key().public_bytes_raw())
    with pytest.raises(VerificationFailedError):
        proof.check([stranger])
    for wrong in (
        proof._replace(entry=b"leaf 6"),
        proof._replace(number=6),
        proof._replace(path=proof.path[1:]),
        proof._replace(checkpoint=signed_checkpoint(12)),
    ):
        with pytest.raises(ProofError):
            wrong.check([KEY])


@pytest.mark.parametrize(
    "head",
    [
        "wrong-header\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nextra \nindex 0\n",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex notanumber\n",
        "c2sp.org/tlog-proof@v1\nindex -5\n",
        "c2sp.org/tlog-proof@v1\nindex 05\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{base64.b64encode(bytes(64)).decode()}\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{base64.b64encode(bytes(32)).decode()}\n" * 65,
        "",
        "\u00e9\n",
    ],
)
def test_what_is_no_proof_is_refused(head):
    with pytest.raises(MalformedNoteError):
        read_entry_proof(f"{head}\n{NOTE}".encode())


def test_a_proof_without_a_checkpoint_is_refused():
    for data in (
        b"c2sp.org/tlog-proof@v1\nindex 0\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\nno checkpoint\n\n" + b"\xe2\x80\x94 o AAAAAAA=\n",
        bytes(2_000_000),
    ):
        with pytest.raises(MalformedNoteError):
            read_entry_proof(data)


@pytest.mark.parametrize(("old", "new"), [(0, 13), (6, 13), (8, 13), (13, 13)])
def test_growth_reads_back_and_shows_that_nothing_before_was_changed(old, new):
    proof = GrowthProof(old, consistency_path(old, new, nodes_of(ENTRIES)), signed_checkpoint(new))
    assert read_growth_proof(proof.encode()) == proof
    before = Checkpoint(KEY.name, old, definition_root(ENTRIES[:old]))
    assert proof.check([KEY], before).size == new
    for wrong in (
        before._replace(root=bytes(32)),
        before._replace(size=old + 1),
        before._replace(origin="o"),
    ):
        with pytest.raises(ProofError):
            proof.check([KEY], wrong)


def test_a_request_to_a_witness_has_the_form_of_the_specification():
    data = (
        "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n"
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+x"
        "eMcTOAYQ8=\n— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6Q"
        "UXTS5Rovnzv++qbSzm9Q=\n"
    ).encode()
    request = read_growth_proof(data)
    assert (request.old_size, len(request.path)) == (20852014, 4)
    assert read_checkpoint(request.checkpoint.text).size == 20852163
    assert request.encode() == data


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_arbitrary_bytes_are_refused_in_words_or_read_back_the_same(data):
    for read in (read_entry_proof, read_growth_proof):
        for candidate in (
            data,
            data + f"\n\n{NOTE}".encode(),
            b"c2sp.org/tlog-proof@v1\nindex 1\n" + data + f"\n\n{NOTE}".encode(),
            b"old 1\n" + data + f"\n\n{NOTE}".encode(),
        ):
            with contextlib.suppress(MalformedNoteError):
                assert read(candidate).encode() == candidate
