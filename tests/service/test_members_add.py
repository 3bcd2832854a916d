"""``strongroom members add``: a member whose token was emptied gets transport keys, root and keys, and serves again."""

import asyncio
from pathlib import Path

import pytest

from fixtures_token import softhsm_module
from running_service import RunningService, copy_home
from service.test_members_command import make_keys, strongroom
from strongroom.config import Home
from strongroom.core import AUDIT_KEY_LABEL, ConfigError, PinRefusedError, Secret, SystemClock
from strongroom.hsm.cryptoki import Attribute
from strongroom.hsm.token import Role, Token, TokenSelector, load_profile
from strongroom.storage import ReadOnlyStore
from strongroom.testing import RecordingEvents
from strongroom.wiring.member_addition import add_member

pytestmark = pytest.mark.softhsm

A = Attribute


@pytest.fixture
def home(initialised_home: Path, tmp_path: Path) -> Home:
    return copy_home(initialised_home, tmp_path / "home")


def objects_of(home: Home, member: str, folder: Path, *, empty: bool = False) -> list[str]:
    """The labels of what a member's token holds; with ``empty`` all of it is destroyed. The member must not serve."""
    folder.mkdir()
    (folder / "tokens").symlink_to(home.tokens / member)
    with softhsm_module(folder) as module:
        pin = Secret((home.pins / member).read_bytes())
        selector = TokenSelector(label=f"strongroom-{member}")
        token = Token.open(module, selector, pin, profile=load_profile("softhsm2"), role=Role.USER)
        session = module.open_session(module.slots()[0])
        handles = module.find_objects(session, {A.TOKEN: True})
        labels = [str(module.get_attributes(session, handle, (A.LABEL,)).get(A.LABEL)) for handle in handles]
        for handle in handles if empty else ():
            module.destroy_object(session, handle)
        token.close()
    return sorted(
        label for label in labels if AUDIT_KEY_LABEL not in label
    )  # which the service makes when it can


def add(home: Home, name: str = "beta", progress=lambda step: None):
    work = add_member(home, name, events=RecordingEvents(), clock=SystemClock(), progress=progress)
    return asyncio.run(work)


def test_an_emptied_member_is_made_whole_while_the_other_serves(home: Home, tmp_path: Path) -> None:
    make_keys(home, 2)
    before = objects_of(home, "beta", tmp_path / "first", empty=True)
    with RunningService(home) as service:
        service.start()
        service.wait_for("member.failed", limit_s=40)
        key_id = service.client().create_key()["KeyMetadata"]["KeyId"]
        status, answer = strongroom(service, "members", "add", "beta")
        assert status == 0, answer
        (report,) = answer["reports"]
        assert {(drift["what"], drift["repair"]) for drift in report["drifts"]} == {
            ("root", "copied from alpha"),
            ("key", "copied from alpha"),
        }
        status, answer = strongroom(service, "members", "test")
        assert status == 0, answer
        for test in answer["tests"]:
            keys = {step["what"].split("(")[-1] for step in test["steps"] if step["what"].startswith("key ")}
            assert keys >= {"AES_256)", "ECC_NIST_P256)"}, test  # perhaps the key that signs checkpoints too
        status, answer = strongroom(service, "members", "reconcile")
        assert (status, [report["drifts"] for report in answer["reports"]]) == (0, [[], []])
        service.client().encrypt(KeyId=key_id, Plaintext=b"x")
        assert service.stop() == 0
    assert objects_of(home, "beta", tmp_path / "second") == before
    assert len(objects_of(home, "alpha", tmp_path / "third")) == len(before)


@pytest.mark.slow
def test_the_service_that_starts_the_member_again_and_again_meanwhile_copies_no_key_that_the_command_copies(
    home: Home, tmp_path: Path
) -> None:
    make_keys(home, 16)
    before = objects_of(home, "beta", tmp_path / "first", empty=True)
    with RunningService(home) as service:
        service.start()
        service.wait_for("member.failed", limit_s=40)
        status, answer = strongroom(service, "members", "add", "beta")
        assert status == 0, answer
        assert service.stop() == 0
    assert objects_of(home, "beta", tmp_path / "second") == before


@pytest.mark.slow
def test_it_can_be_interrupted_at_every_step_and_run_again(home: Home, tmp_path: Path) -> None:
    class InterruptedHereError(Exception):
        pass

    make_keys(home, 1)
    before = objects_of(home, "beta", tmp_path / "first", empty=True)
    steps: list[str] = []
    add(home, progress=steps.append)
    objects_of(home, "beta", tmp_path / "emptied-again", empty=True)
    for last in range(len(steps)):
        left = iter(range(last))

        def until_the_last(step: str, left=left) -> None:
            if next(left, None) is None:
                raise InterruptedHereError(step)

        with pytest.raises(InterruptedHereError):
            add(home, progress=until_the_last)
    report = add(home)
    assert report.is_clean
    assert objects_of(home, "beta", tmp_path / "second") == before
    with ReadOnlyStore.open(home.database) as store:
        assert len(store.list_transport_keys()) == 10


def test_without_the_pin_of_every_security_officer_nothing_is_begun(home: Home) -> None:
    (home.pins / "alpha-so").unlink()
    with pytest.raises(ConfigError, match="alpha-so"):
        add(home)
    with pytest.raises(ConfigError, match="no member 'gamma'"):
        add(home, "gamma")


def test_a_wrong_pin_of_a_security_officer_is_sent_once(home: Home) -> None:
    path = home.pins / "alpha-so"
    path.chmod(0o600)
    path.write_text("not-the-pin\n")
    path.chmod(0o400)
    for match in ("CKR_PIN_INCORRECT", "refused this PIN before"):
        with pytest.raises(PinRefusedError, match=match):
            add(home)
    assert (home.pin_refused / "alpha.so").exists()
