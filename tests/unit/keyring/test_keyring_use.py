"""Envelope encryption: what was encrypted is decrypted under the same key and context, and under no other."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.core import KeyState, Secret
from strongroom.envelope import Blob, Purpose, Xaes256Gcm, data_binding, seal_blob
from strongroom.keyring import (
    AliasExistsError,
    AliasNotFoundError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyByAlias,
    KeyById,
    KeyNotFoundError,
)

CONTEXT = {"tenant": "7", "purpose": "payroll"}
NO_KEY = "00000000-0000-4000-8000-000000000000"


async def a_key(keyring):
    return KeyById((await keyring.create_key("for tests")).key_id)


async def refused(keyring, ciphertext, context=CONTEXT, key=None):
    with pytest.raises(InvalidCiphertextError) as error:
        await keyring.decrypt(ciphertext, context, key=key)
    assert error.value.__cause__ is None


async def test_what_was_encrypted_is_decrypted(keyring):
    key = await a_key(keyring)
    for plaintext in (b"x", bytes(4096), b"salary: 7"):
        made = await keyring.encrypt(key, Secret(plaintext), CONTEXT)
        opened = await keyring.decrypt(made.ciphertext, CONTEXT, key=key)
        assert opened.plaintext.reveal() == plaintext
        assert made.key_id == opened.key_id == key.key_id
        assert opened.material_id == keyring.describe(key).material_id


async def test_another_process_decrypts_it_too(bench, keyring):
    key = await a_key(keyring)
    made = await keyring.encrypt(key, Secret(b"data"), CONTEXT)
    opened = await bench.open_keyring().decrypt(made.ciphertext, CONTEXT, key=None)
    assert opened.plaintext.reveal() == b"data"


@pytest.mark.parametrize("n_bytes", [1, 16, 32, 1024])
async def test_a_data_key_has_the_length_asked_for_and_is_decrypted(keyring, n_bytes):
    key = await a_key(keyring)
    made = await keyring.generate_data_key(key, n_bytes, CONTEXT)
    assert len(made.plaintext) == n_bytes
    assert (await keyring.decrypt(made.ciphertext, CONTEXT, key=None)).plaintext.matches(made.plaintext)
    assert made.material_id == keyring.describe(key).material_id


async def test_two_encryptions_of_the_same_are_different(keyring):
    key = await a_key(keyring)
    made = {(await keyring.encrypt(key, Secret(b"same"), CONTEXT)).ciphertext for _ in range(20)}
    keys = {(await keyring.generate_data_key(key, 16, {})).plaintext.reveal() for _ in range(20)}
    assert len(made) == len(keys) == 20


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"tenant": "7"},
        {**CONTEXT, "tenant": "8"},
        {**CONTEXT, "more": ""},
        {"tenan": "t7", "purpose": "payroll"},
        {"7": "tenant", "payroll": "purpose"},
        {"Tenant": "7", "purpose": "payroll"},
    ],
)
async def test_another_context_is_refused(keyring, context):
    made = await keyring.encrypt(await a_key(keyring), Secret(b"data"), CONTEXT)
    await refused(keyring, made.ciphertext, context)


async def test_every_single_flipped_bit_is_noticed(keyring):
    ciphertext = (await keyring.encrypt(await a_key(keyring), Secret(b"data"), CONTEXT)).ciphertext
    for position in range(len(ciphertext) * 8):
        flipped = bytearray(ciphertext)
        flipped[position // 8] ^= 1 << position % 8
        await refused(keyring, bytes(flipped))


async def test_every_truncation_and_any_addition_is_noticed(keyring):
    ciphertext = (await keyring.encrypt(await a_key(keyring), Secret(b"data"), CONTEXT)).ciphertext
    for length in range(len(ciphertext)):
        await refused(keyring, ciphertext[:length])
        await refused(keyring, ciphertext[length + 1 :])
    for more in (b"\0", b"x" * 100, ciphertext, bytes(10_000)):
        await refused(keyring, ciphertext + more)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    data=st.data(),
    plaintext=st.binary(min_size=1, max_size=200),
    context=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
async def test_whatever_was_done_to_a_ciphertext_it_is_refused(keyring, data, plaintext, context):
    """Edits of any kind and number, on a ciphertext of any length."""
    if not keyring.list_keys(limit=1, after=None).keys:
        await keyring.create_key("for tests")
    key = KeyById(keyring.list_keys(limit=1, after=None).keys[0].key_id)
    ciphertext = (await keyring.encrypt(key, Secret(plaintext), context)).ciphertext
    edited = bytearray(ciphertext)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(edited)))
        edited[start : data.draw(st.integers(start, len(edited)))] = data.draw(st.binary(max_size=40))
    if edited == ciphertext:
        assert (await keyring.decrypt(ciphertext, context, key=key)).plaintext.reveal() == plaintext
    else:
        await refused(keyring, bytes(edited), context)


async def test_blobs_of_other_purposes_are_refused(bench, keyring):
    """A stored KEK or domain KEK handed in as a ciphertext must never be opened for a caller."""
    key = await a_key(keyring)
    store = bench.stores[0]
    record = store.get_key(key.key_id)
    version, domain = store.get_key_version(key.key_id, 1), store.get_domain(record.domain_id)
    for stored, purpose in ((version.wrapped, Purpose.KEK), (domain.wrapped, Purpose.DOMAIN_KEK)):
        blob = Blob.parse(stored)
        assert blob.purpose is purpose
        for wrapping_key_id in (blob.wrapping_key_id, bytes.fromhex(key.key_id.replace("-", ""))):
            await refused(keyring, blob._replace(wrapping_key_id=wrapping_key_id).encode())
        if purpose is Purpose.KEK:
            await refused(keyring, blob._replace(purpose=Purpose.DATA).encode())


async def test_a_foreign_blob_that_names_our_key_is_refused(keyring):
    key = await a_key(keyring)
    key_bytes = bytes.fromhex(key.key_id.replace("-", ""))
    forged = seal_blob(
        Xaes256Gcm(Secret(bytes(32))), Purpose.DATA, key_bytes, 1, b"data", data_binding(CONTEXT)
    )
    await refused(keyring, forged)
    await refused(keyring, Blob.parse(forged)._replace(wrapping_key_version=2).encode())
    await refused(keyring, Blob.parse(forged)._replace(wrapping_key_id=bytes(16)).encode())


async def test_a_ciphertext_of_another_key_is_told_from_an_invalid_one(keyring):
    key, other = await a_key(keyring), await a_key(keyring)
    await keyring.create_alias("alias/other", other.key_id)
    made = await keyring.encrypt(key, Secret(b"data"), CONTEXT)
    for named in (other, KeyByAlias("alias/other")):
        with pytest.raises(IncorrectKeyError):
            await keyring.decrypt(made.ciphertext, CONTEXT, key=named)
    moved = Blob.parse(made.ciphertext)._replace(wrapping_key_id=bytes.fromhex(other.key_id.replace("-", "")))
    await refused(keyring, moved.encode(), key=other)


async def test_an_alias_names_its_key_everywhere(keyring):
    key, named = await a_key(keyring), KeyByAlias("alias/payroll")
    made_alias = await keyring.create_alias("alias/payroll", key.key_id)
    assert made_alias.target_key_id == key.key_id
    assert keyring.describe(named) == keyring.describe(key)
    made = await keyring.encrypt(named, Secret(b"data"), CONTEXT)
    assert made.key_id == key.key_id
    assert (await keyring.decrypt(made.ciphertext, CONTEXT, key=named)).plaintext.reveal() == b"data"


async def test_what_does_not_exist_is_named(keyring):
    made = await keyring.encrypt(await a_key(keyring), Secret(b"data"), CONTEXT)
    for act in (
        lambda key: keyring.encrypt(key, Secret(b"x"), {}),
        lambda key: keyring.generate_data_key(key, 32, {}),
        lambda key: keyring.decrypt(made.ciphertext, CONTEXT, key=key),
    ):
        with pytest.raises(KeyNotFoundError, match=NO_KEY):
            await act(KeyById(NO_KEY))
        with pytest.raises(AliasNotFoundError, match="alias/none"):
            await act(KeyByAlias("alias/none"))
    with pytest.raises(KeyNotFoundError):
        keyring.describe(KeyById(NO_KEY))
    with pytest.raises(KeyNotFoundError):
        await keyring.set_state(NO_KEY, KeyState.SUSPENDED)
    with pytest.raises(KeyNotFoundError):
        await keyring.create_alias("alias/none", NO_KEY)
    with pytest.raises(KeyNotFoundError):
        keyring.list_aliases(key_id=NO_KEY, limit=1, after=None)


async def test_an_alias_is_given_once(keyring):
    first, second = await a_key(keyring), await a_key(keyring)
    await keyring.create_alias("alias/payroll", first.key_id)
    with pytest.raises(AliasExistsError):
        await keyring.create_alias("alias/payroll", second.key_id)
    assert keyring.describe(KeyByAlias("alias/payroll")).key_id == first.key_id


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
async def test_pages_put_together_are_the_whole(keyring, limit):
    key_ids = sorted([(await a_key(keyring)).key_id for _ in range(5)])
    for number, key_id in enumerate(key_ids):
        await keyring.create_alias(f"alias/{number}", key_id)
    keys, after = [], None
    while page := keyring.list_keys(limit=limit, after=after):
        assert len(page.keys) <= limit
        keys += page.keys
        if (after := page.next_after) is None:
            break
    assert [key.key_id for key in keys] == key_ids
    names, after = [], None
    while page := keyring.list_aliases(key_id=None, limit=limit, after=after):
        names += page.aliases
        if (after := page.next_after) is None:
            break
    assert [alias.alias_name for alias in names] == [f"alias/{number}" for number in range(5)]
    assert [
        alias.alias_name for alias in keyring.list_aliases(key_id=key_ids[3], limit=9, after=None).aliases
    ] == ["alias/3"]


async def test_no_answer_shows_key_bytes(keyring):
    key = await a_key(keyring)
    data_key = await keyring.generate_data_key(key, 32, {})
    opened = await keyring.decrypt(data_key.ciphertext, {}, key=None)
    for answer in (data_key, opened):
        assert answer.plaintext.reveal() not in repr(answer).encode("latin-1", "replace")
        assert "Secret(<32 bytes>)" in repr(answer)
