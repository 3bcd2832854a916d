"""Callers known by a TLS client certificate: who they are, and that nobody can pass for one."""

import json
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from api_support import ACCOUNT, FakeKeyService, Health
from client_certificates import make_certificate
from http_support import answers, receive_all, serve
from strongroom.api import ClientIdentities, Handler
from strongroom.core import SystemClock
from strongroom.wiring.development_tls import make_development_tls

IDENTITIES = ClientIdentities(
    {"uri:spiffe://bank/payments": "user/payments", "dns:app.internal": "user/app", "cn:old-app": "user/old"},
    region="eu-central-1",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_development_tls(folder, clock=SystemClock())
    ca = make_certificate(folder, "client-ca", "clients")
    uri, dns = x509.UniformResourceIdentifier, x509.DNSName
    make_certificate(folder, "payments", "x", ca, [dns("app.internal"), uri("spiffe://bank/payments")])
    make_certificate(folder, "app", "x", ca, [dns("app.internal")])
    make_certificate(folder, "old", "old-app", ca)
    make_certificate(folder, "nobody", "nobody", ca, [dns("nobody.internal")])
    make_certificate(folder, "disguised", "dns:app.internal", ca)
    stranger = make_certificate(folder, "other-ca", "clients")
    make_certificate(folder, "forged", "x", stranger, [dns("app.internal")])
    return folder


@pytest.fixture(scope="module")
def serving(folder: Path):
    service = FakeKeyService(SystemClock())
    handler = Handler(service, Health(), clock=SystemClock(), account_id=ACCOUNT, identities=IDENTITIES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "client-ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    with serve(handler, tls=context) as running:
        yield running, service


def _call(serving, folder: Path, name: str | None, *headers: bytes, operation: bytes = b"CreateKey"):
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if name is not None:
        context.load_cert_chain(folder / f"{name}.pem")
    lines = [b"Host: localhost", b"X-Amz-Target: TrentService." + operation, b"Content-Length: 2", *headers]
    request = (
        b"POST / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"Connection: close\r\n\r\n{}"
    )
    with (
        socket.create_connection(("127.0.0.1", serving[0].port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(request)
        ((status, _, body),) = answers(receive_all(sock))
    return status, json.loads(body)


@pytest.mark.parametrize(
    ("name", "principal"), [("payments", "user/payments"), ("app", "user/app"), ("old", "user/old")]
)
def test_a_configured_certificate_needs_no_signature(
    serving, folder: Path, name: str, principal: str
) -> None:
    status, answer = _call(serving, folder, name)
    assert status == 200
    assert ":eu-central-1:" in answer["KeyMetadata"]["Arn"]
    assert serving[1].outcomes[-1][1].principal == principal


@pytest.mark.parametrize("name", [None, "nobody", "disguised"])
def test_without_one_that_is_configured_a_signature_is_needed(
    serving, folder: Path, name: str | None
) -> None:
    status, answer = _call(serving, folder, name)
    assert (status, answer["__type"]) == (400, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("name", "identity"),
    [("payments", "uri:spiffe://bank/payments"), ("nobody", "dns:nobody.internal"), (None, "-")],
)
def test_a_refusal_is_recorded_with_the_certificate_that_it_came_with(
    serving, folder: Path, name: str | None, identity: str
) -> None:
    status, _ = _call(serving, folder, name, operation=b"Encrypt")
    assert status == 400
    assert serving[1].refusals[-1].access_key_id == identity


def test_a_signature_goes_before_a_certificate(serving, folder: Path) -> None:
    status, answer = _call(serving, folder, "app", b"Authorization: AWS4-HMAC-SHA256 nonsense")
    assert (status, answer["__type"]) == (400, "IncompleteSignatureException")


def test_a_certificate_of_another_ca_ends_the_handshake(serving, folder: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        _call(serving, folder, "forged")
