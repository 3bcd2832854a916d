"""Which service is called, as whom, and what is made of whatever answers."""

import socket
import ssl
import threading
from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_support import ACCESS_KEY, SECRET_KEY, free_port, make_home, run
from strongroom.cli._answers import KeysAnswer, Readiness, StatusDocument
from strongroom.client import (
    AccessKey,
    Answer,
    Endpoint,
    ForeignAnswerError,
    RequestRefusedError,
    Service,
    ServiceClient,
    ServiceUnreachableError,
    home_endpoint,
    parse_endpoint,
    read_answer,
)
from strongroom.config import load_config
from strongroom.core import ConfigError, Secret, SystemClock


@pytest.mark.parametrize(("url", "expected"), [
    ("https://kms.example", ("https", "kms.example", 443, "kms.example")),
    ("https://kms.example:8443/", ("https", "kms.example", 8443, "kms.example:8443")),
    ("http://127.0.0.1:80", ("http", "127.0.0.1", 80, "127.0.0.1")),
    ("http://localhost:9000", ("http", "localhost", 9000, "localhost:9000")),
    ("http://[::1]:9000", ("http", "::1", 9000, "[::1]:9000")),
])  # fmt: skip
def test_an_endpoint_url_is_taken_apart(url, expected):
    endpoint = parse_endpoint(url, None)
    assert (endpoint.scheme, endpoint.host, endpoint.port, endpoint.authority) == expected
    assert parse_endpoint(endpoint.url, None) == endpoint


@pytest.mark.parametrize("url", [
    "localhost:8443", "ftp://localhost", "https://", "https://user:word@localhost", "https://localhost/kms",
    "https://localhost?x=1", "https://localhost:0", "https://localhost:99999", "https://[::1", "http://kms.example",
    "http://192.0.2.1:8443", "https://a b", "https://höst",
])  # fmt: skip
def test_an_endpoint_url_that_cannot_be_meant_is_refused(url):
    with pytest.raises(ConfigError, match="AWS_ENDPOINT_URL cannot be used"):
        parse_endpoint(url, None)


@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map("https://{}".format)))
def test_any_text_as_endpoint_url_is_an_endpoint_or_a_configuration_error(url):
    try:
        endpoint = parse_endpoint(url, None)
    except ConfigError:
        return
    assert 1 <= endpoint.port <= 65535
    assert endpoint.authority.isascii()
    assert endpoint.authority.isprintable()


@pytest.mark.parametrize(("host", "tls", "url"), [
    ("127.0.0.1", True, "https://localhost:8443"),
    ("::", True, "https://localhost:8443"),
    ("::1", True, "https://localhost:8443"),
    ("192.0.2.7", True, "https://192.0.2.7:8443"),
    ("127.0.0.1", False, "http://127.0.0.1:8443"),
    ("::1", False, "http://[::1]:8443"),
])  # fmt: skip
def test_the_endpoint_of_a_home_follows_its_configuration(home, host, tls, url):
    config = load_config(home.root)
    service = msgspec.structs.replace(config.service, host=host, tls=tls)
    assert home_endpoint(home, msgspec.structs.replace(config, service=service)).url == url


KINDS = st.sampled_from([Readiness, StatusDocument, KeysAnswer, dict])
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["__type", "message", "keys"]), inner, max_size=3)
        ),
        max_leaves=9,
    ).map(msgspec.json.encode),
)


@given(st.integers(100, 599), BODIES, KINDS)
def test_any_bytes_as_an_answer_are_an_answer_or_a_typed_error(status, body, kind):
    try:
        answer = read_answer(Answer(status, body), kind)
    except RequestRefusedError:
        assert status != 200
    except ForeignAnswerError:
        pass
    else:
        assert status == 200
        assert isinstance(answer, kind)


def test_an_answer_nested_without_end_is_refused():
    with pytest.raises(ForeignAnswerError):
        read_answer(Answer(200, b"[" * 100_000), dict)


