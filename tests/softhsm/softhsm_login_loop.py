"""Kill a process that opens, logs in to and closes one SoftHSM token, again and again, and bring it back each time.

Run as a program: ``softhsm_login_loop.py FOLDER KILLS``. Exits with 0 when after every kill the token opened again
and held its root. A program of its own because it forks, which only a process without threads and without the
module loaded may do.
"""

import os
import signal
import sys
import time
from pathlib import Path

from strongroom.core import RootId, Secret, random_bytes
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token import (
    Token,
    TokenSelector,
    initialise_token,
    load_profile,
    protect_softhsm_store,
    sync_softhsm_store,
    write_softhsm_config,
)

PIN, SO_PIN = Secret(b"1234"), Secret(b"12345678")
ROOT = RootId(bytes(range(16)))
PROFILE = load_profile("softhsm2")
READY_LIMIT_S = 20


def open_token(module):
    return Token.open(module, TokenSelector(label="member"), PIN, profile=PROFILE)


def make_token():
    module = Module.load(PROFILE.find_module())
    initialise_token(module, label="member", so_pin=SO_PIN, user_pin=PIN)
    token = open_token(module)
    token.generate_root(ROOT, "root")
    token.close()
    module.finalize()


def log_in_for_ever(ready):
    module = Module.load(PROFILE.find_module())
    announced = False
    while True:
        token = open_token(module)
        if not token.has_root(ROOT):
            return
        if not announced:
            os.write(ready, b"!")
            announced = True
        token.close()


def in_child(work, *arguments):
    child = os.fork()
    if child:
        return child
    try:
        work(*arguments)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def kill_one(token_dir, *, empty):
    """Start a child, kill it in its loop; with ``empty``, leave token.object as an unlucky kill would."""
    report = protect_softhsm_store(token_dir)
    if report.lost:
        sys.exit("a token was lost")
    ready, announce = os.pipe()
    child = in_child(log_in_for_ever, announce)
    os.close(announce)
    os.set_blocking(ready, True)
    signal.alarm(READY_LIMIT_S)
    came_up = os.read(ready, 1) == b"!"
    signal.alarm(0)
    os.close(ready)
    time.sleep(random_bytes(1)[0] / 256 * 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not came_up:
        sys.exit("the token did not open, or has lost its root")
    (live,) = token_dir.glob("*/token.object")
    emptied_by_kill = live.stat().st_size == 0
    if empty:
        live.write_bytes(b"")
    return len(report.restored), emptied_by_kill


def main(folder, kills):
    token_dir = folder / "tokens"
    write_softhsm_config(folder / "softhsm2.conf", token_dir)
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    child = in_child(make_token)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("the token could not be made")
    sync_softhsm_store(token_dir)
    outcomes = [kill_one(token_dir, empty=number % 4 == 3) for number in range(kills)]
    outcomes.append(kill_one(token_dir, empty=False))
    print(f"restored {sum(restored for restored, _ in outcomes)} emptied {sum(e for _, e in outcomes)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
