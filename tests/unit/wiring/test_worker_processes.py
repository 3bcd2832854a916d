"""Children are started with what they need and nothing more, and are gone for certain when they should be."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import MemberDeadlineError, MemberFailedError, PinRefusedError, TokenNotFoundError
from strongroom.hsm.wire import MAX_FRAME_BYTES
from strongroom.wiring import workers
from strongroom.wiring.bootstrap import ApiBootstrap, Started, failed_frame, started_frame
from strongroom.wiring.workers import Child, member_bootstrap, member_environment

PIN = b"83920174-not-to-be-seen"
PROGRAM = """
import os, sys, time
import msgspec
length = int.from_bytes(sys.stdin.buffer.read(4), "big")
order = msgspec.msgpack.decode(sys.stdin.buffer.read(length))
with open(order["pid_file"], "w") as file:
    file.write(str(os.getpid()))
sys.stdout.buffer.write(order["answer"])
sys.stdout.buffer.flush()
if order["then"] == "work":
    sys.stdin.buffer.read()
elif order["then"] == "hang":
    time.sleep(60)
sys.exit(order["status"])
"""


class Order(msgspec.Struct):
    """What the child is to do: answer so, then ``work`` until let go, ``hang``, or ``end``."""

    pid_file: str
    answer: bytes = started_frame(Started())
    then: str = "work"
    status: int = 0
    pin: bytes = PIN


@pytest.fixture
async def start(tmp_path):
    """Start children; all of them are gone at the end."""
    (tmp_path / "child_program.py").write_text(PROGRAM)
    children = []

    async def start_one(pass_fds=(), **order):
        child = await Child.start(
            "child_program",
            Order(pid_file=str(tmp_path / "pid"), **order),
            environment={"PYTHONPATH": str(tmp_path)},
            pass_fds=pass_fds,
        )
        children.append(child)
        return child

    yield start_one
    for child in children:
        await child.kill()
    assert_gone(tmp_path)


def assert_gone(tmp_path):
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_that_says_so_is_at_work_and_ends_when_let_go(start):
    child = await start(answer=started_frame(Started(protections=["memory is not locked"])), status=7)
    assert child.started.protections == ["memory is not locked"]
    assert not child.has_ended
    os.kill(child.pid, 0)
    await child.end()
    assert child.has_ended
    assert await child.wait() == 7


async def test_what_a_child_is_told_is_neither_in_its_arguments_nor_in_its_environment(start, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-children")
    child = await start()
    for name in ("cmdline", "environ"):
        seen = Path(f"/proc/{child.pid}/{name}").read_bytes()
        assert PIN not in seen
        assert b"not-for-children" not in seen
    assert b"PYTHONPATH" in Path(f"/proc/{child.pid}/environ").read_bytes()


async def test_a_child_has_a_session_of_its_own_so_that_ctrl_c_is_for_us_alone(start):
    child = await start()
    assert os.getsid(child.pid) == child.pid != os.getsid(0)


@pytest.mark.parametrize("error", [PinRefusedError, TokenNotFoundError, MemberFailedError])
async def test_what_a_child_says_went_wrong_is_raised_here(start, tmp_path, error):
    with pytest.raises(error, match="as the child says") as raised:
        await start(answer=failed_frame(error("as the child says", next_step="do this")), then="hang")
    assert raised.value.next_step == "do this"
    assert_gone(tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        b"\0\0\0\5ab",
        b"\0\0\0\3abc",
        b"Traceback (most recent call last)",
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
    ],
)
async def test_a_child_that_dies_without_a_word_or_talks_nonsense_is_a_failed_member(start, tmp_path, answer):
    with pytest.raises(MemberFailedError):
        await start(answer=answer, then="end")
    assert_gone(tmp_path)


async def test_a_child_that_says_nothing_is_killed_at_the_limit(start, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_START_LIMIT_S", 1.0)
    with pytest.raises(MemberDeadlineError, match="said nothing"):
        await start(answer=b"", then="hang")
    assert_gone(tmp_path)


async def test_a_start_that_is_cancelled_leaves_no_process(start, tmp_path):
    starting = asyncio.ensure_future(start(answer=b"", then="hang"))
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        await asyncio.sleep(0.01)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    assert_gone(tmp_path)


async def test_a_child_that_does_not_end_when_asked_is_killed(start):
    child = await start(then="hang")
    await asyncio.wait_for(child.end(limit_s=0.2), 60)
    assert await child.wait() == -signal.SIGKILL


async def test_a_stopped_child_is_killed_all_the_same(start):
    child = await start()
    child.signal(signal.SIGSTOP)
    await child.end(limit_s=0.2)
    assert await child.wait() == -signal.SIGKILL


async def test_whatever_is_done_to_a_child_that_has_ended_is_without_effect(start):
    child = await start(then="end", status=3)
    assert await child.wait() == 3
    child.signal(signal.SIGTERM)
    await child.kill()
    await child.end()
    assert await child.wait() == 3


async def test_a_child_that_cannot_be_started_is_a_failed_member(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    with pytest.raises(MemberFailedError, match="cannot start"):
        await Child.start("child_program", Order(pid_file=""), environment={})


async def test_a_child_gets_the_descriptors_it_is_passed_and_no_others(start, tmp_path):
    with (tmp_path / "passed").open("w") as passed, (tmp_path / "kept").open("w") as kept:
        os.set_inheritable(kept.fileno(), True)
        child = await start(pass_fds=[passed.fileno()])
        links = [os.readlink(path) for path in Path(f"/proc/{child.pid}/fd").iterdir()]
    assert str(tmp_path / "passed") in links
    assert str(tmp_path / "kept") not in links


@pytest.fixture
def member():
    return MemberConfig(
        name="hsm-a",
        profile="softhsm2",
        pin=PinSource(file="x"),
        token_label="a",
        environment={"SOFTHSM2_CONF": "{home}/tokens/a.conf", "OTHER": "{else}"},
    )


def test_the_home_is_filled_into_a_members_environment_and_nothing_else(member):
    assert member_environment(member, Home(Path("/srv/home"))) == {
        "SOFTHSM2_CONF": "/srv/home/tokens/a.conf",
        "OTHER": "{else}",
    }


def test_a_bootstrap_names_new_sockets_for_each_generation_and_does_not_show_the_pin(member):
    made = [
        member_bootstrap(
            member,
            Home(Path("/srv/home")),
            mode,
            pin=PIN,
            so_pin=PIN,
            sockets=Path("/run/x"),
            generation=number,
        )
        for mode in ("serve", "administer", "officer")
        for number in (1, 2)
    ]
    paths = [path for bootstrap in made for path in (bootstrap.use_path, bootstrap.admin_path)]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("/run/x/hsm-a-") for path in paths)
    assert PIN.decode() not in repr(made) + str(made) + f"{made}"
    assert {bootstrap.parent_pid for bootstrap in made} == {os.getpid()}
    assert made[0].token_store == "/srv/home/tokens/hsm-a"


def test_only_softhsm_has_its_store_protected_and_is_found_by_the_environment(member, monkeypatch):
    monkeypatch.setenv("STRONGROOM_SOFTHSM_MODULE", "/lib/softhsm.so")
    home = Home(Path("/srv/home"))
    other = msgspec.structs.replace(member, profile="another-vendor", module="/lib/vendor.so")
    of_softhsm, of_other = [
        member_bootstrap(each, home, "serve", pin=PIN, sockets=Path("/run/x"), generation=1)
        for each in (member, other)
    ]
    assert (of_softhsm.module, of_softhsm.token_store) == ("/lib/softhsm.so", "/srv/home/tokens/hsm-a")
    assert (of_other.module, of_other.token_store) == ("/lib/vendor.so", None)


def test_what_an_api_process_is_told_holds_no_pin():
    assert set(ApiBootstrap.__struct_fields__) == {
        "home", "control_path", "writer", "parent_pid", "listener_fd",
    }  # fmt: skip
