"""Keys that are in memory: the same results as the keyring's, no HSM asked, and None for whatever needs more."""

import asyncio
import weakref

import pytest

from strongroom.core import KeyState, Secret
from strongroom.keyring import KeyByAlias, KeyById, KeyNotFoundError, KeyStateError

CONTEXT = {"tenant": "7"}


@pytest.fixture
async def key(keyring):
    """A key whose KEK is in memory, with an alias."""
    made = KeyById((await keyring.create_key("")).key_id)
    await keyring.create_alias("alias/old", made.key_id)
    await keyring.encrypt(made, Secret(b"x"), {})
    return made


async def next_turn():
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", ["id", "alias"])
async def test_what_it_seals_the_keyring_opens_and_the_other_way_round(bench, keyring, key, name):
    named = key if name == "id" else KeyByAlias("alias/old")
    unwraps = bench.cluster.unwraps
    made = keyring.ready.encrypt(named, b"data", CONTEXT)
    data_key = keyring.ready.generate_data_key(named, 32, CONTEXT)
    assert (await keyring.decrypt(made.ciphertext, CONTEXT, key=None)).plaintext.reveal() == b"data"
    opened = await keyring.decrypt(data_key.ciphertext, CONTEXT, key=key)
    assert opened.plaintext.matches(data_key.plaintext)
    theirs = await keyring.encrypt(named, Secret(b"other"), {})
    for asked in (None, named):
        ours = keyring.ready.decrypt(theirs.ciphertext, {}, key=asked)
        assert (ours.plaintext.reveal(), ours.key_id, ours.material_id) == (
            b"other",
            key.key_id,
            made.material_id,
        )
    assert bench.cluster.unwraps == unwraps


async def test_each_use_counts_as_a_hit_and_what_is_not_there_counts_once_only(bench, keyring, key):
    hits, misses = keyring.ciphers.keks.hits, keyring.ciphers.keks.misses
    for _ in range(3):
        keyring.ready.encrypt(key, b"data", {})
    assert (keyring.ciphers.keks.hits, keyring.ciphers.keks.misses) == (hits + 3, misses)
    other = bench.open_keyring()
    assert other.ready.encrypt(key, b"data", {}) is None
    assert other.ready.generate_data_key(key, 16, {}) is None
    assert (other.ciphers.keks.hits, other.ciphers.keks.misses) == (0, 0)
    await other.encrypt(key, Secret(b"data"), {})
    assert other.ciphers.keks.misses == 1


async def test_what_does_not_open_is_none(keyring, key):
    sealed = keyring.ready.encrypt(key, b"data", CONTEXT).ciphertext
    other = KeyById((await keyring.create_key("")).key_id)
    await keyring.encrypt(other, Secret(b"x"), {})
    assert keyring.ready.decrypt(sealed, {}, key=None) is None
    assert keyring.ready.decrypt(sealed, CONTEXT, key=other) is None
    assert keyring.ready.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), CONTEXT, key=None) is None
    older = sealed[:19] + (2).to_bytes(4, "big") + sealed[23:]
    assert keyring.ready.decrypt(older, CONTEXT, key=None) is None
    assert keyring.ready.decrypt(b"nothing of ours", {}, key=None) is None
    assert keyring.ready.decrypt(sealed, CONTEXT, key=None).plaintext.reveal() == b"data"


async def test_a_key_that_another_process_suspended_is_refused_in_the_next_turn(bench, keyring, key):
    sealed = keyring.ready.encrypt(key, b"data", {}).ciphertext
    await bench.open_keyring().set_state(key.key_id, KeyState.SUSPENDED)
    await next_turn()
    with pytest.raises(KeyStateError):
        keyring.ready.encrypt(key, b"data", {})
    with pytest.raises(KeyStateError):
        keyring.ready.decrypt(sealed, {}, key=None)


async def test_a_kek_does_not_outlive_its_time_and_an_unknown_key_is_told(bench, keyring, key):
    bench.clock.advance(301)
    await next_turn()
    assert keyring.ready.encrypt(key, b"data", {}) is None
    with pytest.raises(KeyNotFoundError):
        keyring.ready.encrypt(KeyById("00000000-0000-4000-8000-000000000000"), b"data", {})


async def test_what_was_made_ready_holds_no_cipher_that_the_cache_dropped(bench, keyring, key):
    """Only the cache holds KEKs, so its limits and lives are those of all that is in memory."""
    sealed = keyring.ready.encrypt(key, b"data", {}).ciphertext
    keyring.ready.decrypt(sealed, {}, key=None)
    cached = weakref.ref(keyring.ciphers.keks.fresh((key.key_id, 1)))
    assert cached() is not None
    keyring.ciphers.keks.clear()
    assert cached() is None
    assert keyring.ready.encrypt(key, b"data", {}) is None
    assert keyring.ready.decrypt(sealed, {}, key=None) is None


async def test_a_key_that_is_used_at_once_again_and_again_is_not_the_next_to_leave_the_cache(bench):
    keyring = bench.open_keyring(max_keks=3)
    keys = [KeyById((await keyring.create_key("")).key_id) for _ in range(5)]
    for key in keys[:3]:
        await keyring.encrypt(key, Secret(b"x"), {})
    await next_turn()
    assert keyring.ready.encrypt(keys[0], b"data", {}) is not None  # looks for it, and moves it
    assert keyring.ready.encrypt(keys[1], b"data", {}) is not None
    for key in keys[3:]:
        assert keyring.ready.encrypt(keys[0], b"data", {}) is not None
        await keyring.encrypt(key, Secret(b"x"), {})
    assert keyring.ready.encrypt(keys[0], b"data", {}) is not None
    assert keyring.ready.encrypt(keys[2], b"data", {}) is None


async def test_a_rotated_key_encrypts_under_its_new_version_in_the_next_turn(bench, keyring, key):
    before = keyring.ready.encrypt(key, b"data", {})
    await bench.open_keyring().rotations.rotate_on_demand(key.key_id)
    await next_turn()
    assert keyring.ready.encrypt(key, b"data", {}) is None  # the new KEK is not in memory
    await keyring.encrypt(key, Secret(b"x"), {})
    after = keyring.ready.encrypt(key, b"data", {})
    assert after.material_id != before.material_id
    assert keyring.ready.decrypt(before.ciphertext, {}, key=None) is None
    assert (await keyring.decrypt(before.ciphertext, {}, key=None)).plaintext.reveal() == b"data"


async def test_an_alias_names_the_key_that_it_names_for_whoever_authorises_its_use(bench, keyring, key):
    alias, other = KeyByAlias("alias/old"), KeyById((await keyring.create_key("")).key_id)
    await keyring.encrypt(other, Secret(b"x"), {})
    assert keyring.ready.encrypt(alias, b"data", {}).key_id == key.key_id
    await bench.open_keyring().aliases.move("alias/old", other.key_id)
    await next_turn()
    keyring.ready._is_compared = True  # its turn ends behind that of the records, which were looked at before
    assert keyring.ready._records.find(alias).record.key_id == other.key_id
    made = keyring.ready.encrypt(alias, b"data", {})
    assert made is not None
    assert made.key_id == other.key_id
