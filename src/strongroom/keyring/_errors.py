"""What can be wrong with a key, an alias or a ciphertext.

KeyringError
├── KeyNotFoundError          no key has this id
├── AliasNotFoundError        no alias has this name
├── AliasExistsError          the name is taken
├── KeyStateError             the key's state forbids the operation
├── InvalidCiphertextError    not ours, truncated, tampered with, or another encryption context
└── IncorrectKeyError         the ciphertext was made under another key than the one named
"""

from strongroom.core import KeyState, StrongroomError


class KeyringError(StrongroomError):
    """Root of the errors of this room."""


class KeyNotFoundError(KeyringError):
    """No key has this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no key has the id {key_id}")
        self.key_id = key_id


class AliasNotFoundError(KeyringError):
    """No alias has this name."""

    def __init__(self, alias_name: str) -> None:
        super().__init__(f"no alias has the name {alias_name}")
        self.alias_name = alias_name


class AliasExistsError(KeyringError):
    """The alias name is taken."""

    def __init__(self, alias_name: str) -> None:
        super().__init__(f"the alias {alias_name} exists already")
        self.alias_name = alias_name


class KeyStateError(KeyringError):
    """The state of the key forbids the operation."""

    def __init__(self, key_id: str, state: KeyState) -> None:
        super().__init__(f"the key {key_id} is {state}")
        self.key_id = key_id
        self.state = state


class InvalidCiphertextError(KeyringError):
    """The ciphertext is not ours, truncated or tampered with, or the encryption context differs."""

    def __init__(self) -> None:
        super().__init__("the ciphertext does not authenticate")


class IncorrectKeyError(KeyringError):
    """The ciphertext was made under another key than the one that the caller named."""

    def __init__(self) -> None:
        super().__init__("the ciphertext was made under another key than the one named")
