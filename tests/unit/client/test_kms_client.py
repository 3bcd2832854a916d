"""``KmsClient`` against the API over TLS: real signatures, many threads, typed errors."""

import threading

import pytest

from cli_support import ACCESS_KEY, SECRET_KEY, make_home, served
from strongroom import Envelope
from strongroom.client import (
    AccessKey,
    Endpoint,
    KmsClient,
    RequestRefusedError,
    Service,
    ServiceClient,
    ServiceUnreachableError,
)
from strongroom.config import Home
from strongroom.core import Secret, SystemClock


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("client") / "home")


@pytest.fixture(scope="module")
def server(home):
    with served(Home(home.root)) as running:
        yield running


def service_of(server, home, *, secret=SECRET_KEY):
    endpoint = Endpoint("https", "localhost", server.port, home.tls / "ca.pem")
    return Service(endpoint, AccessKey(ACCESS_KEY, Secret.from_text(secret)), "us-east-1")


@pytest.fixture
def client(server, home):
    server.reset()
    with KmsClient(service_of(server, home)) as client:
        yield client


@pytest.fixture
def key_id(client, server, home):
    with ServiceClient(service_of(server, home), clock=SystemClock()) as calls:
        return calls.call("CreateKey", {}, dict)["KeyMetadata"]["KeyId"]


def test_a_data_key_is_made_and_opened(client, key_id):
    made = client.generate_data_key(KeyId=key_id, EncryptionContext={"a": "b"})
    assert len(made["Plaintext"]) == 32
    opened = client.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"}, KeyId=key_id)
    assert opened == {"Plaintext": made["Plaintext"], "KeyId": made["KeyId"]}
    with pytest.raises(RequestRefusedError, match="InvalidCiphertextException"):
        client.decrypt(CiphertextBlob=made["CiphertextBlob"])


def test_an_envelope_finds_the_service_in_the_environment(server, home, key_id, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(home.tls / "ca.pem"))
    with Envelope(key_id) as envelope:
        assert envelope.decrypt(envelope.encrypt(b"data", context={"a": "b"})) == b"data"


def test_threads_have_connections_of_their_own_and_leave_them_to_others(client, key_id):
    failures = []

    def work():
        try:
            for _ in range(5):
                client.generate_data_key(KeyId=key_id)
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert 1 <= client._connections.n_idle <= 8


def test_a_wrong_secret_is_refused_and_not_shown(server, home, key_id):
    with (
        KmsClient(service_of(server, home, secret="never-shown")) as client,
        pytest.raises(RequestRefusedError, match="InvalidSignatureException") as caught,
    ):
        client.generate_data_key(KeyId=key_id)
    assert "never-shown" not in str(caught.value)


def test_a_service_that_does_not_run_is_unreachable(server, home):
    endpoint = Endpoint("http", "127.0.0.1", 9, None)
    with (
        KmsClient(service_of(server, home)._replace(endpoint=endpoint)) as client,
        pytest.raises(ServiceUnreachableError),
    ):
        client.decrypt(CiphertextBlob=b"x")


def test_after_closing_no_connection_stays_open(client, key_id):
    client.generate_data_key(KeyId=key_id)
    client.close()
    client.generate_data_key(KeyId=key_id)
    assert client._connections.n_idle == 0
