"""``Client`` and ``AsyncClient`` before a real key service over a real socket, in one process."""

import asyncio
import contextlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api_support import ACCOUNT, Health
from fakes_service import ACCESS_KEYS, EVERYTHING
from strongroom import AsyncClient, Client, DataKeyCache
from strongroom.api import Handler, HttpConnections
from strongroom.client import AccessKey, Endpoint, Item, RequestRefusedError, Service, values, values_async
from strongroom.core import KeyUsage, ManagedKeySpec, Secret
from strongroom.keyring import KeyById, KeyKind
from strongroom.service import Credential

SECRET = b"s" * 40


@pytest.fixture
async def here(bench):
    """The service of ``bench`` on a port of its own, as clients see it."""
    access_key_id = ACCESS_KEYS[EVERYTHING]
    bench.service.take_credentials({access_key_id: Credential(access_key_id, EVERYTHING, Secret(SECRET))})
    handler = Handler(bench.service, Health(), clock=bench.clock, account_id=ACCOUNT)
    connections = HttpConnections(handler)
    server = await asyncio.get_running_loop().create_server(connections.protocol, "127.0.0.1", 0)
    endpoint = Endpoint("http", "127.0.0.1", server.sockets[0].getsockname()[1], None)
    yield Service(endpoint, AccessKey(access_key_id, Secret(SECRET)), "eu-central-1")
    server.close()
    await connections.drain(ask_s=0, limit_s=5)


@contextlib.asynccontextmanager
async def clients(here, bench, **settings):
    with Client(here, clock=bench.clock, **settings) as client:
        async with AsyncClient(here, clock=bench.clock, **settings) as async_client:
            yield client, async_client


async def test_batches_of_any_number_keep_their_order_and_open_again(bench, here, key_id):
    plaintexts = [b"%d" % number for number in range(701)]
    items = [Item(text, {"n": text.decode()}) if len(text) == 2 else text for text in plaintexts]
    async with clients(here, bench, batch_items=100) as (client, async_client):

        def sync_round():
            sealed = list(values(client.encrypt_many("alias/old", items, context={"tenant": "7"})))
            again = [
                Item(blob, item.context) if isinstance(item, Item) else blob
                for blob, item in zip(sealed, items, strict=True)
            ]
            opened = values(client.decrypt_many(key_id, iter(again), context={"tenant": "7"}))
            anew = list(values(client.rewrap_many(key_id, again, context={"tenant": "7"})))
            assert not set(anew) & set(sealed)
            assert client.decrypt(anew[5], key=key_id, context={"tenant": "7"}) == b"5"
            return list(opened)

        assert await asyncio.to_thread(sync_round) == plaintexts

        async def source():
            for text in plaintexts:
                yield text

        sealed = [blob async for blob in values_async(async_client.encrypt_many(key_id, source()))]
        opened = [text async for text in values_async(async_client.decrypt_many(key_id, sealed))]
        assert opened == plaintexts


async def test_an_item_that_is_not_what_it_should_be_spoils_no_other(bench, here, key_id):
    async with clients(here, bench) as (client, async_client):
        sealed = await async_client.encrypt("alias/old", b"data", context={"a": "b"})
        items = [Item(sealed, {"a": "b"}), sealed, b"junk", b"", Item(sealed, {"a": "b"})]
        results = [result async for result in async_client.decrypt_many(key_id, items)]
        assert [result.value for result in results] == [b"data", None, None, None, b"data"]
        assert [result.error.position for result in results if result.error] == [1, 2, 3]
        assert results[1].error.code == "InvalidCiphertextException"
        assert await asyncio.to_thread(lambda: [r.value for r in client.decrypt_many(key_id, items)]) == [
            result.value for result in results
        ]


async def test_single_calls_data_keys_and_envelopes(bench, here, key_id):
    async with clients(here, bench) as (client, async_client):

        def work():
            sealed = client.encrypt(key_id, b"data", context={"a": "b"})
            assert client.decrypt(sealed, context={"a": "b"}) == b"data"
            made = client.generate_data_key(key_id, n_bytes=16)
            assert client.decrypt(made.wrapped) == made.plaintext.reveal()
            keys = list(client.generate_data_keys("alias/old", 25, n_bytes=24, context={"a": "b"}))
            assert len({key.plaintext.reveal() for key in keys}) == 25
            opened = list(
                values(client.decrypt_many(key_id, [key.wrapped for key in keys], context={"a": "b"}))
            )
            assert opened == [key.plaintext.reveal() for key in keys]
            before = len(bench.entries())
            cache = DataKeyCache(max_messages=10, max_bytes=1_000, max_age_s=60)
            with client.envelope("alias/old", cache=cache) as envelope:
                files = [envelope.encrypt(b"%d" % number) for number in range(5)]
                assert [envelope.decrypt(file) for file in files] == [b"%d" % number for number in range(5)]
            assert len(bench.entries()) - before == 2

        await asyncio.to_thread(work)
        sealed = await async_client.encrypt(key_id, b"x")
        assert await async_client.decrypt(sealed, key="alias/old") == b"x"
        made = [key async for key in async_client.generate_data_keys(key_id, 3)]
        assert await async_client.decrypt(made[2].wrapped) == made[2].plaintext.reveal()
        assert len((await async_client.generate_data_key(key_id)).plaintext) == 32


async def test_signatures_and_macs(bench, here):
    async def made(spec, usage):
        kind = KeyKind(spec, usage)
        return (await bench.service.create_key(bench.caller(), description="", kind=kind)).key_id

    signer = await made(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    maker = await made(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    messages = [b"%d" % number for number in range(20)]
    public = await bench.keyring.uses.public_key(KeyById(signer))
    async with clients(here, bench) as (client, async_client):
        signed = async_client.sign_many(signer, messages, algorithm="ECDSA_SHA_256")
        found = [signature async for signature in values_async(signed)]
        for message, signature in zip(messages, found, strict=True):
            key = serialization.load_der_public_key(public.public_key)
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        macs = await asyncio.to_thread(
            lambda: list(values(client.mac_many(maker, messages, algorithm="HMAC_SHA_256")))
        )
        assert macs == [mac async for mac in values_async(async_client.mac_many(maker, messages, algorithm="HMAC_SHA_256"))]  # fmt: skip
        with pytest.raises(ValueError, match="NONE"):
            client.sign_many(signer, messages, algorithm="NONE")


async def test_a_key_that_may_not_be_used_refuses_the_batch(bench, here, key_id):
    await bench.service.disable_key(bench.caller(), key_id)
    async with clients(here, bench) as (_, async_client):
        with pytest.raises(RequestRefusedError) as caught:
            _ = [result async for result in async_client.encrypt_many(key_id, [b"x"])]
        assert caught.value.code == "DisabledException"
        assert [result async for result in async_client.encrypt_many(key_id, [])] == []


async def test_many_threads_and_tasks_share_a_client(bench, here, key_id):
    async with clients(here, bench, batch_items=50) as (client, async_client):

        def work(number):
            texts = [b"%d-%d" % (number, at) for at in range(120)]
            return (
                list(values(client.decrypt_many(key_id, values(client.encrypt_many(key_id, texts))))) == texts
            )

        async def task(number):
            sealed = await async_client.encrypt(key_id, b"%d" % number)
            return await async_client.decrypt(sealed) == b"%d" % number

        threads = [asyncio.to_thread(work, number) for number in range(4)]
        assert all(await asyncio.gather(*threads, *map(task, range(40))))
