"""The templates of transport keys and of what they are made with. ``_transport`` tells how they work together."""

from collections.abc import Mapping, Sequence
from typing import Final

from strongroom.core import HsmKey, KeySpec, TransportKind
from strongroom.hsm.cryptoki import Attribute, KeyType, ObjectClass, PlainValue, Template
from strongroom.hsm.public_keys import load_public_key, point_of_peer, rsa_numbers
from strongroom.hsm.token._direct_templates import public_half
from strongroom.hsm.token._templates import PUBLIC_EXPONENT, ObjectPlan

TRANSPORT_LEN_BYTES = 32
_ED25519_BYTES = 32
_AES: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
}
_SEALED: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.COPYABLE: False,
    # The last one of a template: once SoftHSM has read it in C_UnwrapKey, it refuses every further attribute.
    Attribute.MODIFIABLE: False,
}
_CLOSED: Final[Mapping[Attribute, PlainValue]] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: True,  # but only as the next line says
    Attribute.WRAP_WITH_TRUSTED: True,
    Attribute.UNWRAP: False,
    **_SEALED,
}
"""What everything is that travels, before and after."""
_NO_WRAPPER: Final[Mapping[Attribute, PlainValue]] = {Attribute.WRAP: False, Attribute.DERIVE: False}
_ARRIVING: Final[Mapping[TransportKind, Mapping[Attribute, PlainValue]]] = {
    TransportKind.AES: {
        **_AES,
        Attribute.SIGN: False,
        Attribute.VERIFY: False,
        **_NO_WRAPPER,
        **_CLOSED,
    },
    TransportKind.MAC: {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
        Attribute.ENCRYPT: False,
        Attribute.DECRYPT: False,
        **_NO_WRAPPER,
        **_CLOSED,
    },
    TransportKind.RSA: {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.DERIVE: False,
        **_CLOSED,
    },
    TransportKind.EC: {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.KEY_TYPE: KeyType.EC, **_CLOSED},
    TransportKind.EDWARDS: {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
        Attribute.DERIVE: False,
        **_CLOSED,
    },
}
_ONLY_UNWRAPS: Final[Mapping[Attribute, PlainValue]] = {
    **_AES,
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.ENCRYPT: False,
    Attribute.DECRYPT: False,
    Attribute.WRAP: False,
    Attribute.UNWRAP: True,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.DERIVE: False,
    Attribute.DESTROYABLE: True,
    **_SEALED,
}
"""What another member's transport key is; what comes under the pair of an offer can be nothing else."""


def arriving(kind: TransportKind) -> Mapping[Attribute, PlainValue]:
    """Return what whatever arrives under a transport key of this kind must be told to be (CKA_UNWRAP_TEMPLATE)."""
    return _ARRIVING[kind]


def leaving(kind: TransportKind) -> Mapping[Attribute, PlainValue]:
    """Return what a transport key of this kind wraps, and nothing else (CKA_WRAP_TEMPLATE)."""
    return {
        name: _ARRIVING[kind][name]
        for name in (Attribute.CLASS, Attribute.KEY_TYPE, Attribute.SENSITIVE, Attribute.WRAP_WITH_TRUSTED)
    }


def travelling_key() -> Template:
    """What a transport key is while it is made: extractable, and seen by this process alone."""
    return {
        **_AES,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: False,  # the security officer makes public objects only
        Attribute.VALUE_LEN: TRANSPORT_LEN_BYTES,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: True,
        Attribute.WRAP_WITH_TRUSTED: True,
        Attribute.ENCRYPT: False,
        Attribute.DECRYPT: False,
        Attribute.WRAP: False,
        Attribute.UNWRAP: False,
        Attribute.SIGN: False,
        Attribute.VERIFY: False,
        Attribute.DERIVE: False,
    }


def own_transport_key(cka_id: bytes, label: str, kind: TransportKind, mechanism: int) -> ObjectPlan:
    """Plan a member's own transport key: it wraps what is of its kind, and does not leave."""
    template: Template = {
        **_ONLY_UNWRAPS,
        Attribute.PRIVATE: False,
        Attribute.LABEL: label,
        Attribute.ID: cka_id,
        Attribute.WRAP: True,
        Attribute.UNWRAP: False,
        Attribute.TRUSTED: True,
        Attribute.WRAP_TEMPLATE: leaving(kind),
        Attribute.ALLOWED_MECHANISMS: (mechanism,),
    }
    return _unwrapped(template)


def anothers_transport_key(cka_id: bytes, label: str, kind: TransportKind, mechanism: int) -> ObjectPlan:
    """Plan another member's transport key: what comes under it arrives as closed as it was."""
    template: Template = {
        **_ONLY_UNWRAPS,
        Attribute.LABEL: label,
        Attribute.ID: cka_id,
        Attribute.UNWRAP_TEMPLATE: arriving(kind),
        Attribute.ALLOWED_MECHANISMS: (mechanism,),
    }
    return _unwrapped(template)


