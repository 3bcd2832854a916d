"""A member worker keeps no PIN once it has logged in, or failed to."""

import asyncio
import os
import shutil

import pytest

from strongroom.core import PinRefusedError, Secret
from strongroom.hsm.token import load_profile, write_softhsm_config
from strongroom.wiring import member
from strongroom.wiring.bootstrap import MemberBootstrap

pytestmark = pytest.mark.softhsm

PIN, SO_PIN, WRONG = b"user-pin-of-alpha", b"so-pin-of-alpha", b"another-pin"


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """Bootstraps for workers of one member, on a SoftHSM library of their own."""
    library = tmp_path / "softhsm-copy.so"
    shutil.copyfile(load_profile("softhsm2").find_module(), library)
    write_softhsm_config(tmp_path / "softhsm2.conf", tmp_path / "tokens")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))

    def make(mode, pin, so_pin=b""):
        return MemberBootstrap(
            mode=mode, name="alpha", profile="softhsm2", parent_pid=os.getpid(), pin=bytearray(pin),
            so_pin=bytearray(so_pin), module=str(library), token_label="alpha",
        )  # fmt: skip

    return make


@pytest.fixture
def lent(monkeypatch):
    """Every Secret that a PIN was lent as, and what was in it then."""
    seen = []

    class Noted(Secret):
        def __init__(self, value):
            super().__init__(value)
            seen.append((self, bytes(value)))

    monkeypatch.setattr(member, "Secret", Noted)
    return seen


def assert_forgotten(lent, *pins):
    assert sorted(was for _, was in lent) == sorted(pins)
    assert all(secret.reveal() == bytes(len(was)) for secret, was in lent)


async def test_pins_that_were_taken_are_overwritten(bootstrap, lent):
    blank, serving = bootstrap("initialise", PIN, SO_PIN), bootstrap("serve", PIN)
    member.initialise_member(blank)
    assert (blank.pin, blank.so_pin) == (bytes(len(PIN)), bytes(len(SO_PIN)))
    assert_forgotten(lent, PIN, SO_PIN)

    lent.clear()
    built = member.build_member(serving)
    assert built.token.label == "alpha"
    assert serving.pin == bytes(len(PIN))
    assert_forgotten(lent, PIN)
    built.worker.close()
    await asyncio.wait_for(built.worker.ended.wait(), 10)


async def test_a_refused_pin_is_overwritten_too(bootstrap, lent):
    member.initialise_member(bootstrap("initialise", PIN, SO_PIN))
    lent.clear()
    refused = bootstrap("serve", WRONG)
    with pytest.raises(PinRefusedError):
        member.build_member(refused)
    assert refused.pin == bytes(len(WRONG))
    assert_forgotten(lent, WRONG)
