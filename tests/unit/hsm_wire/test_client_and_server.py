"""Client and server over real Unix sockets: batches, order, deadlines, losses, limits."""

import asyncio
import stat
import time

import msgspec
import pytest

from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    MemberDeadlineError,
    MemberFailedError,
)
from strongroom.hsm.wire import (
    MAX_FRAME_BYTES,
    FrameServer,
    ListObjects,
    Ping,
    Random,
    Request,
    Unwrap,
    WireClient,
    Wrap,
    Wrapped,
    frame,
)

LONG = 30.0


def calls(client, numbers, timeout_s=LONG):
    return [asyncio.ensure_future(client.call(Random(n), timeout_s=timeout_s)) for n in numbers]


def echo(request):
    return request.call.n_bytes.to_bytes(4, "big")


async def test_calls_of_one_turn_of_the_loop_arrive_as_one_frame(peer, client):
    waiting = calls(client, range(200))
    await peer.requests_after(200)
    assert [len(frame) for frame in peer.frames] == [200]
    peer.answer(*peer.requests, result=echo)
    assert await asyncio.gather(*waiting) == [n.to_bytes(4, "big") for n in range(200)]
    assert client.outstanding == 0


async def test_answers_in_any_order_reach_who_asked(peer, client):
    waiting = calls(client, range(50))
    requests = await peer.requests_after(50)
    for request in sorted(requests, key=lambda request: (request.id * 7) % 50):
        peer.answer(request, result=echo)
    assert await asyncio.gather(*waiting) == [n.to_bytes(4, "big") for n in range(50)]


async def test_a_call_without_an_answer_ends_at_its_deadline(peer, client):
    began = time.monotonic()
    with pytest.raises(MemberDeadlineError, match=r"within 0\.05 s"):
        await client.call(Random(1), timeout_s=0.05)
    assert 0.04 < time.monotonic() - began < 30
    assert client.outstanding == 0


async def test_a_late_answer_is_dropped_and_disturbs_nobody(peer, client):
    with pytest.raises(MemberDeadlineError):
        await client.call(Random(1), timeout_s=0.02)
    late = peer.requests[0]
    (next_call,) = calls(client, [2])
    in_time = (await peer.requests_after(2))[1]
    peer.answer(late, result=b"of the first call")
    peer.answer(in_time, result=b"of the second call")
    assert await next_call == b"of the second call"
    assert not client.is_lost


async def test_an_answer_to_nobody_and_a_second_answer_are_dropped(peer, client):
    waiting = calls(client, [1, 2])
    first, second = await peer.requests_after(2)
    peer.answer(Request(999, 1.0, Random(1)), first, first, second, result=b"x")
    assert await asyncio.gather(*waiting) == [b"x", b"x"]


