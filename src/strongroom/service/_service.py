"""``Service``: the verbs of the data plane.

Every verb goes the same way. A verb that only uses or looks: authorise → act → outcome durable → return.
A verb that changes something: authorise → intent durable → act → outcome durable → return. So there is no
effect without an intent in the log, and no answer without an outcome.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from strongroom.audit import AuditLog
from strongroom.core import KeyState, NoMemberError, Secret, StrongroomError
from strongroom.keyring import (
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
    Keyring,
)
from strongroom.service._policy import RolePolicy
from strongroom.service._values import Caller, Credential, Refusal

T = TypeVar("T")

_OK = "ok"


class Service:
    """The verbs, over a keyring and an audit log (``KeyService``). Belongs to one event loop."""

    def __init__(self, keyring: Keyring, audit: AuditLog, *, policy: RolePolicy) -> None:
        self._keyring = keyring
        self._audit = audit
        self._policy = policy
        self._credentials: dict[str, Credential] | None = None

    @property
    def has_credentials(self) -> bool:
        """Whether the secrets of access keys could be unwrapped: before that nobody can be recognised."""
        return self._credentials is not None

    def take_credentials(self, credentials: Mapping[str, Credential]) -> None:
        """Recognise these callers from now on, and no others."""
        self._credentials = dict(credentials)

    def find_credential(self, access_key_id: str) -> Credential | None:
        """Look up an access key; None when there is none that is active.

        Raises NoMemberError while no HSM has unwrapped the secrets.
        """
        if self._credentials is None:
            raise NoMemberError(
                "no HSM has unwrapped the secrets of access keys yet",
                next_step="see 'strongroom status' for the members",
            )
        return self._credentials.get(access_key_id)

    async def record_refusal(self, refusal: Refusal) -> None:
        """Write the audit entry of a request that got no further than the door."""
        await self._audit.record(
            "refusal",
            f"kms.{refusal.operation}",
            access_key_id=refusal.access_key_id,
            source_address=refusal.source_address,
            request_id=refusal.request_id,
            outcome=refusal.error_code,
        )

    async def read_status(self, caller: Caller) -> None:
        """Check and record that a caller looks at the state of the service."""

        async def act() -> None:
            return None

        await self._use(caller, "ReadStatus", act)

    async def create_key(self, caller: Caller, *, description: str) -> KeyInfo:
        """Create an Envelope key."""
        return await self._change(
            caller,
            "CreateKey",
            lambda: self._keyring.create_key(description),
            key_of=lambda made: made.key_id,
        )

    async def create_alias(self, caller: Caller, *, alias_name: str, target_key_id: str) -> AliasInfo:
        """Give a key another name."""
        return await self._change(
            caller,
            "CreateAlias",
            lambda: self._keyring.create_alias(alias_name, target_key_id),
            key_id=target_key_id,
            detail={"alias": alias_name},
        )

    async def enable_key(self, caller: Caller, key_id: str) -> None:
        """Make a suspended key active."""
        await self._set_state(caller, "EnableKey", key_id, KeyState.ACTIVE)

    async def disable_key(self, caller: Caller, key_id: str) -> None:
        """Suspend a key: no request that is sent after this returned can use it."""
        await self._set_state(caller, "DisableKey", key_id, KeyState.SUSPENDED)

    async def describe_key(self, caller: Caller, key: KeyRef) -> KeyInfo:
        """Tell about a key."""

        async def act() -> KeyInfo:
            return self._keyring.describe(key)

        return await self._use(caller, "DescribeKey", act, named=key, key_of=lambda found: found.key_id)

    async def list_keys(self, caller: Caller, *, limit: int, after: str | None) -> KeyPage:
        """List keys in the order of their ids."""

        async def act() -> KeyPage:
            return self._keyring.list_keys(limit=limit, after=after)

        return await self._use(caller, "ListKeys", act)

    async def list_aliases(
        self, caller: Caller, *, key_id: str | None, limit: int, after: str | None
    ) -> AliasPage:
        """List aliases in the order of their names."""

        async def act() -> AliasPage:
            return self._keyring.list_aliases(key_id=key_id, limit=limit, after=after)

        return await self._use(caller, "ListAliases", act, named=None if key_id is None else KeyById(key_id))

    async def generate_data_key(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> DataKey:
        """Make a data key."""
        return await self._use(
            caller,
            "GenerateDataKey",
            lambda: self._keyring.generate_data_key(key, n_bytes, context),
            named=key,
            key_of=lambda made: made.key_id,
            detail=_context_names(context),
        )

    async def encrypt(
        self, caller: Caller, key: KeyRef, plaintext: Secret, *, context: Mapping[str, str]
    ) -> Encrypted:
        """Encrypt a little data."""
        return await self._use(
            caller,
            "Encrypt",
            lambda: self._keyring.encrypt(key, plaintext, context),
            named=key,
            key_of=lambda made: made.key_id,
            detail=_context_names(context),
        )

    async def decrypt(
        self, caller: Caller, ciphertext: bytes, *, key: KeyRef | None, context: Mapping[str, str]
    ) -> Decrypted:
        """Decrypt what was encrypted here."""
        return await self._use(
            caller,
            "Decrypt",
            lambda: self._keyring.decrypt(ciphertext, context, key=key),
            named=key,
            key_of=lambda made: made.key_id,
            detail=_context_names(context),
        )

    async def _set_state(self, caller: Caller, verb: str, key_id: str, state: KeyState) -> None:
        await self._change(caller, verb, lambda: self._keyring.set_state(key_id, state), key_id=key_id)

    async def _use(
        self,
        caller: Caller,
        verb: str,
        act: Callable[[], Awaitable[T]],
        *,
        named: KeyRef | None = None,
        key_of: Callable[[T], str] | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> T:
        key_id, named_detail = _named(named)
        facts = {**named_detail, **(detail or {})}
        try:
            self._policy.require(caller.principal, verb)
            result = await act()
        except Exception as error:
            await self._record("outcome", caller, verb, key_id=key_id, outcome=_name(error), detail=facts)
            raise
        if key_of is not None:
            key_id = key_of(result)
        await self._record("outcome", caller, verb, key_id=key_id, outcome=_OK, detail=facts)
        return result

    async def _change(
        self,
        caller: Caller,
        verb: str,
        act: Callable[[], Awaitable[T]],
        *,
        key_id: str = "",
        key_of: Callable[[T], str] | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> T:
        async def act_with_intent() -> T:
            await self._record("intent", caller, verb, key_id=key_id, outcome="", detail=detail or {})
            return await act()

        named = KeyById(key_id) if key_id else None
        return await self._use(caller, verb, act_with_intent, named=named, key_of=key_of, detail=detail)

    async def _record(
        self, kind: str, caller: Caller, verb: str, *, key_id: str, outcome: str, detail: Mapping[str, str]
    ) -> None:
        await self._audit.record(
            "intent" if kind == "intent" else "outcome",
            f"kms.{verb}",
            principal=caller.principal,
            access_key_id=caller.access_key_id,
            source_address=caller.source_address,
            request_id=caller.request_id,
            key_id=key_id,
            outcome=outcome,
            detail=dict(detail),
        )


def _named(key: KeyRef | None) -> tuple[str, dict[str, str]]:
    match key:
        case KeyById(key_id):
            return key_id, {}
        case KeyByAlias(alias_name):
            return "", {"alias": alias_name}
        case None:
            return "", {}


def _context_names(context: Mapping[str, str]) -> dict[str, str]:
    """The names of an encryption context, never its values: they may identify a person."""
    return {"context": ",".join(sorted(context))} if context else {}


def _name(error: Exception) -> str:
    """What the audit log calls an error: the class, since a message might hold what a caller sent."""
    return type(error).__name__ if isinstance(error, StrongroomError) else "UnexpectedError"
