"""Re-encrypting moves data between keys and contexts without leaving it about; random bytes are mixed."""

import asyncio

import pytest

import strongroom.keyring._random as random_module
from strongroom.core import HsmRequestError, KeyState, NoMemberError, Secret
from strongroom.keyring import (
    AliasNotFoundError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyByAlias,
    KeyById,
    KeyNotFoundError,
    KeyStateError,
)

OLD, NEW = {"tenant": "7"}, {"tenant": "8", "moved": "yes"}


@pytest.fixture
async def source(keyring):
    return KeyById((await keyring.create_key("source")).key_id)


@pytest.fixture
async def target(keyring):
    return KeyById((await keyring.create_key("target")).key_id)


@pytest.fixture
async def ciphertext(keyring, source):
    return (await keyring.encrypt(source, Secret(b"data"), OLD)).ciphertext


@pytest.fixture
def plaintexts(keyring, monkeypatch):
    """What was decrypted, as it is after the call."""
    kept = []
    real = keyring.decrypt

    async def keeping(*args, **options):
        opened = await real(*args, **options)
        kept.append(opened.plaintext)
        return opened

    monkeypatch.setattr(keyring, "decrypt", keeping)
    return kept


async def move(keyring, ciphertext, key, *, source_key=None, source_context=OLD, context=NEW):
    return await keyring.re_encrypt(
        ciphertext, source_key=source_key, source_context=source_context, key=key, context=context
    )


async def test_data_comes_out_under_the_other_key_and_context(keyring, source, target, ciphertext):
    made = await move(keyring, ciphertext, target)
    assert (made.source_key_id, made.key_id) == (source.key_id, target.key_id)
    assert made.source_material_id == keyring.describe(source).material_id
    assert made.material_id == keyring.describe(target).material_id
    opened = await keyring.decrypt(made.ciphertext, NEW, key=target)
    assert opened.plaintext.reveal() == b"data"
    with pytest.raises(InvalidCiphertextError):
        await keyring.decrypt(made.ciphertext, OLD, key=target)


async def test_one_key_serves_for_both_and_an_alias_too(keyring, source, ciphertext):
    await keyring.create_alias("alias/s", source.key_id)
    made = await move(keyring, ciphertext, KeyByAlias("alias/s"), source_key=KeyByAlias("alias/s"))
    assert made.source_key_id == made.key_id == source.key_id
    assert made.ciphertext != ciphertext


async def test_the_plaintext_is_overwritten_whether_it_works_or_not(
    keyring, source, target, ciphertext, plaintexts, monkeypatch
):
    await move(keyring, ciphertext, target)

    def broken(*_args):
        raise MemoryError

    monkeypatch.setattr("strongroom.keyring._keyring.seal_under", broken)
    with pytest.raises(MemoryError):
        await move(keyring, ciphertext, target)
    assert [plaintext.reveal() for plaintext in plaintexts] == [bytes(4), bytes(4)]


@pytest.mark.parametrize("suspended", ["source", "target"])
async def test_both_keys_must_be_active(keyring, source, target, ciphertext, suspended, request):
    named = request.getfixturevalue(suspended)
    await keyring.set_state(named.key_id, KeyState.SUSPENDED)
    with pytest.raises(KeyStateError) as refused:
        await move(keyring, ciphertext, target)
    assert refused.value.key_id == named.key_id


async def test_nothing_is_decrypted_for_a_target_that_cannot_be_used(
    keyring, source, target, ciphertext, plaintexts
):
    await keyring.set_state(target.key_id, KeyState.SUSPENDED)
    for key, error in (
        (target, KeyStateError),
        (KeyById("00000000-0000-4000-8000-00000000dead"), KeyNotFoundError),
        (KeyByAlias("alias/none"), AliasNotFoundError),
    ):
        with pytest.raises(error):
            await move(keyring, ciphertext, key)
    assert plaintexts == []