def taken_public(key: HsmKey, label: str, spki_der: bytes) -> ObjectPlan:
    """Plan the public half of a pair that came from another member. Raises HsmRequestError when it is not its key's."""
    template = {
        name: value for name, value in public_half(key, label).template.items() if name not in _SEALED
    }
    template.pop(Attribute.MODULUS_BITS, None)
    if key.spec.is_rsa:
        template[Attribute.MODULUS], template[Attribute.PUBLIC_EXPONENT] = rsa_numbers(key.spec, spki_der)
    else:
        template[Attribute.EC_POINT] = _ec_point(key.spec, spki_der)
    template.update(_SEALED)
    return ObjectPlan(template, {**template, Attribute.LOCAL: False})


def _ec_point(spec: KeySpec, spki_der: bytes) -> bytes:
    """Return CKA_EC_POINT: the point in an OCTET STRING (PKCS#11 3.2, section 6.3.3)."""
    if spec is KeySpec.ECC_NIST_EDWARDS25519:
        load_public_key(spec, spki_der)
        point = spki_der[-_ED25519_BYTES:]
    else:
        point = point_of_peer(spec, spki_der)
    header = bytes((4, len(point)) if len(point) < 0x80 else (4, 0x81, len(point)))
    return header + point


def offer_private(pair_id: bytes) -> Template:
    """Plan the half of an offer's pair that unwraps transport keys: seen by this process alone."""
    return {
        **_pair_private(pair_id),
        Attribute.PRIVATE: True,
        Attribute.UNWRAP_TEMPLATE: _ONLY_UNWRAPS,
    }


def offer_public(pair_id: bytes, modulus_bits: int) -> Template:
    """Plan its public half, whose numbers are handed out."""
    return {**_pair_public(pair_id, modulus_bits), Attribute.PRIVATE: True, Attribute.WRAP: False}


def backup_private() -> Template:
    """Plan the private half of a backup pair while it is made: it can do nothing but leave, and this process alone sees it."""
    return {
        **_pair_private(b""),
        Attribute.PRIVATE: True,
        Attribute.EXTRACTABLE: True,
        Attribute.UNWRAP: False,
    }


def backup_public(modulus_bits: int) -> Template:
    """Plan its public half, whose numbers are handed out."""
    return offer_public(b"", modulus_bits)


def opened_backup_private(pair_id: bytes) -> Template:
    """Plan the private half where a backup is opened: as that of any offer, and its uses are not to be changed."""
    return {**offer_private(pair_id), **_SEALED}


def share_key_object(value: bytes | None, mechanism: int, *, wraps: bool) -> Template:
    """Plan the share key as it is while a private half is wrapped under it, or unwrapped. None: it comes in wrapped."""
    template: Template = {
        **_AES,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.ENCRYPT: False,
        Attribute.DECRYPT: False,
        Attribute.WRAP: wraps,
        Attribute.UNWRAP: not wraps,
        Attribute.SIGN: False,
        Attribute.VERIFY: False,
        Attribute.DERIVE: False,
        Attribute.ALLOWED_MECHANISMS: (mechanism,),
        **_SEALED,
    }
    return template if value is None else {Attribute.VALUE: value, **template}


def share_key_pair_private() -> Template:
    """Plan the half of a pair under which the share key comes in where a token takes none in clear."""
    return {**_pair_private(b""), Attribute.PRIVATE: True}


def officer_private(pair_id: bytes) -> Template:
    """Plan the half of a pair of the security officer that turns a travelling key into the member's own one."""
    return {**_pair_private(pair_id), Attribute.PRIVATE: False}


def officer_public(pair_id: bytes, modulus_bits: int) -> Template:
    """Plan its public half, under which that key may leave for an instant."""
    return {
        **_pair_public(pair_id, modulus_bits),
        Attribute.PRIVATE: False,
        Attribute.WRAP: True,
        Attribute.TRUSTED: True,
    }


def target_public(modulus: bytes, exponent: bytes) -> Template:
    """Plan another member's offer as the security officer trusts it for an instant."""
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: False,
        Attribute.MODULUS: modulus,
        Attribute.PUBLIC_EXPONENT: exponent,
        Attribute.WRAP: True,
        Attribute.TRUSTED: True,
        Attribute.ENCRYPT: False,
        Attribute.VERIFY: False,
    }


def _pair_private(pair_id: bytes) -> Template:
    return {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: False,
        Attribute.ID: pair_id,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.UNWRAP: True,
        Attribute.DECRYPT: False,
        Attribute.SIGN: False,
        Attribute.SIGN_RECOVER: False,
        Attribute.DERIVE: False,
    }


def _pair_public(pair_id: bytes, modulus_bits: int) -> Template:
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: False,
        Attribute.ID: pair_id,
        Attribute.MODULUS_BITS: modulus_bits,
        Attribute.PUBLIC_EXPONENT: PUBLIC_EXPONENT,
        Attribute.ENCRYPT: False,
        Attribute.VERIFY: False,
        Attribute.VERIFY_RECOVER: False,
    }


def _unwrapped(template: Template) -> ObjectPlan:
    """Put CKA_MODIFIABLE last, and expect what every key says that came from outside."""
    names: Sequence[Attribute] = [name for name in template if name not in _SEALED]
    ordered = {name: template[name] for name in (*names, *_SEALED)}
    return ObjectPlan(ordered, {**ordered, Attribute.LOCAL: False, Attribute.NEVER_EXTRACTABLE: False})
