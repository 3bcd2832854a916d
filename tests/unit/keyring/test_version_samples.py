"""What is likely still under a version: exact up to a few hundred ciphertexts, an honest estimate of millions, in bounded memory."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.core import KeyOrigin, ManagedKeySpec, Secret, StorageError
from strongroom.keyring import (
    DryRunError,
    KeyById,
    KeyKind,
    PlainItem,
    Sample,
    SealedItem,
    VersionSamples,
    _version_samples,
)
from strongroom.keyring._version_samples import SAMPLE_SIZE, Traced, mark_of
from strongroom.testing import FakeClock

DAY_S = 86_400.0
DATES = st.integers(0, 2**32 - 1)
TRACED = st.builds(Traced, DATES, DATES, DATES)
SAMPLES = st.dictionaries(st.binary(min_size=8, max_size=8), TRACED, max_size=40).map(
    lambda traced: Sample(traced=traced)
)


def fill(samples, n, *, seed=1):
    """Note that many ciphertexts were issued, and return them as far as their marks go."""
    draw = random.Random(seed)
    made = [bytes(24) + draw.randbytes(8) for _ in range(n)]
    for ciphertext in made:
        samples.issued("key", "material", ciphertext)
    return made


def sample_of(samples):
    return samples.of("key", "material").take()


@settings(deadline=None)
@given(SAMPLES)
def test_a_sample_is_read_as_it_was_written(sample):
    assert Sample.decode(sample.encode()) == sample


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_sample_is_refused(data):
    try:
        Sample.decode(data)
    except StorageError:
        return
    assert (len(data) - 10) % 20 == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(SAMPLES, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_samples_join_in_any_order_and_any_number_of_times(parts, shuffle):
    def joined(samples):
        whole = Sample()
        for sample in samples:
            whole = whole.joined(sample)
        return whole

    again = [*parts, *parts[:2]]
    shuffle.shuffle(again)
    assert joined(again) == joined(parts)


def test_what_one_process_noted_beyond_the_end_of_the_others_sample_is_in_neither():
    """Else it would stand for as many ciphertexts as those below, of which all are known."""
    low, high = bytes(8), b"\x80" + bytes(7)
    short, whole = (
        Sample(b"\x40" + bytes(7), {low: Traced(1)}),
        Sample(traced={low: Traced(2), high: Traced(3)}),
    )
    for joined in (short.joined(whole), whole.joined(short)):
        assert joined == Sample(short.below, {low: Traced(1)})


def test_a_few_are_known_exactly():
    clock = FakeClock()
    samples = VersionSamples(clock)
    made = fill(samples, 200)
    clock.advance(DAY_S)
    for ciphertext in made[:120]:
        samples.moved("key", "material", ciphertext)
    clock.advance(60 * DAY_S)
    for ciphertext in made[110:150]:  # ten of which were moved, and are there all the same
        samples.seen("key", "material", ciphertext)
    found = sample_of(samples).outstanding(clock.now())
    assert found.is_exact
    assert found[:5] == (200, 90, 50, 40, 0)
    clock.advance(31 * DAY_S)
    assert Sample().outstanding(clock.now())[:2] == (0, 0)


@pytest.mark.parametrize("n", [1_000, 20_000, 200_000])
def test_many_are_estimated_within_the_margin_that_is_told(n):
    samples = [VersionSamples(FakeClock()) for _ in range(3)]
    made = [fill(one, n // 3, seed=seed) for seed, one in enumerate(samples)]
    for ciphertext in made[0]:  # a third is moved by another process than the one that issued them
        samples[2].moved("key", "material", ciphertext)
    whole = Sample()
    for one in samples:
        assert len(one.of("key", "material")) <= SAMPLE_SIZE
        whole = whole.joined(sample_of(one))
    found = whole.outstanding(FakeClock().now())
    assert not found.is_exact
    assert found.n_left == pytest.approx(n * 2 / 3, abs=2 * found.margin)
    assert found.margin < n / 5
    assert found.n_known == pytest.approx(n, rel=0.25)


def test_the_memory_of_a_process_is_bounded_and_what_finds_no_room_is_counted(monkeypatch):
    monkeypatch.setattr(_version_samples, "_MAX_ENTRIES", 100)
    monkeypatch.setattr(_version_samples, "_MAX_HELD", 3)
    samples = VersionSamples(FakeClock())
    draw = random.Random(7)
    for number in range(1_000):
        samples.issued("key", f"material {number % 5}", bytes(24) + draw.randbytes(8))
    held = [samples.of(*place) for place in samples.waiting()]
    assert len(held) == 3
    assert sum(map(len, held)) == 100
    assert samples.n_forgotten == 500
    samples.of("key", "material 0").take()
    samples.issued("key", "material 0", bytes(24) + draw.randbytes(8))
    assert len(samples.of("key", "material 0")) == 1


async def test_every_way_of_a_ciphertext_is_noted_and_all_processes_know(bench, keyring):
    key_id = (await keyring.create_key("for tests")).key_id
    key = KeyById(key_id)
    made = [(await keyring.encrypt(key, Secret(b"x"), {})).ciphertext for _ in range(4)]
    batch = await keyring.batches.encrypt(key, [PlainItem(b"x", {})] * 6)
    made += batch.results
    made += [keyring.ready.encrypt(key, b"x", {}).ciphertext for _ in range(5)]
    await keyring.last_uses.flush()
    await keyring.rotations.rotate_on_demand(key_id)
    other = bench.open_keyring()
    assert (await other.decrypt(made[0], {}, key=None)).plaintext.reveal() == b"x"
    await other.batches.decrypt(key, [SealedItem(made[1], {}), SealedItem(made[2], {}), SealedItem(b"x", {})])
    rewrapped = await other.batches.rewrap(key, [SealedItem(one, {}) for one in made[5:12]])
    assert sum(rewrapped.opened.values()) == 7
    await other.re_encrypt(
        made[12], source_key=None, source_context={}, key=key, context={"another": "context"}
    )
    await other.last_uses.flush()
    first, second = bench.open_keyring().last_uses.uses_of_versions(key_id).versions
    assert first.outstanding[:4] == (15, 7, 4, 3)
    assert second.outstanding[:4] == (8, 8, 8, 0)
    assert {mark_of(one) for one in made} == set(
        Sample.decode(bench.stores[0].list_version_samples(key_id)[first.material_id]).traced
    )


async def test_keys_inside_hsms_are_noted_too(bench, keyring):
    store = (await keyring.key_stores.create("hsm", bench.cluster_id)).store_id
    await keyring.key_stores.connect(store)
    made = await keyring.create_key("k", {}, KeyKind(origin=KeyOrigin.AWS_CLOUDHSM, store_id=store))
    key = KeyById(made.key_id)
    sealed = (await keyring.batches.encrypt(key, [PlainItem(b"x", {})] * 3)).results
    await keyring.rotations.rotate_on_demand(made.key_id)
    await keyring.batches.rewrap(key, [SealedItem(one, {}) for one in sealed[:2]])
    await keyring.decrypt(sealed[2], {}, key=None)
    first, second = keyring.last_uses.uses_of_versions(made.key_id).versions
    assert first.outstanding[:4] == (3, 1, 0, 1)
    assert second.outstanding[:2] == (2, 2)


async def test_what_is_only_tried_leaves_no_ciphertext(bench, keyring):
    key_id = (await keyring.create_key("for tests")).key_id
    key, context = KeyById(key_id), {"tenant": "7"}
    sealed = (await keyring.encrypt(key, Secret(b"x"), context)).ciphertext
    with pytest.raises(DryRunError):
        await keyring.either.encrypt(key, Secret(b"x"), algorithm=None, context={}, dry_run=True)
    with pytest.raises(DryRunError):
        await keyring.either.rehearse_data_key(key, 32, {})
    with pytest.raises(DryRunError):
        await keyring.either.re_encrypt(
            sealed, source_key=None, source_algorithm=None, source_context=context, key=key, algorithm=None,
            context={}, dry_run=True,
        )  # fmt: skip
    await keyring.data_key_pairs.generate(key, ManagedKeySpec.ECC_NIST_P256, {})
    (version,) = keyring.last_uses.uses_of_versions(key_id).versions
    assert version.outstanding[:2] == (2, 2)  # what was encrypted, and the private half


async def test_what_could_not_be_written_is_written_later(bench, keyring, monkeypatch):
    key_id = (await keyring.create_key("for tests")).key_id
    await keyring.encrypt(KeyById(key_id), Secret(b"x"), {})
    note = keyring.last_uses._store.note

    async def fail(_work):
        raise StorageError("the disk is full")

    monkeypatch.setattr(keyring.last_uses._store, "note", fail)
    with pytest.raises(StorageError):
        await keyring.last_uses.flush()
    monkeypatch.setattr(keyring.last_uses._store, "note", note)
    await keyring.encrypt(KeyById(key_id), Secret(b"x"), {})
    await keyring.last_uses.flush()
    await asyncio.sleep(0)
    (version,) = bench.open_keyring().last_uses.uses_of_versions(key_id).versions
    assert version.outstanding.n_known == 2
