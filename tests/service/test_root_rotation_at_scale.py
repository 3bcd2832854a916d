"""100,000 keys in 1,000 domains: the root is rotated while callers call, and everything is killed five times on the way.

Prints what it measured: ``pytest -s -m slow tests/service/test_root_rotation_at_scale.py``.
"""

import asyncio
import random
import time

import pytest

from rotating_service import Callers, ask, domains_left, fill, require_every_key_works, status, wait_until
from running_service import RunningService, configure, copy_home
from strongroom.config import load_config, render_config
from strongroom.storage import RootState, RotationState

pytestmark = [
    pytest.mark.softhsm,
    pytest.mark.slow,
    pytest.mark.timeout(2_400),
    # Connections of callers whose service was killed.
    pytest.mark.filterwarnings(
        "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]
N_DOMAINS, N_KEYS, N_KILLS = 1_000, 100_000, 5


def limit_members(home, calls_per_s):
    import msgspec

    config = load_config(home.root)
    members = [msgspec.structs.replace(member, calls_per_s=calls_per_s) for member in config.cluster.members]
    cluster = msgspec.structs.replace(config.cluster, members=members)
    home.config_file.write_text(render_config(msgspec.structs.replace(config, cluster=cluster)))


@pytest.mark.parametrize(
    ("calls_per_s", "domains_per_s"), [(0.0, 25.0), (100.0, 10.0)], ids=["free", "100-operations-a-second"]
)
def test_nothing_is_lost_though_everything_is_killed_five_times(
    initialised_home, tmp_path, calls_per_s, domains_per_s
):
    home = copy_home(initialised_home, tmp_path / "home")
    begun = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - begun:8.1f} s  {text}", flush=True)  # what it is for

    with RunningService(home) as service:
        service.start()
        sealed = asyncio.run(fill(home, n_domains=N_DOMAINS, n_keys=N_KEYS, say=say))
        service.stop()
        limit_members(home, calls_per_s)
        configure(home, section="cache", ttl_s=20.0)
        service.start()
        total = N_DOMAINS + 1
        (first,) = status(home).roots
        with Callers(service, sealed) as callers:
            wait_until(lambda: callers.answered > 50, "callers are served")
            answer = ask(home, "rotate", domains_per_s=domains_per_s)
            assert answer.n_domains == total
            rotated_at = time.monotonic()
            say(f"root {answer.root_id[:8]} is the current one on {answer.held_by}")
            for kill in range(1, N_KILLS + 1):
                left = total * (N_KILLS + 1 - kill) // (N_KILLS + 1) + random.Random(kill).randrange(-30, 30)
                wait_until(lambda left=left: domains_left(home) <= left, f"{left} are left", 600.0)
                with callers.excused():
                    service.kill_everything()
                    say(f"killed everything with {domains_left(home)} domain KEKs left")
                    service.start()
            wait_until(lambda: status(home).rotation.state is RotationState.FINISHED, "it is finished", 600.0)
            rotation = status(home).rotation
            say(f"finished {time.monotonic() - rotated_at:.1f} s after the new root; {rotation.rewrapped}")
            retired_at = time.monotonic()
            retired = ask(home, "retire")
            say(f"retired in {time.monotonic() - retired_at:.1f} s, {retired.n_domains} opened")
            served = callers.answered
            wait_until(lambda: callers.answered > served + 50, "callers are served without the old root")
        say(
            f"{callers.answered} calls answered, {len(callers.failures)} failed, longest {callers.longest_s:.2f} s"
        )
        assert callers.failures == []
        assert [(root.root_id, root.left_on) for root in retired.retired] == [(first.root_id, [])]
        assert [(root.state, root.domains) for root in status(home).roots] == [
            (RootState.DESTROYED, 0),
            (RootState.CURRENT, total),
        ]
        service.stop()
        limit_members(home, 0.0)
        service.start()
        asyncio.run(require_every_key_works(home, sealed))
        say(f"all {len(sealed)} keys decrypt what they encrypted before")
