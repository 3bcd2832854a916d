"""The explicit template of each kind of object: no attribute that matters is left to a vendor's default."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from strongroom.core import RootId, WrapAlgorithm, root_object_ids
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
"""What every root is, wherever it was made: the AES key, that is, of one that has other objects besides."""
_MADE_INSIDE: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.LOCAL: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.NEVER_EXTRACTABLE: False,
}
_CAME_FROM_OUTSIDE: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.LOCAL: False,
    Attribute.NEVER_EXTRACTABLE: False,
}


_ANY_MAC_KEY: Final[Mapping[Attribute, PlainValue]] = {
    **_ANY_ROOT,
    Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
    Attribute.ENCRYPT: False,
    Attribute.DECRYPT: False,
    Attribute.SIGN: True,
    Attribute.VERIFY: True,
}
"""What the MAC key of a root of HSM_AES_CBC_HMAC is. One purpose each: neither key may do what the other does."""
_USES: Final = frozenset(
    {Attribute.KEY_TYPE, Attribute.ENCRYPT, Attribute.DECRYPT, Attribute.SIGN, Attribute.VERIFY}
)
_ANY_PART: Final[Mapping[Attribute, PlainValue]] = {
    name: value for name, value in _ANY_ROOT.items() if name not in _USES
}
"""What both objects of such a root are."""
_STAYS: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.EXTRACTABLE: False,
    Attribute.WRAP_WITH_TRUSTED: True,
}


_PARAMETERS: Final = frozenset({Attribute.VALUE_LEN, Attribute.MODULUS_BITS, Attribute.PUBLIC_EXPONENT})


class ObjectPlan(NamedTuple):
    """What to ask the token for, and what it must say of the object afterwards."""

    template: Template
    expected: Template

    def without(self, unknown: frozenset[Attribute]) -> Self:
        """Leave out what the token does not know (``Profile.left_out``); what making the key needs is still asked for."""
        asked = {name: value for name, value in self.template.items() if name not in unknown - _PARAMETERS}
        expected = {name: value for name, value in self.expected.items() if name not in unknown}
        return self._replace(template=asked, expected=expected)


class RootRules(NamedTuple):
    """What of a profile shapes the objects of a root."""

    algorithm: WrapAlgorithm
    travels: bool
    """Whether it may leave the token, under a trusted key; otherwise it is not extractable."""
    modulus_bits: int
    mac_key_type: int
    unknown: frozenset[Attribute]


def generated_parts(
    root_id: RootId, label: str, rules: RootRules, *, on_token: bool = True
) -> tuple[ObjectPlan, ...]:
    """Plan every object of a root that the token makes itself, in the order of ``root_parts``."""
    if rules.algorithm is WrapAlgorithm.HSM_RSA_OAEP:
        plans: tuple[ObjectPlan, ...] = _generated_pair(root_id, label, rules.modulus_bits)
    elif rules.algorithm is WrapAlgorithm.HSM_AES_CBC_HMAC:
        plans = (generated_root(root_id, label), _generated_mac_key(root_id, label, rules.mac_key_type))
    else:
        plans = (generated_root(root_id, label),)
    changes = {} if on_token else {Attribute.TOKEN: False}
    return tuple(_shaped(plan, rules, changes) for plan in plans)


def arriving_parts(root_id: RootId, label: str, rules: RootRules) -> tuple[ObjectPlan, ...]:
    """Plan every object of a root that comes wrapped from another token; a pair comes by no way that is built."""
    plans: tuple[ObjectPlan, ...] = (unwrapped_root(root_id, label),)
    if rules.algorithm is WrapAlgorithm.HSM_AES_CBC_HMAC:
        mac_key = _mac_key(root_id, label, rules.mac_key_type)
        plans += (ObjectPlan(mac_key, {**mac_key, **_CAME_FROM_OUTSIDE}),)
    return tuple(_shaped(plan, rules, {}) for plan in plans)


def generated_root(root_id: RootId, label: str) -> ObjectPlan:
    """Plan a root KEK that the token makes itself."""
    template: Template = {Attribute.VALUE_LEN: ROOT_LEN_BYTES, **_root(root_id, label)}
    return ObjectPlan(template, {**template, **_MADE_INSIDE})


def unwrapped_root(root_id: RootId, label: str) -> ObjectPlan:
    """Plan a root KEK that comes wrapped from another token.

    CKA_VALUE_LEN may not be asked for here, and SoftHSM does not tell it afterwards: see ``may_be_root_length``.
    """
    template = _root(root_id, label)
    return ObjectPlan(template, {**template, **_CAME_FROM_OUTSIDE})


def may_be_root_length(value_len: object) -> bool:
    """Whether CKA_VALUE_LEN, as far as the token tells it (None and 0 mean that it does not), is that of a root."""
    return value_len in {None, 0, ROOT_LEN_BYTES}


def import_private(
    cka_id: bytes, label: str, algorithm: WrapAlgorithm = WrapAlgorithm.HSM_AES_GCM
) -> ObjectPlan:
    """Plan the half of an import pair that unwraps roots, and does nothing else, and never leaves.

    Without CKA_UNWRAP_TEMPLATE whoever has the user's PIN could unwrap a root as a key that may be read. With it,
    C_UnwrapKey takes only a template that says all of ``_ANY_ROOT`` (PKCS#11 2.40, section 4.9). Under the pair of
    a cluster whose roots are two objects both come in, so it leaves open what each is used for.
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
        Attribute.UNWRAP_TEMPLATE: _ANY_PART if algorithm is WrapAlgorithm.HSM_AES_CBC_HMAC else _ANY_ROOT,
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


def _mac_key(root_id: RootId, label: str, key_type: int) -> Template:
    _, mac_id = root_object_ids(root_id, WrapAlgorithm.HSM_AES_CBC_HMAC)
    return {Attribute.LABEL: label, Attribute.ID: mac_id, **_ANY_MAC_KEY, Attribute.KEY_TYPE: key_type}


def _generated_mac_key(root_id: RootId, label: str, key_type: int) -> ObjectPlan:
    template: Template = {Attribute.VALUE_LEN: ROOT_LEN_BYTES, **_mac_key(root_id, label, key_type)}
    return ObjectPlan(template, {**template, **_MADE_INSIDE})


def _generated_pair(root_id: RootId, label: str, modulus_bits: int) -> tuple[ObjectPlan, ObjectPlan]:
    public: Template = {
        Attribute.PRIVATE: True,  # who knows it can make blobs
        Attribute.MODULUS_BITS: modulus_bits,
        Attribute.PUBLIC_EXPONENT: PUBLIC_EXPONENT,
        Attribute.WRAP: False,
        **_public(bytes(root_id), label),
        Attribute.ENCRYPT: True,
    }
    private: Template = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.LABEL: label,
        Attribute.ID: bytes(root_id),
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: True,
        Attribute.WRAP_WITH_TRUSTED: True,
        Attribute.DECRYPT: True,
        Attribute.UNWRAP: False,
        Attribute.SIGN: False,
        Attribute.SIGN_RECOVER: False,
        Attribute.DERIVE: False,
        Attribute.DESTROYABLE: True,
        **_SEALED,
    }
    return (
        ObjectPlan(public, {**public, Attribute.LOCAL: True}),
        ObjectPlan(private, {**private, **_MADE_INSIDE}),
    )


def _shaped(plan: ObjectPlan, rules: RootRules, changes: Template) -> ObjectPlan:
    """Make the plan of a root that travels into that of this token's."""
    template = {**plan.template, **changes}
    expected = {**plan.expected, **changes}
    if not rules.travels and Attribute.EXTRACTABLE in template:
        template |= _STAYS
        expected |= _STAYS
        if Attribute.NEVER_EXTRACTABLE in expected:
            expected[Attribute.NEVER_EXTRACTABLE] = True
    return ObjectPlan(template, expected).without(rules.unknown)


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
