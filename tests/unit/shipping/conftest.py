"""What the tests of shipping share."""

import ipaddress

import pytest
from cryptography import x509

from client_certificates import make_certificate
from strongroom.audit import AuditLog
from unit.shipping.shipping_fakes import CLOCK


@pytest.fixture
def audit(tmp_path):
    return tmp_path / "audit"


@pytest.fixture
def open_log(audit):
    opened = []

    def open_one(writer="main", **options):
        log = AuditLog.open(audit, writer, clock=CLOCK, **options)
        opened.append(log)
        return log

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def tls(tmp_path):
    """A folder with ca.pem, and server.pem and client.pem that it has issued."""
    folder = tmp_path / "tls"
    folder.mkdir()
    ca = make_certificate(folder, "ca", "test CA")
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    make_certificate(folder, "server", "localhost", ca, names)
    make_certificate(folder, "client", "strongroom", ca, [x509.DNSName("strongroom")])
    return folder
