"""API processes get the newest table of members at once and each later one; what one of them sends harms no other."""

import asyncio
import os

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes_runtime import until
from strongroom.hsm.cluster import ClusterTable, MemberState, Suspicion, WorkerEntry
from strongroom.hsm.wire import MAX_FRAME_BYTES, frame
from strongroom.runtime import _control_client
from strongroom.runtime._control import ControlServer
from strongroom.runtime._control_client import ControlClient, ControlError

SUSPICION = Suspicion("hsm-a", 0, 3, "no answer within 1 s", "timeout")


def table(version):
    entries = [
        WorkerEntry(name, 0, version, state, f"/run/{name}", reason="why", pid=7)
        for name, state in (("hsm-a", MemberState.ACTIVE), ("hsm-b", MemberState.EJECTED))
    ]
    return ClusterTable(version, entries)


class Following:
    """An API process's end of the control socket and the tables that it got."""

    def __init__(self, client):
        self.client = client
        self.tables = []
        self.task = asyncio.ensure_future(client.follow(self.tables.append))

    async def got(self, version):
        await until(lambda: self.tables and self.tables[-1].version == version)
        return self.tables[-1]


@pytest.fixture
def suspicions():
    return []


@pytest.fixture
async def server(short_folder, suspicions):
    made = ControlServer(suspicions.append)
    await made.listen(short_folder / "control")
    yield made
    made.close()


@pytest.fixture
async def follow(server, short_folder):
    following = []

    async def follow_one():
        following.append(Following(await ControlClient.connect(str(short_folder / "control"))))
        return following[-1]

    yield follow_one
    for one in following:
        one.task.cancel()
        one.client._writer.close()
    await asyncio.gather(*(one.task for one in following), return_exceptions=True)


async def raw(short_folder):
    return await asyncio.open_unix_connection(str(short_folder / "control"))


async def test_a_new_api_process_gets_the_newest_table_at_once(server, follow):
    assert (await (await follow()).got(0)).workers == []
    server.publish(table(1))
    server.publish(table(2))
    late = await follow()
    assert await late.got(2) == table(2)
    assert late.tables == [table(2)]


async def test_every_api_process_gets_every_table_in_order(server, follow):
    followers = [await follow() for _ in range(3)]
    for one in followers:
        await one.got(0)
    for version in range(1, 51):
        server.publish(table(version))
    for one in followers:
        await one.got(50)
        assert one.tables[1:] == [table(version) for version in range(1, 51)]


async def test_a_suspicion_reaches_main(follow, suspicions):
    one = await follow()
    one.client.report(SUSPICION)
    one.client.report(msgspec.structs.replace(SUSPICION, member="hsm-b"))
    await until(lambda: len(suspicions) == 2)
    assert [suspicion.member for suspicion in suspicions] == ["hsm-a", "hsm-b"]
    assert suspicions[0] == SUSPICION


