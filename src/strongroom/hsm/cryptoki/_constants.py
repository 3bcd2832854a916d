"""The smaller enumerations of PKCS#11: classes, key types, users, states and flags.

Source: PKCS#11 3.2, header pkcs11t.h. Names are those of the specification without their prefix.
"""

from enum import IntEnum, IntFlag


class ObjectClass(IntEnum):
    """CKO_: what kind of object it is."""

    DATA = 0x0
    CERTIFICATE = 0x1
    PUBLIC_KEY = 0x2
    PRIVATE_KEY = 0x3
    SECRET_KEY = 0x4
    HW_FEATURE = 0x5
    DOMAIN_PARAMETERS = 0x6
    MECHANISM = 0x7
    OTP_KEY = 0x8
    PROFILE = 0x9
    VALIDATION = 0xA
    TRUST = 0xB


class KeyType(IntEnum):
    """CKK_: what kind of key it is (historical ciphers left out)."""

    RSA = 0x0
    DSA = 0x1
    DH = 0x2
    EC = 0x3
    X9_42_DH = 0x4
    GENERIC_SECRET = 0x10
    DES2 = 0x14
    DES3 = 0x15
    AES = 0x1F
    CAMELLIA = 0x25
    ARIA = 0x26
    SHA_1_HMAC = 0x28
    SHA256_HMAC = 0x2B
    SHA384_HMAC = 0x2C
    SHA512_HMAC = 0x2D
    SHA224_HMAC = 0x2E
    SEED = 0x2F
    CHACHA20 = 0x33
    POLY1305 = 0x34
    AES_XTS = 0x35
    SHA3_224_HMAC = 0x36
    SHA3_256_HMAC = 0x37
    SHA3_384_HMAC = 0x38
    SHA3_512_HMAC = 0x39
    EC_EDWARDS = 0x40
    EC_MONTGOMERY = 0x41
    HKDF = 0x42
    HSS = 0x46
    XMSS = 0x47
    XMSSMT = 0x48
    ML_KEM = 0x49
    ML_DSA = 0x4A
    SLH_DSA = 0x4B


class UserType(IntEnum):
    """CKU_: who logs in. These are the token's users, not the roles of people."""

    SECURITY_OFFICER = 0
    USER = 1
    CONTEXT_SPECIFIC = 2


class SessionState(IntEnum):
    """CKS_: what a session may do."""

    RO_PUBLIC_SESSION = 0
    RO_USER_FUNCTIONS = 1
    RW_PUBLIC_SESSION = 2
    RW_USER_FUNCTIONS = 3
    RW_SO_FUNCTIONS = 4


class SessionFlag(IntFlag):
    """CKF_ of CK_SESSION_INFO."""

    RW_SESSION = 0x2
    SERIAL_SESSION = 0x4
    ASYNC_SESSION = 0x8


class SlotFlag(IntFlag):
    """CKF_ of CK_SLOT_INFO."""

    TOKEN_PRESENT = 0x1
    REMOVABLE_DEVICE = 0x2
    HW_SLOT = 0x4


class TokenFlag(IntFlag):
    """CKF_ of CK_TOKEN_INFO. Bits that are not named here are kept."""

    RNG = 0x1
    WRITE_PROTECTED = 0x2
    LOGIN_REQUIRED = 0x4
    USER_PIN_INITIALIZED = 0x8
    RESTORE_KEY_NOT_NEEDED = 0x20
    CLOCK_ON_TOKEN = 0x40
    PROTECTED_AUTHENTICATION_PATH = 0x100
    DUAL_CRYPTO_OPERATIONS = 0x200
    TOKEN_INITIALIZED = 0x400
    SECONDARY_AUTHENTICATION = 0x800
    USER_PIN_COUNT_LOW = 0x10000
    USER_PIN_FINAL_TRY = 0x20000
    USER_PIN_LOCKED = 0x40000
    USER_PIN_TO_BE_CHANGED = 0x80000
    SO_PIN_COUNT_LOW = 0x100000
    SO_PIN_FINAL_TRY = 0x200000
    SO_PIN_LOCKED = 0x400000
    SO_PIN_TO_BE_CHANGED = 0x800000
    ERROR_STATE = 0x1000000
    SEED_RANDOM_REQUIRED = 0x2000000
    ASYNC_SESSION_SUPPORTED = 0x4000000


class MechanismFlag(IntFlag):
    """CKF_ of CK_MECHANISM_INFO; also what ``session_cancel`` takes. Other bits are kept."""

    HW = 0x1
    MESSAGE_ENCRYPT = 0x2
    MESSAGE_DECRYPT = 0x4
    MESSAGE_SIGN = 0x8
    MESSAGE_VERIFY = 0x10
    MULTI_MESSAGE = 0x20
    FIND_OBJECTS = 0x40
    ENCRYPT = 0x100
    DECRYPT = 0x200
    DIGEST = 0x400
    SIGN = 0x800
    SIGN_RECOVER = 0x1000
    VERIFY = 0x2000
    VERIFY_RECOVER = 0x4000
    GENERATE = 0x8000
    GENERATE_KEY_PAIR = 0x10000
    WRAP = 0x20000
    UNWRAP = 0x40000
    DERIVE = 0x80000
    EC_F_P = 0x100000
    EC_F_2M = 0x200000
    EC_ECPARAMETERS = 0x400000
    EC_OID = 0x800000
    EC_UNCOMPRESS = 0x1000000
    EC_COMPRESS = 0x2000000
    EC_CURVENAME = 0x4000000
    ENCAPSULATE = 0x10000000
    DECAPSULATE = 0x20000000
