"""Several API processes on one port: renewed under load, killed, and of one mind about the state of a key."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.config import Home


@contextlib.contextmanager
def two_processes(home: Home) -> Iterator[RunningService]:
    configure(home, section="service", processes=2)
    with RunningService(home) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with two_processes(copy_home(initialised_home, tmp_path_factory.mktemp("processes") / "home")) as running:
        yield running


def api_pids(service: RunningService) -> set[int]:
    started = {event["pid"] for event in service.events("api.started")}
    return {pid for pid in started if Path(f"/proc/{pid}/cmdline").exists()}


def wait_until(what, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Load:
    """Callers in a loop, without retries; each failure is kept."""

    def __init__(self, service: RunningService, key_id: str, *, callers: int = 4) -> None:
        self.calls = 0
        self.failures: list[str] = []
        self._service = service
        self._key_id = key_id
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _loop(self) -> None:
        kms = self._service.client()
        while not self._stop.is_set():
            try:
                kms.encrypt(KeyId=self._key_id, Plaintext=b"x")
            except Exception as error:
                self.failures.append(repr(error))
            self.calls += 1


def test_a_reload_under_load_fails_no_call_and_takes_the_new_configuration(
    initialised_home: Path, tmp_path: Path
) -> None:
    with two_processes(copy_home(initialised_home, tmp_path / "home")) as service:
        reload_under_load(service)


def reload_under_load(service: RunningService) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    before = api_pids(service)
    assert len(before) == 2
    configure(service.home, section="service", processes=2, account_id="210987654321")
    with Load(service, key_id) as load:
        time.sleep(0.5)
        service.signal_main(signal.SIGHUP)
        service.wait_for("service.reloaded")
        wait_until(lambda: not before & api_pids(service))
        time.sleep(0.5)
    print(f"{load.calls} calls over a reload")
    assert load.failures == []
    assert load.calls > 20
    arn = service.client().describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    assert ":210987654321:" in arn
    assert service.stop() == 0
    verify_log(service.home.audit)


def test_a_configuration_that_is_wrong_is_not_taken_and_nothing_stops(service: RunningService) -> None:
    before, text = api_pids(service), service.home.config_file.read_text()
    service.home.config_file.write_text("nonsense")
    service.signal_main(signal.SIGHUP)
    service.wait_for("service.reload_failed")
    service.home.config_file.write_text(text)
    assert api_pids(service) == before
    assert service.is_ready()


def test_killing_one_process_costs_its_connections_and_it_is_back_at_once(service: RunningService) -> None:
    kms = service.client(attempts=3)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    victim = min(api_pids(service))
    killed_at = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(api_pids(service) - {victim}) == 2)
    print(f"back after {time.monotonic() - killed_at:.2f} s")
    for _ in range(20):
        service.client(attempts=2).encrypt(KeyId=key_id, Plaintext=b"x")


@pytest.mark.parametrize(
    "trials", [20, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_no_request_sent_after_disable_key_returned_succeeds_in_any_process(
    service: RunningService, trials: int
) -> None:
    """Callers that together have connections to both processes are asked right after each DisableKey."""
    managing = service.client()
    key_id = managing.create_key()["KeyMetadata"]["KeyId"]
    using = [service.client() for _ in range(12)]  # of six, all had gone to one process now and then
    for _ in range(trials):
        managing.enable_key(KeyId=key_id)
        for kms in using:
            kms.encrypt(KeyId=key_id, Plaintext=b"x")
        managing.disable_key(KeyId=key_id)
        for kms in using:
            with pytest.raises(kms.exceptions.DisabledException):
                kms.encrypt(KeyId=key_id, Plaintext=b"x")
    served_by = {
        entry.writer
        for entry in read_entries(service.home.audit)
        if (entry.event, entry.key_id) == ("kms.Encrypt", key_id)
    }
    assert len(served_by) == 2, f"only {served_by} served; the trial says nothing about two processes"


def test_metrics_of_any_process_tell_of_all(service: RunningService) -> None:
    kms = [service.client() for _ in range(8)]
    for client in kms:
        client.list_aliases()  # which nobody else does here
    wait_until(lambda: 'operation="ListAliases",code="OK"} 8' in service.get("/metrics"), 20)


@pytest.mark.parametrize("starts", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_service_that_says_it_has_started_recognises_its_callers(
    initialised_home: Path, tmp_path: Path, starts: int
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    for _ in range(starts):
        with RunningService(home) as service:
            service.start(wait=False)
            service.wait_for("service.started", since=service.log().rfind("service.stopped"))
            service.client().list_keys()
            assert service.stop() == 0
