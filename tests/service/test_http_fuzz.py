"""The HTTP edge of a whole service under a long fuzz: nothing crashes, leaks, hangs or answers out of turn."""

import asyncio
import contextlib
import os
import random
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz_connections import Tally, make_plan, parse_answers, run_plan
from fuzz_requests import Requests
from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log

_WORKERS = 64
_FRESH_LIMIT_S = 10.0
"""For the answer to a right request on a fresh connection, at any time; on a busy machine."""
_END_LIMIT_S = 30.0
_GROWTH_LIMIT_KIB = {"http": 8 * 1024, "https": 32 * 1024}
"""Of the resident memory of an API process after its warm-up; plain, a leak of 1 KiB a connection shows in the long
run. With TLS the heap is full of holes that locked memory does not give back; what is in use stays the same."""
_MORE_DESCRIPTORS = 4
"""Descriptors that may be more than before: a new segment of the audit log, a connection to a member."""
_CLOSED_STATES = {"06", "07", "0A"}  # TIME_WAIT, CLOSE, LISTEN in /proc/net/tcp


class Watch:
    """Looks at the processes of the service from outside while it is fuzzed."""

    def __init__(self, service: RunningService, requests: Requests, tls: ssl.SSLContext | None) -> None:
        self.slowest_s = 0.0
        self.memory_kib: list[dict[int, int]] = []
        self._service = service
        self._requests = requests
        self._tls = tls

    async def run(self, *, every_s: float) -> None:
        """Ask on fresh connections, and weigh the processes, until cancelled."""
        rng = random.Random(1)
        pids = api_pids(self._service)
        for number in range(1 << 30):
            began = time.monotonic()
            async with asyncio.timeout(_FRESH_LIMIT_S):
                await self._ask(rng, f"watch-{number:x}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.memory_kib.append({pid: resident_kib(pid) for pid in pids})
            await asyncio.sleep(every_s)

    async def _ask(self, rng: random.Random, region: str) -> None:
        signed, _ = self._requests.plain(rng, region)
        name = "localhost" if self._tls else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._service.port, ssl=self._tls, server_hostname=name
        )
        try:
            writer.write(signed.render(b"Connection: close") + signed.body)
            [answer] = parse_answers(await reader.read(), is_whole=True)
            assert (answer.status, answer.region) == (200, region)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def api_pids(service: RunningService) -> list[int]:
    return sorted(event["pid"] for event in service.events("api.started"))


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, f"process {pid} is gone"
    return int(found[1])


def descriptors(pid: int) -> int:
    """How many it has open; 0 where only root may look into a process that forbids core dumps."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return 0


def open_connections(port: int) -> int:
    """Sockets of a process on the server's side of a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        fields[1].endswith(f":{port:04X}") and fields[3] not in _CLOSED_STATES and fields[9] != "0"
        for fields in lines
    )


async def fuzz(
    service: RunningService, requests: Requests, tls: ssl.SSLContext | None, *, seed: int, seconds: float
) -> tuple[Tally, Watch]:
    tally, watch = Tally(), Watch(service, requests, tls)
    until = time.monotonic() + seconds
    numbers = iter(range(1 << 30))

    async def work() -> None:
        while time.monotonic() < until:
            number = next(numbers)
            rng = random.Random(f"{seed}/{number}")
            left_s = until - time.monotonic()
            # The short form over TLS leaves them out; that without has them in its first second, so that it is over soon.
            may_stall = left_s > 20 or (tls is None and left_s > seconds - 1)
            plan = make_plan(
                requests, rng, number, may_stall=may_stall, is_long=left_s > 120, is_tls=tls is not None
            )
            try:
                await run_plan(plan, rng, service.port, tls, tally)
            except Exception as error:
                raise AssertionError(f"STRONGROOM_FUZZ_SEED={seed}, connection {number}: {plan}") from error

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch.run(every_s=min(0.5, seconds / 20)))
        await asyncio.gather(*(group.create_task(work()) for _ in range(_WORKERS)))
        watching.cancel()
    return tally, watch


