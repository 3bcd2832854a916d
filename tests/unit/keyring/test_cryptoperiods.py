"""Keys protect as long and as often as they may: never more, over any processes and crashes; what they protected still opens."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_keyring import KeyringBench
from strongroom.core import (
    KeyOrigin,
    KeyState,
    KeyUsage,
    MacAlgorithm,
    ManagedKeySpec,
    Secret,
    SigningAlgorithm,
)
from strongroom.envelope import Blob
from strongroom.keyring import (
    CryptoperiodOverError,
    CryptoperiodUnfitError,
    DryRunError,
    KeyById,
    KeyKind,
    KeyPreActiveError,
    KeyStateError,
    KeyUsageError,
    KeyUsedError,
    MessageType,
    PlainItem,
    SealedItem,
)

DAY_S = 86_400.0
SIGNING = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
HMAC_KEY = KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
MAC = MacAlgorithm.HMAC_SHA_256
ECDSA = SigningAlgorithm.ECDSA_SHA_256


async def mac(ring, key_id):
    return (await ring.uses.generate_mac(KeyById(key_id), MAC, b"message")).mac


async def sign(ring, key_id):
    return (await ring.uses.sign(KeyById(key_id), ECDSA, b"message", MessageType.RAW)).signature


async def encrypt(ring, key_id, plaintext=b"data"):
    return (await ring.encrypt(KeyById(key_id), Secret(plaintext), {})).ciphertext


def version_of(ciphertext):
    return Blob.parse(ciphertext).wrapping_key_version


@pytest.fixture
async def key_id(keyring):
    return (await keyring.create_key("for tests")).key_id


async def limited(ring, kind, **limits):
    made = await ring.create_key("limited", kind=kind)
    await ring.cryptoperiods.limit(made.key_id, **({"days": 0, "max_uses": 0} | limits))
    return made.key_id


STEPS = st.lists(
    st.tuples(st.sampled_from(["use", "use", "use", "crash", "give back"]), st.integers(0, 2)), max_size=45
)


@settings(max_examples=8, deadline=None)
@given(limit=st.integers(1, 80), steps=STEPS)
def test_no_number_of_processes_and_crashes_goes_past_a_count(
    hsm_and_database, tmp_path_factory, limit, steps
):
    bench = KeyringBench(hsm_and_database, tmp_path_factory.mktemp("counts") / "strongroom.db")

    async def run():
        rings = [bench.open_keyring() for _ in range(3)]
        key_id = await limited(rings[0], HMAC_KEY, max_uses=limit)
        n_made, n_lost = 0, 0
        for action, at in steps:
            if action == "crash":  # what it had taken counts as used
                lease = rings[at].cryptoperiods.lease(rings[at].records.find(KeyById(key_id)).record)
                n_lost += lease.left
                rings[at] = bench.open_keyring()
            elif action == "give back":
                await rings[at].cryptoperiods.give_back()
            else:
                try:
                    await mac(rings[at], key_id)
                    n_made += 1
                except CryptoperiodOverError:
                    assert (
                        n_made
                        + n_lost
                        + sum(
                            ring.cryptoperiods.lease(ring.records.find(KeyById(key_id)).record).left
                            for ring in rings
                        )
                        == limit
                    )
        assert n_made <= limit
        for ring in rings:
            await ring.cryptoperiods.give_back(all_of_them=True)
        last = bench.open_keyring()
        for _ in range(limit - n_made - n_lost):
            await mac(last, key_id)
        with pytest.raises(CryptoperiodOverError):
            await mac(last, key_id)

    try:
        asyncio.run(run())
    finally:
        bench.close()


async def test_at_once_from_several_processes_each_version_encrypts_as_often_as_it_may(bench):
    rings = [bench.open_keyring() for _ in range(3)]
    key_id = await limited(rings[0], KeyKind(), max_uses=20)
    made = await asyncio.gather(*(encrypt(rings[number % 3], key_id) for number in range(90)))
    by_version = {}
    for ciphertext in made:
        by_version[version_of(ciphertext)] = by_version.get(version_of(ciphertext), 0) + 1
    assert len(by_version) >= 5
    assert max(by_version.values()) <= 20
    for ciphertext in made:
        assert (await rings[0].decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


async def test_the_express_way_counts_and_leaves_the_rest_to_the_other(bench, keyring):
    key_id = await limited(keyring, KeyKind(), max_uses=100)
    key = KeyById(key_id)
    assert keyring.ready.encrypt(key, b"data", {}) is None  # nothing is taken yet
    await encrypt(keyring, key_id)
    n_ready = 0
    while keyring.ready.encrypt(key, b"data", {}) is not None:
        n_ready += 1
    assert n_ready == 9  # the rest of a block of ten
    assert keyring.ready.generate_data_key(key, 32, {}) is None
    ciphertext = await encrypt(keyring, key_id)
    assert keyring.ready.decrypt(ciphertext, {}, key=None).plaintext.reveal() == b"data"
    assert keyring.cryptoperiods.get(key_id).n_taken == 19


async def test_the_express_way_of_signing_counts(keyring):
    key_id = await limited(keyring, SIGNING, max_uses=25)
    await sign(keyring, key_id)
    signed = [keyring.ready_uses.sign(KeyById(key_id), ECDSA, b"m", MessageType.RAW) for _ in range(3)]
    assert [one is not None for one in signed] == [True, False, False]


async def test_a_pair_that_is_used_up_verifies_and_signs_no_more(bench, keyring):
    key_id = await limited(keyring, SIGNING, max_uses=3)
    signatures = [await sign(keyring, key_id) for _ in range(3)]
    for ring in (keyring, bench.open_keyring()):
        with pytest.raises(CryptoperiodOverError):
            await sign(ring, key_id)
        for signature in signatures:
            await ring.uses.verify(KeyById(key_id), ECDSA, b"message", MessageType.RAW, signature)


async def test_misuse_and_rehearsals_do_not_count(keyring):
    key_id = await limited(keyring, SIGNING, max_uses=2)
    for _ in range(3):
        with pytest.raises(KeyUsageError):
            await encrypt(keyring, key_id)
        with pytest.raises(DryRunError):
            await keyring.uses.sign(KeyById(key_id), ECDSA, b"m", MessageType.RAW, dry_run=True)
    for _ in range(2):
        await sign(keyring, key_id)


async def test_each_item_of_a_batch_counts(keyring):
    key_id = await limited(keyring, KeyKind(), max_uses=100)
    items = [PlainItem(b"data", {})] * 60
    first = await keyring.batches.encrypt(KeyById(key_id), items)
    second = await keyring.batches.encrypt(KeyById(key_id), items)  # of which 40 would be left
    assert {version_of(one) for one in first.results} == {1}
    assert {version_of(one) for one in second.results} == {2}
    assert keyring.cryptoperiods.get(key_id).n_taken == 60
    rewrapped = await keyring.batches.rewrap(
        KeyById(key_id), [SealedItem(one, {}) for one in first.results[:30]]
    )
    assert {version_of(one) for one in rewrapped.results} == {2}
    assert keyring.cryptoperiods.get(key_id).n_taken == 90
    with pytest.raises(CryptoperiodOverError):
        await keyring.batches.data_keys(KeyById(key_id), count=101, n_bytes=32, context={})


async def test_a_symmetric_key_is_rotated_the_moment_its_time_is_over_and_in_time_by_the_count(
    bench, keyring
):
    key_id = await limited(keyring, KeyKind(), days=30)
    other = bench.open_keyring()
    old = await encrypt(keyring, key_id)
    bench.clock.advance(30 * DAY_S - 1)
    assert version_of(await encrypt(other, key_id)) == 1
    assert keyring.rotations.list_due(limit=10) == []
    bench.clock.advance(1)
    assert keyring.rotations.list_due(limit=10) == [key_id]
    made = await asyncio.gather(*(encrypt(ring, key_id) for ring in (keyring, other) * 3))
    assert {version_of(one) for one in made} == {2}
    assert keyring.cryptoperiods.get(key_id).ends_at == bench.clock.now() + 30 * DAY_S
    assert keyring.rotations.list_due(limit=10) == []
    assert (await other.decrypt(old, {}, key=None)).plaintext.reveal() == b"data"
    await keyring.cryptoperiods.limit(key_id, days=0, max_uses=10)
    for _ in range(9):
        await encrypt(keyring, key_id)
    assert keyring.rotations.list_due(limit=10) == [key_id]
    assert (await keyring.rotations.rotate_due(key_id)).because == "uses"
    assert await keyring.rotations.rotate_due(key_id) is None


async def test_a_deactivated_key_verifies_decrypts_and_protects_nothing(bench, keyring):
    key_id = await limited(keyring, HMAC_KEY, days=7)
    made = await mac(keyring, key_id)
    bench.clock.advance(7 * DAY_S)
    await asyncio.sleep(0)
    for ring in (keyring, bench.open_keyring()):
        assert ring.describe(KeyById(key_id)).state is KeyState.DEACTIVATED
        with pytest.raises(CryptoperiodOverError):
            await mac(ring, key_id)
        await ring.uses.verify_mac(KeyById(key_id), MAC, b"message", made)
    with pytest.raises(CryptoperiodUnfitError):
        await keyring.cryptoperiods.limit(key_id, days=6, max_uses=0)
    await keyring.cryptoperiods.limit(key_id, days=8, max_uses=0)
    assert await mac(keyring, key_id) == made
    await keyring.set_state(key_id, KeyState.SUSPENDED)
    bench.clock.advance(DAY_S)
    with pytest.raises(KeyStateError) as caught:
        await keyring.uses.verify_mac(KeyById(key_id), MAC, b"message", made)
    assert caught.value.state is KeyState.SUSPENDED


async def test_people_are_warned_once_of_keys_that_will_protect_nothing_more(bench, keyring):
    by_time = await limited(keyring, HMAC_KEY, days=100)
    by_count = await limited(keyring, HMAC_KEY, max_uses=10)
    await limited(keyring, KeyKind(), days=100)  # this one gets a new version by itself
    assert keyring.cryptoperiods.list_ending(limit=10) == []
    bench.clock.advance(90 * DAY_S)
    for _ in range(9):
        await mac(keyring, by_count)
    assert set(keyring.cryptoperiods.list_ending(limit=10)) == {by_time, by_count}
    for key_id in (by_time, by_count):
        await keyring.cryptoperiods.warned(key_id)
    assert keyring.cryptoperiods.list_ending(limit=10) == []
    await keyring.cryptoperiods.limit(by_time, days=200, max_uses=0)
    bench.clock.advance(90 * DAY_S)
    assert keyring.cryptoperiods.list_ending(limit=10) == [by_time]


async def test_uses_of_before_a_limit_count_and_a_limit_that_was_taken_away_is_none(keyring):
    made = await keyring.create_key("signs", kind=SIGNING)
    for number in range(5):
        keyring.last_uses.note(made.key_id, made.material_id, "Sign", f"r{number}")
    await keyring.last_uses.flush()
    with pytest.raises(CryptoperiodUnfitError):
        await keyring.cryptoperiods.limit(made.key_id, days=0, max_uses=5)
    period = await keyring.cryptoperiods.limit(made.key_id, days=0, max_uses=6)
    assert period.n_taken == 5
    await sign(keyring, made.key_id)
    with pytest.raises(CryptoperiodOverError):
        await sign(keyring, made.key_id)
    await keyring.cryptoperiods.limit(made.key_id, days=0, max_uses=0)
    assert keyring.cryptoperiods.lease(keyring.records.find(KeyById(made.key_id)).record) is None
    await sign(keyring, made.key_id)


async def test_a_key_that_waits_for_its_date_does_nothing_and_is_active_from_it_on_in_every_process(
    bench, keyring, key_id
):
    rings = [keyring, bench.open_keyring()]
    at = bench.clock.now() + 10 * DAY_S
    await keyring.cryptoperiods.limit(key_id, days=30, max_uses=0)
    await keyring.cryptoperiods.activate_at(key_id, at)
    bench.clock.advance(10 * DAY_S - 1)
    for ring in rings:
        assert ring.describe(KeyById(key_id)).state is KeyState.PRE_ACTIVE
        with pytest.raises(KeyPreActiveError):
            ring.ready.encrypt(KeyById(key_id), b"data", {})
        with pytest.raises(KeyPreActiveError):
            await encrypt(ring, key_id)
    await keyring.set_state(key_id, KeyState.ACTIVE)
    assert keyring.describe(KeyById(key_id)).state is KeyState.PRE_ACTIVE
    bench.clock.advance(1)
    await asyncio.sleep(0)  # what one turn of the loop handles sees one moment
    for ring in rings:
        assert ring.describe(KeyById(key_id)).state is KeyState.ACTIVE
        assert version_of(await encrypt(ring, key_id)) == 1
    assert keyring.cryptoperiods.get(key_id).ends_at == at + 30 * DAY_S


async def test_a_date_of_activation_can_be_moved_until_it_comes_and_not_be_set_after_a_use(
    bench, keyring, key_id
):
    now = bench.clock.now()
    await keyring.cryptoperiods.activate_at(key_id, now + 5)
    await keyring.cryptoperiods.activate_at(key_id, now + 50)
    bench.clock.advance(10)
    assert keyring.describe(KeyById(key_id)).state is KeyState.PRE_ACTIVE
    await keyring.cryptoperiods.activate_at(key_id, None)
    await encrypt(keyring, key_id)
    keyring.last_uses.note(key_id, keyring.describe(KeyById(key_id)).material_id, "Encrypt", "r")
    await keyring.last_uses.flush()
    with pytest.raises(KeyUsedError):
        await keyring.cryptoperiods.activate_at(key_id, now + 500)
    for date in (now, now + 3_651 * DAY_S):
        with pytest.raises(CryptoperiodUnfitError):
            await keyring.cryptoperiods.activate_at(key_id, date)


async def test_states_beyond_dates_go_first(bench, keyring, key_id):
    await keyring.cryptoperiods.activate_at(key_id, bench.clock.now() + DAY_S)
    await keyring.rotations.enable(key_id, days=90)
    await keyring.set_state(key_id, KeyState.SUSPENDED)
    assert keyring.describe(KeyById(key_id)).state is KeyState.SUSPENDED
    bench.clock.advance(DAY_S)
    with pytest.raises(KeyStateError) as caught:
        await encrypt(keyring, key_id)
    assert caught.value.state is KeyState.SUSPENDED
    await keyring.lifecycle.mark_compromised(key_id)
    with pytest.raises(KeyStateError):
        await keyring.cryptoperiods.limit(key_id, days=1, max_uses=0)


async def test_a_key_inside_hsms_is_counted_and_made_anew(bench, keyring):
    store = (await keyring.key_stores.create("hsm", bench.cluster_id)).store_id
    await keyring.key_stores.connect(store)
    key_id = await limited(keyring, KeyKind(origin=KeyOrigin.AWS_CLOUDHSM, store_id=store), max_uses=3)
    made = [await encrypt(keyring, key_id) for _ in range(5)]
    assert [version_of(one) for one in made] == [1, 1, 1, 2, 2]
    batch = await keyring.batches.encrypt(KeyById(key_id), [PlainItem(b"data", {})] * 3)
    assert [version_of(one) for one in batch.results].count(2) == 1


async def test_counting_uses_makes_no_process_forget_the_keys_that_it_has_in_memory(bench, keyring):
    """A key of which few uses are left has them taken one by one."""
    key_id = await limited(keyring, HMAC_KEY, max_uses=9)
    before = bench.stores[0].generation()
    for _ in range(5):
        await mac(keyring, key_id)
    await keyring.cryptoperiods.give_back(all_of_them=True)
    assert bench.stores[0].get_taken_uses(key_id, 1) == 5
    assert bench.stores[0].generation() == before
