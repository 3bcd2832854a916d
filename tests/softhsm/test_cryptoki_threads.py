"""Eight threads on one module, each with a session of its own: every result is right and nothing crashes.

The load runs in a process of its own, so that a crash of the library fails this test and nothing else. Without
CKF_OS_LOCKING_OK SoftHSM crashes or fails here within a second or two.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures_softhsm import loaded_softhsm

pytestmark = pytest.mark.softhsm
LOAD = Path(__file__).with_name("cryptoki_thread_load.py")
THREADS = 8


def run_load(folder, seconds):
    with loaded_softhsm(folder) as tokens:
        token = tokens.new()
    ended = subprocess.run(
        [sys.executable, LOAD, tokens.env.library, token.label, str(seconds), str(THREADS)],
        input=token.user_pin,
        env=tokens.env.environ,
        capture_output=True,
        timeout=seconds + 30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    return json.loads(ended.stdout)


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_eight_threads_get_right_results(tmp_path, seconds):
    result = run_load(tmp_path, seconds)
    assert result["wrong"] == []
    assert result["busy_threads"] == THREADS
    assert set(result["done"]) == {"encrypt", "decrypt", "refuse", "sign", "object"}
    assert result["done"]["encrypt"] > 100 * seconds
