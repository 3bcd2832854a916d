"""A certificate authority and a server certificate of our own making: for development, and where a script of init asks for it.

The CA's key is used once and not kept: when the server certificate is near its end, both are made anew.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.core import Clock, ConfigError

CA_FILE = "ca.pem"
CERTIFICATE_FILE = "server.pem"
KEY_FILE = "server.key"

_LIFE = dt.timedelta(days=365)
_RENEW_BEFORE = dt.timedelta(days=30)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def make_development_tls(folder: Path, *, clock: Clock, hosts: Sequence[str] = _LOOPBACK) -> None:
    """Write ca.pem, server.pem and server.key (mode 0400) into a folder, for host names and addresses (default: loopback)."""
    folder.mkdir(mode=0o700, exist_ok=True)
    now = dt.datetime.fromtimestamp(clock.now(), dt.UTC)
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Strongroom development CA")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [_general_name(host) for host in hosts]
    # X.520 has room for 64 characters in a common name; clients look at the alternative names.
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    server = (
        _builder(server_name, ca_name, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(folder / KEY_FILE, private)
    write_private(folder / CA_FILE, ca.public_bytes(serialization.Encoding.PEM))
    # Last, for it decides whether to renew: while the old one stands, a renewal that was cut short is done again.
    write_private(folder / CERTIFICATE_FILE, server.public_bytes(serialization.Encoding.PEM))


def renew_development_tls(folder: Path, *, clock: Clock) -> bool:
    """Make everything anew when our own server certificate has under 30 days left; returns whether it was done.

    A certificate that another CA issued is left alone: the operator brought it. Raises ConfigError when the file
    holds no certificate.
    """
    path = folder / CERTIFICATE_FILE
    if not (folder / CA_FILE).is_file() or not path.is_file():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise ConfigError(
            f"{path} holds no certificate", next_step=f"put one there as PEM, with its key in {KEY_FILE}"
        ) from error
    now = dt.datetime.fromtimestamp(clock.now(), dt.UTC)
    is_ours = certificate.issuer.rfc4514_string() == "CN=Strongroom development CA"
    if not is_ours or certificate.not_valid_after_utc - now > _RENEW_BEFORE:
        return False
    make_development_tls(folder, clock=clock, hosts=_hosts_of(certificate))
    return True


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _hosts_of(certificate: x509.Certificate) -> Sequence[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return _LOOPBACK
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses) or _LOOPBACK


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0400 whole or not at all, replacing an earlier one."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
