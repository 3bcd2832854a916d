"""The curves of Direct keys: names, object identifiers and sizes."""

from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.core import HsmRequestError, KeySpec


class Curve(NamedTuple):
    """A short Weierstrass curve."""

    oid_der: bytes
    """Its object identifier in DER: CKA_EC_PARAMS (PKCS#11 3.2, section 6.3.3)."""
    implementation: ec.EllipticCurve
    field_len_bytes: int
    order: int
    """Of the base point (SEC 2, section 2)."""


_CURVES: Final = {
    KeySpec.ECC_NIST_P256: Curve(
        bytes.fromhex("06082a8648ce3d030107"),
        ec.SECP256R1(),
        32,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    KeySpec.ECC_NIST_P384: Curve(
        bytes.fromhex("06052b81040022"),
        ec.SECP384R1(),
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
    KeySpec.ECC_NIST_P521: Curve(
        bytes.fromhex("06052b81040023"),
        ec.SECP521R1(),
        66,
        0x1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
    ),
    KeySpec.ECC_SECG_P256K1: Curve(
        bytes.fromhex("06052b8104000a"),
        ec.SECP256K1(),
        32,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    ),
}


def curve_of(spec: KeySpec) -> Curve:
    """Return the curve of an ECDSA or ECDH spec. Raises HsmRequestError for every other spec, Ed25519 included."""
    if spec not in _CURVES:
        raise HsmRequestError(f"{spec} is no key for ECDSA or ECDH")
    return _CURVES[spec]
