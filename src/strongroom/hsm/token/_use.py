"""The use verbs: wrap, unwrap, random. All are idempotent and go through ``Workshop.use``."""

import hmac
from collections.abc import Callable, Iterable
from typing import Final

from strongroom.core import (
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    Secret,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.cryptoki import GeneralError, Module
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._work import Work, Workshop
from strongroom.hsm.token._wrapping import (
    MAX_AAD_BYTES,
    ROOT_ID_LEN_BYTES,
    Handles,
    RootPart,
    UnexplainedError,
    Wrapping,
    check_length,
    check_root_id,
    does_not_authenticate,
    root_parts,
)

MAX_RANDOM_BYTES = 1024
_PROBE_LEN_BYTES = 32
_MAX_ROOTS: Final = 1024


class UseVerbs:
    """What API processes may ask of a token. Safe to use from any thread."""

    def __init__(
        self, module: Module, finder: ObjectFinder, workshop: Workshop, *, wrapping: Wrapping
    ) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._wrapping = wrapping
        self._algorithm = wrapping.algorithm
        self._parts: dict[
            RootId, tuple[RootPart, ...]
        ] = {}  # filled by any thread, with the same for the same

    def wrap(self, root_id: RootId, key_bytes: Secret, aad: bytes) -> WrappedBytes:
        """See ``Token.wrap``."""
        return self._workshop.use("wrapping", self.wrap_work(root_id, key_bytes, aad))

    def wrap_work(self, root_id: RootId, key_bytes: Secret, aad: bytes) -> Work[WrappedBytes]:
        """Check what ``wrap`` takes and return what it does in a session."""
        check_root_id(root_id)
        check_length("key bytes", len(key_bytes), 1, self._wrapping.max_key_bytes)
        check_length("AAD", len(aad), 0, MAX_AAD_BYTES)
        return lambda session: self._encrypt(session, root_id, key_bytes.reveal(), aad)

    def unwrap(self, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Secret:
        """See ``Token.unwrap``."""
        work = self.unwrap_work(root_id, wrapped, aad)
        # Two tries before the probe and one after it: stray CKR_GENERAL_ERRORs must not be reported as tampering.
        for attempt in range(3):
            if attempt == 2:
                self._probe(root_id)
            try:
                return self._workshop.use("unwrapping", work)
            except UnexplainedError:
                continue
        raise does_not_authenticate(GeneralError.code)

    def check_unwrap(self, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> None:
        """Look at what is to be unwrapped. Raises HsmRequestError when no token of the cluster can have made it."""
        if len(root_id) != ROOT_ID_LEN_BYTES:
            check_root_id(root_id)
        if wrapped.algorithm is not self._algorithm:
            raise HsmRequestError(
                f"this token unwraps {self._wrapping.algorithm.name}, not {wrapped.algorithm!r}",
                next_step="a cluster has one wrap algorithm: this blob was made by another cluster",
            )
        self._wrapping.check(wrapped)
        if len(aad) > MAX_AAD_BYTES:
            check_length("AAD", len(aad), 0, MAX_AAD_BYTES)

    def unwrap_work(self, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Work[Secret]:
        """Check what ``unwrap`` takes and return what it does in a session, but for telling what a failure means."""
        self.check_unwrap(root_id, wrapped, aad)
        decrypt, handles = self._wrapping.decrypt, self._handles
        return lambda session: Secret(decrypt(session, handles(session, root_id), wrapped, aad))

    def unwrap_each(
        self,
        session: int,
        root_id: RootId,
        sealed: Iterable[tuple[WrappedBytes, bytes]],
        opened: Callable[[bytes], object],
    ) -> None:
        """Unwrap one after the other what was checked (``Wrapping.decrypt_each``); ends at the first that fails."""
        self._wrapping.decrypt_each(session, self._handles(session, root_id), sealed, opened)

    def random(self, n_bytes: int) -> Secret:
        """See ``Token.random``."""
        check_length("random bytes", n_bytes, 1, MAX_RANDOM_BYTES)
        return self._workshop.use(
            "making random bytes", lambda session: Secret(self._module.generate_random(session, n_bytes))
        )

    def has_root(self, root_id: RootId) -> bool:
        """See ``Token.has_root``."""
        check_root_id(root_id)
        parts = root_parts(root_id, self._wrapping.algorithm)

        def held(session: int) -> int:
            return sum(self._is_there(session, part) for part in parts)

        n_held = self._workshop.use("looking for a root", held)
        if 0 < n_held < len(parts):
            raise MemberFailedError(
                f"the token holds only {n_held} of the {len(parts)} objects of root {root_id.hex()}",
                next_step="destroy what is there of it with the vendor's tool, and have it copied again",
            )
        return n_held == len(parts)

    def _is_there(self, session: int, part: RootPart) -> bool:
        try:
            self._finder.find_uncached(session, *part)
        except HsmKeyNotFoundError:
            return False
        return True

    def _handles(self, session: int, root_id: RootId) -> Handles:
        parts = self._parts.get(root_id)
        if parts is None:
            parts = root_parts(root_id, self._wrapping.algorithm)
            if len(self._parts) < _MAX_ROOTS:
                self._parts[root_id] = parts
        find = self._finder.find
        return tuple([find(session, part) for part in parts])

    def _encrypt(self, session: int, root_id: RootId, plaintext: bytes, aad: bytes) -> WrappedBytes:
        return self._wrapping.encrypt(session, self._handles(session, root_id), plaintext, aad)

    def _decrypt(self, session: int, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Secret:
        return Secret(self._wrapping.decrypt(session, self._handles(session, root_id), wrapped, aad))

    def _probe(self, root_id: RootId) -> None:
        """Prove that the member still decrypts what it encrypts. Raises MemberFailedError when it does not."""
        challenge = random_bytes(_PROBE_LEN_BYTES)

        def encrypt_and_decrypt(session: int) -> None:
            answer = self._decrypt(session, root_id, self._encrypt(session, root_id, challenge, b""), b"")
            if not hmac.compare_digest(answer.reveal(), challenge):
                raise UnexplainedError

        try:
            self._workshop.use("probing with a known answer", encrypt_and_decrypt)
        except (UnexplainedError, HsmIntegrityError) as error:
            reason = "the token does not decrypt what it has just encrypted"
            self._workshop.mark_broken(reason)
            raise MemberFailedError(reason, ckr=GeneralError.code) from error
