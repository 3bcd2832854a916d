"""What a child read of its bootstrap holds the PIN in one place, and once that is overwritten, nowhere."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from strongroom.hsm.wire import FrameError, frame
from strongroom.wiring.bootstrap import MemberBootstrap, read_bootstrap

PIN = b"a-pin-that-is-nowhere-else"
CHILD = """
import sys
from strongroom.wiring.bootstrap import MemberBootstrap, read_bootstrap
bootstrap = read_bootstrap(sys.stdin.fileno(), MemberBootstrap)
assert len(bootstrap.pin) == 26
if sys.argv[1] == "overwrite":
    bootstrap.pin[:] = bytes(26)
print("read", flush=True)
sys.stdin.read()
"""


def bootstrap_frame(**fields):
    fields = {
        "mode": "serve",
        "name": "a",
        "profile": "softhsm2",
        "parent_pid": 1,
        "pin": bytearray(PIN),
    } | fields
    return frame(msgspec.msgpack.encode(MemberBootstrap(**fields)))


@pytest.fixture
def copies_in_child():
    """Starts a child that reads its bootstrap; returns how often the PIN stands in its writable memory."""
    children = []

    def count(then):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, then], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        children.append(child)
        child.stdin.write(bootstrap_frame())
        child.stdin.flush()
        assert child.stdout.readline() == b"read\n"
        return occurrences(child.pid, PIN)

    yield count
    for child in children:
        child.communicate()


def occurrences(pid, wanted):
    found = 0
    try:
        memory = open(f"/proc/{pid}/mem", "rb", buffering=0)  # noqa: SIM115
    except PermissionError:
        pytest.skip("the system does not let a process read its child's memory")
    with memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            region, access = line.split()[:2]
            if not access.startswith("rw"):
                continue
            start, end = (int(address, 16) for address in region.split("-"))
            memory.seek(start)
            content = b""
            while len(content) < end - start and (more := memory.read(end - start - len(content))):
                content += more
            found += content.count(wanted)
    return found


def test_the_pin_of_a_bootstrap_is_in_memory_once_and_not_at_all_once_it_was_overwritten(copies_in_child):
    assert copies_in_child("keep") == 1
    assert copies_in_child("overwrite") == 0


@pytest.mark.parametrize("cut", [0, 3, 4, -1])
def test_a_bootstrap_that_ends_too_early_is_refused(cut):
    reading, writing = os.pipe()
    try:
        os.write(writing, bootstrap_frame()[:cut])
        os.close(writing)
        with pytest.raises(FrameError, match="ended before"):
            read_bootstrap(reading, MemberBootstrap)
    finally:
        os.close(reading)


def test_a_bootstrap_that_comes_in_pieces_is_read_whole():
    whole = bootstrap_frame(library_parameters="x" * 300_000)  # more than a pipe holds
    reading, writing = os.pipe()
    with ThreadPoolExecutor() as pool, open(writing, "wb", buffering=0) as pipe:
        sent = pool.submit(lambda: [pipe.write(whole[at : at + 7_001]) for at in range(0, len(whole), 7_001)])
        try:
            assert read_bootstrap(reading, MemberBootstrap).pin == PIN
        finally:
            os.close(reading)
        sent.result()