@contextmanager
def _answering(answer, context=None):
    """A server on loopback that reads a little and sends these bytes, to one connection after the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def serve():
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    channel = context.wrap_socket(connection, server_side=True) if context else connection
                    channel.recv(4096)
                    channel.sendall(answer)
                    channel.close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def test_a_service_that_does_not_run_is_said_so_with_3(home):
    result = run("status", STRONGROOM_PORT=str(free_port()))
    assert result.exit_code == 3
    assert "the service is not running: nothing listens at https://localhost:" in result.stderr
    assert "what to do: start it with: strongroom serve" in result.stderr


def test_an_unknown_host_is_said_so_with_3(home):
    result = run("status", AWS_ENDPOINT_URL="https://no-such-host.invalid")
    assert result.exit_code == 3
    assert "no-such-host.invalid" in result.stderr


GARBAGE = [
    b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nwelcome",
    b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("answer", GARBAGE, ids=range(len(GARBAGE)))
def test_a_program_that_is_no_strongroom_is_said_so(home, answer):
    with _answering(answer) as port:
        result = run("status", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    assert result.exit_code in {1, 3}
    assert "what to do: " in result.stderr
    assert "bug" not in result.stderr


def test_an_endless_answer_is_not_read_to_its_end(home, monkeypatch):
    monkeypatch.setattr("strongroom.client._http._MAX_ANSWER_BYTES", 1000)
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000
    with _answering(body) as port:
        result = run("status", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "over 1000 bytes long" in result.stderr


def test_a_service_that_says_nothing_is_given_up(home):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        endpoint = Endpoint("http", "127.0.0.1", listener.getsockname()[1], None)
        service = Service(endpoint, AccessKey("-", Secret(b"")), "-")
        with (
            ServiceClient(service, clock=SystemClock(), timeout_s=0.1) as client,
            pytest.raises(ServiceUnreachableError, match=r"did not answer within 0\.1 s"),
        ):
            client.probe("/readyz")


def test_a_certificate_of_another_ca_is_refused_with_3(home, tmp_path):
    other = make_home(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other.tls / "server.pem", other.tls / "server.key")
    with _answering(b"", context) as port:
        result = run("status", STRONGROOM_PORT=str(port))
    assert result.exit_code == 3
    assert f"shows a certificate that {home.tls / 'ca.pem'} does not vouch for" in result.stderr


def test_a_service_without_tls_on_the_port_is_said_so(home):
    with _answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        result = run("status", STRONGROOM_PORT=str(port))
    assert result.exit_code == 3
    assert "does not speak TLS as we do" in result.stderr


@pytest.mark.parametrize(("variables", "complaint"), [
    ({"AWS_ENDPOINT_URL": "https://localhost/x"}, "AWS_ENDPOINT_URL cannot be used"),
    ({"AWS_ACCESS_KEY_ID": "a\r\nb", "AWS_SECRET_ACCESS_KEY": "s"}, "AWS_ACCESS_KEY_ID is no access key id"),
    ({"AWS_DEFAULT_REGION": "moon\n"}, "AWS_DEFAULT_REGION is no region"),
    ({"AWS_ENDPOINT_URL": "https://localhost:1", "AWS_CA_BUNDLE": "/nowhere.pem"}, "cannot read the CA certificates"),
    ({"STRONGROOM_PORT": "0"}, "STRONGROOM_PORT is '0'"),
])  # fmt: skip
def test_variables_that_cannot_be_used_are_named(home, variables, complaint):
    result = run("status", **variables)
    assert result.exit_code == 1
    assert complaint in result.stderr


def test_the_environment_says_whom_to_call_and_as_whom_without_any_home(api, monkeypatch, tmp_path, home):
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("STRONGROOM_PORT")
    variables = {
        "AWS_ENDPOINT_URL": f"https://localhost:{api.port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_CA_BUNDLE": str(home.tls / "ca.pem"),
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    result = run("keys", "create", **variables)
    assert result.exit_code == 0, result.stderr
    [(verb, caller)] = api.service.outcomes
    assert (verb, caller.region) == ("CreateKey", "eu-central-1")
