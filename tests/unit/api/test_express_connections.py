"""The express lane and connections: order, requests in several reads, draining, peers that leave; and what an SDK sends."""

import asyncio
import base64
import time

import boto3

from express_support import SECRET, warm


async def test_of_requests_that_come_together_each_gets_its_own_answer(lane, bench, key_id):
    async with lane.serving() as connect:
        await warm(await connect(), lane, key_id)
        clients = [await connect() for _ in range(20)]
        sent = [base64.b64encode(bytes([number]) * 9).decode() for number in range(len(clients))]
        for client, text in zip(clients, sent, strict=True):
            await client.send(lane.request("Encrypt", {"KeyId": key_id, "Plaintext": text}))
        for client, text in zip(clients, sent, strict=True):
            _, _, made = await client.answer()
            _, _, opened = await client.ask(
                lane.request("Decrypt", {"CiphertextBlob": made["CiphertextBlob"]})
            )
            assert opened["Plaintext"] == text
        assert lane.rides == 1 + 2 * len(clients)


async def test_pipelined_requests_are_answered_in_order_whichever_way_they_go(lane, key_id):
    regions = [f"r-{number}" for number in range(12)]
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        for region in regions[::3]:
            await client.ask(
                lane.request("GenerateDataKey", {"KeyId": key_id, "KeySpec": "AES_128"}, region=region)
            )
        for at, region in enumerate(regions):
            await client.send(
                lane.request("GenerateDataKey", {"KeyId": key_id, "KeySpec": "AES_128"}, region=region)
            )
            await asyncio.sleep(0.002 * (at % 3))  # alone in a read, or several in one, or half
        answered = [(await client.answer())[2]["KeyId"].split(":")[3] for _ in regions]
        assert answered == regions


async def test_a_request_in_two_reads_goes_by_the_lane_as_well(lane, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        whole = lane.encrypt(key_id)
        for cut in (1, 20, len(whole) - 1):
            await client.send(whole[:cut])
            await asyncio.sleep(0.02)
            await client.send(whole[cut:])
            assert (await client.answer())[0] == 200
        assert lane.rides == 4


async def test_draining_says_close_and_loses_nothing(lane, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        draining = asyncio.ensure_future(client.connections.drain(ask_s=5, limit_s=10))
        await asyncio.sleep(0)
        status, headers, _ = await client.ask(lane.encrypt(key_id))
        assert (status, headers["connection"], lane.rides) == (200, "close", 2)
        assert await client.reader.read() == b""
        await draining


async def test_who_closes_its_side_after_the_request_gets_its_answer(lane, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        await client.send(lane.encrypt(key_id))
        client.writer.write_eof()
        assert (await client.answer())[0] == 200
        assert await client.reader.read() == b""


async def test_a_request_in_two_reads_stands_before_what_follows_it_in_the_second(lane, key_id):
    regions = [f"s-{number}" for number in range(4)]
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        asked = [
            lane.request("GenerateDataKey", {"KeyId": key_id, "KeySpec": "AES_128"}, region=region)
            for region in regions
        ]
        for is_known in (False, True):
            before = lane.rides
            await client.send(asked[0][:200])
            await asyncio.sleep(0.02)
            await client.send(asked[0][200:] + asked[1] + asked[2] + asked[3])
            answered = [(await client.answer())[2]["KeyId"].split(":")[3] for _ in regions]
            assert answered == regions
            assert lane.rides - before == int(is_known)
        await client.send(asked[0][:200])
        await asyncio.sleep(0.02)
        await client.send(asked[0][200:] + b"garbage\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert (await client.answer())[0] == 400
        assert await client.reader.read() == b""


async def test_who_goes_away_meanwhile_takes_nobody_with_it(lane, bench, key_id):
    async with lane.serving() as connect:
        stays, goes = await connect(), await connect()
        await warm(stays, lane, key_id)
        for _ in range(5):
            goes = await connect()
            goes.writer.write(lane.encrypt(key_id))
            goes.writer.transport.abort()
            assert (await stays.ask(lane.encrypt(key_id)))[0] == 200


async def test_what_boto3_sends_goes_by_the_lane(lane, bench, key_id):
    bench.clock.set_wall_clock(time.time())

    def use(port):
        client = boto3.client(
            "kms", endpoint_url=f"http://127.0.0.1:{port}", region_name="eu-central-1",
            aws_access_key_id="AKIATEST", aws_secret_access_key=SECRET.decode(),
        )  # fmt: skip
        try:
            for _ in range(3):
                made = client.encrypt(KeyId=key_id, Plaintext=b"data", EncryptionContext={"tenant": "7"})
                blob = made["CiphertextBlob"]
                assert (
                    client.decrypt(CiphertextBlob=blob, EncryptionContext={"tenant": "7"})["Plaintext"]
                    == b"data"
                )
                client.generate_data_key(KeyId="alias/old", KeySpec="AES_256")
        finally:
            client.close()

    async with lane.serving() as connect:
        port = (await connect()).writer.get_extra_info("peername")[1]
        await asyncio.to_thread(use, port)
    assert lane.rides >= 7


class Kept(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data):
        self.written += data

    def is_closing(self):
        return False


async def test_a_request_that_boards_again_in_the_same_turn_is_done_once(lane, bench, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        connection = client.connections.protocol()
        transport = Kept()
        connection.connection_made(transport)
        try:
            whole = lane.encrypt(key_id)
            before, entries = lane.rides, len(bench.entries())
            # A long first part fills the buffer of a read, so the loop reads again before anything else has its turn.
            connection.data_received(b"\r\n" * 1_000 + whole[:100])
            connection.data_received(whole[100:])
            await asyncio.sleep(0)
            await client.ask(lane.encrypt(key_id))
            while b"200 OK" not in transport.written:
                await asyncio.sleep(0.01)
            assert lane.rides - before == 2
            assert transport.written.count(b"HTTP/1.1 ") == 1
            assert len(bench.entries()) - entries == 2
        finally:
            connection.connection_lost(None)
