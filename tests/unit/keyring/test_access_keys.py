"""Secrets of access keys open for the access key they were made for, and for no other."""

import re

import pytest

from strongroom.core import NoMemberError, RootId, StorageError
from strongroom.envelope import Blob, EnvelopeError, EnvelopeIntegrityError
from strongroom.keyring import CREDENTIALS, make_access_key, open_secret


@pytest.fixture
async def domain_id(bench, keyring):
    return await new_domain(bench, keyring)


async def new_domain(bench, keyring):
    domain = await keyring.ciphers.new_domain(RootId(bench.root_id), CREDENTIALS)
    await bench.stores[0].write(lambda tx: tx.insert_domain(domain))
    return domain.domain_id


async def made_for(keyring, domain_id, principal="user/app"):
    return await make_access_key(
        keyring.ciphers, domain_id, principal=principal, roles=("crypto-user",), now=7.0
    )


async def test_the_secret_opens_in_every_process(bench, keyring, domain_id):
    record, secret = await made_for(keyring, domain_id)
    await bench.stores[0].write(lambda tx: tx.insert_access_key(record))
    store = bench.open_store()
    (stored,) = store.list_access_keys()
    assert stored == record
    assert (await open_secret(bench.open_keyring(store=store).ciphers, stored)).matches(secret)


async def test_id_and_secret_have_the_form_that_aws_clients_know(keyring, domain_id):
    made = [await made_for(keyring, domain_id) for _ in range(20)]
    for record, secret in made:
        assert re.fullmatch(r"AKIA[A-Z2-7]{16}", record.access_key_id)
        assert re.fullmatch(rb"[A-Za-z0-9+/]{40}", secret.reveal())
        assert record[1:3] == ("user/app", ("crypto-user",))
        assert record[4:] == (True, 7.0)
    assert len({record.access_key_id for record, _ in made}) == 20
    assert len({secret.reveal() for _, secret in made}) == 20


async def test_the_record_does_not_show_the_secret(keyring, domain_id):
    record, secret = await made_for(keyring, domain_id)
    assert secret.reveal() not in repr(record).encode()
    assert secret.reveal() not in record.wrapped_secret


async def test_a_secret_put_under_another_access_key_does_not_open(keyring, domain_id):
    mine, _ = await made_for(keyring, domain_id)
    theirs, _ = await made_for(keyring, domain_id, "user/admin")
    for forged in (
        theirs._replace(wrapped_secret=mine.wrapped_secret),
        mine._replace(access_key_id=theirs.access_key_id),
        mine._replace(access_key_id=mine.access_key_id.lower()),
    ):
        with pytest.raises(EnvelopeIntegrityError):
            await open_secret(keyring.ciphers, forged)


async def test_a_secret_under_another_domain_does_not_open(bench, keyring, domain_id):
    record, _ = await made_for(keyring, domain_id)
    other = (await new_domain(bench, keyring)).replace("-", "")
    moved = Blob.parse(record.wrapped_secret)._replace(wrapping_key_id=bytes.fromhex(other)).encode()
    with pytest.raises(EnvelopeIntegrityError):
        await open_secret(keyring.ciphers, record._replace(wrapped_secret=moved))


async def test_every_flipped_bit_is_noticed(keyring, domain_id):
    record, _ = await made_for(keyring, domain_id)
    names_the_domain = range(3 * 8, 19 * 8)
    for position in range(len(record.wrapped_secret) * 8):
        flipped = bytearray(record.wrapped_secret)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(StorageError if position in names_the_domain else EnvelopeError):
            await open_secret(keyring.ciphers, record._replace(wrapped_secret=bytes(flipped)))


async def test_without_an_hsm_no_secret_opens(bench, keyring, domain_id):
    record, _ = await made_for(keyring, domain_id)
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await open_secret(bench.open_keyring().ciphers, record)
