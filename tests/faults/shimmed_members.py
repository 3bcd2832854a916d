"""Members on SoftHSM tokens of their own, each reached by real worker processes through a fault shim of its own."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from faults.fault_shim import FaultShim
from fixtures_softhsm import softhsm_library
from strongroom.config import Home, MemberConfig, PinSource
from strongroom.hsm.token import write_softhsm_config
from strongroom.wiring.bootstrap import MemberBootstrap, MemberMode
from strongroom.wiring.home import remove_runtime_folder, restore_runtime_folder
from strongroom.wiring.workers import Child, member_bootstrap, member_environment, start_member

PIN, SO_PIN = b"user-pin-1234", b"so-pin-12345678"


class ShimmedMember(NamedTuple):
    """A member of which a test starts as many workers as it wants. Its token keeps its keys in files."""

    config: MemberConfig
    home: Home
    shim: FaultShim

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def token_folder(self) -> Path:
        """Where SoftHSM keeps the token."""
        return self.home.tokens / self.name

    @property
    def refusal_marker(self) -> Path:
        """What a worker leaves when the PIN was refused."""
        return self.home.pin_refused / self.name

    def bootstrap(
        self, mode: MemberMode, generation: int = 0, *, wrap_algorithm: int | None = 1
    ) -> MemberBootstrap:
        """Describe a worker; one that takes admin verbs keeps what became of its PIN too."""
        is_new = mode == "initialise"
        made = member_bootstrap(
            self.config,
            self.home,
            mode,
            pin=SO_PIN if mode == "officer" else PIN,
            so_pin=SO_PIN if is_new else b"",
            sockets=restore_runtime_folder(self.home),
            generation=generation,
            wrap_algorithm=None if is_new else wrap_algorithm,
        )
        if mode not in {"serve", "administer"}:
            return made
        return msgspec.structs.replace(
            made, pin_refusal_path=str(self.refusal_marker), pin_attempt_path=str(self._attempts)
        )

    @property
    def _attempts(self) -> Path:
        return self.home.pin_attempts / self.name

    def let_pin_be_tried(self) -> None:
        """What a person does who has looked why the PIN was refused."""
        self.refusal_marker.unlink(missing_ok=True)
        self._attempts.unlink(missing_ok=True)
        self.shim.count_pins(0, user_wrong=0)

    async def start(self, bootstrap: MemberBootstrap) -> Child:
        """Start a worker. Raises as ``start_member``."""
        return await start_member(bootstrap, member_environment(self.config, self.home))


@contextmanager
def shimmed_members(folder: Path, names: tuple[str, ...]) -> Iterator[list[ShimmedMember]]:
    """Initialise a token for each name; at the end nothing hangs in a shim any more and the sockets are removed."""
    home = Home(folder)
    for part in (home.tokens, home.pins):
        part.mkdir(mode=0o700, parents=True)
    with ExitStack() as stack:
        stack.callback(remove_runtime_folder, home)
        members = [_described(home, name, stack) for name in names]
        yield asyncio.run(_initialised(members))


def _described(home: Home, name: str, stack: ExitStack) -> ShimmedMember:
    shim = stack.enter_context(FaultShim(home.root / "shims" / name, softhsm_library(), copy_module=False))
    write_softhsm_config(home.tokens / f"{name}.conf", home.tokens / name)
    config = MemberConfig(
        name=name,
        profile="softhsm2",
        module=str(shim.library),
        pin=PinSource(file=f"pins/{name}"),
        token_label=f"token-{name}",
        environment={"SOFTHSM2_CONF": f"{{home}}/tokens/{name}.conf"},
    )
    return ShimmedMember(config, home, shim)


async def _initialised(members: list[ShimmedMember]) -> list[ShimmedMember]:
    return await asyncio.gather(*(_with_token(member) for member in members))


async def _with_token(member: ShimmedMember) -> ShimmedMember:
    child = await member.start(member.bootstrap("initialise"))
    await child.end()
    assert child.started.token is not None
    config = msgspec.structs.replace(member.config, token_serial=child.started.token.serial, token_label=None)
    return member._replace(config=config)


class Footprint(NamedTuple):
    """What a process holds of the machine."""

    resident_kib: int
    threads: int
    descriptors: int | None
    """None where the system does not show those of a protected process to its user."""


def footprint(pid: int) -> Footprint:
    """Read it from proc(5)."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        descriptors = None
    return Footprint(int(status["VmRSS"].split()[0]), int(status["Threads"]), descriptors)
