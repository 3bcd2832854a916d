"""The explicit template of each object of a Direct key, however it came to be on the token."""

from collections.abc import Mapping
from typing import Final

from strongroom.core import HsmKey, KeySpec, KeyUsage
from strongroom.hsm.cryptoki import Attribute, KeyType, ObjectClass, PlainValue, Template
from strongroom.hsm.public_keys import curve_of
from strongroom.hsm.token._templates import PUBLIC_EXPONENT, ObjectPlan

ED25519_PARAMS: Final = bytes.fromhex("06032b6570")
"""The object identifier of Ed25519 (RFC 8410, section 3) as CKA_EC_PARAMS."""

_SEALED: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.DESTROYABLE: True,
    Attribute.COPYABLE: False,  # a copy could be given other uses
    # The last one of a template: once SoftHSM has read it in C_UnwrapKey, it refuses every further attribute.
    Attribute.MODIFIABLE: False,
}


def secret_half(key: HsmKey, label: str, *, may_leave: bool, made_inside: bool) -> ObjectPlan:
    """Plan the secret key, or the private half of a pair, that the token generates or (``made_inside`` false) unwraps.

    With ``may_leave`` it can be wrapped, but only under a key that the security officer trusts; without, never.
    """
    template: Template = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY if key.spec.is_pair else ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: key_type(key.spec),
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.LABEL: label,
        Attribute.ID: bytes(key.key_id),
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: may_leave,
        Attribute.WRAP_WITH_TRUSTED: True,
        Attribute.DECRYPT: key.usage is KeyUsage.ENCRYPT_DECRYPT,
        Attribute.SIGN: key.usage in {KeyUsage.SIGN_VERIFY, KeyUsage.GENERATE_VERIFY_MAC},
        Attribute.UNWRAP: False,
        Attribute.DERIVE: key.usage is KeyUsage.KEY_AGREEMENT,
        **(_of_private() if key.spec.is_pair else _of_secret(key, made_inside=made_inside)),
        **_SEALED,
    }
    history: Template = {
        Attribute.LOCAL: made_inside,
        Attribute.NEVER_EXTRACTABLE: made_inside and not may_leave,
    }
    if made_inside:
        history = {**history, Attribute.ALWAYS_SENSITIVE: True}
    return ObjectPlan(template, {**template, **history})


def public_half(key: HsmKey, label: str) -> ObjectPlan:
    """Plan the public half of a pair that the token generates."""
    numbers: Template = {Attribute.EC_PARAMS: ec_params(key.spec)} if key.spec.is_curve else {}
    if key.spec.is_rsa:
        numbers = {Attribute.MODULUS_BITS: key.spec.bits, Attribute.PUBLIC_EXPONENT: PUBLIC_EXPONENT}
    template: Template = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: key_type(key.spec),
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,  # or whoever reaches the token could take it away without a PIN
        Attribute.LABEL: label,
        Attribute.ID: bytes(key.key_id),
        Attribute.ENCRYPT: key.usage is KeyUsage.ENCRYPT_DECRYPT,
        Attribute.VERIFY: key.usage is KeyUsage.SIGN_VERIFY,
        Attribute.VERIFY_RECOVER: False,
        Attribute.WRAP: False,
        Attribute.DERIVE: False,
        **numbers,
        **_SEALED,
    }
    return ObjectPlan(template, {**template, Attribute.LOCAL: True})


def secret_class(spec: KeySpec) -> ObjectClass:
    """Return the class of the object that does the work."""
    return ObjectClass.PRIVATE_KEY if spec.is_pair else ObjectClass.SECRET_KEY


def key_type(spec: KeySpec) -> KeyType:
    """Return CKA_KEY_TYPE. HMAC keys are generic secrets: not every token generates CKK_SHA256_HMAC and its like."""
    if spec is KeySpec.AES_256:
        return KeyType.AES
    if spec is KeySpec.ECC_NIST_EDWARDS25519:
        return KeyType.EC_EDWARDS
    if spec.is_rsa:
        return KeyType.RSA
    return KeyType.EC if spec.is_curve else KeyType.GENERIC_SECRET


def ec_params(spec: KeySpec) -> bytes:
    """Return CKA_EC_PARAMS: the curve's object identifier in DER."""
    return ED25519_PARAMS if spec is KeySpec.ECC_NIST_EDWARDS25519 else curve_of(spec).oid_der


def _of_secret(key: HsmKey, *, made_inside: bool) -> Template:
    # CKA_VALUE_LEN may not be asked for in C_UnwrapKey: the wrapped bytes say it.
    length: Template = {Attribute.VALUE_LEN: key.spec.bits // 8} if made_inside else {}
    return {
        **length,
        Attribute.ENCRYPT: key.usage is KeyUsage.ENCRYPT_DECRYPT,
        Attribute.VERIFY: False,  # a MAC is made again and compared
        Attribute.WRAP: False,
    }


def _of_private() -> Template:
    return {Attribute.SIGN_RECOVER: False}
