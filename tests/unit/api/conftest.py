"""Fixtures of the api room's tests."""

import boto3
import pytest
from botocore.config import Config

from api_support import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, Api, FakeKeyService, Health
from express_support import Lane
from fixtures_service import bench, hsm_and_database
from http_support import serve
from strongroom.api import Handler
from strongroom.core import SystemClock
from strongroom.keyring import KeyById

__all__ = ["bench", "hsm_and_database"]


@pytest.fixture
def api():
    return Api()


class Served:
    """The application behind our own HTTP server on a loopback port, and the fake service in it."""

    def __init__(self, service, port):
        self.service = service
        self.port = port

    def client(self, *, region=REGION, secret=SECRET_KEY, access_key=ACCESS_KEY):
        return boto3.session.Session().client(
            "kms",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def served():
    service = FakeKeyService(SystemClock())
    with serve(Handler(service, Health(), clock=SystemClock(), account_id=ACCOUNT)) as running:
        yield Served(service, running.port)


@pytest.fixture
def kms(served):
    """boto3 at ``served``; what its service was told to fail with is forgotten afterwards."""
    client = served.client()
    yield client
    served.service.fail_with = None
    client.close()


@pytest.fixture
def lane(bench):
    return Lane(bench)


@pytest.fixture
async def key_id(bench, lane):
    """An active key whose KEK is in memory."""
    made = await bench.service.create_key(bench.caller(), description="")
    await bench.service.create_alias(bench.caller(), alias_name="alias/old", target_key_id=made.key_id)
    await bench.keyring.generate_data_key(KeyById(made.key_id), 16, {})
    return made.key_id
