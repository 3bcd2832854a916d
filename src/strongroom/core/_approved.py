"""What is approved: key specs and algorithms that a home in FIPS mode has, each with the standard that says so.

By SP 800-131A Rev. 2 of March 2019 (transitions; a third revision was a draft in October 2024), FIPS 186-5 (signatures), SP 800-186 (curves), SP 800-56A Rev. 3 (agreement), SP 800-56B
Rev. 2 (RSA transport), FIPS 198-1 (HMAC), FIPS 197 and SP 800-38D (AES-GCM), SP 800-38F (key wrapping), SP 800-108 Rev. 1
(derivation), FIPS 203, 204 and 205 (post-quantum). What stands in no table here is not approved.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_RSA: Final = "FIPS 186-5, section 5 (2,048 bits or more); SP 800-56B Rev. 2"
_CURVE: Final = "FIPS 186-5, section 6; SP 800-186; SP 800-56A Rev. 3"
_HMAC: Final = "FIPS 198-1; SP 800-131A Rev. 2, section 10 (112 bits or more)"
_OAEP_SHA_1: Final = "SP 800-56B Rev. 2; SHA-1 outside of signatures: SP 800-131A Rev. 2, section 9"
_OAEP: Final = "SP 800-56B Rev. 2, section 7.2.2"
_PKCS1: Final = "FIPS 186-5, section 5 (RFC 8017, section 8.2)"
_PSS: Final = "FIPS 186-5, section 5 (RFC 8017, section 8.1; salt as long as the hash)"

APPROVED_SPECS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SYMMETRIC_DEFAULT": "FIPS 197; SP 800-38D; SP 800-108 Rev. 1 (keys of XAES-256-GCM)",
        "AES_256": "FIPS 197; SP 800-38D",
        **dict.fromkeys(("RSA_2048", "RSA_3072", "RSA_4096"), _RSA),
        **dict.fromkeys(("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"), _CURVE),
        "ECC_NIST_EDWARDS25519": "FIPS 186-5, section 7; SP 800-186",
        **dict.fromkeys(("HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"), _HMAC),
        **dict.fromkeys(("ML_DSA_44", "ML_DSA_65", "ML_DSA_87"), "FIPS 204"),
    }
)
"""Key specs, of Envelope keys, Direct keys and pairs of data keys, by their names."""

APPROVED_ALGORITHMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"RSASSA_PKCS1_V1_5_SHA_{bits}": _PKCS1 for bits in (256, 384, 512)},
        **{f"RSASSA_PSS_SHA_{bits}": _PSS for bits in (256, 384, 512)},
        **{f"ECDSA_SHA_{bits}": "FIPS 186-5, section 6" for bits in (256, 384, 512)},
        "ED25519_SHA_512": "FIPS 186-5, section 7",
        "ML_DSA_SHAKE_256": "FIPS 204",
        **{f"HMAC_SHA_{bits}": "FIPS 198-1; FIPS 180-4" for bits in (224, 256, 384, 512)},
        "RSAES_OAEP_SHA_1": _OAEP_SHA_1,
        "RSAES_OAEP_SHA_256": _OAEP,
        "RSA_AES_KEY_WRAP_SHA_1": f"SP 800-38F, section 6.3 (KWP); {_OAEP_SHA_1}",
        "RSA_AES_KEY_WRAP_SHA_256": f"SP 800-38F, section 6.3 (KWP); {_OAEP}",
        "XAES_256_GCM": "SP 800-38D; its keys SP 800-108 Rev. 1, section 4.1 (with AES-CMAC)",
        "HSM_AES_GCM": "SP 800-38D; SP 800-38F, section 3.1",
        "HSM_AES_CBC_HMAC": "SP 800-38A and FIPS 198-1, together as SP 800-38F, section 3.1, allows",
        "HSM_RSA_OAEP": _OAEP,
    }
)
"""Algorithms of signatures, MACs, RSA encryption, import wrapping and the wrapping by roots (``core.WrapAlgorithm``), by name."""

_WHY_NOT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ECC_SECG_P256K1": "SP 800-186 does not recommend the curve, and allows it for block chains alone",
    }
)


def why_not_approved(name: str) -> str | None:
    """Return in words why a key spec or algorithm is not approved; None when it is."""
    if name in APPROVED_SPECS or name in APPROVED_ALGORITHMS:
        return None
    return _WHY_NOT.get(name, "no standard in force approves it")
