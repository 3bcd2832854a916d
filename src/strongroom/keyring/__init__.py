"""Keys, versions, states, the KEK cache; envelope encryption with them."""

from strongroom.keyring._errors import (
    AliasExistsError,
    AliasNotFoundError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyNotFoundError,
    KeyringError,
    KeyStateError,
)
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
    "AliasExistsError",
    "AliasInfo",
    "AliasNotFoundError",
    "AliasPage",
    "DataKey",
    "Decrypted",
    "Encrypted",
    "IncorrectKeyError",
    "InvalidCiphertextError",
    "KeyByAlias",
    "KeyById",
    "KeyInfo",
    "KeyNotFoundError",
    "KeyPage",
    "KeyRef",
    "KeyStateError",
    "KeyringError",
]
