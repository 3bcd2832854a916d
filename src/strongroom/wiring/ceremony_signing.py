"""Certificates and requests for certificates that a key in an HSM signs, by pyca's builders and without a copy of the key.

A builder asks a private key to sign what it has encoded. The key that it is given here cannot sign: it keeps what it was asked to
sign, an HSM signs that, and the same builder is asked once more with a key that gives out that signature. So the builder must
encode the same bytes twice: serial number and dates are set beforehand.
"""

import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import NameOID

from strongroom.core import HsmError, KeySpec, SigningAlgorithm, random_bytes

_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
Sign = Callable[[SigningAlgorithm, bytes], Awaitable[bytes]]
"""Has a digest signed."""


class _Way(NamedTuple):
    algorithm: SigningAlgorithm
    digest: hashes.HashAlgorithm


_WAYS: Final = MappingProxyType(
    {
        KeySpec.ECC_NIST_P256: _Way(SigningAlgorithm.ECDSA_SHA_256, hashes.SHA256()),
        KeySpec.ECC_NIST_P384: _Way(SigningAlgorithm.ECDSA_SHA_384, hashes.SHA384()),
        KeySpec.RSA_3072: _Way(SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256, hashes.SHA256()),
        KeySpec.RSA_4096: _Way(SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_384, hashes.SHA384()),
    }
)
_SERIAL_BYTES: Final = 20
_DAYS_OF_YEAR: Final = 365.2425


class Authority(NamedTuple):
    """Who the certificate authority is."""

    common_name: str
    organisation: str
    country: str
    valid_years: int

    @property
    def name(self) -> x509.Name:
        """As it stands in the certificate."""
        parts = (
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.ORGANIZATION_NAME, self.organisation),
            (NameOID.COMMON_NAME, self.common_name),
        )
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


class _NoPrivateKey:
    """What asks for a signature gets the one that is given; everything else of a private key is not there."""

    def __init__(self, public: Any, signature: bytes) -> None:
        self._public = public
        self._signature = signature
        self.asked = b""

    def public_key(self) -> Any:
        """Return the public half."""
        return self._public

    @property
    def key_size(self) -> int:
        """Bits of the key."""
        return int(self._public.key_size)

    def sign(self, data: Any, *_how: Any) -> bytes:
        """Keep what is to be signed."""
        self.asked = bytes(data)
        return self._signature

    def private_numbers(self) -> NoReturn:
        """They are in the HSM."""
        raise NotImplementedError

    def private_bytes(self, *_how: Any, **_more: Any) -> NoReturn:
        """They are in the HSM."""
        raise NotImplementedError

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: Any) -> Any:
        return self


class _EcKey(_NoPrivateKey, ec.EllipticCurvePrivateKey):
    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return self._public.curve  # type: ignore[no-any-return]

    def exchange(self, *_how: Any) -> NoReturn:
        """It signs only."""
        raise NotImplementedError


class _RsaKey(_NoPrivateKey, rsa.RSAPrivateKey):
    def decrypt(self, *_how: Any) -> NoReturn:
        """It signs only."""
        raise NotImplementedError


async def signed_by_hsm(builder: Any, spec: KeySpec, spki: bytes, sign: Sign) -> Any:
    """Return what a builder makes, signed by an HSM. ``spki``: the public half. Raises HsmError."""
    way = _WAYS[spec]
    public = load_der_public_key(spki)
    first = _key(public, b"\0")
    builder.sign(first, way.digest)
    digest = hashlib.new(way.digest.name, first.asked).digest()
    second = _key(public, await sign(way.algorithm, digest))
    made = builder.sign(second, way.digest)
    if second.asked != first.asked:
        raise HsmError("what was signed is not what stands in the certificate")
    return made


def root_certificate(authority: Authority, spki: bytes, *, now: float) -> x509.CertificateBuilder:
    """Return what a self-signed certificate of a root holds (RFC 5280, sections 4.1 and 4.2)."""
    public: Any = load_der_public_key(spki)
    begins = dt.datetime.fromtimestamp(int(now), dt.UTC)
    ends = begins + dt.timedelta(days=int(authority.valid_years * _DAYS_OF_YEAR))
    serial = int.from_bytes(random_bytes(_SERIAL_BYTES), "big") >> 1
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = x509.CertificateBuilder(authority.name, authority.name, public, max(serial, 1), begins, ends)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_ca_usage(), critical=True)
        .add_extension(identifier, critical=False)
    )


def root_request(authority: Authority, spki: bytes) -> x509.CertificateSigningRequestBuilder:
    """Return what a request for a certificate holds (RFC 2986), for an authority above this one."""
    public: Any = load_der_public_key(spki)
    builder = x509.CertificateSigningRequestBuilder(authority.name)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_ca_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def check_certificate(certificate: x509.Certificate, spki: bytes) -> None:
    """Check that a certificate is of this key and signed by it. Raises HsmError."""
    public = load_der_public_key(spki)
    try:
        certificate.verify_directly_issued_by(certificate)
        is_ours = certificate.public_key() == public
    except Exception as error:
        raise HsmError("the certificate does not verify under its own key") from error
    if not is_ours:
        raise HsmError("the certificate is of another key")


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _key(public: Any, signature: bytes) -> Any:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _EcKey(public, signature)
    return _RsaKey(public, signature)
