"""Material opens in the one place it was sealed for, never elsewhere, and a swapped public half is never believed."""

import asyncio
import threading
import uuid
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.core import HsmIntegrityError, KeyState, KeyUsage, ManagedKeySpec, NoMemberError
from strongroom.envelope import (
    Blob,
    EnvelopeIntegrityError,
    Purpose,
    Xaes256Gcm,
    kek_binding,
    open_blob,
    seal_blob,
)
from strongroom.keyring import KeyById, KeyKind, MaterialPlace, MessageType, TooBusyError, generate_material
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._software_work import software_work
from strongroom.storage import KeyRecord, KeyVersionRecord

P256 = ManagedKeySpec.ECC_NIST_P256
SIGNING = KeyKind(P256, KeyUsage.SIGN_VERIFY)
[ECDSA] = P256.signing_algorithms
FIXED_ID = "00112233-4455-4677-8899-aabbccddeeff"

places = st.builds(
    MaterialPlace,
    st.just(FIXED_ID),
    st.uuids(version=4).map(str) | st.just(FIXED_ID),
    st.integers(1, 3),
    st.sampled_from(ManagedKeySpec),
    st.sampled_from(KeyUsage),
)


@settings(max_examples=200)
@given(places, places, st.sampled_from(Purpose))
def test_material_opens_in_its_own_place_only_and_under_its_own_purpose_only(place, other, purpose):
    cipher, domain_id = Xaes256Gcm(bytes(32)), uuid.UUID(place.domain_id).bytes
    sealed = seal_blob(cipher, Purpose.KEY_MATERIAL, domain_id, 1, b"material", place.binding)
    blob = Blob.parse(sealed)
    assert open_blob(cipher, blob, place.binding) == b"material"
    if other != place:
        with pytest.raises(EnvelopeIntegrityError):
            open_blob(cipher, blob, other.binding)
    with pytest.raises(EnvelopeIntegrityError):
        open_blob(cipher, blob, kek_binding(uuid.UUID(place.key_id).bytes, place.version))
    if purpose is not Purpose.KEY_MATERIAL:
        with pytest.raises(EnvelopeIntegrityError):
            open_blob(cipher, blob._replace(purpose=purpose), place.binding)


async def insert_key(store, record, version):
    """Store a key as whoever can write to the database would."""

    def insert(tx):
        tx.insert_key(record)
        tx.insert_key_version(version)

    await store.write(insert)


async def stored(keyring, kind=SIGNING):
    """Make a key and return what the database has of it."""
    made = await keyring.create_key("for tests", None, kind)
    return keyring._store.get_key(made.key_id), keyring._store.get_key_version(made.key_id, 1)


FORGED = {
    "another key": lambda record, version, _: (record, version),
    "another usage": lambda record, version, _: (record._replace(usage=KeyUsage.KEY_AGREEMENT), version),
    "another spec": lambda record, version, _: (record._replace(spec=ManagedKeySpec.ECC_NIST_P384), version),
    "a KEK": lambda record, version, kek: (record, version._replace(wrapped=kek.wrapped)),
}


@pytest.mark.parametrize("forgery", FORGED)
async def test_a_database_that_was_tampered_with_gives_no_key_another_meaning(keyring, forgery):
    record, version = await stored(keyring)
    _, kek = await stored(keyring, KeyKind())
    record, version = FORGED[forgery](record, version, kek)
    new_id = str(uuid.uuid4())
    await insert_key(keyring._store, record._replace(key_id=new_id), version._replace(key_id=new_id))
    with pytest.raises(EnvelopeIntegrityError):
        await keyring.envelope.open(keyring._store.get_key(new_id))


async def test_a_public_half_that_was_swapped_is_neither_shown_nor_believed(bench, keyring):
    record, version = await stored(keyring)
    swapped = version._replace(public_key=generate_material(P256).public_key)
    forged = record._replace(key_id=str(uuid.uuid4()))
    place = MaterialPlace(record.domain_id, forged.key_id, 1, record.spec, record.usage)
    material = generate_material(P256)
    wrapped = await keyring.envelope.seal(place, material)
    await insert_key(keyring._store, forged, swapped._replace(key_id=forged.key_id, wrapped=wrapped))
    key = KeyById(forged.key_id)
    for call in (
        lambda: keyring.uses.public_key(key),
        lambda: keyring.uses.verify(key, ECDSA, b"x", MessageType.RAW, b"x"),
    ):
        with pytest.raises(HsmIntegrityError, match="public half"):
            await call()


