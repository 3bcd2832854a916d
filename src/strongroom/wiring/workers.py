"""Starting member workers and API processes, and ending them for certain."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from strongroom.config import Home, MemberConfig, softhsm_module, worker_environment
from strongroom.core import ConfigError, MemberDeadlineError, MemberFailedError
from strongroom.custody import MAX_DOCUMENT_BYTES
from strongroom.hsm.cluster import RemoteAdmin
from strongroom.hsm.wire import MAX_FRAME_BYTES, WireClient, frame, raise_failure
from strongroom.wiring.bootstrap import ApprovedChange, MemberBootstrap, MemberMode, Started
from strongroom.wiring.pin_changes import PinRole, record_name

_START_LIMIT_S = 60.0
_END_LIMIT_S = 5.0
_MEMBER_PROGRAM = "strongroom.runtime.member"
_SOFTHSM_PROFILE = "softhsm2"


class Child:
    """A process that we started: it is given one frame, answers one, and ends when we let go of its input.

    The child ends itself when its standard input ends or its parent dies (prctl(2), PR_SET_PDEATHSIG), so
    none is left behind however we end.
    """

    def __init__(self, process: asyncio.subprocess.Process, started: Started) -> None:
        self._process = process
        self.started = started

    @classmethod
    async def start(
        cls,
        program: str,
        bootstrap: msgspec.Struct,
        *,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> Self:
        """Start ``python -m program`` and wait until it says that it is at work.

        Raises what the child says went wrong, MemberDeadlineError when it says nothing for 60 s, and
        MemberFailedError when it dies without a word or cannot be started at all.
        """
        process = await _spawn(program, environment, pass_fds)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                started = await _tell(process, bootstrap)
            if started.failure is not None:
                raise_failure(started.failure)
        except BaseException as error:
            await _kill(process)
            if isinstance(error, TimeoutError):
                raise MemberDeadlineError(f"{program} said nothing for {_START_LIMIT_S:.0f} s") from error
            raise
        return cls(process, started)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.returncode is not None

    async def wait(self) -> int:
        """Wait for its end; returns the exit status, negative for a signal."""
        return await self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal; without effect on a process that has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def end(self, *, limit_s: float = _END_LIMIT_S) -> None:
        """Close its input, which asks it to end, and kill it when it does not within ``limit_s``."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(limit_s):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it by SIGKILL, which works on a stopped process too, and wait until it is gone."""
        await _kill(self._process)


async def _spawn(
    program: str, environment: Mapping[str, str], pass_fds: Sequence[int]
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=worker_environment(environment),
            pass_fds=pass_fds,
            start_new_session=True,  # Ctrl-C at a terminal is for the main process, which stops us in order
        )
    except OSError as error:  # no process or memory left: the caller tries again, as after any other failure
        raise MemberFailedError(f"cannot start {program}: {error.strerror}") from error


