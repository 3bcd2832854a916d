"""Quotas of a whole service of two processes, as an SDK meets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from running_service import RunningService, configure, copy_home

BURST = 40


@pytest.fixture
def service(initialised_home: Path, tmp_path: Path) -> Iterator[RunningService]:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="service", processes=2)
    configure(home, section="quotas", operations={"GenerateRandom": {"rate": 0.01, "burst": BURST}})
    with RunningService(home) as running:
        running.start()
        yield running


def test_two_processes_let_pass_together_what_the_quota_says(service: RunningService) -> None:
    passed, refused = 0, set()
    for _ in range(BURST + 20):
        client = service.client()  # to either process
        try:
            client.generate_random(NumberOfBytes=1)
            passed += 1
        except ClientError as error:
            refused.add(
                (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
            )
        finally:
            client.close()
    assert passed in (BURST, BURST + 1)  # a token every 100 s
    assert refused == {("ThrottlingException", 400)}
    service.client().list_keys()
    assert 'code="ThrottlingException"' in service.get("/metrics")


def test_an_unknown_operation_is_refused_before_anything_starts(
    initialised_home: Path, tmp_path: Path
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="quotas", operations={"Decript": {"rate": 1, "burst": 1}})
    with RunningService(home) as running:
        running.start(wait=False)
        assert running.wait_exit() != 0
        assert "Decript" in running.log()
