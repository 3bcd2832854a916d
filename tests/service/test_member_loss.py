"""Members of the cluster die and hang under load; callers notice nothing."""

import signal
import time
from pathlib import Path

import botocore.exceptions
import pytest

from running_service import RunningService, configure, copy_home
from service_load import Load


@pytest.fixture
def service(initialised_home: Path, tmp_path: Path):
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=0.0)  # every call needs the HSM
    with RunningService(home) as running:
        running.start()
        yield running


@pytest.mark.timeout(240)
def test_one_member_is_killed_then_the_other_freezes_and_no_call_fails(
    service: RunningService,
) -> None:
    first_pids = service.children()
    with Load(service) as load:
        load.run_on(1.0)
        service.signal("alpha", signal.SIGKILL)
        _wait_for_new_worker(service, "alpha", first_pids["alpha"])
        load.run_on(0.5)
        service.signal("beta", signal.SIGSTOP)
        _wait_for_new_worker(service, "beta", first_pids["beta"])
        load.run_on(1.0)
    print(f"{load.calls} calls, slowest pair {load.slowest_s:.2f} s")
    assert load.failures == []
    failed = {event["member"]: event["cause"] for event in service.events("member.failed")}
    assert "-9" in failed["alpha"]
    assert "does not answer" in failed["beta"]
    # Main may have published the end of a killed worker before any call met it; a frozen one is met by calls first.
    assert "beta" in {event["member"] for event in service.events("cluster.failover")}


def test_with_no_member_left_a_call_gets_an_error_that_says_so_and_then_all_heals(
    initialised_home: Path, tmp_path: Path
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=0.0)
    configure(home, section="deadlines", attempt_s=0.2, request_s=1.0)
    with RunningService(home) as service:
        service.start()
        kms = service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        protected = _lock_tokens_away(service)
        with pytest.raises(Exception, match="DependencyTimeoutException"):
            kms.encrypt(KeyId=key_id, Plaintext=b"x")
        assert not service.is_ready()
        protected()
        service.wait_for('"member.active"', since=len(service.log()))
        assert kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]


def test_what_is_cached_serves_until_its_time_ends_and_no_longer(
    initialised_home: Path, tmp_path: Path
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=4.0)
    configure(home, section="deadlines", attempt_s=0.2, request_s=0.5)
    with RunningService(home) as service:
        service.start()
        kms = service.client()
        created_at = time.monotonic()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        give_back = _lock_tokens_away(service)
        asked_at = time.monotonic()
        last_served_at = None
        refused = None
        while refused is None and time.monotonic() < asked_at + 20:
            started_at = time.monotonic()
            try:
                kms.encrypt(KeyId=key_id, Plaintext=b"x")
                last_served_at = started_at
            except botocore.exceptions.ClientError as error:
                refused = error.response["Error"]["Code"]
        assert refused == "DependencyTimeoutException"
        # The KEK was unwrapped before the tokens went away, so its end is at most ttl after that.
        if last_served_at is None:
            assert time.monotonic() - created_at > 4.0, "nothing was served from the cache"
        else:
            assert last_served_at - asked_at < 4.0
        give_back()


def _wait_for_new_worker(service: RunningService, member: str, old_pid: int) -> None:
    deadline = time.monotonic() + 60
    while service.children()[member] == old_pid:
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)


def _lock_tokens_away(service: RunningService):
    """Take every token away and kill the workers: nothing can start until they are given back."""
    hidden = service.home.tokens.with_name("tokens-away")
    service.home.tokens.rename(hidden)
    for name in service.children():
        if name != "api":
            service.signal(name, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while len({event["member"] for event in service.events("member.failed")}) < 2:
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)

    def give_back() -> None:
        for left_over in service.home.tokens.glob("*") if service.home.tokens.exists() else ():
            raise AssertionError(f"something was made where the tokens were: {left_over}")
        hidden.rename(service.home.tokens)

    return give_back
