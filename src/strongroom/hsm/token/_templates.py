"""The explicit template of each kind of object: no attribute that matters is left to a vendor's default."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from strongroom.core import RootId
from strongroom.hsm.cryptoki import Attribute, KeyType, ObjectClass, PlainValue, Template

ROOT_LEN_BYTES = 32
PUBLIC_EXPONENT = (65537).to_bytes(3, "big")
_SEALED: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.COPYABLE: False,  # a copy could be given other uses
    # The last one of a template: once SoftHSM has read it in C_UnwrapKey, it refuses every further attribute.
    Attribute.MODIFIABLE: False,
}
_ANY_ROOT: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: True,  # but only as the next line says
    Attribute.WRAP_WITH_TRUSTED: True,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
    Attribute.WRAP: False,
    Attribute.UNWRAP: False,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.DERIVE: False,
    Attribute.DESTROYABLE: True,  # a root that read back wrong is destroyed, an old one some day too
    **_SEALED,
}
"""What every root is, wherever it was made."""


class ObjectPlan(NamedTuple):
    """What to ask the token for, and what it must say of the object afterwards."""

    template: Template
    expected: Template


def generated_root(root_id: RootId, label: str) -> ObjectPlan:
    """Plan a root KEK that the token makes itself."""
    template: Template = {Attribute.VALUE_LEN: ROOT_LEN_BYTES, **_root(root_id, label)}
    made_inside = {
        Attribute.LOCAL: True,
        Attribute.ALWAYS_SENSITIVE: True,
        Attribute.NEVER_EXTRACTABLE: False,
    }
    return ObjectPlan(template, {**template, **made_inside})


def unwrapped_root(root_id: RootId, label: str) -> ObjectPlan:
    """Plan a root KEK that comes wrapped from another token.

    CKA_VALUE_LEN may not be asked for here, and SoftHSM does not tell it afterwards: see ``may_be_root_length``.
    """
    template = _root(root_id, label)
    came_from_outside = {Attribute.LOCAL: False, Attribute.NEVER_EXTRACTABLE: False}
    return ObjectPlan(template, {**template, **came_from_outside})


def may_be_root_length(value_len: object) -> bool:
    """Whether CKA_VALUE_LEN, as far as the token tells it (None and 0 mean that it does not), is that of a root."""
    return value_len in {None, 0, ROOT_LEN_BYTES}


def import_private(cka_id: bytes, label: str) -> ObjectPlan:
    """Plan the half of an import pair that unwraps roots, and does nothing else, and never leaves.

    Without CKA_UNWRAP_TEMPLATE whoever has the user's PIN could unwrap a root as a key that may be read. With it,
    C_UnwrapKey takes only a template that says all of ``_ANY_ROOT`` (PKCS#11 2.40, section 4.9).
    """
    template: Template = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.LABEL: label,
        Attribute.ID: cka_id,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.UNWRAP: True,
        Attribute.UNWRAP_TEMPLATE: _ANY_ROOT,
        Attribute.DECRYPT: False,
        Attribute.SIGN: False,
        Attribute.SIGN_RECOVER: False,
        Attribute.DERIVE: False,
        Attribute.DESTROYABLE: True,
        **_SEALED,
    }
    made_inside = {Attribute.LOCAL: True, Attribute.ALWAYS_SENSITIVE: True, Attribute.NEVER_EXTRACTABLE: True}
    return ObjectPlan(template, {**template, **made_inside})


def import_public(cka_id: bytes, label: str, *, modulus_bits: int) -> ObjectPlan:
    """Plan the half of an import pair whose numbers are handed out; on its own token it does nothing."""
    template: Template = {
        Attribute.PRIVATE: True,
        Attribute.MODULUS_BITS: modulus_bits,
        Attribute.PUBLIC_EXPONENT: PUBLIC_EXPONENT,
        Attribute.WRAP: False,
        **_public(cka_id, label),
    }
    return ObjectPlan(template, {**template, Attribute.LOCAL: True})


def trusted_public(cka_id: bytes, label: str, *, modulus: bytes, exponent: bytes) -> ObjectPlan:
    """Plan the public key under which roots may leave; only the security officer can make it."""
    template: Template = {
        Attribute.PRIVATE: False,  # the security officer sees and makes public objects only
        Attribute.MODULUS: modulus,
        Attribute.PUBLIC_EXPONENT: exponent,
        Attribute.WRAP: True,
        Attribute.TRUSTED: True,
        **_public(cka_id, label),
    }
    return ObjectPlan(template, {**template, Attribute.LOCAL: False})


def _root(root_id: RootId, label: str) -> Template:
    return {Attribute.LABEL: label, Attribute.ID: bytes(root_id), **_ANY_ROOT}


def _public(cka_id: bytes, label: str) -> Template:
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: True,
        Attribute.LABEL: label,
        Attribute.ID: cka_id,
        Attribute.ENCRYPT: False,
        Attribute.VERIFY: False,
        Attribute.VERIFY_RECOVER: False,
        Attribute.DERIVE: False,
        Attribute.DESTROYABLE: True,
        **_SEALED,
    }