async def test_sealing_overwrites_what_was_sealed(keyring):
    record, _ = await stored(keyring)
    material = generate_material(P256)
    await keyring.envelope.seal(
        MaterialPlace(record.domain_id, record.key_id, 2, P256, record.usage), material
    )
    assert not any(material.secret.reveal())


async def test_an_opened_key_serves_as_long_as_a_kek_and_no_longer(bench, keyring):
    record, _ = await stored(keyring)
    key = KeyById(record.key_id)
    await keyring.uses.sign(key, ECDSA, b"x", MessageType.RAW)
    bench.cluster.is_down = True
    unwraps = bench.cluster.unwraps
    for _ in range(3):
        await keyring.uses.sign(key, ECDSA, b"x", MessageType.RAW)
    assert bench.cluster.unwraps == unwraps
    bench.clock.advance(301)
    with pytest.raises(NoMemberError):
        await keyring.uses.sign(key, ECDSA, b"x", MessageType.RAW)
    keyring.sweep()
    assert len(keyring.envelope._cache) == 0


async def test_who_needs_the_same_key_at_once_waits_for_one_unwrapping(bench, keyring):
    record, _ = await stored(keyring)
    other = bench.open_keyring()
    bench.cluster.hold_unwraps()
    before = bench.cluster.unwraps
    key = KeyById(record.key_id)
    signing = [asyncio.ensure_future(other.uses.sign(key, ECDSA, b"x", MessageType.RAW)) for _ in range(20)]
    await bench.cluster.arrived.wait()
    bench.cluster.let_go()
    assert len(await asyncio.gather(*signing)) == 20
    assert bench.cluster.unwraps == before + 1


async def test_nothing_is_generated_for_a_domain_that_cannot_be_opened(bench, keyring, monkeypatch):
    await stored(keyring)

    def refuse(spec):
        raise AssertionError(f"{spec} was made in vain")

    monkeypatch.setattr("strongroom.keyring._creation.generate_material", refuse)
    bench.cluster.is_down = True
    bench.clock.advance(301)
    with pytest.raises(NoMemberError):
        await keyring.create_key("x", None, KeyKind(ManagedKeySpec.RSA_4096, KeyUsage.SIGN_VERIFY))


@pytest.mark.parametrize(
    "spec", [spec for spec in ManagedKeySpec if not spec.is_rsa and not spec.is_symmetric]
)
async def test_neither_a_key_nor_what_works_with_it_shows_its_bytes(spec):
    slow = SlowWork("shows-nothing", threads=1, max_under_way=1)
    material = generate_material(spec)
    secret = material.secret.reveal()
    work = software_work(spec, secret, slow)
    said = repr(material) + repr(work) + repr(vars(work))
    slow.close()
    for form in (secret.hex(), repr(secret)[2:-1]):
        assert form not in said


async def test_slow_work_is_refused_when_too_much_waits_and_goes_on_later():
    slow, free = SlowWork("bounded", threads=1, max_under_way=2), threading.Event()
    waiting = [asyncio.ensure_future(slow.run(free.wait)) for _ in range(2)]
    try:
        await asyncio.sleep(0)
        with pytest.raises(TooBusyError):
            await slow.run(free.is_set)
    finally:
        free.set()
    assert await asyncio.gather(*waiting) == [True, True]
    assert await slow.run(partial(int, "7")) == 7
    slow.close()


async def test_who_gives_up_waiting_for_a_thread_takes_its_work_away():
    slow, free, begun = SlowWork("given-up", threads=1, max_under_way=2), threading.Event(), []
    first = asyncio.ensure_future(slow.run(free.wait))
    second = asyncio.ensure_future(slow.run(lambda: begun.append("in vain")))
    try:
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.ensure_future(slow.run(lambda: "in the place of the second"))
        await asyncio.sleep(0)
    finally:
        free.set()
    assert await first
    assert await third == "in the place of the second"
    assert begun == []
    slow.close()


def test_what_a_record_says_of_a_key_is_what_its_material_is_bound_to():
    record = KeyRecord(FIXED_ID, KeyState.ACTIVE, "", 0.0, FIXED_ID, 1, "0" * 64)
    version = KeyVersionRecord(FIXED_ID, 1, "0" * 64, b"", 0.0)
    place = MaterialPlace(record.domain_id, record.key_id, version.version, record.spec, record.usage)
    assert b"SYMMETRIC_DEFAULT" in place.binding
    assert b"ENCRYPT_DECRYPT" in place.binding
