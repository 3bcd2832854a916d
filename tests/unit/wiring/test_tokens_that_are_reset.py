"""What happens to PINs of security officers when a new member takes a token that is in use: none is lost, none is taken too early."""

import asyncio
import os

import msgspec
import pyrage
import pytest

from fakes_custody import PEOPLE, genesis_body, person, signed_genesis
from fresh_database import fresh_database
from strongroom.config import (
    ClusterConfig,
    Config,
    Home,
    MemberConfig,
    PinsConfig,
    PinSource,
    SecretSource,
    render_config,
)
from strongroom.core import ApprovalRequiredError, ConfigError, HomeError, Secret, SystemClock
from strongroom.custody import Chain
from strongroom.testing import RecordingEvents
from strongroom.wiring.bootstrap import ApprovedReset
from strongroom.wiring.init_members import NewMember
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.member_addition import add_member
from strongroom.wiring.new_member import Joining, ResetOrder, Resetting
from strongroom.wiring.pin_sealing import make_sealing_key

GAMMA = ScriptMember(name="gamma", profile="softhsm2")
PRESENT = b"officer-of-before"


class CutOffError(Exception):
    """Where a power cut came."""


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    make_sealing_key(home.pins / "sealing-key")
    home.custody.mkdir()
    alpha = MemberConfig(name="alpha", profile="softhsm2", pin=PinSource(sealed="pins/a"), token_serial="0a")
    config = Config(
        version=1,
        cluster=ClusterConfig(members=[alpha], min_copies=1),
        pins=PinsConfig(sealing_key=SecretSource(file="pins/sealing-key")),
    )
    home.config_file.write_text(render_config(config))
    return home


@pytest.fixture
def chain():
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    people = tuple(person(name, recipient=recipient if name == "anna" else "") for name in PEOPLE)
    return Chain.from_documents(signed_genesis(msgspec.structs.replace(genesis_body(), people=people)))


def joining(home):
    return Joining(home, GAMMA, clock=SystemClock(), progress=lambda step: None)


def resetting(*, is_approved=True):
    async def approved(member, claimed):
        if not is_approved:
            raise ApprovalRequiredError("ResetMember needs an approval")
        return ResetOrder("a1" * 32, ApprovedReset("0123", [], b"", []))

    return Resetting(approved, lambda config: Secret(PRESENT))


async def cut_off(self, *arguments, **named):
    raise CutOffError


def test_the_pin_of_a_token_that_was_begun_blank_is_not_replaced_by_that_of_another(home, chain, monkeypatch):
    monkeypatch.setattr(NewMember, "make_token", cut_off)
    with pytest.raises(CutOffError):  # C_InitToken may have taken effect
        asyncio.run(joining(home).prepare(chain))
    before = joining(home).so_pin().reveal()
    with pytest.raises(HomeError, match="blank token"):
        asyncio.run(joining(home).prepare(chain, resetting()))
    assert joining(home).so_pin().reveal() == before, "nobody else knows it"


def test_no_pin_is_taken_before_the_officers_let_the_token_be_erased(home, chain, monkeypatch):
    monkeypatch.setattr(NewMember, "reset_token", cut_off)
    with pytest.raises(ApprovalRequiredError):
        asyncio.run(joining(home).prepare(chain, resetting(is_approved=False)))
    assert joining(home).so_pin().reveal() != PRESENT
    for _ in range(2):  # an erasure that was interrupted goes on
        with pytest.raises(CutOffError):
            asyncio.run(joining(home).prepare(chain, resetting()))
        assert joining(home).so_pin().reveal() == PRESENT


def test_the_token_of_a_member_that_serves_is_not_erased_for_another(home):
    fresh_database(home.database)
    work = add_member(
        home, "gamma", events=RecordingEvents(), clock=SystemClock(), progress=lambda step: None,
        described=GAMMA, so_pin=lambda member: Secret(PRESENT), reset_serial="0a",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="that of member alpha"):
        asyncio.run(work)


def test_that_an_earlier_delivery_was_put_aside_is_on_disk_before_anything_else_is(home, monkeypatch):
    """Otherwise a power cut could bring it back to its place, and it would be taken for that of the new token."""
    made = NewMember(
        home,
        GAMMA,
        make_sealing_key(home.pins / "another"),
        clock=SystemClock(),
        progress=lambda step: None,
    )
    deliveries = home.custody / "deliveries"
    deliveries.mkdir()
    (deliveries / "gamma.so.first.age").write_bytes(b"of an earlier token")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr("os.fsync", lambda at: (synced.append(os.readlink(f"/proc/self/fd/{at}")), fsync(at)))
    made.make_pins()
    assert synced[0] == str(deliveries)
    assert [path.read_bytes() for path in deliveries.iterdir()] == [b"of an earlier token"]
    assert not (deliveries / "gamma.so.first.age").exists()
