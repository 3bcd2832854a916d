"""An HSM in memory: real AES-GCM, real trusted wrapping, the limits and errors of a real token."""

import hashlib
import threading
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import (
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    RootId,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.testing._direct import FakeDirectKeys
from strongroom.testing._faults import Faults

_ROOT_BYTES = 32
_ROOT_ID_BYTES = 16
_IV_BYTES = 12
_TAG_BYTES = 16
_MAX_KEY_BYTES = 4096
_MAX_AAD_BYTES = 8192
_MAX_RANDOM_BYTES = 1024
_CHECK_VALUE_BYTES = 3
_IMPORT_KEY_BITS = 2048
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class HeldObject(NamedTuple):
    """An object as a list of the HSM shows it."""

    object_class: str
    cka_id: bytes
    label: str


class FakeHsm:
    """One HSM: roots, import pairs, trusted public keys, ``direct`` keys, and ``faults`` to break it.

    The verbs and their errors are those of ``hsm.token.Token``. They do not look at ``faults`` by themselves,
    but for ``wrong_key``: hanging and failing is up to who calls them (``FakeMember``, ``FakePerformer``).
    Safe to use from any thread.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults = Faults()
        self._roots: dict[bytes, bytes] = {}
        self._pairs: dict[bytes, rsa.RSAPrivateKey] = {}
        self._trusted: dict[bytes, rsa.RSAPublicKey] = {}
        self._objects: list[HeldObject] = []
        self._lock = threading.Lock()  # for whatever makes an object; reading a dict needs none
        self.direct = FakeDirectKeys(name, self.faults, self._note_objects, self._forget_objects)

    def make_root(self) -> RootId:
        """Make a root under a fresh id."""
        root_id = RootId(random_bytes(_ROOT_ID_BYTES))
        self.generate_root(root_id, "root")
        return root_id

    def copy_root_to(self, other: "FakeHsm", root_id: RootId) -> None:
        """Give another HSM the same root, without ceremony."""
        other._keep_root(root_id, "root", self._root(root_id))  # noqa: SLF001  # the same class

    def forget_root(self, root_id: RootId) -> None:
        """Lose a root, as a token restored from an old backup would."""
        del self._roots[root_id]
        self._objects = [held for held in self._objects if held.cka_id != root_id]

    def wrap(self, root_id: RootId, key_bytes: Secret, aad: bytes) -> WrappedBytes:
        """Encrypt 1 to 4,096 bytes with AES-256-GCM under a root. Raises HsmRequestError, HsmKeyNotFoundError."""
        _check_length("key bytes", len(key_bytes), 1, _MAX_KEY_BYTES)
        _check_length("AAD", len(aad), 0, _MAX_AAD_BYTES)
        iv = random_bytes(_IV_BYTES)
        sealed = AESGCM(self._working_key(root_id)).encrypt(iv, key_bytes.reveal(), aad)
        return WrappedBytes(WrapAlgorithm.HSM_AES_GCM, iv, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])

    def unwrap(self, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Secret:
        """Decrypt what ``wrap`` made. Raises HsmIntegrityError too, when it does not authenticate."""
        if wrapped.algorithm is not WrapAlgorithm.HSM_AES_GCM:
            raise HsmRequestError(f"this token unwraps HSM_AES_GCM, not {wrapped.algorithm!r}")
        _check_length("IV", len(wrapped.iv), _IV_BYTES, _IV_BYTES)
        _check_length("tag", len(wrapped.tag), _TAG_BYTES, _TAG_BYTES)
        _check_length("wrapped key", len(wrapped.ciphertext), 1, _MAX_KEY_BYTES)
        _check_length("AAD", len(aad), 0, _MAX_AAD_BYTES)
        cipher = AESGCM(self._working_key(root_id))
        try:
            return Secret(cipher.decrypt(wrapped.iv, wrapped.ciphertext + wrapped.tag, aad))
        except InvalidTag:
            raise HsmIntegrityError("the wrapped key does not authenticate") from None

    def random(self, n_bytes: int) -> Secret:
        """Return 1 to 1,024 random bytes."""
        _check_length("random bytes", n_bytes, 1, _MAX_RANDOM_BYTES)
        return Secret(random_bytes(n_bytes))

    def generate_root(self, root_id: RootId, label: str) -> str:
        """Make a root; returns its check value (CKA_CHECK_VALUE, hex)."""
        return self._keep_root(root_id, label, random_bytes(_ROOT_BYTES))

    def generate_import_pair(self, cka_id: bytes, label: str) -> bytes:
        """Make an RSA pair under which roots come in; returns the public half as SPKI DER."""
        pair = rsa.generate_private_key(public_exponent=65537, key_size=_IMPORT_KEY_BITS)
        with self._lock:
            self._refuse_existing(cka_id)
            self._pairs[cka_id] = pair
            self._objects += [HeldObject(kind, cka_id, label) for kind in ("public_key", "private_key")]
        return pair.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def import_trusted_public(self, cka_id: bytes, label: str, spki_der: bytes) -> None:
        """Take another HSM's public half as trusted. Whether an officer asks is not checked."""
        key = serialization.load_der_public_key(spki_der)
        if not isinstance(key, rsa.RSAPublicKey):
            raise HsmRequestError("only RSA keys can be trusted")
        with self._lock:
            self._refuse_existing(cka_id)
            self._trusted[cka_id] = key
            self._objects.append(HeldObject("public_key", cka_id, label))

    def destroy_import_pair(self, cka_id: bytes) -> None:
        """Destroy an import pair. Raises HsmKeyNotFoundError when there is none."""
        self._destroy(self._pairs, cka_id, "import pair")

    def destroy_trusted_public(self, cka_id: bytes) -> None:
        """Destroy a trusted public key. Raises HsmKeyNotFoundError when there is none."""
        self._destroy(self._trusted, cka_id, "trusted public key")

    def destroy_root(self, root_id: RootId) -> None:
        """Destroy a root. Raises HsmKeyNotFoundError when there is none."""
        self._destroy(self._roots, root_id, "root")

    def _destroy(self, kept: dict[bytes, Any], cka_id: bytes, what: str) -> None:
        with self._lock:
            if kept.pop(cka_id, None) is None:
                raise HsmKeyNotFoundError(f"the token holds no {what} with CKA_ID {cka_id.hex()}")
            self._objects = [held for held in self._objects if held.cka_id != cka_id]

    def wrap_out_root(self, root_id: RootId, wrapping_cka_id: bytes) -> bytes:
        """Wrap a root under a trusted public key. Raises HsmRequestError when no such key is trusted."""
        if wrapping_cka_id not in self._trusted:
            raise HsmRequestError("the root stays in the token: the wrapping key is not trusted")
        return self._trusted[wrapping_cka_id].encrypt(self._root(root_id), _OAEP)

    def unwrap_in_root(
        self, root_id: RootId, label: str, import_cka_id: bytes, wrapped: bytes, *, expected: str
    ) -> str:
        """Take in a wrapped root that has this check value; returns it."""
        if import_cka_id not in self._pairs:
            raise HsmKeyNotFoundError("the token does not hold the import pair")
        try:
            root = self._pairs[import_cka_id].decrypt(wrapped, _OAEP)
        except ValueError as error:
            raise HsmRequestError("the wrapped root does not unwrap") from error
        if _check_value(root) != expected:
            raise HsmIntegrityError("the root that arrived has another key check value than was expected")
        return self._keep_root(root_id, label, root)

    def root_check_value(self, root_id: RootId) -> str:
        """Return the first 3 bytes of an encrypted zero block (PKCS#11 2.40, CKA_CHECK_VALUE), hex."""
        return _check_value(self._root(root_id))

    def objects(self) -> list[HeldObject]:
        """List every object."""
        return list(self._objects)

    def _root(self, root_id: RootId) -> bytes:
        if len(root_id) != _ROOT_ID_BYTES:
            raise HsmRequestError(f"a root id has {_ROOT_ID_BYTES} bytes, not {len(root_id)}")
        if root_id not in self._roots:
            raise HsmKeyNotFoundError(f"{self.name} holds no root {root_id.hex()}")
        return self._roots[root_id]

    def _working_key(self, root_id: RootId) -> bytes:
        root = self._root(root_id)
        return hashlib.sha256(self.name.encode() + root).digest() if self.faults.wrong_key else root

    def _keep_root(self, root_id: RootId, label: str, root: bytes) -> str:
        _check_length("root id", len(root_id), _ROOT_ID_BYTES, _ROOT_ID_BYTES)
        with self._lock:
            self._refuse_existing(root_id)
            self._roots[root_id] = root
            self._objects.append(HeldObject("secret_key", root_id, label))
        return self.root_check_value(root_id)

    def _note_objects(self, cka_id: bytes, label: str, classes: list[str]) -> None:
        with self._lock:
            self._refuse_existing(cka_id)
            self._objects += [HeldObject(kind, cka_id, label) for kind in classes]

    def _forget_objects(self, cka_id: bytes) -> None:
        with self._lock:
            self._objects = [held for held in self._objects if held.cka_id != cka_id]

    def _refuse_existing(self, cka_id: bytes) -> None:
        if any(held.cka_id == cka_id for held in self._objects):
            raise HsmRequestError(f"the token already holds an object with CKA_ID {cka_id.hex()}")


def _check_value(root: bytes) -> str:
    encryptor = Cipher(algorithms.AES(root), modes.ECB()).encryptor()  # noqa: S305  # as PKCS#11 defines it
    return encryptor.update(bytes(16))[:_CHECK_VALUE_BYTES].hex()


def _check_length(what: str, length: int, least: int, most: int) -> None:
    if not least <= length <= most:
        raise HsmRequestError(f"{what}: {length} bytes, where {least} to {most:,} are taken")
