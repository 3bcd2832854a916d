"""One connection of the HTTP fuzz: which pieces it sends, how it sends and ends, and what has to come back."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections import Counter
from enum import Enum
from random import Random
from typing import NamedTuple

from fuzz_requests import CANARY_REGION, Expect, Piece, Requests

_END_LIMIT_S = (
    45.0  # beyond every time-out of the server but that of an idle connection; the machine may be busy
)
_IDLE_LIMIT_S = 75.0 + 30.0
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: RST instead of FIN
_STATUSES = frozenset({100, 200, 400, 404, 405, 408, 413, 414, 417, 431})
_REFUSALS = frozenset({400, 404, 405, 408, 413, 414, 417, 431})
_WAITING = ("wait", "deaf")
_ENDING_PIECES = frozenset({Expect.TAGGED_LAST, Expect.ENDED, Expect.CUT, Expect.ANYTHING})


class Answer(NamedTuple):
    """One answer, and which request it belongs to, if it tells."""

    status: int
    region: str
    key_id: str
    request_id: str


class Tally:
    """What happened, over all connections."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        self.pieces: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.broken_off = 0
        """Connections reset by the server, for bytes that came after its last answer."""
        self.request_ids: set[str] = set()
        """Of answers with 200 from KMS operations; one in sixteen, to keep it small."""

    def note(self, answers: list[Answer]) -> None:
        for answer in answers:
            self.statuses[answer.status] += 1
            if answer.region and answer.request_id.startswith("0"):
                assert answer.request_id not in self.request_ids, "a request id came twice"
                self.request_ids.add(answer.request_id)


class End(Enum):
    """How a connection ended for us."""

    WHOLE = "every answer was read that was to come"
    LEFT = "we went away"
    BROKEN_OFF = "it broke, and answers may be lost with it"


class Plan(NamedTuple):
    """What one connection does."""

    pieces: list[Piece]
    pace: str
    ending: str

    def __str__(self) -> str:
        return f"{[piece.name for piece in self.pieces]}, {self.pace}, then {self.ending}"


def make_plan(
    requests: Requests, rng: Random, number: int, *, may_stall: bool, is_long: bool, is_tls: bool
) -> Plan:
    """``may_stall`` allows peers that wait in the middle of a request until the server ends it, after ten seconds; ``is_long``
    what takes longer than 20 seconds: idle connections, peers that take no answers."""
    makers = [requests.valid] * 6 + [requests.refused] * 2
    length = rng.choice([1, 1, 2, 3, 5, 8, 40])
    pieces = [rng.choice(makers)(rng, f"r{number:x}-{at}") for at in range(length)]
    if rng.random() < 0.7:
        maker = rng.choice([requests.hostile] * 3 + [requests.mutated] * 3 + [requests.last, requests.cut])
        pieces.append(maker(rng, f"r{number:x}-{length}"))
        if pieces[-1].expect is Expect.ANYTHING:
            pieces.append(requests.valid(rng, f"r{number:x}-{length + 1}"))
    pace = rng.choice(["whole", "whole", "segments", "segments", "trickle", "slow"])
    ending = rng.choice(["half close"] * 8 + ["wait"] * 6 + ["reset"] * 3 + ["close"] * 2 + ["stall", "deaf"])
    if rng.random() < 0.02:
        ending = "stall"
        pieces[-1:] = [requests.cut(rng, f"r{number:x}-{len(pieces) - 1}")]
    elif ending == "stall" and pieces[-1].expect is not Expect.CUT and (not is_long or rng.random() < 0.9):
        ending = "wait"
    elif pieces[-1].expect is Expect.CUT and ending == "wait":
        ending = "half close"  # else most of the time would go into the ten seconds that a request may take
    if is_tls and ending == "half close":
        ending = "wait"
    if not may_stall and pieces[-1].expect is Expect.CUT and ending not in ("half close", "reset"):
        ending = "close"
    return Plan(pieces, pace, ending)


async def run_plan(plan: Plan, rng: Random, port: int, tls: ssl.SSLContext | None, tally: Tally) -> None:
    """Play it. Raises AssertionError when something came back that must not, or the connection did not end."""
    tally.connections[plan.ending] += 1
    tally.pieces.update(piece.expect.name for piece in plan.pieces)
    sock = await _connect(port, plan.ending)
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=tls, server_hostname="localhost" if tls else None, limit=1 << 20
    )
    received = bytearray()
    end = End.WHOLE
    try:
        sending = asyncio.ensure_future(_send(plan, rng, writer))
        try:
            async with asyncio.timeout(_IDLE_LIMIT_S if plan.ending == "stall" else _END_LIMIT_S):
                end = await _receive(plan, rng, reader, writer, sending, received)
        except TimeoutError:
            raise AssertionError(f"no end; received {bytes(received[-500:])!r}") from None
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    tally.broken_off += end is End.BROKEN_OFF
    is_whole = end is End.WHOLE
    answers = parse_answers(bytes(received), is_whole=is_whole)
    tally.note(answers)
    check(plan.pieces, [answer for answer in answers if answer.status != 100], is_whole=is_whole)


