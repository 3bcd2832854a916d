"""A SoftHSM member killed in the middle of a login comes back with its root."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures_token import softhsm_module
from fixtures_two_tokens import SO_PIN, new_token, opened
from strongroom.hsm.token import protect_softhsm_store

USER_PIN_ATTRIBUTE = struct.pack(">QQ", 0x8000534D, 3)

pytestmark = pytest.mark.softhsm


def run_kills(folder, kills):
    """Run the loop in a process group of its own, so that a failure leaves no child behind."""
    program = Path(__file__).with_name("softhsm_login_loop.py")
    process = subprocess.Popen(
        [sys.executable, str(program), str(folder), str(kills)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        output, errors = process.communicate(timeout=100)
    finally:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False, stderr=subprocess.DEVNULL)
        process.wait()
    assert process.returncode == 0, errors
    words = output.split()
    return int(words[1]), int(words[3])


@pytest.mark.parametrize("kills", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_a_token_killed_while_logging_in_opens_again_with_its_root(tmp_path, kills):
    restored, _ = run_kills(tmp_path, kills)
    assert restored >= kills // 4  # every fourth kill is made to leave token.object empty


def test_a_file_cut_just_before_the_pin_of_the_user_is_put_back(tmp_path):
    with softhsm_module(tmp_path) as module:
        label = new_token(module)
    tokens = tmp_path / "tokens"
    (live,) = tokens.glob("*/token.object")
    whole = live.read_bytes()
    assert protect_softhsm_store(tokens).copied == (live.parent.name,)
    live.write_bytes(whole[: whole.index(USER_PIN_ATTRIBUTE)])
    assert protect_softhsm_store(tokens).restored == (live.parent.name,)
    assert live.read_bytes() == whole
    shutil.copytree(tokens, tmp_path / "again" / "tokens")
    with softhsm_module(tmp_path / "again") as module:
        opened(module, label).close()


def test_a_token_that_has_no_user_yet_is_neither_copied_nor_taken_for_broken(tmp_path):
    with softhsm_module(tmp_path) as module:
        module.init_token(module.slots()[0], SO_PIN.reveal(), "no user")
    assert protect_softhsm_store(tmp_path / "tokens") == ((), (), ())
    assert not (tmp_path / "tokens.protected").exists()
