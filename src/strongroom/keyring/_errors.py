"""What can be wrong with a key, an alias or a ciphertext.

KeyringError
├── KeyNotFoundError          no key has this id
│   └── KeyDestroyedError     one had it once
├── AliasNotFoundError        no alias has this name
├── AliasExistsError          the name is taken
├── AliasLimitError           the key has as many aliases as a key may have
├── TagLimitError             the key would have more tags than a key may have
├── KeyStateError             the key's state forbids the operation
│   ├── DestructionScheduledError     it has a date of destruction
│   ├── KeyPreActiveError         the date before which it does nothing has not come
│   ├── CryptoperiodOverError     it protects nothing more: its time is over, or its uses are used up
│   ├── KeyCompromisedError       others may know its material
│   └── PendingImportError        its owner has not imported its material, or removed it
├── DestructionNotScheduledError      it has none that could be cancelled
├── CryptoperiodUnfitError    a date or limit does not fit the key
├── KeyUsedError              the key was used already
├── RotationUnsupportedError  keys of this kind are not rotated
├── RotationLimitError        the key was rotated on demand as often as it may be
├── ImportUnsupportedError    the key is not one whose material is imported
│   └── WrappingUnsupportedError  its material cannot be wrapped like this
├── ImportTokenError          the token is none of ours, or of another key
│   └── ImportTokenExpiredError   it was made over a day ago
├── IncorrectKeyMaterialError the material does not fit the key, or is not what was imported before
├── UnknownMaterialError      the key never had this material
├── ImportStateError          the state of the key's material forbids it
├── VersionNotFoundError      the key has no such version
├── VersionStateError         the version is not one that could be retired
├── VersionRetiredError       the ciphertext is under a version whose material was destroyed
├── InventoryUnfitError       an inventory is not about this key, or of no time that has come
├── InventoryLimitError       there are as many inventories about the key as may be
├── InvalidCiphertextError    not ours, truncated, tampered with, or another encryption context
├── IncorrectKeyError         the ciphertext was made under another key than the one named
├── KeyUsageError             the key is not for this
│   └── AlgorithmError        it is, but not by this algorithm
├── NoPublicKeyError          the key has no public half
├── UnfitRequestError         what is asked of the key does not fit it, such as a digest of another length
├── UnfitMaterialError        key material is not what a key of this spec is made of
├── InvalidSignatureError     the signature does not verify
├── InvalidMacError           the MAC does not verify
├── DryRunError               everything was checked, nothing done, as was asked for
└── TooBusyError              as much slow work waits as may

StorageError
└── MissingRecordError        a record refers to one that is not in the database
"""

from strongroom.core import KeyState, KeyUsage, ManagedKeySpec, StorageError, StrongroomError


class KeyringError(StrongroomError):
    """Root of the errors of this room.

    ``key_id`` is the key that the call was about, ``material_id`` its version, each None where it was not known
    when the call failed. They are for the audit log: an answer may not tell all of it.
    """

    def __init__(self, message: str, *, key_id: str | None = None, material_id: str | None = None) -> None:
        super().__init__(message)
        self.key_id = key_id
        self.material_id = material_id


class KeyNotFoundError(KeyringError):
    """No key has this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no key has the id {key_id}", key_id=key_id)


class KeyDestroyedError(KeyNotFoundError):
    """A key had this id; it was destroyed, and what was encrypted under it is lost."""


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


class AliasLimitError(KeyringError):
    """The key has as many aliases as a key may have."""

    def __init__(self, key_id: str, limit: int) -> None:
        super().__init__(f"the key {key_id} has {limit} aliases, the most that a key may have", key_id=key_id)
        self.limit = limit


class TagLimitError(KeyringError):
    """The key would have more tags than a key may have."""

    def __init__(self, key_id: str, limit: int) -> None:
        super().__init__(f"the key {key_id} may have {limit} tags and no more", key_id=key_id)
        self.limit = limit


class KeyStateError(KeyringError):
    """The state of the key forbids the operation."""

    def __init__(self, key_id: str, state: KeyState, *, material_id: str | None = None) -> None:
        super().__init__(f"the key {key_id} is {state}", key_id=key_id, material_id=material_id)
        self.state = state


class DestructionScheduledError(KeyStateError):
    """The key is suspended and has a date of destruction: only that may be cancelled."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id, KeyState.SUSPENDED)


class KeyPreActiveError(KeyStateError):
    """The date before which the key does nothing has not come."""

    def __init__(self, key_id: str, activate_at: float) -> None:
        super().__init__(key_id, KeyState.PRE_ACTIVE)
        self.activate_at = activate_at


class CryptoperiodOverError(KeyStateError):
    """The key protects nothing more: its time is over, or it was used as often as it may be. It still decrypts and verifies."""

    def __init__(self, key_id: str, *, material_id: str | None = None) -> None:
        super().__init__(key_id, KeyState.DEACTIVATED, material_id=material_id)


class PendingImportError(KeyStateError):
    """The key waits for its owner to import its material."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id, KeyState.PENDING_IMPORT)


class KeyCompromisedError(KeyStateError):
    """Others may know the material of the key: it protects nothing any more."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id, KeyState.COMPROMISED)


class DestructionNotScheduledError(KeyringError):
    """The key has no date of destruction that could be cancelled."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} is not scheduled for destruction", key_id=key_id)


class CryptoperiodUnfitError(KeyringError):
    """A cryptoperiod or a date of activation does not fit the key; ``finding`` says why."""

    def __init__(self, key_id: str, finding: str) -> None:
        super().__init__(f"the key {key_id} {finding}", key_id=key_id)
        self.finding = finding


class KeyUsedError(CryptoperiodUnfitError):
    """The key was used already: no date of activation can be before that."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id, "was used already, so no date of activation can be set")


