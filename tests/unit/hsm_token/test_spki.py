"""Public keys from outside are parsed strictly."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import HsmRequestError
from strongroom.hsm.token._spki import numbers_from_spki, spki_from_numbers


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


GOOD = spki(rsa.generate_private_key(65537, 2048))


def test_numbers_and_encoding_are_inverse():
    assert spki_from_numbers(*numbers_from_spki(GOOD)) == GOOD


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_damaged_key_is_refused_or_another_key_of_the_same_encoding(at, flip):
    damaged = bytearray(GOOD)
    damaged[at] ^= flip
    try:
        numbers = numbers_from_spki(bytes(damaged))
    except HsmRequestError:
        return
    assert spki_from_numbers(*numbers) == bytes(damaged)


@given(st.binary(max_size=600))
def test_foreign_bytes_are_refused(content):
    with pytest.raises(HsmRequestError):
        numbers_from_spki(content)


@pytest.mark.parametrize(
    "content",
    [GOOD + b"\0", GOOD[:-1], bytes(4096), spki(ec.generate_private_key(ec.SECP256R1()))],
    ids=["trailing byte", "cut", "too long", "not RSA"],
)
def test_what_is_no_canonical_rsa_key_is_refused(content):
    with pytest.raises(HsmRequestError):
        numbers_from_spki(content)


def test_short_keys_and_small_exponents_are_refused():
    for numbers in (rsa.RSAPublicNumbers(65537, 2**1023 + 1), rsa.RSAPublicNumbers(3, 2**2047 + 1)):
        encoded = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(HsmRequestError):
            numbers_from_spki(encoded)
