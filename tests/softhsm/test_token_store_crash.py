"""A SoftHSM member killed in the middle of a login comes back with its root."""

import subprocess
import sys
from pathlib import Path

import pytest

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
