"""Public halves of Direct keys: encodings are exact, and foreign bytes are refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import HsmError, HsmRequestError, KeySpec, VerificationFailedError
from strongroom.hsm.public_keys import (
    curve_of,
    der_from_raw,
    load_public_key,
    point_of_peer,
    raw_from_der,
    rsa_numbers,
    spki_from_point,
    spki_from_rsa_numbers,
)

RSA = KeySpec.RSA_2048
ED25519 = KeySpec.ECC_NIST_EDWARDS25519
CURVES = [spec for spec in KeySpec if spec.is_curve and spec is not ED25519]
curves = st.sampled_from(CURVES)


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def made(spec):
    if spec.is_rsa:
        return rsa.generate_private_key(65537, spec.bits)
    if spec is ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(curve_of(spec).implementation)


def plain_point(key):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.public_key().public_bytes_raw()
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def in_octet_string(point):
    length = bytes([len(point)]) if len(point) < 0x80 else bytes([0x81, len(point)])
    return b"\x04" + length + point


KEYS = {spec: made(spec) for spec in (RSA, ED25519, *CURVES)}
GOOD = {spec: spki(key) for spec, key in KEYS.items()}


@pytest.mark.parametrize("spec", CURVES)
def test_the_order_of_a_curve_is_the_one_that_another_implementation_knows(spec):
    order = curve_of(spec).order
    with pytest.raises(ValueError, match="out of range"):
        ec.derive_private_key(order, curve_of(spec).implementation)
    assert ec.derive_private_key(order - 1, curve_of(spec).implementation)
    assert curve_of(spec).field_len_bytes == (curve_of(spec).implementation.key_size + 7) // 8
    assert curve_of(spec).oid_der in GOOD[spec]


@pytest.mark.parametrize("spec", [ED25519, *CURVES])
def test_both_forms_of_a_point_give_the_same_key(spec):
    point = plain_point(KEYS[spec])
    assert spki_from_point(spec, point) == spki_from_point(spec, in_octet_string(point)) == GOOD[spec]


@pytest.mark.parametrize("spec", CURVES)
def test_a_point_that_is_not_on_the_curve_is_refused(spec):
    point = bytearray(plain_point(KEYS[spec]))
    point[-1] ^= 1
    for form in (bytes(point), in_octet_string(bytes(point))):
        with pytest.raises(HsmError):
            spki_from_point(spec, form)


@given(st.sampled_from([ED25519, *CURVES]), st.binary(max_size=140))
def test_foreign_bytes_are_no_point(spec, content):
    try:
        encoded = spki_from_point(spec, content)
    except HsmError:
        return
    assert spec is ED25519  # any 32 bytes may be one
    assert encoded.endswith(content[-32:])


@given(curves, st.data())
def test_signature_forms_are_inverse(spec, data):
    order, half = curve_of(spec).order, curve_of(spec).field_len_bytes
    number = st.integers(1, order - 1) | st.sampled_from([1, 127, 128, 255, 256, order - 1])
    raw = b"".join(data.draw(number).to_bytes(half, "big") for _ in range(2))
    der = der_from_raw(spec, raw)
    assert raw_from_der(spec, der) == raw
    assert der[0] == 0x30


@pytest.mark.parametrize("spec", CURVES)
def test_numbers_out_of_range_are_no_signature(spec):
    order, half = curve_of(spec).order, curve_of(spec).field_len_bytes
    good = (1).to_bytes(half, "big")
    for number in (0, order, 2 ** (8 * half) - 1):
        for raw in (number.to_bytes(half, "big") + good, good + number.to_bytes(half, "big")):
            with pytest.raises(HsmError):
                der_from_raw(spec, raw)
    for length in (0, half, 2 * half - 1, 2 * half + 1):
        with pytest.raises(HsmError):
            der_from_raw(spec, b"\x01" * length)


@given(curves, st.binary(max_size=160))
def test_foreign_bytes_are_no_der_signature(spec, content):
    try:
        raw = raw_from_der(spec, content)
    except VerificationFailedError:
        return
    assert der_from_raw(spec, raw) == content


@given(curves, st.data())
def test_a_damaged_der_signature_is_refused_or_another_one_of_the_same_encoding(spec, data):
    half = curve_of(spec).field_len_bytes
    der = bytearray(der_from_raw(spec, b"\x01" * (2 * half)))
    der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        raw = raw_from_der(spec, bytes(der))
    except VerificationFailedError:
        return
    assert der_from_raw(spec, raw) == bytes(der)


@pytest.mark.parametrize("spec", GOOD)
def test_a_key_is_taken_as_its_own_spec_only(spec):
    load_public_key(spec, GOOD[spec])
    for other in KeySpec:
        if other is not spec:
            with pytest.raises(HsmRequestError):
                load_public_key(other, GOOD[spec])


@given(st.sampled_from(list(GOOD)), st.data())
def test_a_damaged_key_is_refused_or_another_key_of_the_same_encoding(spec, data):
    damaged = bytearray(GOOD[spec])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        key = load_public_key(spec, bytes(damaged))
    except HsmRequestError:
        return
    assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == bytes(damaged)


@given(st.sampled_from(list(GOOD)), st.binary(max_size=1200))
def test_foreign_bytes_are_no_key(spec, content):
    with pytest.raises(HsmRequestError):
        load_public_key(spec, content)


@pytest.mark.parametrize("spec", GOOD)
def test_cut_and_lengthened_keys_are_refused(spec):
    for content in (GOOD[spec] + b"\0", GOOD[spec][:-1], GOOD[spec] * 40, b""):
        with pytest.raises(HsmRequestError):
            load_public_key(spec, content)


def test_small_exponents_are_refused():
    numbers = rsa.RSAPublicNumbers(3, 2**2047 + 1)
    encoded = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(HsmRequestError):
        load_public_key(RSA, encoded)
    with pytest.raises(HsmError):
        spki_from_rsa_numbers(RSA, (2**2047 + 1).to_bytes(256, "big"), b"\x03")


def test_rsa_numbers_and_encoding_are_inverse_whatever_zeros_stand_before_them():
    modulus, exponent = rsa_numbers(RSA, GOOD[RSA])
    assert len(modulus) == 256
    assert exponent == b"\x01\x00\x01"
    assert spki_from_rsa_numbers(RSA, modulus, exponent) == GOOD[RSA]
    assert spki_from_rsa_numbers(RSA, b"\0" + modulus, b"\0" + exponent) == GOOD[RSA]


@given(st.binary(max_size=1100), st.binary(max_size=8))
def test_foreign_numbers_are_no_rsa_key(modulus, exponent):
    try:
        encoded = spki_from_rsa_numbers(RSA, modulus, exponent)
    except HsmError:
        return
    assert rsa_numbers(RSA, encoded).modulus == modulus.lstrip(b"\0")


def test_compressed_points_are_refused():
    for spec in CURVES:
        compressed = KEYS[spec].public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        head = GOOD[spec][: GOOD[spec].index(curve_of(spec).oid_der) + len(curve_of(spec).oid_der)]
        body = head[2:] if head[1] < 0x80 else head[3:]
        body += b"\x03" + bytes([len(compressed) + 1]) + b"\0" + compressed
        encoded = b"\x30" + bytes([len(body)]) + body
        with pytest.raises(HsmRequestError):
            point_of_peer(spec, encoded)


def test_only_curves_for_agreement_have_peers():
    for spec in (RSA, ED25519, KeySpec.AES_256, KeySpec.HMAC_256):
        with pytest.raises(HsmRequestError):
            point_of_peer(spec, GOOD.get(spec, b""))
