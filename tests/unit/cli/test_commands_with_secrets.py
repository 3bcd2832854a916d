"""Commands that take a PIN or a private key forbid core dumps and ptrace of themselves before they read one."""

import json
import subprocess
import sys

_SCRIPT = """
import ctypes, json, os, sys
from strongroom.cli import main
commands = json.load(sys.stdin)
for command in commands:
    child = os.fork()
    if child == 0:
        try:
            sys.argv[1:] = command
            main()
        except BaseException:
            pass
        os._exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
    print("dumpable", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
COMMANDS = [
    ["pin", "open", "nothing.age", "--key", "nothing"],
    ["pin", "seal"],
    ["share", "check", "nothing"],
    ["share", "open", "nothing.age", "--key", "nothing"],
    ["pin", "rotate", "--member", "alpha", "--role", "so", "--so-pin-file", "nothing"],
    ["members", "add", "gamma"],
    ["officers", "keygen", "key", "--passphrase-file", "nothing"],
]


def test_no_core_dump_holds_what_a_command_was_told(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], input=json.dumps([*COMMANDS, ["env"]]), text=True, cwd=tmp_path,
        capture_output=True, check=True, timeout=120,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), "STRONGROOM_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    found = [line for line in done.stdout.splitlines() if line.startswith("dumpable")]
    assert found == [*(["dumpable 0"] * len(COMMANDS)), "dumpable 1"], done.stdout
