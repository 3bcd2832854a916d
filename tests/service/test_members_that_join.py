"""Members that join a cluster with officers: cut off at every step, from a token in use, and once more after their token was emptied."""

import asyncio

import pytest

from fixtures_token import softhsm_module
from running_service import copy_home
from scripted_homes import Prepared, approve_all
from strongroom.config import load_config
from strongroom.core import ApprovalRequiredError, Secret, SystemClock
from strongroom.hsm.cryptoki import Attribute, ObjectClass, UserType
from strongroom.hsm.token import initialise_token
from strongroom.testing import RecordingEvents
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.member_addition import add_member
from strongroom.wiring.pin_sealing import read_pin

pytestmark = [pytest.mark.softhsm, pytest.mark.slow, pytest.mark.timeout(3_600)]


class CutOffError(Exception):
    """A step of the addition of a member was not taken."""


def test_a_member_that_joins_can_be_cut_off_at_every_step(made_by_script, tmp_path):
    ready = made_by_script.ready._replace(home=copy_home(made_by_script.ready.home.root, tmp_path / "home"))
    pins = ready.so_pins()
    gamma = ScriptMember(name="gamma", profile="softhsm2")

    def add(progress):
        work = add_member(
            ready.home, "gamma", events=RecordingEvents(), clock=SystemClock(), progress=progress, described=gamma,
            so_pin=lambda member: Secret(pins[member.name].encode()),
        )  # fmt: skip
        return asyncio.run(work)

    seen = set()

    def until_a_new_step(step):
        if step not in seen:
            seen.add(step)
            raise CutOffError(step)

    while True:
        try:
            report = add(until_a_new_step)
            break
        except CutOffError:
            continue
        except ApprovalRequiredError:
            asyncio.run(approve_all(ready.home, "anna", "ben"))
    assert report.is_clean
    assert len(seen) > 9
    members = [member.name for member in load_config(ready.home.root).cluster.members]
    assert members == ["alpha", "beta", "gamma"]
    assert not list(ready.home.root.glob("member-*"))
    assert not list(ready.home.pins.glob("*.first.sealed"))
    with ready.service() as service:
        service.start()
        service.wait_for('"member": "gamma"')
        assert ready.strongroom("members", "test", "--json").returncode == 0
        assert service.stop() == 0


def a_token_in_use(home, folder):
    """Initialise a token labelled as gamma's, with an object on it; returns its serial number."""
    (home.tokens / "gamma").mkdir()
    folder.mkdir()
    (folder / "tokens").symlink_to(home.tokens / "gamma")
    with softhsm_module(folder) as module:
        so_pin, user_pin = Secret(b"officer-of-before"), Secret(b"user-of-before")
        serial = initialise_token(module, label="strongroom-gamma", so_pin=so_pin, user_pin=user_pin).serial
        (slot,) = [one for one in module.slots() if module.token_info(one).serial == serial]
        session = module.open_session(slot, read_write=True)
        module.login(session, UserType.USER, user_pin.reveal())
        template = {
            Attribute.CLASS: ObjectClass.DATA,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: False,
            Attribute.VALUE: b"of somebody",
        }
        module.create_object(session, template)
    return serial


def test_a_token_in_use_is_erased_under_an_approval_alone(made_by_script, tmp_path):
    ready = made_by_script.ready._replace(home=copy_home(made_by_script.ready.home.root, tmp_path / "home"))
    pins = {**ready.so_pins(), "gamma": "officer-of-before"}
    serial = a_token_in_use(ready.home, tmp_path / "before")
    content = {path: path.read_bytes() for path in (ready.home.tokens / "gamma").rglob("*.object")}

    def add(name="gamma", **more):
        work = add_member(
            ready.home, name, events=RecordingEvents(), clock=SystemClock(), progress=steps.append,
            described=ScriptMember(name=name, profile="softhsm2"), **more,
            so_pin=lambda member: Secret(pins[member.name].encode()),
        )  # fmt: skip
        return asyncio.run(work)

    steps: list[str] = []
    with pytest.raises(ApprovalRequiredError, match="ResetMember needs an approval"):
        add(reset_serial=serial)
    assert {path: path.read_bytes() for path in (ready.home.tokens / "gamma").rglob("*.object")} == content
    asyncio.run(approve_all(ready.home, "anna"))
    with pytest.raises(ApprovalRequiredError, match="ResetMember needs an approval"):
        add(reset_serial=serial)
    assert not any("ERASING" in step for step in steps)
    asyncio.run(approve_all(ready.home, "ben"))
    with pytest.raises(ApprovalRequiredError, match="AddMember needs an approval"):
        add(reset_serial=serial)
    assert any("ERASING" in step for step in steps)
    asyncio.run(approve_all(ready.home, "anna", "ben"))
    assert add(reset_serial=serial).is_clean
    assert not any(
        b"of somebody" in path.read_bytes() for path in (ready.home.tokens / "gamma").rglob("*.object")
    )
    assert ready.so_pins()["gamma"] == "officer-of-before", "the PIN of its security officer stays"


def emptied(ready: Prepared, name, folder):
    """Destroy everything that a member's token holds, what it pinned too. The member must not serve."""
    folder.mkdir()
    (folder / "tokens").symlink_to(ready.home.tokens / name)
    (member,) = [one for one in load_config(ready.home.root).cluster.members if one.name == name]
    with softhsm_module(folder) as module:
        (slot,) = [one for one in module.slots() if module.token_info(one).serial == member.token_serial]
        session = module.open_session(slot, read_write=True)
        module.login(session, UserType.USER, read_pin(member, ready.home).reveal())
        for handle in module.find_objects(session, {Attribute.TOKEN: True}):
            module.destroy_object(session, handle)


def test_a_member_whose_token_was_emptied_is_made_whole_under_an_approval(made_by_script, tmp_path):
    ready = made_by_script.ready._replace(home=copy_home(made_by_script.ready.home.root, tmp_path / "home"))
    pins = ready.so_pins()
    emptied(ready, "beta", tmp_path / "beta")
    with ready.service() as service:
        service.start()
        service.wait_for("does not hold the genesis that it pinned")
        assert service.stop() == 0

    def add():
        work = add_member(
            ready.home, "beta", events=RecordingEvents(), clock=SystemClock(), progress=lambda step: None,
            so_pin=lambda member: Secret(pins[member.name].encode()),
        )  # fmt: skip
        return asyncio.run(work)

    with pytest.raises(ApprovalRequiredError, match="AddMember needs an approval"):
        add()
    asyncio.run(approve_all(ready.home, "anna", "ben"))
    assert add().is_clean
    with ready.service() as service:
        service.start()
        service.wait_for('"member": "beta"')
        assert ready.strongroom("members", "test", "--json").returncode == 0
        assert service.stop() == 0
