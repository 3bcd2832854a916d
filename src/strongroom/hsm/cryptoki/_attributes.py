"""CKA_ numbers and what type of value each has.

Source: PKCS#11 3.2, header pkcs11t.h and the attribute tables of section 4. One-time passwords, hardware
features, ratchets and the templates of key encapsulation are left out.
"""

from collections.abc import Mapping
from datetime import date
from enum import Enum, IntEnum, auto
from types import MappingProxyType
from typing import Final

PlainValue = bool | int | bytes | str | date | tuple[int, ...]
"""bool for CK_BBOOL, int for CK_ULONG, bytes, str for RFC 2279 (UTF-8) text, date for CK_DATE, and a tuple of
ints for CKA_ALLOWED_MECHANISMS and its like."""


class Attribute(IntEnum):
    """CKA_ without the prefix."""

    CLASS = 0x0
    TOKEN = 0x1
    PRIVATE = 0x2
    LABEL = 0x3
    UNIQUE_ID = 0x4
    APPLICATION = 0x10
    VALUE = 0x11
    OBJECT_ID = 0x12
    CERTIFICATE_TYPE = 0x80
    ISSUER = 0x81
    SERIAL_NUMBER = 0x82
    AC_ISSUER = 0x83
    OWNER = 0x84
    ATTR_TYPES = 0x85
    TRUSTED = 0x86
    CERTIFICATE_CATEGORY = 0x87
    JAVA_MIDP_SECURITY_DOMAIN = 0x88
    URL = 0x89
    HASH_OF_SUBJECT_PUBLIC_KEY = 0x8A
    HASH_OF_ISSUER_PUBLIC_KEY = 0x8B
    NAME_HASH_ALGORITHM = 0x8C
    CHECK_VALUE = 0x90
    KEY_TYPE = 0x100
    SUBJECT = 0x101
    ID = 0x102
    SENSITIVE = 0x103
    ENCRYPT = 0x104
    DECRYPT = 0x105
    WRAP = 0x106
    UNWRAP = 0x107
    SIGN = 0x108
    SIGN_RECOVER = 0x109
    VERIFY = 0x10A
    VERIFY_RECOVER = 0x10B
    DERIVE = 0x10C
    START_DATE = 0x110
    END_DATE = 0x111
    MODULUS = 0x120
    MODULUS_BITS = 0x121
    PUBLIC_EXPONENT = 0x122
    PRIVATE_EXPONENT = 0x123
    PRIME_1 = 0x124
    PRIME_2 = 0x125
    EXPONENT_1 = 0x126
    EXPONENT_2 = 0x127
    COEFFICIENT = 0x128
    PUBLIC_KEY_INFO = 0x129
    PRIME = 0x130
    SUBPRIME = 0x131
    BASE = 0x132
    PRIME_BITS = 0x133
    SUBPRIME_BITS = 0x134
    VALUE_BITS = 0x160
    VALUE_LEN = 0x161
    EXTRACTABLE = 0x162
    LOCAL = 0x163
    NEVER_EXTRACTABLE = 0x164
    ALWAYS_SENSITIVE = 0x165
    KEY_GEN_MECHANISM = 0x166
    MODIFIABLE = 0x170
    COPYABLE = 0x171
    DESTROYABLE = 0x172
    EC_PARAMS = 0x180
    EC_POINT = 0x181
    ALWAYS_AUTHENTICATE = 0x202
    WRAP_WITH_TRUSTED = 0x210
    WRAP_TEMPLATE = 0x40000211
    UNWRAP_TEMPLATE = 0x40000212
    DERIVE_TEMPLATE = 0x40000213
    MECHANISM_TYPE = 0x500
    ALLOWED_MECHANISMS = 0x40000600
    PROFILE_ID = 0x601
    KEYS_REMAINING = 0x61C
    PARAMETER_SET = 0x61D
    OBJECT_VALIDATION_FLAGS = 0x61E
    VALIDATION_TYPE = 0x61F
    VALIDATION_LEVEL = 0x621
    VALIDATION_MODULE_ID = 0x622
    VALIDATION_FLAG = 0x623
    ENCAPSULATE = 0x633
    DECAPSULATE = 0x634
    HASH_OF_CERTIFICATE = 0x635
    PUBLIC_CRC64_VALUE = 0x636
    SEED = 0x637


class ValueKind(Enum):
    """How the value of an attribute lies in memory."""

    BOOL = auto()
    ULONG = auto()
    BYTES = auto()
    TEXT = auto()
    DATE = auto()
    ULONG_ARRAY = auto()
    TEMPLATE = auto()
    """A CK_ATTRIBUTE array, whose own values are of the kinds above."""


_BOOL: Final = (
    "TOKEN PRIVATE TRUSTED SENSITIVE ENCRYPT DECRYPT WRAP UNWRAP SIGN SIGN_RECOVER VERIFY VERIFY_RECOVER DERIVE "
    "EXTRACTABLE LOCAL NEVER_EXTRACTABLE ALWAYS_SENSITIVE MODIFIABLE COPYABLE DESTROYABLE ALWAYS_AUTHENTICATE "
    "WRAP_WITH_TRUSTED ENCAPSULATE DECAPSULATE"
)
_ULONG: Final = (
    "CLASS CERTIFICATE_TYPE CERTIFICATE_CATEGORY JAVA_MIDP_SECURITY_DOMAIN NAME_HASH_ALGORITHM KEY_TYPE "
    "MODULUS_BITS PRIME_BITS SUBPRIME_BITS VALUE_BITS VALUE_LEN KEY_GEN_MECHANISM MECHANISM_TYPE PROFILE_ID "
    "KEYS_REMAINING PARAMETER_SET OBJECT_VALIDATION_FLAGS VALIDATION_TYPE VALIDATION_LEVEL VALIDATION_FLAG"
)
_NAMED_KINDS: Final = (
    (ValueKind.BOOL, _BOOL),
    (ValueKind.ULONG, _ULONG),
    (ValueKind.TEXT, "LABEL UNIQUE_ID APPLICATION URL VALIDATION_MODULE_ID"),
    (ValueKind.DATE, "START_DATE END_DATE"),
    (ValueKind.ULONG_ARRAY, "ALLOWED_MECHANISMS"),
    (ValueKind.TEMPLATE, "WRAP_TEMPLATE UNWRAP_TEMPLATE DERIVE_TEMPLATE"),
)


def _kinds() -> Mapping[Attribute, ValueKind]:
    kinds = dict.fromkeys(Attribute, ValueKind.BYTES)
    for kind, names in _NAMED_KINDS:
        kinds.update((Attribute[name], kind) for name in names.split())
    return MappingProxyType(kinds)


VALUE_KINDS: Final = _kinds()
"""The kind of every attribute; what is not named above is bytes."""

AttributeValue = PlainValue | Mapping[Attribute, PlainValue]
"""A plain value, or the template that CKA_UNWRAP_TEMPLATE and its like hold."""

Template = Mapping[Attribute, AttributeValue]
"""The attributes that an object shall have, or that a search asks for."""