class RotationUnsupportedError(KeyringError):
    """Keys of this kind are not rotated: only symmetric ones are, and by schedule only those that we made."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} is of a kind that is not rotated", key_id=key_id)


class RotationLimitError(KeyringError):
    """The key was rotated on demand as often as it may be."""

    def __init__(self, key_id: str, limit: int) -> None:
        super().__init__(f"the key {key_id} was rotated on demand {limit} times, the most", key_id=key_id)
        self.limit = limit


class ImportUnsupportedError(KeyringError):
    """The material of this key is not imported; the message is for the caller."""

    def __init__(self, key_id: str, finding: str = "is not a key whose material is imported") -> None:
        super().__init__(f"the key {key_id} {finding}", key_id=key_id)
        self.finding = finding


class WrappingUnsupportedError(ImportUnsupportedError):
    """Material of such a key does not fit under this wrapping."""

    def __init__(self, key_id: str, spec: ManagedKeySpec, algorithm: str) -> None:
        super().__init__(key_id, f"of {spec} takes no material that is wrapped by {algorithm} under this key")


class ImportTokenError(KeyringError):
    """The token was not made by us, or for another key."""

    def __init__(self, message: str = "the import token is not one of this key") -> None:
        super().__init__(message)


class ImportTokenExpiredError(ImportTokenError):
    """The token was made over a day ago."""

    def __init__(self) -> None:
        super().__init__("the import token has expired")


class IncorrectKeyMaterialError(KeyringError):
    """The material does not fit the key, or is not what was imported before. The message says nothing of its bytes."""

    def __init__(self, key_id: str, finding: str) -> None:
        super().__init__(f"the key material {finding}", key_id=key_id)


class UnknownMaterialError(KeyringError):
    """The key never had material of this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no such material was ever imported into the key {key_id}", key_id=key_id)


class ImportStateError(KeyringError):
    """The state of the key's material forbids it; ``finding`` says what it is."""

    def __init__(self, key_id: str, finding: str) -> None:
        super().__init__(f"the key {key_id} {finding}", key_id=key_id)
        self.finding = finding


class InvalidCiphertextError(KeyringError):
    """The ciphertext is not ours, truncated or tampered with, or the encryption context differs.

    ``key_id`` says which key of ours it names, if it does; that it was made under that key is not known.
    """

    def __init__(self, *, key_id: str | None = None, material_id: str | None = None) -> None:
        super().__init__("the ciphertext does not authenticate", key_id=key_id, material_id=material_id)


class IncorrectKeyError(KeyringError):
    """The ciphertext was made under another key than the one that the caller named, which is ``key_id``."""

    def __init__(self, *, key_id: str | None = None, ciphertext_key_id: str | None = None) -> None:
        super().__init__("the ciphertext was made under another key than the one named", key_id=key_id)
        self.ciphertext_key_id = ciphertext_key_id
        """The key that the ciphertext names; nothing says that there is such a key."""


class KeyUsageError(KeyringError):
    """The key was made for another usage than this."""

    def __init__(self, key_id: str, usage: KeyUsage, *, material_id: str | None = None) -> None:
        super().__init__(f"the key {key_id} is for {usage} only", key_id=key_id, material_id=material_id)
        self.usage = usage


class AlgorithmError(KeyUsageError):
    """The key is for this, but not by this algorithm."""

    def __init__(
        self,
        key_id: str,
        usage: KeyUsage,
        spec: ManagedKeySpec,
        algorithm: str,
        *,
        material_id: str | None = None,
    ) -> None:
        super().__init__(key_id, usage, material_id=material_id)
        self.spec = spec
        self.algorithm = algorithm


class NoPublicKeyError(KeyringError):
    """The key has no public half that could be shown."""

    def __init__(self, key_id: str, *, material_id: str) -> None:
        super().__init__(f"the key {key_id} has no public half", key_id=key_id, material_id=material_id)


class UnfitRequestError(KeyringError):
    """What is asked of a key does not fit it; the message is for the caller."""


class UnfitMaterialError(KeyringError):
    """Key material is not what a key of this spec is made of. The message says how far, and nothing of the bytes."""

    def __init__(self, spec: ManagedKeySpec, finding: str) -> None:
        super().__init__(f"the key material for {spec} {finding}")
        self.spec = spec


class InvalidSignatureError(KeyringError):
    """The signature is not by this key, of another message, or malformed."""

    def __init__(self, *, key_id: str, material_id: str) -> None:
        super().__init__("the signature does not verify", key_id=key_id, material_id=material_id)


class InvalidMacError(KeyringError):
    """The MAC is not by this key, or of another message."""

    def __init__(self, *, key_id: str, material_id: str) -> None:
        super().__init__("the MAC does not verify", key_id=key_id, material_id=material_id)


class DryRunError(KeyringError):
    """The request was checked and would have succeeded, but only the checks were asked for."""

    def __init__(self, *, key_id: str, material_id: str) -> None:
        super().__init__("only the checks were asked for", key_id=key_id, material_id=material_id)


class TooBusyError(KeyringError):
    """As much slow work (making RSA keys, signing with them) waits as may. Later there may be room."""

    def __init__(self) -> None:
        super().__init__("too much slow work waits already")


class MissingRecordError(StorageError):
    """A record or blob refers to a record that is not in the database: it was changed, or is of another database."""
