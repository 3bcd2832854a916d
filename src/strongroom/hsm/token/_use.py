"""The use verbs: wrap, unwrap, random. All are idempotent and go through ``Workshop.use``."""

import hmac

from strongroom.core import (
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.cryptoki import (
    AeadDecryptFailedError,
    AesGcm,
    EncryptedDataInvalidError,
    EncryptedDataLenRangeError,
    GeneralError,
    Module,
    ModuleContractError,
    ObjectClass,
)
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._work import Workshop

IV_LEN_BYTES = 12
TAG_LEN_BYTES = 16
MAX_KEY_BYTES = 4096
MAX_AAD_BYTES = 8192
MAX_RANDOM_BYTES = 1024
ROOT_ID_LEN_BYTES = 16
_PROBE_LEN_BYTES = 32


class _UnexplainedError(Exception):
    """CKR_GENERAL_ERROR on a decryption: the data or the member, nobody knows yet."""


class UseVerbs:
    """What API processes may ask of a token. Safe to use from any thread."""

    def __init__(
        self, module: Module, finder: ObjectFinder, workshop: Workshop, *, general_error_is_bad_tag: bool
    ) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._general_error_is_bad_tag = general_error_is_bad_tag

    def wrap(self, root_id: RootId, key_bytes: Secret, aad: bytes) -> WrappedBytes:
        """See ``Token.wrap``."""
        check_root_id(root_id)
        _check_length("key bytes", len(key_bytes), 1, MAX_KEY_BYTES)
        _check_length("AAD", len(aad), 0, MAX_AAD_BYTES)
        return self._workshop.use(
            "wrapping", lambda session: self._encrypt(session, root_id, key_bytes.reveal(), aad)
        )

    def unwrap(self, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Secret:
        """See ``Token.unwrap``."""
        check_root_id(root_id)
        _check_wrapped(wrapped)
        _check_length("AAD", len(aad), 0, MAX_AAD_BYTES)
        # Two tries before the probe: a stray CKR_GENERAL_ERROR must not be reported as tampering.
        for _ in range(2):
            try:
                return self._workshop.use(
                    "unwrapping", lambda session: self._decrypt(session, root_id, wrapped, aad)
                )
            except _UnexplainedError:
                continue
        self._probe(root_id)
        raise HsmIntegrityError("the wrapped key does not authenticate", ckr=GeneralError.code)

    def random(self, n_bytes: int) -> Secret:
        """See ``Token.random``."""
        _check_length("random bytes", n_bytes, 1, MAX_RANDOM_BYTES)
        return self._workshop.use(
            "making random bytes", lambda session: Secret(self._module.generate_random(session, n_bytes))
        )

    def has_root(self, root_id: RootId) -> bool:
        """See ``Token.has_root``."""
        check_root_id(root_id)

        def look(session: int) -> bool:
            try:
                self._finder.find_uncached(session, root_id, ObjectClass.SECRET_KEY)
            except HsmKeyNotFoundError:
                return False
            return True

        return self._workshop.use("looking for a root", look)

    def _encrypt(self, session: int, root_id: RootId, plaintext: bytes, aad: bytes) -> WrappedBytes:
        root = self._finder.find(session, root_id, ObjectClass.SECRET_KEY)
        iv = random_bytes(IV_LEN_BYTES)  # here, so that a second try has another one
        sealed = self._module.encrypt(session, AesGcm(iv, aad, TAG_LEN_BYTES * 8), root, plaintext)
        if len(sealed) != len(plaintext) + TAG_LEN_BYTES:
            raise ModuleContractError(f"AES-GCM made {len(sealed)} bytes of {len(plaintext)}")
        return WrappedBytes(WrapAlgorithm.HSM_AES_GCM, iv, sealed[:-TAG_LEN_BYTES], sealed[-TAG_LEN_BYTES:])

    def _decrypt(self, session: int, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Secret:
        root = self._finder.find(session, root_id, ObjectClass.SECRET_KEY)
        mechanism = AesGcm(wrapped.iv, aad, TAG_LEN_BYTES * 8)
        try:
            opened = self._module.decrypt(session, mechanism, root, wrapped.ciphertext + wrapped.tag)
        except (AeadDecryptFailedError, EncryptedDataInvalidError, EncryptedDataLenRangeError) as error:
            raise HsmIntegrityError("the wrapped key does not authenticate", ckr=error.ckr) from error
        except GeneralError as error:
            if self._general_error_is_bad_tag:
                raise _UnexplainedError from error
            raise
        if len(opened) != len(wrapped.ciphertext):
            raise ModuleContractError(f"AES-GCM made {len(opened)} bytes of {len(wrapped.ciphertext)}")
        return Secret(opened)

    def _probe(self, root_id: RootId) -> None:
        """Prove that the member still decrypts what it encrypts. Raises MemberFailedError when it does not."""
        challenge = random_bytes(_PROBE_LEN_BYTES)

        def encrypt_and_decrypt(session: int) -> None:
            answer = self._decrypt(session, root_id, self._encrypt(session, root_id, challenge, b""), b"")
            if not hmac.compare_digest(answer.reveal(), challenge):
                raise _UnexplainedError

        try:
            self._workshop.use("probing with a known answer", encrypt_and_decrypt)
        except (_UnexplainedError, HsmIntegrityError) as error:
            reason = "the token does not decrypt what it has just encrypted"
            self._workshop.mark_broken(reason)
            raise MemberFailedError(reason, ckr=GeneralError.code) from error


def check_root_id(root_id: RootId) -> None:
    """Raise HsmRequestError unless this can be a root id."""
    if len(root_id) != ROOT_ID_LEN_BYTES:
        raise HsmRequestError(f"a root id has {ROOT_ID_LEN_BYTES} bytes, not {len(root_id)}")


def _check_length(what: str, length: int, least: int, most: int) -> None:
    if not least <= length <= most:
        raise HsmRequestError(f"{what}: {length} bytes, where {least} to {most:,} are taken")


def _check_wrapped(wrapped: WrappedBytes) -> None:
    if wrapped.algorithm is not WrapAlgorithm.HSM_AES_GCM:
        raise HsmRequestError(f"this token unwraps HSM_AES_GCM, not {wrapped.algorithm!r}")
    if len(wrapped.iv) != IV_LEN_BYTES or len(wrapped.tag) != TAG_LEN_BYTES:
        raise HsmRequestError(f"IV and tag have {IV_LEN_BYTES} and {TAG_LEN_BYTES} bytes")
    _check_length("wrapped key", len(wrapped.ciphertext), 1, MAX_KEY_BYTES)
