"""``strongroom members`` on a whole service: a lost root comes back, what is strange is said and left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures_token import softhsm_module
from running_service import RunningService, copy_home
from strongroom.config import Home
from strongroom.core import HsmKey, HsmKeyId, KeySpec, KeyUsage, Secret
from strongroom.hsm.cryptoki import AesKeyGen, Attribute
from strongroom.hsm.token import Token, TokenSelector, load_profile

A = Attribute
PROGRAM = Path(__file__).parents[1] / "softhsm" / "replicating_program.py"


@pytest.fixture
def home(initialised_home: Path, tmp_path: Path) -> Home:
    return copy_home(initialised_home, tmp_path / "home")


def strongroom(service: RunningService, *arguments: str) -> tuple[int, object]:
    done = subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments, "--json"],
        env={**os.environ, "STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def change_token(home: Home, member: str, folder: Path, change, use=lambda token: None) -> None:
    """Do something as the user of a member's token, behind the service's back; it must not run."""
    folder.mkdir()
    (folder / "tokens").symlink_to(home.tokens / member)
    with softhsm_module(folder) as module:
        pin = Secret((home.pins / member).read_bytes())
        selector = TokenSelector(label=f"strongroom-{member}")
        token = Token.open(module, selector, pin, profile=load_profile("softhsm2"))
        session = module.open_session(module.slots()[0])
        change(module, session)
        use(token)
        token.close()


def make_keys(home: Home, count: int) -> list[bytes]:
    """Make Direct keys on both members; returns their ids."""
    command = [sys.executable, PROGRAM, home.root, "make", str(count)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=100, check=True).stdout
    return [bytes.fromhex(line.split()[1]) for line in said.splitlines() if line.startswith("made ")]


def destroy_root(module, session) -> None:
    (root,) = module.find_objects(session, {A.LABEL: "strongroom-root"})
    module.destroy_object(session, root)


def make_stranger(module, session) -> None:
    template = {A.VALUE_LEN: 32, A.TOKEN: True, A.ID: b"not ours", A.LABEL: "payroll", A.SENSITIVE: True}
    module.generate_key(session, AesKeyGen(), template)


def test_a_lost_root_is_copied_back_and_a_stranger_left_alone(home: Home, tmp_path: Path) -> None:
    change_token(home, "beta", tmp_path / "first", destroy_root)
    change_token(home, "beta", tmp_path / "second", make_stranger)
    with RunningService(home) as service:
        service.start()
        service.wait_for("reconcile.repaired", limit_s=20)
        (repaired,) = service.events("reconcile.repaired")
        assert (repaired["member"], repaired["what"], repaired["done"]) == (
            "beta",
            "root",
            "copied from alpha",
        )

        status, answer = strongroom(service, "members", "test")
        assert status == 0, answer
        assert [test["member"] for test in answer["tests"]] == ["alpha", "beta"]
        assert all(step["took_ms"] > 0 for test in answer["tests"] for step in test["steps"])

        status, answer = strongroom(service, "members", "reconcile", "--member", "beta")
        assert status == 0, answer
        (report,) = answer["reports"]
        assert [(drift["kind"], drift["label"], drift["repair"]) for drift in report["drifts"]] == [
            ("strange", "payroll", "")
        ]
        status, answer = strongroom(service, "members", "list")
        assert (status, [member["state"] for member in answer["members"]]) == (0, ["active", "active"])
        status, answer = strongroom(service, "members", "test", "--member", "nobody")
        assert status == 1
        assert "alpha, beta" in answer["error"]["next_step"]
    status, answer = strongroom(service, "members", "reconcile")
    assert (status, answer["error"]["kind"]) == (3, "NotReadyError")


def test_a_key_that_is_not_the_same_keeps_its_member_out_until_it_is_repaired_on_command(
    home: Home, tmp_path: Path
) -> None:
    _, key_id = make_keys(home, 2)
    key = HsmKey(HsmKeyId(key_id), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)

    def put_another_key_in_its_place(token: Token) -> None:
        token.direct.destroy(key)
        token.direct.generate(key, "key 2", may_leave=True)

    change_token(home, "beta", tmp_path / "first", lambda module, session: None, put_another_key_in_its_place)
    with RunningService(home) as service:
        service.start()
        service.wait_for("member.stopped")
        status, answer = strongroom(service, "members", "list")
        assert (status, answer["members"][1]["state"]) == (1, "stopped")
        for arguments, found in (
            ((), ("not the same key", "")),
            (("--repair",), ("not the same key", "copied from alpha")),
        ):
            status, answer = strongroom(service, "members", "reconcile", "--member", "beta", *arguments)
            assert status == (0 if arguments else 1), answer
            (report,) = answer["reports"]
            assert [(drift["kind"], drift["repair"]) for drift in report["drifts"]] == [found]
        service.wait_for('"member": "beta", "generation"', since=service.log().rfind("members.reconcile"))
        status, answer = strongroom(service, "members", "test")
        assert status == 0, answer
        for test in answer["tests"]:
            keys = {step["what"].split("(")[-1] for step in test["steps"] if step["what"].startswith("key ")}
            assert keys >= {"AES_256)", "ECC_NIST_P256)"}, test  # perhaps the key that signs checkpoints too
