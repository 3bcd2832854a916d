"""A member worker keeps one copy of its PIN, to log in again with, and none once it was refused or the worker closed."""

import asyncio
import os
import shutil

import pytest

from strongroom.core import PinRefusedError, Secret
from strongroom.hsm.token import load_profile, write_softhsm_config
from strongroom.wiring import member, member_tokens
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
            pin_refusal_path=str(tmp_path / "refused" / "alpha"),
            pin_attempt_path=str(tmp_path / "attempts" / "alpha"),
        )  # fmt: skip

    return make


@pytest.fixture
def copies_of(monkeypatch):
    """Tells how many buffers of ours hold a PIN. What ``Secret.reveal`` gave away is out of reach, and lives for a call."""
    made = []
    keep = Secret.__init__

    def noted(self, value):
        keep(self, value)
        made.append(self)

    monkeypatch.setattr(Secret, "__init__", noted)
    return lambda pin: sum(secret.reveal() == pin for secret in made)


async def test_a_worker_in_service_holds_one_copy_and_a_closed_one_none(bootstrap, copies_of):
    blank, serving = bootstrap("initialise", PIN, SO_PIN), bootstrap("serve", PIN)
    member_tokens.initialise_member(blank)
    assert (blank.pin, blank.so_pin) == (bytes(len(PIN)), bytes(len(SO_PIN)))
    assert copies_of(PIN) == copies_of(SO_PIN) == 0

    built = member.build_member(serving)
    assert built.token.label == "alpha"
    assert serving.pin == bytes(len(PIN))
    assert copies_of(PIN) == 1
    built.worker.close()
    await asyncio.wait_for(built.worker.ended.wait(), 60)
    assert copies_of(PIN) == 0


async def test_a_refused_pin_is_overwritten_and_leaves_its_marker(bootstrap, copies_of, tmp_path):
    member_tokens.initialise_member(bootstrap("initialise", PIN, SO_PIN))
    refused = bootstrap("serve", WRONG)
    with pytest.raises(PinRefusedError):
        member.build_member(refused)
    assert refused.pin == bytes(len(WRONG))
    assert copies_of(WRONG) == 0
    marker = tmp_path / "refused" / "alpha"
    assert marker.read_bytes().startswith(b"strongroom-refused-pin-v1 ")
    assert WRONG not in marker.read_bytes()
