"""A use that fails says which key it was about, as far as that was known, so that the audit log can."""

import pytest

from strongroom.core import KeyState, NoMemberError, Secret
from strongroom.envelope import Blob
from strongroom.keyring import (
    AliasNotFoundError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyByAlias,
    KeyById,
    KeyNotFoundError,
    KeyStateError,
)

CONTEXT = {"tenant": "7"}
NO_KEY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def info(keyring):
    made = await keyring.create_key("for tests")
    await keyring.create_alias("alias/payroll", made.key_id)
    return made


@pytest.fixture
async def ciphertext(keyring, info):
    return (await keyring.encrypt(KeyById(info.key_id), Secret(b"data"), CONTEXT)).ciphertext


async def failed(error, use):
    with pytest.raises(error) as raised:
        await use
    return raised.value


@pytest.mark.parametrize("named", [None, KeyByAlias("alias/payroll")])
async def test_a_probed_or_tampered_ciphertext_names_the_key_that_it_claims(keyring, info, ciphertext, named):
    tampered = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    for probe, context in ((tampered, CONTEXT), (ciphertext, {"tenant": "8"})):
        error = await failed(InvalidCiphertextError, keyring.decrypt(probe, context, key=named))
        assert (error.key_id, error.material_id) == (info.key_id, info.material_id)


async def test_a_version_that_there_is_not_is_no_version_of_the_key_that_is_named(keyring, info, ciphertext):
    other_version = Blob.parse(ciphertext)._replace(wrapping_key_version=7).encode()
    error = await failed(InvalidCiphertextError, keyring.decrypt(other_version, CONTEXT, key=None))
    assert (error.key_id, error.material_id) == (info.key_id, None)


async def test_what_is_not_ours_names_no_key(keyring, info, ciphertext):
    foreign = Blob.parse(ciphertext)._replace(wrapping_key_id=bytes(16)).encode()
    for probe in (foreign, b"x", b"", ciphertext[:-1]):
        error = await failed(InvalidCiphertextError, keyring.decrypt(probe, CONTEXT, key=None))
        assert (error.key_id, error.material_id) == (None, None)


@pytest.mark.parametrize("by_alias", [True, False])
async def test_a_ciphertext_under_another_key_names_both(keyring, info, ciphertext, by_alias):
    other = await keyring.create_key("another")
    await keyring.create_alias("alias/other", other.key_id)
    named = KeyByAlias("alias/other") if by_alias else KeyById(other.key_id)
    error = await failed(IncorrectKeyError, keyring.decrypt(ciphertext, CONTEXT, key=named))
    assert (error.key_id, error.ciphertext_key_id) == (other.key_id, info.key_id)


async def test_a_suspended_key_is_named_by_id_whatever_the_caller_called_it(keyring, info, ciphertext):
    await keyring.set_state(info.key_id, KeyState.SUSPENDED)
    alias = KeyByAlias("alias/payroll")
    for use in (
        keyring.encrypt(alias, Secret(b"x"), {}),
        keyring.generate_data_key(alias, 32, {}),
        keyring.decrypt(ciphertext, CONTEXT, key=None),
        keyring.decrypt(ciphertext, CONTEXT, key=alias),
    ):
        error = await failed(KeyStateError, use)
        assert (error.key_id, error.material_id) == (info.key_id, info.material_id)


async def test_a_name_that_nobody_has_is_told_from_a_key(keyring):
    assert (
        await failed(KeyNotFoundError, keyring.encrypt(KeyById(NO_KEY), Secret(b"x"), {}))
    ).key_id == NO_KEY
    unknown = await failed(AliasNotFoundError, keyring.encrypt(KeyByAlias("alias/none"), Secret(b"x"), {}))
    assert (unknown.key_id, unknown.alias_name) == (None, "alias/none")


async def test_the_key_of_a_use_that_failed_otherwise_is_found_by_name_or_by_ciphertext(
    bench, keyring, info, ciphertext
):
    """The HSM's errors know of no key: whoever records them asks."""
    bench.cluster.is_down = True
    cold = bench.open_keyring()
    await failed(NoMemberError, cold.decrypt(ciphertext, CONTEXT, key=None))
    for key, given in (
        (KeyById(info.key_id), None),
        (KeyByAlias("alias/payroll"), None),
        (KeyByAlias("alias/payroll"), b"x"),
        (None, ciphertext),
    ):
        assert cold.identify(key, given) == info.key_id


async def test_what_is_about_no_key_is_said_to_be_about_none(bench, keyring, info, ciphertext):
    stored = bench.stores[0].get_key_version(info.key_id, 1).wrapped
    foreign = Blob.parse(ciphertext)._replace(wrapping_key_id=bytes(16)).encode()
    for key, given in (
        (None, None),
        (None, b"x"),
        (None, foreign),
        (None, stored),
        (KeyById(NO_KEY), ciphertext),
        (KeyByAlias("alias/none"), None),
    ):
        assert keyring.identify(key, given) is None
