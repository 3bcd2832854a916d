"""Aliases move and go, up to 50 a key; tags are put, replaced and removed, up to 50 a key; all or nothing."""

import asyncio

import pytest

from strongroom.core import KeyState
from strongroom.keyring import (
    MAX_ALIASES_OF_KEY,
    MAX_TAGS_OF_KEY,
    AliasExistsError,
    AliasLimitError,
    AliasNotFoundError,
    DestructionScheduledError,
    KeyByAlias,
    KeyById,
    KeyNotFoundError,
    TagLimitError,
)

NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def first(keyring):
    return (await keyring.create_key("first")).key_id


@pytest.fixture
async def second(keyring):
    return (await keyring.create_key("second")).key_id


def tags_of(keyring, key_id):
    return dict(keyring.tags.page(key_id, limit=1000, after=None).tags)


async def test_a_moved_alias_leads_every_process_to_the_new_key(bench, keyring, first, second):
    other = bench.open_keyring()
    made = await keyring.create_alias("alias/a", first)
    assert other.describe(KeyByAlias("alias/a")).key_id == first
    bench.clock.advance(5.0)
    await keyring.aliases.move("alias/a", second)
    assert other.describe(KeyByAlias("alias/a")).key_id == second
    (alias,) = other.list_aliases(key_id=second, limit=9, after=None).aliases
    assert (alias.created_at, alias.updated_at) == (made.created_at, made.updated_at + 5.0)
    assert other.list_aliases(key_id=first, limit=9, after=None).aliases == ()


async def test_a_deleted_alias_is_gone_and_its_name_free(bench, keyring, first, second):
    other = bench.open_keyring()
    await keyring.create_alias("alias/a", first)
    assert other.describe(KeyByAlias("alias/a")).key_id == first
    assert await keyring.aliases.delete("alias/a") == first
    with pytest.raises(AliasNotFoundError):
        other.describe(KeyByAlias("alias/a"))
    with pytest.raises(AliasNotFoundError):
        await keyring.aliases.delete("alias/a")
    await keyring.create_alias("alias/a", second)


async def test_an_alias_that_is_not_there_does_not_move(keyring, first):
    with pytest.raises(AliasNotFoundError):
        await keyring.aliases.move("alias/none", first)


async def test_an_alias_may_leave_a_scheduled_key_but_not_move_to_one(keyring, first, second):
    await keyring.create_alias("alias/a", first)
    await keyring.create_alias("alias/b", second)
    await keyring.lifecycle.schedule_destruction(first, days=7)
    with pytest.raises(DestructionScheduledError):
        await keyring.aliases.move("alias/b", first)
    with pytest.raises(DestructionScheduledError):
        await keyring.aliases.move("alias/a", first)
    await keyring.aliases.move("alias/a", second)
    assert keyring.describe(KeyByAlias("alias/a")).key_id == second
    await keyring.create_alias("alias/c", second)
    await keyring.lifecycle.schedule_destruction(second, days=7)
    assert await keyring.aliases.delete("alias/c") == second


async def test_a_suspended_key_takes_aliases_and_tags(keyring, first):
    await keyring.set_state(first, KeyState.SUSPENDED)
    await keyring.create_alias("alias/a", first)
    await keyring.aliases.move("alias/a", first)
    await keyring.tags.put(first, {"a": "b"})
    await keyring.lifecycle.set_description(first, "still there")
    assert tags_of(keyring, first) == {"a": "b"}


async def test_no_alias_points_to_nobody(keyring, first):
    await keyring.create_alias("alias/a", first)
    for act in (
        lambda: keyring.create_alias("alias/b", NOBODY),
        lambda: keyring.aliases.move("alias/a", NOBODY),
    ):
        with pytest.raises(KeyNotFoundError):
            await act()
    assert keyring.describe(KeyByAlias("alias/a")).key_id == first


async def test_a_key_has_50_aliases_at_most_however_they_come(keyring, first, second):
    await asyncio.gather(
        *(keyring.create_alias(f"alias/{number:02}", first) for number in range(MAX_ALIASES_OF_KEY - 1))
    )
    await keyring.create_alias("alias/other", second)
    done = await asyncio.gather(
        keyring.create_alias("alias/one-more", first),
        keyring.create_alias("alias/two-more", first),
        keyring.aliases.move("alias/other", first),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in done)[:2] == ["AliasInfo", "AliasLimitError"]
    assert sum(isinstance(end, AliasLimitError) for end in done) == 2
    assert len(keyring.list_aliases(key_id=first, limit=100, after=None).aliases) == MAX_ALIASES_OF_KEY
    await keyring.aliases.move("alias/00", first)  # where it is already: no new one
    with pytest.raises(AliasExistsError):
        await keyring.create_alias("alias/00", second)


async def test_tags_given_with_the_key_are_there_with_it(keyring):
    made = await keyring.create_key("x", {"team": "blue", "Kosten": "", "a": "b"})
    page = keyring.tags.page(made.key_id, limit=2, after=None)
    assert (page.tags, page.next_after) == ((("Kosten", ""), ("a", "b")), "a")
    assert keyring.tags.page(made.key_id, limit=2, after="a") == (((("team", "blue")),), None)


async def test_a_key_with_too_many_tags_is_not_made(bench, keyring):
    with pytest.raises(TagLimitError):
        await keyring.create_key("x", {str(number): "" for number in range(MAX_TAGS_OF_KEY + 1)})
    assert keyring.list_keys(limit=9, after=None).keys == ()


async def test_tags_are_replaced_by_name_and_removed_where_they_are(keyring, first, second):
    await keyring.tags.put(first, {"a": "1", "b": "2"})
    await keyring.tags.put(second, {"a": "other"})
    await keyring.tags.put(first, {"b": "3", "A": "4"})
    assert tags_of(keyring, first) == {"a": "1", "b": "3", "A": "4"}
    await keyring.tags.remove(first, ["a", "never was"])
    assert tags_of(keyring, first) == {"b": "3", "A": "4"}
    assert tags_of(keyring, second) == {"a": "other"}


async def test_tags_over_the_limit_are_refused_whole(keyring, first):
    await keyring.tags.put(first, {str(number): "" for number in range(MAX_TAGS_OF_KEY - 1)})
    before = tags_of(keyring, first)
    with pytest.raises(TagLimitError):
        await keyring.tags.put(first, {"x": "", "y": ""})
    assert tags_of(keyring, first) == before
    await keyring.tags.put(first, {"x": "", "0": "changed"})
    assert len(tags_of(keyring, first)) == MAX_TAGS_OF_KEY


async def test_tags_of_nobody_are_not_found(keyring):
    with pytest.raises(KeyNotFoundError):
        keyring.tags.page(NOBODY, limit=1, after=None)


async def test_tags_outlive_their_key(bench, keyring, first):
    await keyring.tags.put(first, {"team": "blue"})
    await keyring.lifecycle.schedule_destruction(first, days=7)
    assert tags_of(keyring, first) == {"team": "blue"}
    bench.clock.advance(8 * 86_400.0)
    await keyring.lifecycle.destroy_due(first)
    with pytest.raises(KeyNotFoundError):
        keyring.tags.page(first, limit=1, after=None)
    assert [tag.name for tag in bench.stores[0].list_tags(first, after=None, limit=9)] == ["team"]
    with pytest.raises(KeyNotFoundError):
        keyring.describe(KeyById(first))
