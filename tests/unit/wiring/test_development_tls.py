"""The development certificate is one that TLS clients accept, and is renewed before it ends, whole or not at all."""

import datetime as dt
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from strongroom.core import ConfigError
from strongroom.testing import FakeClock
from strongroom.wiring import development_tls
from strongroom.wiring.development_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    make_development_tls,
    renew_development_tls,
    write_private,
)

DAY_S = 86_400
FILES = {CA_FILE, CERTIFICATE_FILE, KEY_FILE}


@pytest.fixture
def clock():
    return FakeClock(time.time())


@pytest.fixture
def folder(tmp_path, clock):
    made = tmp_path / "tls"
    make_development_tls(made, clock=clock)
    return made


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def shake_hands(folder, name):
    """Do a TLS handshake in memory, as strictly as Python can. Raises SSLCertVerificationError."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / CERTIFICATE_FILE, folder / KEY_FILE)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.load_verify_locations(folder / CA_FILE)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
        if not waiting:
            return
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_strict_client_accepts_it_for_this_machine(folder, name):
    shake_hands(folder, name)


@pytest.mark.parametrize("name", ["example.org", "127.0.0.2", "localhost.example.org"])
def test_and_for_no_other(folder, name):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, name)


def test_another_ca_does_not_vouch_for_it(folder, tmp_path, clock):
    make_development_tls(tmp_path / "other", clock=clock)
    write_private(folder / CA_FILE, (tmp_path / "other" / CA_FILE).read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, "localhost")


def test_files_are_private_and_the_key_of_the_ca_is_nowhere(folder):
    assert contents(folder).keys() == FILES
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o400}
    assert folder.stat().st_mode & 0o777 == 0o700
    key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
    ca = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
    assert key.public_key() != ca.public_key()
    assert b"PRIVATE" not in (folder / CA_FILE).read_bytes() + (folder / CERTIFICATE_FILE).read_bytes()


def test_the_ca_may_sign_servers_only_and_the_server_nothing(folder):
    ca, server = [
        x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in (CA_FILE, CERTIFICATE_FILE)
    ]
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
        True, 0
    )
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    server.verify_directly_issued_by(ca)


def test_it_is_renewed_in_its_last_30_days_and_not_before(folder, clock):
    before = contents(folder)
    clock.advance(335 * DAY_S - 60)
    assert not renew_development_tls(folder, clock=clock)
    assert contents(folder) == before
    clock.advance(120)
    assert renew_development_tls(folder, clock=clock)
    after = contents(folder)
    assert after.keys() == FILES
    assert all(after[name] != before[name] for name in FILES)
    assert not renew_development_tls(folder, clock=clock)


def test_an_ended_certificate_is_renewed_and_works(tmp_path):
    make_development_tls(tmp_path, clock=FakeClock(time.time() - 400 * DAY_S))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, "localhost")
    assert renew_development_tls(tmp_path, clock=FakeClock(time.time()))
    shake_hands(tmp_path, "localhost")


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_renewal_that_is_cut_short_is_made_good_by_the_next(tmp_path, monkeypatch, written):
    """However many of the three files a crash let through."""
    make_development_tls(tmp_path, clock=FakeClock(time.time() - 350 * DAY_S))
    clock, left = FakeClock(time.time()), [None] * written

    def write_until_the_crash(path, content):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        write_private(path, content)

    monkeypatch.setattr(development_tls, "write_private", write_until_the_crash)
    with pytest.raises(KeyboardInterrupt):
        renew_development_tls(tmp_path, clock=clock)
    monkeypatch.undo()
    renew_development_tls(tmp_path, clock=clock)
    shake_hands(tmp_path, "localhost")


def test_a_certificate_that_the_operator_brought_is_left_alone(folder, clock):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Corporation CA")])
    now = dt.datetime.now(dt.UTC)
    foreign = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, now - dt.timedelta(days=2), now)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    write_private(folder / CERTIFICATE_FILE, foreign)
    before = contents(folder)
    assert not renew_development_tls(folder, clock=clock)
    assert contents(folder) == before


@pytest.mark.parametrize("absent", [CA_FILE, CERTIFICATE_FILE])
def test_where_there_is_none_of_ours_none_is_made(folder, clock, absent):
    clock.advance(360 * DAY_S)
    (folder / absent).unlink()
    before = contents(folder)
    assert not renew_development_tls(folder, clock=clock)
    assert contents(folder) == before


def test_what_is_no_certificate_is_named(folder, clock):
    write_private(folder / CERTIFICATE_FILE, b"no certificate")
    with pytest.raises(ConfigError, match=CERTIFICATE_FILE):
        renew_development_tls(folder, clock=clock)


def test_a_private_file_replaces_an_earlier_one_and_what_a_crash_left(tmp_path):
    path = tmp_path / "file"
    write_private(path, b"old")
    (tmp_path / ".file.new").write_bytes(b"half")
    (tmp_path / ".file.new").chmod(0o000)
    write_private(path, b"new")
    assert contents(tmp_path) == {"file": b"new"}
    assert path.stat().st_mode & 0o777 == 0o400
