"""A SoftHSM token, bare or behind the fault shim."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.fault_shim import FaultShim
from fixtures_softhsm import make_softhsm_env
from strongroom.core import Secret
from strongroom.hsm.token import load_profile
from tokens.remote_token import TokenProcess
from tokens.started import StartedToken

SO_PIN, USER_PIN = b"so-pin-12345678", b"user-pin-1234"


def new_softhsm(folder: Path, label: str = "softhsm") -> StartedToken:
    """Initialise a token in a store of its own below ``folder``."""
    env = make_softhsm_env(folder)
    started = StartedToken(
        kind="softhsm",
        module=env.library,
        profile=load_profile("softhsm2"),
        label=label,
        user_pin=USER_PIN,
        so_pin=SO_PIN,
        environment={"SOFTHSM2_CONF": str(env.conf)},
    )
    initialise(started)
    return started


def initialise(started: StartedToken) -> None:
    """Initialise the first blank token of a module with the label and PINs of ``started``."""
    with TokenProcess(started) as process:
        process.call(
            "initialise",
            label=started.label,
            so_pin=Secret(started.so_pin or b""),
            user_pin=Secret(started.user_pin),
        )


@contextmanager
def shimmed_softhsm(folder: Path, label: str = "shim") -> Iterator[tuple[StartedToken, FaultShim]]:
    """A SoftHSM token and the shim through which it is reached."""
    bare = new_softhsm(folder, label)
    with FaultShim(folder / "shim", bare.module, copy_module=False) as shim:
        yield bare._replace(kind="shim", module=shim.library), shim
