"""The public side of Direct keys, in software: encodings, verifying, encrypting. Needs no HSM and holds no secret.

    verify_signature(KeySpec.ECC_NIST_P256, spki_der, SigningAlgorithm.ECDSA_SHA_256, digest, signature)

Everything takes outside bytes: it is bounded, refuses what is not encoded canonically, and raises. Nothing here
keeps state, so it may be used from any thread. Signing and decrypting happen inside the HSM, never here; the one
exception is ``oaep_unpadded``, for tokens that do RSA but not this OAEP.
"""

from strongroom.hsm.public_keys._curves import Curve, curve_of
from strongroom.hsm.public_keys._keys import (
    MAX_SPKI_BYTES,
    RsaNumbers,
    load_public_key,
    point_of_peer,
    rsa_numbers,
    spki_from_point,
    spki_from_rsa_numbers,
)
from strongroom.hsm.public_keys._oaep import encrypt_oaep, oaep_hash_name, oaep_limit_bytes, oaep_unpadded
from strongroom.hsm.public_keys._signatures import (
    MAX_MESSAGE_BYTES,
    check_signed,
    der_from_raw,
    digest_info,
    raw_from_der,
    verify_signature,
)

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_SPKI_BYTES",
    "Curve",
    "RsaNumbers",
    "check_signed",
    "curve_of",
    "der_from_raw",
    "digest_info",
    "encrypt_oaep",
    "load_public_key",
    "oaep_hash_name",
    "oaep_limit_bytes",
    "oaep_unpadded",
    "point_of_peer",
    "raw_from_der",
    "rsa_numbers",
    "spki_from_point",
    "spki_from_rsa_numbers",
    "verify_signature",
]