async def test_a_caller_that_gives_up_leaves_nothing_behind(peer, client):
    (waiting,) = calls(client, [1])
    (request,) = await peer.requests_after(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert client.outstanding == 0
    peer.answer(request, result=b"nobody wants it")
    assert not client.is_lost


async def test_the_error_of_the_worker_is_raised_for_its_call_alone(peer, client):
    bad, good = calls(client, [1, 2])
    first, second = await peer.requests_after(2)
    peer.answer(first, error=HsmIntegrityError("tampered", ckr=0x40))
    peer.answer(second, result=b"fine")
    with pytest.raises(HsmIntegrityError, match="tampered") as caught:
        await bad
    assert caught.value.ckr == 0x40
    assert await good == b"fine"


async def test_a_lost_connection_fails_every_waiting_call_at_once(peer, client):
    waiting = calls(client, range(20))
    await peer.requests_after(20)
    began = time.monotonic()
    peer.connection.drop()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert time.monotonic() - began < LONG / 10
    assert {type(outcome) for outcome in outcomes} == {MemberFailedError}
    assert client.is_lost
    with pytest.raises(MemberFailedError, match="connection"):
        await client.call(Random(1), timeout_s=LONG)


async def test_closing_fails_every_waiting_call(peer, client):
    waiting = calls(client, range(3))
    await peer.requests_after(3)
    client.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {MemberFailedError}


@pytest.mark.parametrize("wrong", [7, "text", None, [1, 2], {"a": b"b"}])
async def test_an_answer_of_the_wrong_form_ends_the_connection(peer, client, wrong):
    (waiting,) = calls(client, [1])
    peer.answer(*await peer.requests_after(1), result=wrong)
    with pytest.raises(MemberFailedError, match="wrong form"):
        await waiting
    assert client.is_lost


async def test_an_answer_of_the_wrong_shape_is_no_wrapped_key(peer, client):
    waiting = asyncio.ensure_future(client.call(Wrap(b"r" * 16, b"k", b""), timeout_s=LONG))
    peer.answer(*await peer.requests_after(1), result=Wrapped(1, b"iv", "not bytes", b"tag"))
    with pytest.raises(MemberFailedError, match="wrong form"):
        await waiting


@pytest.mark.parametrize(
    "raw",
    [b"\xff\xff\xff\xff", frame(b"\xc1 no MessagePack"), frame(b""), frame(msgspec.msgpack.encode([[1]]))],
)
async def test_garbage_from_the_worker_ends_the_connection_and_fails_who_waits(peer, client, raw):
    (waiting,) = calls(client, [1])
    await peer.requests_after(1)
    peer.connection._transport.write(raw)
    with pytest.raises(MemberFailedError, match="no frame"):
        await waiting


async def test_calls_too_long_for_one_frame_together_are_sent_one_by_one(peer, client):
    big = bytes(MAX_FRAME_BYTES // 3)
    waiting = [
        asyncio.ensure_future(client.call(Unwrap(b"r" * 16, 1, b"", big, b"", b""), timeout_s=LONG))
        for _ in range(4)
    ]
    await peer.requests_after(4)
    assert [len(frame) for frame in peer.frames] == [1, 1, 1, 1]
    peer.answer(*peer.requests, result=b"done")
    assert await asyncio.gather(*waiting) == [b"done"] * 4


@pytest.mark.parametrize("unsendable", [Wrap(b"r" * 16, bytes(MAX_FRAME_BYTES), b""), Random(2**70)])
async def test_a_call_that_cannot_be_sent_is_refused_alone_and_for_all_members(peer, client, unsendable):
    before, bad, after = (
        asyncio.ensure_future(client.call(call, timeout_s=LONG))
        for call in (Random(1), unsendable, Random(2))
    )
    with pytest.raises(HsmRequestError, match="cannot be sent"):
        await bad
    peer.answer(*await peer.requests_after(2), result=echo)
    assert (await before, await after) == ((1).to_bytes(4, "big"), (2).to_bytes(4, "big"))


async def test_nobody_listening_is_a_failed_member(tmp_path):
    with pytest.raises(MemberFailedError, match="no worker answers"):
        await WireClient.connect(tmp_path / "absent")


async def test_the_socket_is_for_its_owner_alone_and_replaces_a_left_over(tmp_path, peer):
    assert stat.S_IMODE(peer.path.stat().st_mode) == 0o600
    again = await FrameServer.listen(peer.path, lambda: peer)
    client = await WireClient.connect(peer.path)
    (waiting,) = calls(client, [1])
    peer.answer(*await peer.requests_after(1), result=b"by the new one")
    assert await waiting == b"by the new one"
    assert stat.S_IMODE(peer.path.stat().st_mode) == 0o600
    client.close()
    again.close()
    assert not peer.path.exists()


async def test_a_path_too_long_for_a_socket_is_refused(tmp_path, peer):
    with pytest.raises(OSError, match="too long"):
        await FrameServer.listen(tmp_path / ("x" * 120), lambda: peer)


@pytest.mark.parametrize(
    "raw",
    [
        frame(msgspec.msgpack.encode([Request(1, 1.0, ListObjects())])),
        frame(
            msgspec.msgpack.encode([Request(1, 1.0, Ping()), Request(2, 1.0, ["wrap", "no bytes", b"", b""])])
        ),
        frame(b"\xc1"),
        b"\x7f\xff\xff\xff",
    ],
    ids=["admin verb", "wrong type", "no MessagePack", "over the limit"],
)
async def test_a_caller_that_sends_anything_else_is_cut_off_and_its_calls_do_not_arrive(peer, raw):
    reader, writer = await asyncio.open_unix_connection(peer.path)
    writer.write(raw)
    assert await asyncio.wait_for(reader.read(), 60) == b""
    assert peer.frames == []
    writer.close()