@pytest.fixture
def service(
    initialised_home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[RunningService]:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="service", processes=2, tls=request.param)
    with RunningService(home, tls=request.param) as running:
        running.start()
        yield running


@pytest.mark.parametrize(
    ("service", "seconds"),
    [
        pytest.param(False, 4, id="plain"),
        pytest.param(True, 2, id="tls"),
        pytest.param(False, 600, id="plain-long", marks=[pytest.mark.slow, pytest.mark.timeout(1500)]),
        pytest.param(True, 120, id="tls-long", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
    indirect=["service"],
)
def test_under_a_fuzz_nothing_crashes_leaks_hangs_or_is_answered_out_of_turn(
    service: RunningService, seconds: float
) -> None:
    seed = int(os.environ.get("STRONGROOM_FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"STRONGROOM_FUZZ_SEED={seed}")
    scheme = service.url.partition(":")[0]
    kms = service.client()
    keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(4)]
    kms.close()
    requests = Requests(
        port=service.port, access_key=service.home.development_access_key, keys=keys[1:], canary_key=keys[0]
    )
    tls = ssl.create_default_context(cafile=str(service.home.tls / "ca.pem")) if scheme == "https" else None
    wait_for_no_connections(service)
    pids = api_pids(service)
    before = {pid: descriptors(pid) for pid in pids}

    tally, watch = asyncio.run(fuzz(service, requests, tls, seed=seed, seconds=seconds))

    report(tally, watch, seconds)
    wait_for_no_connections(service)
    assert api_pids(service) == pids, "an API process was started anew"
    assert {pid: max(0, descriptors(pid) - count - _MORE_DESCRIPTORS) for pid, count in before.items()} == (
        dict.fromkeys(pids, 0)
    )
    check_memory(watch.memory_kib, limit_kib=_GROWTH_LIMIT_KIB[scheme])
    assert "Traceback" not in service.log()
    assert not [line for line in service.log().splitlines() if '"error"' in line]
    assert service.stop() == 0
    verify_log(service.home.audit)
    check_audit(service, tally, canary_key=keys[0])


def wait_for_no_connections(service: RunningService) -> None:
    deadline = time.monotonic() + _END_LIMIT_S
    while left := open_connections(service.port):
        assert time.monotonic() < deadline, f"{left} connections are left"
        time.sleep(0.1)


def check_memory(samples: list[dict[int, int]], *, limit_kib: int) -> None:
    """After the first third, in which caches fill and the allocator finds its size, memory is flat."""
    settled = samples[len(samples) // 3 :]
    for pid in settled[0]:
        first, last = (
            max(sample[pid] for sample in part)
            for part in (settled[: len(settled) // 4 + 1], settled[-(len(settled) // 4 + 1) :])
        )
        assert last - first < limit_kib, f"process {pid} grew from {first} to {last} KiB"


def check_audit(service: RunningService, tally: Tally, *, canary_key: str) -> None:
    """Every answer has its outcome in the log, and the canary was not touched since it was made."""
    missing = set(tally.request_ids)
    for entry in read_entries(service.home.audit):
        if entry.kind == "outcome":
            missing.discard(entry.request_id)
        assert entry.key_id != canary_key or entry.event == "kms.CreateKey", entry
    assert not missing


def report(tally: Tally, watch: Watch, seconds: float) -> None:
    print(f"{seconds} s: {sum(tally.connections.values())} connections {dict(tally.connections)}")
    print(
        f"requests {sum(tally.pieces.values())} {dict(tally.pieces)}; {tally.broken_off} connections broken off by the server"
    )
    print(f"answers {sum(tally.statuses.values())} {dict(sorted(tally.statuses.items()))}")
    print("resident KiB over time:", *watch.memory_kib[:: max(1, len(watch.memory_kib) // 12)])
    print(f"slowest answer on a fresh connection: {watch.slowest_s:.2f} s")
