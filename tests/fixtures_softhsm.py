"""SoftHSM for tests: a token directory and a configuration of its own for whoever asks.

A SoftHSM library reads its configuration once for each C_Initialize and keeps it in globals, so one loaded library
is one configuration. Three ways to have one's own:

- ``softhsm_env`` (fixture): directory, configuration and SOFTHSM2_CONF, for tests that start processes;
- ``loaded_softhsm(folder)``: loads a *copy* of the library in this process; the loader takes a copy for another
  library, so tests of other files do not share its state. It is finalised at the end of the block;
- ``SofthsmTokens.new()``: many fresh tokens in one loaded library, a few milliseconds each.

Without SoftHSM the test is skipped, and says so.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from strongroom.hsm.cryptoki import Module, UserType

CANDIDATES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
SO_PIN = b"so-pin-12345678"
USER_PIN = b"user-pin-1234"


def softhsm_library() -> Path:
    """The path of the SoftHSM module; skips the test when there is none."""
    for candidate in map(Path, CANDIDATES):
        if candidate.is_file():
            return candidate
    pytest.skip("the SoftHSM 2 module is missing: install the package softhsm2")


class SofthsmEnv(NamedTuple):
    """A configuration that a process finds through SOFTHSM2_CONF."""

    library: Path
    conf: Path
    token_dir: Path

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "SOFTHSM2_CONF": str(self.conf)}


def make_softhsm_env(folder: Path) -> SofthsmEnv:
    """Write a configuration and make an empty token directory below ``folder``."""
    library = softhsm_library()
    token_dir = folder / "softhsm-tokens"
    token_dir.mkdir(mode=0o700, parents=True)
    conf = folder / "softhsm2.conf"
    conf.write_text(
        f"directories.tokendir = {token_dir}\nobjectstore.backend = file\nlog.level = ERROR\n"
        "slots.removable = false\n"
    )
    return SofthsmEnv(library, conf, token_dir)


@pytest.fixture
def softhsm_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SofthsmEnv:
    env = make_softhsm_env(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(env.conf))
    return env


class FreshToken(NamedTuple):
    """An initialised token with both PINs set and nobody logged in."""

    slot: int
    label: str
    so_pin: bytes
    user_pin: bytes


class SofthsmTokens:
    """A loaded SoftHSM and the tokens that were made in it."""

    def __init__(self, module: Module, env: SofthsmEnv) -> None:
        self.module = module
        self.env = env
        self._made = 0

    def new(self) -> FreshToken:
        """Initialise one more token."""
        module = self.module
        slot = module.slots()[-1]  # SoftHSM always adds one empty slot after the last token
        self._made += 1
        token = FreshToken(slot, f"token {self._made}", SO_PIN, USER_PIN)
        module.init_token(slot, token.so_pin, token.label)
        session = module.open_session(slot)
        try:
            module.login(session, UserType.SECURITY_OFFICER, token.so_pin)
            module.init_pin(session, token.user_pin)
            module.logout(session)
        finally:
            module.close_session(session)
        return token


@contextmanager
def loaded_softhsm(folder: Path) -> Iterator[SofthsmTokens]:
    """Load a copy of SoftHSM with a configuration of its own, and finalise it at the end."""
    env = make_softhsm_env(folder)
    library = folder / "softhsm-copy.so"
    shutil.copyfile(env.library, library)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(env.conf))
        module = Module.load(str(library))
    try:
        yield SofthsmTokens(module, env)
    finally:
        module.finalize()


class UserSession(NamedTuple):
    """A session in which the user is logged in."""

    module: Module
    session: int
    token: FreshToken


@contextmanager
def user_session(tokens: SofthsmTokens) -> Iterator[UserSession]:
    """Make a fresh token, open a session and log in; close all its sessions at the end."""
    token = tokens.new()
    session = tokens.module.open_session(token.slot)
    try:
        tokens.module.login(session, UserType.USER, token.user_pin)
        yield UserSession(tokens.module, session, token)
    finally:
        tokens.module.close_all_sessions(token.slot)