async def _tell(process: asyncio.subprocess.Process, bootstrap: msgspec.Struct) -> Started:
    if process.stdin is None or process.stdout is None:
        raise MemberFailedError("the child has no pipes")
    with contextlib.suppress(ConnectionError):  # it may have died: then it has said why, or the read fails
        process.stdin.write(frame(msgspec.msgpack.encode(bootstrap)))
        await process.stdin.drain()
    try:
        length = int.from_bytes(await process.stdout.readexactly(4), "big")
        if length > MAX_FRAME_BYTES:
            raise MemberFailedError("the child answered with something that is no frame")
        return msgspec.msgpack.decode(await process.stdout.readexactly(length), type=Started)
    except (asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
        raise MemberFailedError(
            "the child ended before it was at work; its reason is in the log above"
        ) from error


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    await process.wait()


def member_environment(member: MemberConfig, home: Home) -> dict[str, str]:
    """The environment variables of a member's workers, ``{home}`` filled in."""
    return {name: value.replace("{home}", str(home.root)) for name, value in member.environment.items()}


def member_bootstrap(
    member: MemberConfig,
    home: Home,
    mode: MemberMode,
    *,
    pin: bytes,
    sockets: Path,
    generation: int,
    so_pin: bytes = b"",
    new_pin: bytes = b"",
    pin_role: PinRole = "user",
    approved_change: ApprovedChange | None = None,
    wrap_algorithm: int | None = None,
    approved_only: bool = False,
) -> MemberBootstrap:
    """Describe a worker of a member. Its socket names hold the generation, so an old one is never met again."""
    is_softhsm = member.profile == _SOFTHSM_PROFILE
    pin_name = pin_marker_name(member, mode)
    stem = f"{member.name}-{mode[:5]}-{generation}"
    return MemberBootstrap(
        mode=mode,
        name=member.name,
        profile=member.profile,
        profile_changes=member.profile_changes,
        parent_pid=os.getpid(),
        pin=bytearray(pin),
        module=member.module or (softhsm_module() if is_softhsm else None),
        library_parameters=_home_filled_in(member.library_parameters, home),
        wrap_algorithm=wrap_algorithm,
        approved_only=approved_only,
        token_serial=member.token_serial,
        token_label=member.token_label,
        use_path=str(sockets / f"{stem}.use"),
        admin_path=str(sockets / f"{stem}.admin"),
        token_store=str(home.tokens / member.name) if is_softhsm else None,
        token_config=_own_softhsm_config(member, home) if is_softhsm else None,
        pin_refusal_path=None if pin_name is None else str(home.pin_refused / pin_name),
        pin_attempt_path=None if pin_name is None else str(home.pin_attempts / pin_name),
        genesis=read_genesis(home),
        custody_folder=str(home.custody),
        calls_per_s=member.calls_per_s,
        audit_folder=str(home.audit) if member.has_hsm_log else "",
        so_pin=bytearray(so_pin),
        new_pin=bytearray(new_pin),
        pin_role=pin_role,
        approved_change=approved_change,
        pin_change_path=str(
            home.pin_changes / record_name(member.name, "so" if mode == "officer" else pin_role)
        ),
    )


def read_genesis(home: Home) -> bytes:
    """Return the genesis of a home, which nobody has verified yet; no bytes where it has no custody. Raises ConfigError."""
    try:
        with home.genesis_file.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(f"cannot read {home.genesis_file}: {error.strerror}") from error
    if not 1 <= len(data) <= MAX_DOCUMENT_BYTES:
        raise ConfigError(f"{home.genesis_file} is no genesis: it is empty or too long")
    return data


def pin_marker_name(member: MemberConfig, mode: MemberMode) -> str | None:
    """Name the marker of a refused PIN (``wiring.pin_refusals``); None for a login that leaves none."""
    if mode == "officer":
        return f"{member.name}.so"  # no member can have this name
    return member.name if mode in {"serve", "administer"} else None


def admin_path_beside(use_path: str) -> str:
    """The admin socket of the worker that has this use socket (``member_bootstrap``)."""
    return f"{use_path.removesuffix('.use')}.admin"


def _home_filled_in(text: str | None, home: Home) -> str | None:
    return None if text is None else text.replace("{home}", str(home.root))


def _own_softhsm_config(member: MemberConfig, home: Home) -> str | None:
    path = member_environment(member, home).get("SOFTHSM2_CONF")
    return path if path is not None and Path(path).parent == home.tokens else None


async def start_member(bootstrap: MemberBootstrap, environment: Mapping[str, str]) -> Child:
    """Start a member worker. Raises as ``Child.start``: PinRefusedError, TokenNotFoundError, MemberFailedError."""
    return await Child.start(_MEMBER_PROGRAM, bootstrap, environment=environment)


@contextlib.asynccontextmanager
async def admin_worker(
    bootstrap: MemberBootstrap, environment: Mapping[str, str]
) -> AsyncIterator[RemoteAdmin]:
    """Run a worker for the length of a piece of administration and give its admin door."""
    child = await start_member(bootstrap, environment)
    try:
        admin = RemoteAdmin(bootstrap.name, await WireClient.connect(bootstrap.admin_path), timeout_s=120)
        try:
            yield admin
        finally:
            admin.close()
    finally:
        await child.end()
