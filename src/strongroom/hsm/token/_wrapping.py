"""How key bytes are wrapped under a root: what the wrap algorithms have in common, and the choice of one of them.

A cluster has one wrap algorithm for all its roots (``core.WrapAlgorithm``). Each is a ``Wrapping`` here: it knows of
which objects a root is made, and turns a session, their handles and some bytes into ``WrappedBytes`` and back. It looks
nothing up, retries nothing and keeps no key.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    RootId,
    WrapAlgorithm,
    WrappedBytes,
    root_object_ids,
)
from strongroom.hsm.cryptoki import (
    AeadDecryptFailedError,
    CryptokiError,
    EncryptedDataInvalidError,
    EncryptedDataLenRangeError,
    GeneralError,
    ObjectClass,
)

MAX_KEY_BYTES: Final = 4096
MAX_AAD_BYTES: Final = 8192
ROOT_ID_LEN_BYTES: Final = 16
_OBJECT_CLASSES: Final = {
    WrapAlgorithm.HSM_AES_GCM: (ObjectClass.SECRET_KEY,),
    WrapAlgorithm.HSM_AES_CBC_HMAC: (ObjectClass.SECRET_KEY, ObjectClass.SECRET_KEY),
    WrapAlgorithm.HSM_RSA_OAEP: (ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY),
}


class RootPart(NamedTuple):
    """One object of a root, by name."""

    cka_id: bytes
    object_class: ObjectClass


Handles = tuple[int, ...]
"""The handles of a root's parts, in the order of ``root_parts``."""


class UnexplainedError(Exception):
    """CKR_GENERAL_ERROR on a decryption: the data or the member, nobody knows yet."""


class Wrapping(Protocol):
    """One wrap algorithm on one token. Safe to use from any thread, each with a session of its own."""

    @property
    def algorithm(self) -> WrapAlgorithm:
        """Which one it is."""
        ...

    @property
    def mechanisms(self) -> tuple[int, ...]:
        """The CKM_ numbers that the token must offer, those that make a root among them."""
        ...

    @property
    def max_key_bytes(self) -> int:
        """The most that can be wrapped at once."""
        ...

    def check(self, wrapped: WrappedBytes) -> None:
        """Look at the lengths of what is to be unwrapped. Raises HsmRequestError when no ``encrypt`` makes such."""
        ...

    def encrypt(self, session: int, handles: Handles, plaintext: bytes, aad: bytes) -> WrappedBytes:
        """Wrap 1 to ``max_key_bytes`` bytes, bound to ``aad``. Raises CryptokiError."""
        ...

    def decrypt(self, session: int, handles: Handles, wrapped: WrappedBytes, aad: bytes) -> bytes:
        """Unwrap what passed ``check``.

        Raises HsmIntegrityError when it does not authenticate or belongs to another ``aad``, UnexplainedError when the
        token cannot say that, and CryptokiError.
        """
        ...

    def decrypt_each(
        self,
        session: int,
        handles: Handles,
        sealed: Iterable[tuple[WrappedBytes, bytes]],
        opened: Callable[[bytes], object],
    ) -> None:
        """Unwrap one after the other what ``sealed`` yields, with its AAD; ``opened`` is given each before the next is taken.

        Ends at the first that fails, with an error that need not tell why.
        """
        ...


def root_parts(root_id: RootId, algorithm: WrapAlgorithm) -> tuple[RootPart, ...]:
    """Name the objects of a root; see ``core.root_object_ids`` for the rule."""
    classes = _OBJECT_CLASSES[algorithm]
    ids = root_object_ids(root_id, algorithm)
    if len(ids) == 1:
        return tuple(RootPart(ids[0], object_class) for object_class in classes)
    return tuple(map(RootPart, ids, classes))


def check_root_id(root_id: RootId) -> None:
    """Raise HsmRequestError unless this can be a root id."""
    if len(root_id) != ROOT_ID_LEN_BYTES:
        raise HsmRequestError(f"a root id has {ROOT_ID_LEN_BYTES} bytes, not {len(root_id)}")


def check_length(what: str, length: int, least: int, most: int) -> None:
    """Raise HsmRequestError unless a length is within bounds."""
    if not least <= length <= most:
        raise HsmRequestError(f"{what}: {length} bytes, where {least} to {most:,} are taken")


def decryption_failure(error: CryptokiError, *, general_error_is_bad_tag: bool) -> Exception:
    """Say what a failed C_Decrypt means: an error about the data, or the token's own error unchanged."""
    if isinstance(error, AeadDecryptFailedError | EncryptedDataInvalidError | EncryptedDataLenRangeError):
        return does_not_authenticate(error.ckr)
    if general_error_is_bad_tag and isinstance(error, GeneralError):
        return UnexplainedError()
    return error


def does_not_authenticate(ckr: int | None = None) -> HsmIntegrityError:
    """Make the error for wrapped bytes that were changed, or belong to something else."""
    return HsmIntegrityError("the wrapped key does not authenticate", ckr=ckr)
