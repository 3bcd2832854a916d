"""Certificates that a key signs which nobody has in hand: here one of the library, asked for digests as an HSM is."""

import asyncio

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.core import HsmError, KeySpec, SigningAlgorithm
from strongroom.wiring.ceremony_signing import (
    Authority,
    check_certificate,
    root_certificate,
    root_request,
    signed_by_hsm,
)

AUTHORITY = Authority("Example Root CA", "Example Ltd", "DE", 20)
NOW = 1_795_000_000.5
HASHES = {32: hashes.SHA256(), 48: hashes.SHA384()}
KEYS = {
    KeySpec.ECC_NIST_P256: ec.generate_private_key(ec.SECP256R1()),
    KeySpec.ECC_NIST_P384: ec.generate_private_key(ec.SECP384R1()),
    KeySpec.RSA_3072: rsa.generate_private_key(65537, 3072),
}


def spki_of(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def hsm(key):
    async def sign(algorithm: SigningAlgorithm, digest: bytes) -> bytes:
        how = utils.Prehashed(HASHES[algorithm.digest_len_bytes])
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(digest, ec.ECDSA(how))
        return key.sign(digest, padding.PKCS1v15(), how)

    return sign


@pytest.mark.parametrize("spec", list(KEYS))
def test_a_root_certificate_verifies_under_its_own_key_and_says_what_it_is(spec):
    key = KEYS[spec]
    builder = root_certificate(AUTHORITY, spki_of(key), now=NOW)
    certificate = asyncio.run(signed_by_hsm(builder, spec, spki_of(key), hsm(key)))
    check_certificate(certificate, spki_of(key))
    assert certificate.subject.rfc4514_string() == "CN=Example Root CA,O=Example Ltd,C=DE"
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, True)
    assert 0 < certificate.serial_number < 2**159
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 7304


def test_a_request_is_signed_too():
    key = KEYS[KeySpec.ECC_NIST_P384]
    request = asyncio.run(
        signed_by_hsm(root_request(AUTHORITY, spki_of(key)), KeySpec.ECC_NIST_P384, spki_of(key), hsm(key))
    )
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()


def test_a_signature_by_another_key_is_noticed():
    key, other = KEYS[KeySpec.ECC_NIST_P384], ec.generate_private_key(ec.SECP384R1())
    builder = root_certificate(AUTHORITY, spki_of(key), now=NOW)
    certificate = asyncio.run(signed_by_hsm(builder, KeySpec.ECC_NIST_P384, spki_of(key), hsm(other)))
    with pytest.raises(HsmError, match="does not verify under its own key"):
        check_certificate(certificate, spki_of(key))
