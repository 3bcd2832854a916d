"""``ImmediateVerbs``: uses of keys that are in memory, done in one go for whoever collects their audit entries.

The way is that of ``AuditedVerbs``: authorise, act, outcome durable, answer. But what an act comes to and the entry
of its outcome are handed back together, so that those of many requests are made durable at once and no task waits. Only
what ends well goes this way. For anything else the answer is None; then nothing has happened, and the same request is
for the verb of ``KeyService``, which acts again and records how that ends.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from strongroom.audit import Decided, UseEntry
from strongroom.core import SigningAlgorithm, StrongroomError
from strongroom.keyring import DataKey, Decrypted, Encrypted, KeyRef, MessageType, Signed
from strongroom.service._asymmetric import signing_values
from strongroom.service._audited import AuditedVerbs, event_of
from strongroom.service._authority import NO_CONTEXT
from strongroom.service._facts import detail_of_request
from strongroom.service._values import Caller, Credential

T = TypeVar("T")

_ENCRYPT: Final = "Encrypt"
_DECRYPT: Final = "Decrypt"
_GENERATE_DATA_KEY: Final = "GenerateDataKey"
_SIGN: Final = "Sign"
_EVENTS: Final = {verb: event_of(verb) for verb in (_ENCRYPT, _DECRYPT, _GENERATE_DATA_KEY, _SIGN)}
_VERBS: Final = {event: verb for verb, event in _EVENTS.items()}


class Now(NamedTuple, Generic[T]):
    """What a use came to, which may go to the caller once ``entry`` is durable."""

    made: T
    entry: UseEntry


@runtime_checkable
class ImmediateService(Protocol):
    """What a key service can do at once. Nothing here waits, and no function but ``record_uses`` raises."""

    def find_credential(self, access_key_id: str) -> Credential | None:
        """Look up an access key, as ``KeyService`` does."""
        ...

    def encrypt_now(
        self, caller: Caller, key: KeyRef, plaintext: bytes, *, context: Mapping[str, str]
    ) -> Now[Encrypted] | None:
        """Encrypt 1 to 4,096 bytes; None when that is for ``KeyService.encrypt``."""
        ...

    def generate_data_key_now(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> Now[DataKey] | None:
        """Make a data key of 1 to 1,024 bytes; None when that is for ``KeyService.generate_data_key``."""
        ...

    def decrypt_now(
        self, caller: Caller, ciphertext: bytes, *, key: KeyRef | None, context: Mapping[str, str]
    ) -> Now[Decrypted] | None:
        """Decrypt; None when that is for ``KeyService.decrypt``."""
        ...

    def sign_now(
        self,
        caller: Caller,
        key: KeyRef,
        message: bytes,
        *,
        algorithm: SigningAlgorithm,
        kind: MessageType,
    ) -> Now[Signed] | None:
        """Sign 1 to 4,096 bytes; None when that is for ``KeyService.sign``."""
        ...

    def record_uses(self, entries: Sequence[UseEntry], decided: Decided) -> None:
        """Make entries durable, as ``AuditLog.record_uses`` does. Raises AuditUnavailableError."""
        ...


class ImmediateVerbs(AuditedVerbs):
    """Implements ``ImmediateService`` over the keys that the keyring has ready."""

    def encrypt_now(
        self, caller: Caller, key: KeyRef, plaintext: bytes, *, context: Mapping[str, str]
    ) -> Now[Encrypted] | None:
        """Encrypt at once."""
        try:
            allowed_by = self._policy.authorise_now(caller, _ENCRYPT, key, context=context)
            if not self._have_room(caller, _ENCRYPT, key):
                return None
            made = self._keyring.ready.encrypt(key, plaintext, context)
        except StrongroomError:
            return None
        if made is None or not self._is_within_quotas(caller, _ENCRYPT, made.key_id):
            return None
        return Now(made, _entry(caller, _ENCRYPT, self._detail(key, context, allowed_by), made))

    def generate_data_key_now(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> Now[DataKey] | None:
        """Make a data key at once."""
        try:
            allowed_by = self._policy.authorise_now(caller, _GENERATE_DATA_KEY, key, context=context)
            if not self._have_room(caller, _GENERATE_DATA_KEY, key):
                return None
            made = self._keyring.ready.generate_data_key(key, n_bytes, context)
        except StrongroomError:
            return None
        if made is None or not self._is_within_quotas(caller, _GENERATE_DATA_KEY, made.key_id):
            return None
        return Now(made, _entry(caller, _GENERATE_DATA_KEY, self._detail(key, context, allowed_by), made))

    def decrypt_now(
        self, caller: Caller, ciphertext: bytes, *, key: KeyRef | None, context: Mapping[str, str]
    ) -> Now[Decrypted] | None:
        """Decrypt at once."""
        try:
            allowed_by = self._policy.authorise_now(
                caller, _DECRYPT, key, ciphertext=ciphertext, context=context
            )
            if not self._have_room(caller, _DECRYPT, key, ciphertext):
                return None
            made = self._keyring.ready.decrypt(ciphertext, context, key=key)
        except StrongroomError:
            return None
        if made is None or not self._is_within_quotas(caller, _DECRYPT, made.key_id):
            return None
        return Now(made, _entry(caller, _DECRYPT, self._detail(key, context, allowed_by), made))

    def sign_now(
        self,
        caller: Caller,
        key: KeyRef,
        message: bytes,
        *,
        algorithm: SigningAlgorithm,
        kind: MessageType,
    ) -> Now[Signed] | None:
        """Sign at once."""
        try:
            allowed_by = self._policy.authorise_now(
                caller, _SIGN, key, further=signing_values(algorithm, kind)
            )
            if not self._have_room(caller, _SIGN, key):
                return None
            made = self._keyring.ready_uses.sign(key, algorithm, message, kind)
        except StrongroomError:
            return None
        if made is None or not self._is_within_quotas(caller, _SIGN, made.key_id):
            return None
        detail = _detail(key, NO_CONTEXT, allowed_by)
        detail["algorithm"] = algorithm
        return Now(made, _entry(caller, _SIGN, detail, made))

    def _detail(self, key: KeyRef | None, context: Mapping[str, str], allowed_by: str) -> dict[str, str]:
        detail = _detail(key, context, allowed_by)
        values = self.context_values
        return detail if values is None or not context else {**detail, **values.detail(context)}

    def _have_room(
        self, caller: Caller, verb: str, key: KeyRef | None, ciphertext: bytes | None = None
    ) -> bool:
        """Whether the quotas would let it go: what is made counts as a use of the key, so this is asked before."""
        if self._quotas is None:
            return True
        key_id = self._keyring.identify(key, ciphertext)
        return key_id is not None and self._quotas.have_room(caller.principal, verb, (key_id,))

    def _is_within_quotas(self, caller: Caller, verb: str, key_id: str) -> bool:
        return self._quotas is None or self._quotas.can_take(caller.principal, verb, (key_id,))

    def record_uses(self, entries: Sequence[UseEntry], decided: Decided) -> None:
        """Hand entries to the audit log."""
        self._audit.record_uses(entries, decided)
        note = self._keyring.last_uses.note
        for entry in entries:
            note(entry.key_id, entry.key_version, _VERBS[entry.event], entry.request_id)


def _detail(key: KeyRef | None, context: Mapping[str, str], allowed_by: str) -> dict[str, str]:
    detail = detail_of_request(key, context)
    detail["allowed_by"] = allowed_by
    return detail


def _entry(
    caller: Caller,
    verb: str,
    detail: dict[str, str],
    made: Encrypted | DataKey | Decrypted | Signed,
) -> UseEntry:
    principal, access_key_id, source_address, _, request_id = caller[:5]
    return UseEntry(
        _EVENTS[verb],
        principal,
        access_key_id,
        source_address,
        request_id,
        made.key_id,
        made.material_id,
        detail,
    )