@pytest.mark.parametrize(
    "garbage",
    [
        frame(b""),
        frame(b"\xc1"),
        frame(b"not msgpack"),
        frame(msgspec.msgpack.encode(["hsm-a", 0, "three", "reason"])),
        frame(msgspec.msgpack.encode({"member": "hsm-a"})),
        frame(msgspec.msgpack.encode(table(9))),
        frame(msgspec.msgpack.encode(["ProcessMetrics", 7])),
        # That a member takes no new keys is nothing that an API process can know.
        frame(msgspec.msgpack.encode(["ReportedSuspicion", ["hsm-a", 0, 3, "reason", "read-only"]])),
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\xff" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage_cuts_off_only_who_sent_it(server, follow, short_folder, suspicions, garbage):
    good = await follow()
    await good.got(0)
    reader, writer = await raw(short_folder)
    try:
        writer.write(garbage)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await asyncio.wait_for(reader.readexactly(1 << 16), 60)
    finally:
        writer.close()
    server.publish(table(1))
    await good.got(1)
    good.client.report(SUSPICION)
    await until(lambda: suspicions == [SUSPICION])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(garbage=st.lists(st.binary(max_size=30), max_size=4), is_framed=st.booleans())
async def test_whatever_a_client_sends_the_server_lives(server, follow, short_folder, garbage, is_framed):
    _, writer = await raw(short_folder)
    for piece in garbage:
        writer.write(frame(piece) if is_framed else piece)
    writer.close()
    await asyncio.sleep(0)
    one = await follow()
    server.publish(table(7))
    await one.got(7)


async def test_a_client_that_goes_is_forgotten(server, follow):
    one, other = await follow(), await follow()
    await one.got(0)
    await other.got(0)
    one.client._writer.close()
    await until(lambda: len(server._connections) == 1)
    server.publish(table(1))
    await other.got(1)


async def test_when_main_goes_every_follower_ends_and_reporting_does_no_harm(server, follow):
    followers = [await follow() for _ in range(2)]
    for one in followers:
        await one.got(0)
    server.close()
    for one in followers:
        await asyncio.wait_for(one.task, 60)
        for _ in range(3):
            one.client.report(SUSPICION)
            await asyncio.sleep(0.01)


async def test_a_socket_that_was_removed_is_opened_again_and_those_connected_stay(
    server, follow, short_folder
):
    early = await follow()
    await early.got(0)
    await server.listen(short_folder / "control")
    (short_folder / "control").unlink()
    with pytest.raises(ControlError, match="does not answer"):
        await ControlClient.connect(str(short_folder / "control"))
    await server.listen(short_folder / "control")
    late = await follow()
    server.publish(table(1))
    for one in (early, late):
        await one.got(1)


async def test_a_socket_that_cannot_be_opened_is_an_error_of_ours(short_folder):
    server = ControlServer(lambda _suspicion: None)
    with pytest.raises(ControlError, match="cannot open the control socket"):
        await server.listen(short_folder / "absent" / "control")
    server.close()


async def test_a_socket_of_another_user_is_not_believed(server, short_folder, monkeypatch):
    monkeypatch.setattr(_control_client, "peer_uid", lambda _socket: os.geteuid() + 1)
    with pytest.raises(ControlError, match="another user"):
        await ControlClient.connect(str(short_folder / "control"))
    await until(lambda: not server._connections)


async def test_only_our_own_user_can_reach_the_socket(server, short_folder):
    assert (short_folder / "control").stat().st_mode & 0o777 == 0o600


async def test_closing_removes_the_socket_and_may_be_repeated(server, short_folder):
    server.close()
    server.close()
    assert not (short_folder / "control").exists()
    ControlServer(lambda _suspicion: None).close()


async def test_a_follower_ends_when_main_sends_nonsense(short_folder):
    """It cannot go on with a table that it does not understand."""
    ends = []

    async def talk_nonsense(_reader, writer):
        ends.append(writer)
        writer.write(frame(b"nonsense"))

    listener = await asyncio.start_unix_server(talk_nonsense, str(short_folder / "control"))
    try:
        client = await ControlClient.connect(str(short_folder / "control"))
        applied = []
        await asyncio.wait_for(client.follow(applied.append), 60)
        assert applied == []
    finally:
        for writer in ends:
            writer.close()
        listener.close()
        await listener.wait_closed()


async def test_each_process_is_told_the_metrics_of_the_others(server, short_folder):
    path = str(short_folder / "control")
    one, other = await ControlClient.connect(path), await ControlClient.connect(path)
    told = []
    following = asyncio.ensure_future(one.follow(lambda _table: None, told.append))
    other.report_metrics("# TYPE a_total counter\na_total 2\n")
    await asyncio.sleep(0.05)
    one.report_metrics("# TYPE a_total counter\na_total 40\n")
    while not told:
        await asyncio.sleep(0.01)
    assert told == ["# TYPE a_total counter\na_total 2\n"]
    following.cancel()
    await asyncio.wait({following})
    for client in (one, other):
        client._writer.close()
        await client._writer.wait_closed()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# \n", id="a comment on nothing"),
        pytest.param(
            "# TYPE a_total\n" + "".join(f"# K{n} a_total\n" for n in range(60_000)), id="60,000 kinds"
        ),
        pytest.param(
            "".join(f"# HELP a{n} b\na{n} 1e300\n" for n in range(20_000)), id="more than fits a frame"
        ),
    ],
)
async def test_whatever_one_process_tells_as_its_metrics_the_others_stay_connected(server, follow, text):
    rogue, one = await follow(), await follow()
    rogue.client.report_metrics(text)
    await until(lambda: text in server._connections.values())
    one.client.report_metrics("# TYPE a_total counter\na_total 40\n")
    rogue.client.report_metrics("")
    await until(lambda: text not in server._connections.values())
    server.publish(table(1))
    await one.got(1)