async def _connect(port: int, ending: str) -> socket.socket:
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ending == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if ending == "deaf":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _send(plan: Plan, rng: Random, writer: asyncio.StreamWriter) -> None:
    data = b"".join(piece.data for piece in plan.pieces)
    at = 0
    # An error here is seen by who receives: the server may end a connection whenever it has to.
    with contextlib.suppress(OSError):
        for end in _cuts(plan.pace, rng, len(data)):
            writer.write(data[at:end])
            at = end
            await writer.drain()
            if plan.pace != "whole":
                await asyncio.sleep(rng.random() * (0.3 if plan.pace == "slow" else 0.002))
        if plan.ending == "half close":
            writer.write_eof()


def _cuts(pace: str, rng: Random, size: int) -> list[int]:
    if pace == "whole":
        return [size]
    if pace == "trickle":
        head = min(size, 400)
        start = rng.randrange(size - head + 1)
        return [*range(start + 1, start + head), size]
    count = min(size, rng.randrange(1, 12))
    return [*sorted(rng.sample(range(1, size + 1), count)), size]


async def _receive(
    plan: Plan,
    rng: Random,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    sending: "asyncio.Future[None]",
    received: bytearray,
) -> End:
    """Read as the plan's ending asks."""
    if plan.ending in ("reset", "close"):
        await asyncio.wait({sending}, timeout=rng.random() * 0.2)
        writer.transport.abort()
        return End.LEFT
    if plan.ending == "deaf":
        await asyncio.sleep(rng.random() * 3)
    last = (
        plan.pieces[-1].expect if all(piece.expect is not Expect.ANYTHING for piece in plan.pieces) else None
    )
    try:
        while chunk := await _read(reader, quiet_s=1.0 if last is None and plan.ending in _WAITING else None):
            received += chunk
            is_open = last is not None and last not in _ENDING_PIECES
            if is_open and plan.ending in _WAITING and _is_enough(received, len(plan.pieces)):
                return End.WHOLE
    except TimeoutError:  # what a mutation leads to is open: the server may rightly wait for more
        return End.LEFT
    except OSError:
        return End.BROKEN_OFF
    return End.WHOLE


async def _read(reader: asyncio.StreamReader, *, quiet_s: float | None) -> bytes:
    async with asyncio.timeout(quiet_s):
        return await reader.read(65_536)


def _is_enough(received: bytearray, expected: int) -> bool:
    answers = parse_answers(bytes(received), is_whole=False)
    return sum(answer.status != 100 for answer in answers) >= expected


def parse_answers(raw: bytes, *, is_whole: bool) -> list[Answer]:
    """Take the stream apart. Raises AssertionError for what is no answer, and for half of one when it is whole."""
    found = []
    while raw:
        head, separator, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        if not separator:
            break
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        assert int(status) in _STATUSES, (head, rest[:300])
        if status == "100":
            found.append(Answer(100, "", "", ""))
            raw = rest
            continue
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        if len(rest) < length:
            break
        found.append(
            Answer(int(status), *_belongs_to(int(status), rest[:length]), headers["x-amzn-requestid"])
        )
        raw = rest[length:]
    else:
        return found
    assert not is_whole, f"half an answer: {raw!r}"
    return found


def _belongs_to(status: int, body: bytes) -> tuple[str, str]:
    document = json.loads(body)
    if status != 200 or document == {"healthy": True}:
        return "", ""
    arn = document["KeyMetadata"]["Arn"] if "KeyMetadata" in document else document["KeyId"]
    return arn.split(":")[3], arn.rpartition("/")[2]


def check(pieces: list[Piece], answers: list[Answer], *, is_whole: bool) -> None:
    """Hold the answers against the pieces, in order; ``is_whole`` says that none can have been lost."""
    given = iter(answers)
    told = [answer.region for answer in answers if answer.region]
    order = {piece.region: at for at, piece in enumerate(pieces) if piece.region}
    assert CANARY_REGION not in told, "a request was answered that is none"
    places = [order[region] for region in told]
    assert places == sorted(set(places)), f"answers out of order or twice: {told}"
    assert len(answers) <= len(pieces) + 1, f"{len(answers)} answers to {len(pieces)} requests"
    for at, piece in enumerate(pieces):
        if piece.expect is Expect.ANYTHING:
            return
        answer = next(given, None)
        if answer is None:
            assert not is_whole or piece.expect in (Expect.CUT, Expect.ENDED), (
                f"no answer to {piece.name} ({at})"
            )
            return
        _check_one(piece, answer)
        if piece.expect in _ENDING_PIECES:
            break
    assert next(given, None) is None, "an answer to nothing"


def _check_one(piece: Piece, answer: Answer) -> None:
    got = f"{answer} to {piece.name}"
    if piece.expect in (Expect.TAGGED, Expect.TAGGED_LAST):
        assert (answer.status, answer.region, answer.key_id) == (200, piece.region, piece.key_id), got
    elif piece.expect is Expect.PROBE:
        assert (answer.status, answer.region) == (200, ""), got
    elif piece.expect is Expect.CUT:
        assert answer.status == 408, got
    else:
        assert answer.status in _REFUSALS - {408}, got
