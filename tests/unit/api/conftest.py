"""Fixtures of the api room's tests."""

import asyncio
import socket
import threading

import boto3
import pytest
import uvicorn
from botocore.config import Config

from api_support import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, Api, FakeKeyService, Health
from strongroom.api import create_app
from strongroom.core import SystemClock


@pytest.fixture
def api():
    return Api()


class Served:
    """The application behind a real uvicorn on a loopback port, and the fake service in it."""

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
    app = create_app(service, Health(), clock=SystemClock(), account_id=ACCOUNT)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, date_header=False, server_header=False, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        yield Served(service, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
