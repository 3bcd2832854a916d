"""Keys, versions, states, aliases, the KEK cache; envelope encryption with them.

    keyring = Keyring(store, cluster, clock=clock, limits=CacheLimits(300, 10_000, 1_000, 0), request_s=10)
    made = await keyring.encrypt(KeyByAlias("alias/payroll"), Secret(b"..."), {"tenant": "7"})

Root KEK (in the HSM) wraps domain KEKs, those wrap KEKs, KEKs encrypt data keys and small data. Only the
first step needs an HSM, and what it unwrapped serves for a few minutes. Threading: a Keyring belongs to one
event loop. It does not authorise and does not audit: ``service`` does.
"""

from strongroom.keyring._ciphers import CacheLimits, KekCiphers
from strongroom.keyring._credentials import CREDENTIALS, make_access_key, open_secret
from strongroom.keyring._errors import (
    AliasExistsError,
    AliasNotFoundError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyNotFoundError,
    KeyringError,
    KeyStateError,
)
from strongroom.keyring._keyring import MAX_KEYS_IN_DOMAIN, Keyring
from strongroom.keyring._values import (
    AliasInfo,
    AliasPage,
    DataKey,
    Decrypted,
    Encrypted,
    KeyByAlias,
    KeyById,
    KeyInfo,
    KeyPage,
    KeyRef,
)

__all__ = [
    "CREDENTIALS",
    "MAX_KEYS_IN_DOMAIN",
    "AliasExistsError",
    "AliasInfo",
    "AliasNotFoundError",
    "AliasPage",
    "CacheLimits",
    "DataKey",
    "Decrypted",
    "Encrypted",
    "IncorrectKeyError",
    "InvalidCiphertextError",
    "KekCiphers",
    "KeyByAlias",
    "KeyById",
    "KeyInfo",
    "KeyNotFoundError",
    "KeyPage",
    "KeyRef",
    "KeyStateError",
    "Keyring",
    "KeyringError",
    "make_access_key",
    "open_secret",
]
