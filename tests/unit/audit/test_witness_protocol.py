"""What a witness answers (C2SP tlog-witness, add-checkpoint), and what goes over the wire."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import (
    GrowthProof,
    KeyKind,
    LogKey,
    MalformedNoteError,
    Note,
    Refusal,
    Witness,
    WitnessRefusalError,
    WitnessSigner,
    WitnessStore,
    encode_cosignatures,
    encode_size,
    read_cosignatures,
    read_log_key,
    read_note,
    read_size,
    verify_note,
)
from strongroom.audit._checkpoint import Checkpoint
from strongroom.audit._checkpoint_keys import cosigned_at
from strongroom.audit._witness_request import MAX_REQUEST_BYTES, read_add_checkpoint
from strongroom.core import StrongroomError
from unit.audit.witness_logs import (
    KEY,
    LOGS,
    NOW,
    ORIGIN,
    SIGNER,
    WITNESS,
    StandingClock,
    checkpoint_of,
    leaves_of_past,
    request_of,
    signed,
)

TRUE, FALSE = leaves_of_past("true", 40), leaves_of_past("false", 40)
# The request that C2SP tlog-witness gives as its example.
EXAMPLE = (
    "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n"
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n"
)


@pytest.fixture
def store(tmp_path):
    WitnessStore.make(tmp_path / "w")
    store = WitnessStore(tmp_path / "w")
    yield store
    store.close()


@pytest.fixture
def witness(store):
    return Witness(LOGS, WITNESS, store, clock=StandingClock())


def refusal_of(witness, data) -> WitnessRefusalError:
    with pytest.raises(WitnessRefusalError) as caught:
        witness.add_checkpoint(data)
    return caught.value


def test_the_example_of_the_specification_reads_and_reads_back():
    request = read_add_checkpoint(EXAMPLE.encode())
    assert (request.old_size, len(request.path), len(request.checkpoint.signatures)) == (20852014, 4, 2)
    assert request.encode() == EXAMPLE.encode()


def test_a_log_that_grows_is_cosigned_by_both_keys_with_the_time(witness, store):
    for old, new in ((0, 3), (3, 3), (3, 17), (17, 40)):
        cosigned = witness.add_checkpoint(request_of(TRUE, old, new))
        answer = read_cosignatures(encode_cosignatures(cosigned.signatures))
        assert verify_note(Note(checkpoint_of(TRUE, new).text(), answer), WITNESS.keys) == answer
        assert [cosigned_at(one.data) for one in answer] == [NOW, NOW]
        assert store.head(ORIGIN).size == new
    kept = store.note(ORIGIN)
    assert len(verify_note(kept, [KEY, *WITNESS.keys])) == 3


@pytest.mark.parametrize("seen", [0, 5, 8, 17])
@pytest.mark.parametrize("old", [0, 5, 6, 8, 17])
@pytest.mark.parametrize("new", [0, 5, 8, 17, 40])
def test_every_start_but_the_one_that_was_cosigned_last_is_refused_by_its_status(witness, seen, old, new):
    witness.add_checkpoint(request_of(TRUE, 0, seen))
    data = request_of(TRUE, old, new)
    if old > new:
        assert refusal_of(witness, data).refusal is Refusal.MALFORMED
    elif old != seen:
        error = refusal_of(witness, data)
        assert (error.refusal, error.size, error.is_fork) == (Refusal.OTHER_SIZE, seen, False)
    else:
        assert witness.add_checkpoint(data).checkpoint.size == new


def test_another_root_of_the_same_size_is_a_conflict_and_kept_as_evidence(witness, tmp_path):
    witness.add_checkpoint(request_of(TRUE, 0, 8))
    data = request_of(FALSE, 8, 8)
    error = refusal_of(witness, data)
    assert (error.refusal, error.size, error.is_fork) == (Refusal.OTHER_SIZE, 8, True)
    (kept,) = (tmp_path / "w" / "refused").iterdir()
    assert kept.read_bytes() == data


@pytest.mark.parametrize("new", [9, 16, 40])
def test_a_rewritten_past_with_a_proof_of_its_own_is_not_consistent(witness, new):
    witness.add_checkpoint(request_of(TRUE, 0, 8))
    error = refusal_of(witness, request_of(FALSE, 8, new))
    assert (error.refusal, error.is_fork) == (Refusal.NOT_CONSISTENT, True)


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
def test_a_proof_that_does_not_fit_is_not_consistent(witness, change):
    witness.add_checkpoint(request_of(TRUE, 0, 5))
    request = read_add_checkpoint(request_of(TRUE, 5, 17))
    path = {"longer": (*request.path, bytes(32)), "shorter": request.path[:-1],
            "other": (bytes(32), *request.path[1:])}[change]  # fmt: skip
    assert refusal_of(witness, request._replace(path=path).encode()).refusal is Refusal.NOT_CONSISTENT


def test_strangers_make_neither_forks_nor_evidence_of_a_checkpoint_that_the_log_showed(witness, tmp_path):
    witness.add_checkpoint(request_of(TRUE, 0, 8))
    shown = read_add_checkpoint(request_of(TRUE, 8, 8))
    error = refusal_of(witness, shown._replace(path=(bytes(32),)).encode())
    assert (error.refusal, error.is_fork) == (Refusal.NOT_CONSISTENT, False)
    assert not (tmp_path / "w" / "refused").exists()
    newer = read_add_checkpoint(request_of(TRUE, 8, 9))
    for number in range(5):  # whether the log or a stranger made the proof cannot be told: once is enough
        refusal_of(witness, newer._replace(path=(bytes([number]) * 32,)).encode())
    assert len(list((tmp_path / "w" / "refused").iterdir())) == 1
    assert witness.add_checkpoint(newer.encode()).checkpoint.size == 9


def test_a_first_checkpoint_takes_no_proof(witness):
    data = GrowthProof(0, (bytes(32),), signed(checkpoint_of(TRUE, 3))).encode()
    assert refusal_of(witness, data).refusal is Refusal.NOT_CONSISTENT


def test_unknown_logs_and_keys_are_refused_before_anything_else(witness):
    stranger = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    strangers_key = LogKey(ORIGIN, KeyKind.ED25519, stranger.public_key().public_bytes_raw())
    assert refusal_of(witness, request_of(TRUE, 9, 3, "another/log")).refusal is Refusal.UNKNOWN_LOG
    unsigned = signed(checkpoint_of(TRUE, 3), stranger, strangers_key)
    assert refusal_of(witness, GrowthProof(9, (), unsigned).encode()).refusal is Refusal.NOT_SIGNED
    good = signed(checkpoint_of(TRUE, 3))
    forged = good.signatures[0]._replace(data=bytes(64))
    assert (
        refusal_of(witness, GrowthProof(0, (), Note(good.text, (forged,))).encode()).refusal
        is Refusal.NOT_SIGNED
    )
    both = good.with_signatures(unsigned.signatures)
    assert witness.add_checkpoint(GrowthProof(0, (), both).encode()).checkpoint.size == 3


def test_a_checkpoint_with_extension_lines_gets_what_covers_them():
    checkpoint = Checkpoint(ORIGIN, 3, checkpoint_of(TRUE, 3).root, ("more",))
    (only,) = WITNESS.cosign(checkpoint, NOW)
    WITNESS.keys[0].verify(checkpoint.text(), only.data)


def test_what_a_witness_cosigns_has_the_bytes_of_another_implementation():
    """The example of C2SP tlog-cosignature was made by the key of its witness; here: the same text by ours, by definition."""
    checkpoint = checkpoint_of(TRUE, 3)
    first, _ = WITNESS.cosign(checkpoint, 1679315147)
    message = b"cosignature/v1\ntime 1679315147\n" + checkpoint.text().encode()
    assert first.data == (1679315147).to_bytes(8, "big") + Ed25519PrivateKey.from_private_bytes(
        bytes(range(32))
    ).sign(message)
    assert [read_log_key(key.text()) for key in WITNESS.keys] == list(WITNESS.keys)


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_witness_needs_a_key_of_64_bytes(length):
    with pytest.raises(MalformedNoteError):
        WitnessSigner("w", bytes(length))


def test_requests_have_at_most_63_hashes_and_64_kib():
    note = signed(checkpoint_of(TRUE, 3))
    assert len(read_add_checkpoint(GrowthProof(1, (bytes(32),) * 63, note).encode()).path) == 63
    with pytest.raises(MalformedNoteError, match="64 hashes"):
        read_add_checkpoint(GrowthProof(1, (bytes(32),) * 64, note).encode())
    with pytest.raises(MalformedNoteError, match="bytes"):
        read_add_checkpoint(b"o" * (MAX_REQUEST_BYTES + 1))


@pytest.mark.parametrize(
    "data",
    [b"", b"old 0\n", b"old 00\n\n", b"old -1\n\n", b"old 1\n!\n\n", b"new 0\n\n", b"old 0\r\n\n", b"\xff\n\n", b"old 0\n\nx\n"],
)  # fmt: skip
def test_what_is_no_request_is_malformed(witness, data):
    assert refusal_of(witness, data).refusal is Refusal.MALFORMED


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data):
    for read in (read_add_checkpoint, read_cosignatures, read_size):
        try:
            read(data)
        except MalformedNoteError:
            continue


@settings(deadline=None, max_examples=50)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_request_in_which_any_byte_was_changed_is_never_another_good_one(place, value):
    data = request_of(TRUE, 0, 3)
    changed = bytearray(data)
    changed[place % len(data)] = value
    try:
        request = read_add_checkpoint(bytes(changed))
        verify_note(request.checkpoint, [KEY])
    except StrongroomError:
        return
    assert request.checkpoint.text == checkpoint_of(TRUE, 3).text()


@given(st.integers(0, 2**63 - 1))
def test_sizes_read_back(size):
    assert read_size(encode_size(size)) == size


@pytest.mark.parametrize("data", [b"", b"3", b"03\n", b"-1\n", b"3\n\n", b"9223372036854775808\n", b" 3\n", b"\xd9\xa3\n", b"1" * 40 + b"\n"])  # fmt: skip
def test_what_is_no_size_is_refused(data):
    with pytest.raises(MalformedNoteError):
        read_size(data)


class OneHead:
    """The decision as the specification tells it, a second time: only size and root of the last cosigned checkpoint."""

    def __init__(self):
        self.size, self.past = 0, None

    def answer(self, past, old, new) -> int:
        if old > new:
            return 400
        if old != self.size:
            return 409
        if self.size and past != self.past:
            return 409 if new == self.size else 422
        self.size, self.past = new, past if new else None
        return 200


@settings(deadline=None, max_examples=15)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12)), max_size=12))
def test_any_requests_are_answered_as_the_specification_says(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("w")
    WitnessStore.make(folder)
    expected = OneHead()
    for is_true, old, new in steps:
        store = WitnessStore(folder)  # it was started anew each time
        try:
            found = Witness(LOGS, WITNESS, store, clock=StandingClock())
            try:
                found.add_checkpoint(request_of(TRUE if is_true else FALSE, old, new))
                status = 200
            except WitnessRefusalError as error:
                status = int(error.refusal)
        finally:
            store.close()
        assert status == expected.answer(is_true, old, new)


def test_base64_of_a_proof_is_canonical(witness):
    text = request_of(TRUE, 0, 3).decode()
    line = base64.b64encode(bytes(32)).decode()
    data = text.replace("old 0\n", f"old 0\n{line[:-2]}B=\n", 1).encode()
    assert refusal_of(witness, data).refusal is Refusal.MALFORMED


def test_a_note_of_a_witness_reads_as_a_checkpoint_of_the_log():
    note = signed(checkpoint_of(TRUE, 3)).with_signatures(WITNESS.cosign(checkpoint_of(TRUE, 3), NOW))
    assert read_note(note.encode()) == note
    assert SIGNER.public_key().public_bytes_raw() == KEY.public_key