async def test_a_target_suspended_while_the_source_is_unwrapped_is_refused(
    bench, keyring, source, ciphertext
):
    cold = bench.open_keyring()
    target = KeyById((await keyring.create_key("target")).key_id)
    await cold.encrypt(target, Secret(b"x"), {})
    cold.ciphers.domains.clear()  # the source's KEK must be fetched again, the target's is at hand
    bench.cluster.hold_unwraps()
    under_way = asyncio.ensure_future(move(cold, ciphertext, target))
    await bench.cluster.arrived.wait()
    await keyring.set_state(target.key_id, KeyState.SUSPENDED)
    bench.cluster.let_go()
    with pytest.raises(KeyStateError) as refused:
        await under_way
    assert refused.value.key_id == target.key_id


@pytest.mark.parametrize("algorithms", ["given", "usual"])
@pytest.mark.parametrize("moved", ["source", "target"])
async def test_an_alias_that_moves_meanwhile_brings_no_other_key_in(
    bench, keyring, source, moved, algorithms
):
    """The caller was authorised about the keys that the aliases named at first."""
    target, other = [KeyById((await keyring.create_key(name)).key_id) for name in ("target", "other")]
    for name, key in (("source", source), ("target", target)):
        await keyring.create_alias(f"alias/{name}", key.key_id)
    of_other = (await keyring.encrypt(other, Secret(b"data"), OLD)).ciphertext
    of_source = (await keyring.encrypt(source, Secret(b"data"), OLD)).ciphertext
    cold = bench.open_keyring()
    names = {"source_key": KeyByAlias("alias/source"), "source_context": OLD, "context": NEW}
    if algorithms == "given":
        names |= {"source_algorithm": None, "algorithm": None}
    verb = cold.either.re_encrypt if algorithms == "given" else cold.re_encrypt
    bench.cluster.hold_unwraps()
    ciphertext = of_other if moved == "source" else of_source
    under_way = asyncio.ensure_future(verb(ciphertext, key=KeyByAlias("alias/target"), **names))
    await bench.cluster.arrived.wait()
    await keyring.aliases.move(f"alias/{moved}", other.key_id)
    bench.cluster.let_go()
    if moved == "source":
        with pytest.raises(IncorrectKeyError):
            await under_way
    else:
        assert (await under_way).key_id == target.key_id


async def test_what_decrypt_refuses_is_refused(keyring, source, target, ciphertext):
    with pytest.raises(InvalidCiphertextError):
        await move(keyring, ciphertext, target, source_context=NEW)
    with pytest.raises(InvalidCiphertextError):
        await move(keyring, ciphertext[:-1], target)
    with pytest.raises(IncorrectKeyError):
        await move(keyring, ciphertext, target, source_key=target)


@pytest.mark.parametrize("n_bytes", [1, 32, 1024])
async def test_random_bytes_have_the_length_asked_for_and_are_never_the_same(keyring, n_bytes):
    drawn = [(await keyring.generate_random(n_bytes)).reveal() for _ in range(3)]
    assert [len(one) for one in drawn] == [n_bytes] * 3
    assert n_bytes == 1 or len(set(drawn)) == 3


async def test_random_bytes_are_those_of_the_hsm_xor_those_of_the_kernel(bench, keyring, monkeypatch):
    async def of_hsm(n_bytes, *, deadline):
        return Secret(b"\x0f\x00\xf0")

    monkeypatch.setattr(bench.cluster, "random", of_hsm)
    monkeypatch.setattr(random_module, "random_bytes", lambda n_bytes: b"\x0f\x00\x0f")
    assert (await keyring.generate_random(3)).reveal() == b"\x00\x00\xff"


async def test_without_an_hsm_there_are_no_random_bytes(bench, keyring):
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await keyring.generate_random(8)


@pytest.mark.parametrize("n_bytes", [0, 1025])
async def test_the_hsm_gives_1_to_1024_bytes(keyring, n_bytes):
    with pytest.raises(HsmRequestError):
        await keyring.generate_random(n_bytes)
