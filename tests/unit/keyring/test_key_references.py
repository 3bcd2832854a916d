"""An id and an alias are never taken for one another, and what is known of a key costs no second question."""

import asyncio

import pytest

from strongroom.core import KeyState, Secret, StorageError
from strongroom.keyring import AliasNotFoundError, KeyByAlias, KeyById, KeyNotFoundError, KeyStateError

CONTEXT = {"tenant": "7"}


def test_an_id_and_an_alias_of_the_same_text_are_two_things():
    assert KeyById("a") != KeyByAlias("a")
    assert len({KeyById("a"), KeyByAlias("a"), KeyById("a")}) == 2
    assert KeyById("a") != ("a",)


def test_a_reference_does_not_change_and_opens_by_position():
    with pytest.raises(AttributeError):
        KeyById("a").key_id = "b"
    match KeyByAlias("alias/a"):
        case KeyById(found) | KeyByAlias(found):
            assert found == "alias/a"


async def test_an_id_that_looks_like_an_alias_finds_nothing_and_the_other_way_round(keyring):
    key_id = (await keyring.create_key("for tests")).key_id
    await keyring.create_alias("alias/a", key_id)
    for _ in range(2):
        assert keyring.describe(KeyByAlias("alias/a")) == keyring.describe(KeyById(key_id))
        with pytest.raises(KeyNotFoundError):
            keyring.describe(KeyById("alias/a"))
        with pytest.raises(AliasNotFoundError):
            keyring.describe(KeyByAlias(key_id))


def result_at_once(use):
    """Return what a coroutine gives, which must not wait for anything."""
    with pytest.raises(StopIteration) as ended:
        use.send(None)
    return ended.value.value


async def test_with_everything_in_memory_a_use_does_not_wait(keyring):
    key_id = (await keyring.create_key("for tests")).key_id
    await keyring.create_alias("alias/a", key_id)
    first = await keyring.encrypt(KeyById(key_id), Secret(b"data"), CONTEXT)
    for key in (KeyById(key_id), KeyByAlias("alias/a")):
        result_at_once(keyring.encrypt(key, Secret(b"data"), CONTEXT))
        result_at_once(keyring.generate_data_key(key, 32, CONTEXT))
        for named in (key, None):
            opened = result_at_once(keyring.decrypt(first.ciphertext, CONTEXT, key=named))
            assert opened.plaintext.reveal() == b"data"


async def test_every_way_to_a_key_forgets_it_when_another_process_suspends_it(bench, keyring):
    other = bench.open_keyring()
    key_id = (await keyring.create_key("for tests")).key_id
    await keyring.create_alias("alias/a", key_id)
    ciphertext = (await other.encrypt(KeyById(key_id), Secret(b"data"), {})).ciphertext
    uses = {
        "id": lambda: other.encrypt(KeyById(key_id), Secret(b"data"), {}),
        "alias": lambda: other.encrypt(KeyByAlias("alias/a"), Secret(b"data"), {}),
        "blob": lambda: other.decrypt(ciphertext, {}, key=None),
    }
    for use in uses.values():
        await use()
        await keyring.set_state(key_id, KeyState.SUSPENDED)
        with pytest.raises(KeyStateError):
            await use()
        await keyring.set_state(key_id, KeyState.ACTIVE)
        await use()


async def test_a_look_at_the_database_that_failed_counts_for_nobody(bench, keyring):
    """Who is handled in the same turn must not be served by what was found before the database failed."""
    other_store = bench.open_store()
    other = bench.open_keyring(store=other_store)
    key = KeyById((await keyring.create_key("for tests")).key_id)
    other.records.find(key)
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    await asyncio.sleep(0)
    working, other_store.generation = other_store.generation, failing_look
    with pytest.raises(StorageError):
        other.records.find(key)
    with pytest.raises(StorageError):
        other.records.find(key)
    other_store.generation = working
    assert other.records.find(key).record.state is KeyState.SUSPENDED


def failing_look():
    raise StorageError("the disk is away")


async def test_what_was_encrypted_tells_the_version_that_did_it(keyring):
    info = await keyring.create_key("for tests")
    made = await keyring.encrypt(KeyById(info.key_id), Secret(b"data"), {})
    assert (made.key_id, made.material_id) == (info.key_id, info.material_id)
