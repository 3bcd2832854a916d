"""The whole service dies under load, again and again; what callers were told of is there afterwards.

Twice: by kill -9, where the kernel keeps what was written, and with a file layer that keeps only what was
synced, as a power failure does.
"""

import contextlib
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from faults.powerloss import PowerlossLayer
from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.config import Home

_CLIENTS = 4
_LONG = [pytest.mark.slow, pytest.mark.timeout(900)]

# The connections of a service that was killed are left in boto3's pools, half open.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Told:
    """What callers were told, and so must hold for ever."""

    def __init__(self) -> None:
        self.ciphertexts: list[tuple[str, bytes, bytes]] = []
        self.requests: set[str] = set()
        self._lock = threading.Lock()

    def encrypted(self, key_id: str, plaintext: bytes, answer: dict[str, Any]) -> None:
        with self._lock:
            self.ciphertexts.append((key_id, plaintext, answer["CiphertextBlob"]))
            self.requests.add(answer["ResponseMetadata"]["RequestId"])

    def created(self, answer: dict[str, Any]) -> str:
        with self._lock:
            self.requests.add(answer["ResponseMetadata"]["RequestId"])
        return str(answer["KeyMetadata"]["KeyId"])


def run_load_and_kill(service: RunningService, told: Told, *, after_s: float) -> None:
    stop = threading.Event()

    def loop(number: int) -> None:
        kms = service.client(connect_timeout=1)
        with contextlib.suppress(Exception):  # the service dies under this loop: that is the test
            while not stop.is_set():
                key_id = told.created(kms.create_key())
                for turn in range(3):
                    plaintext = f"{number} {turn} {key_id}".encode()
                    told.encrypted(key_id, plaintext, kms.encrypt(KeyId=key_id, Plaintext=plaintext))
        kms.close()

    threads = [threading.Thread(target=loop, args=(number,), daemon=True) for number in range(_CLIENTS)]
    known, limit = len(told.ciphertexts), time.monotonic() + 60
    for thread in threads:
        thread.start()
    while len(told.ciphertexts) < known + _CLIENTS and time.monotonic() < limit:
        time.sleep(0.02)
    time.sleep(after_s)
    service.kill_everything()
    stop.set()
    for thread in threads:
        thread.join(60)


def check(service: RunningService, told: Told, *, since: int) -> None:
    """Every key and ciphertext works, and every answer has its outcome in a log that verifies."""
    verify_log(service.home.audit)
    outcomes = {entry.request_id for entry in read_entries(service.home.audit) if entry.kind == "outcome"}
    assert told.requests <= outcomes
    kms = service.client()
    for key_id, plaintext, blob in told.ciphertexts[since:]:
        opened = kms.decrypt(CiphertextBlob=blob)
        assert opened["Plaintext"] == plaintext
        assert opened["KeyId"].endswith(key_id)
    kms.close()


def crash_again_and_again(
    home: Home, *, rounds: int, layer: PowerlossLayer | None, environment: dict[str, str]
) -> Told:
    told = Told()
    pauses = random.Random(7)
    with RunningService(home, environment=environment) as service:
        for _ in range(rounds):
            service.start()
            known = len(told.ciphertexts)
            run_load_and_kill(service, told, after_s=0.3 + pauses.random())
            if layer is not None:
                layer.cut_power()
            service.start()
            check(service, told, since=known)
            service.kill_everything()
            if layer is not None:
                layer.cut_power()
        service.start()
        check(service, told, since=0)
        assert service.stop() == 0
    verify_log(home.audit)
    print(f"{rounds} rounds: {len(told.requests)} answers, {len(told.ciphertexts)} ciphertexts, all there")
    assert len(told.ciphertexts) > rounds
    return told


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=_LONG)])
def test_after_kill_9_of_the_whole_service_everything_told_is_there(
    initialised_home: Path, tmp_path: Path, rounds: int
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=1.0)
    crash_again_and_again(home, rounds=rounds, layer=None, environment={})


@pytest.mark.parametrize(
    ("is_strict", "rounds"),
    [
        pytest.param(True, 1, id="strict"),  # what survives there survives on ext4 too
        pytest.param(True, 20, id="strict-long", marks=_LONG),
        pytest.param(False, 20, id="ext4-long", marks=_LONG),
    ],
)
def test_after_a_power_failure_everything_told_is_there(
    initialised_home: Path, tmp_path: Path, rounds: int, *, is_strict: bool
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=1.0)
    layer = PowerlossLayer(home.root, tmp_path / "shadow", tmp_path / "build", is_strict=is_strict)
    layer.make_durable()
    environment = {**layer.environment(), "PATH": os.environ["PATH"]}
    crash_again_and_again(home, rounds=rounds, layer=layer, environment=environment)
