"""``Service``: the verbs of the data plane.

Every verb goes the same way. A verb that only uses or looks: authorise → act → outcome durable → return.
A verb that changes something: authorise → intent durable → act → outcome durable → return. So there is no
effect without an intent in the log, and no answer without an outcome. A call whose caller went away (it was
cancelled) ends with the outcome ``Cancelled``: whether it had its effect is then not known.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TypeVar

from strongroom.audit import AuditLog, Kind
from strongroom.core import AuditUnavailableError, KeyState, NoMemberError, Secret
from strongroom.keyring import (
    AliasInfo,
    AliasPage,
    DataKey,
    Decrypted,
    Encrypted,
    KeyById,
    KeyInfo,
    KeyPage,
    KeyRef,
    Keyring,
    KeyringError,
)
from strongroom.service._facts import (
    Facts,
    detail_of_request,
    facts_of_error,
    facts_of_request,
    facts_of_result,
    outcome_of_error,
)
from strongroom.service._policy import RolePolicy
from strongroom.service._values import Caller, Credential, Refusal

T = TypeVar("T")

_OK = "ok"
_CANCELLED = "Cancelled"


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

        await self._use(caller, "ReadStatus", act())

    async def create_key(self, caller: Caller, *, description: str) -> KeyInfo:
        """Create an Envelope key."""
        return await self._change(caller, "CreateKey", lambda: self._keyring.create_key(description))

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

        return await self._use(caller, "DescribeKey", act(), key=key, detail=detail_of_request(key, {}))

    async def list_keys(self, caller: Caller, *, limit: int, after: str | None) -> KeyPage:
        """List keys in the order of their ids."""

        async def act() -> KeyPage:
            return self._keyring.list_keys(limit=limit, after=after)

        return await self._use(caller, "ListKeys", act())

    async def list_aliases(
        self, caller: Caller, *, key_id: str | None, limit: int, after: str | None
    ) -> AliasPage:
        """List aliases in the order of their names."""

        async def act() -> AliasPage:
            return self._keyring.list_aliases(key_id=key_id, limit=limit, after=after)

        return await self._use(caller, "ListAliases", act(), key=None if key_id is None else KeyById(key_id))

    async def generate_data_key(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> DataKey:
        """Make a data key."""
        work = self._keyring.generate_data_key(key, n_bytes, context)
        return await self._use(
            caller, "GenerateDataKey", work, key=key, detail=detail_of_request(key, context)
        )

    async def encrypt(
        self, caller: Caller, key: KeyRef, plaintext: Secret, *, context: Mapping[str, str]
    ) -> Encrypted:
        """Encrypt a little data."""
        work = self._keyring.encrypt(key, plaintext, context)
        return await self._use(caller, "Encrypt", work, key=key, detail=detail_of_request(key, context))

    async def decrypt(
        self, caller: Caller, ciphertext: bytes, *, key: KeyRef | None, context: Mapping[str, str]
    ) -> Decrypted:
        """Decrypt what was encrypted here."""
        work = self._keyring.decrypt(ciphertext, context, key=key)
        detail = detail_of_request(key, context)
        return await self._use(caller, "Decrypt", work, key=key, ciphertext=ciphertext, detail=detail)

    async def _set_state(self, caller: Caller, verb: str, key_id: str, state: KeyState) -> None:
        await self._change(caller, verb, lambda: self._keyring.set_state(key_id, state), key_id=key_id)

    async def _change(
        self,
        caller: Caller,
        verb: str,
        act: Callable[[], Awaitable[T]],
        *,
        key_id: str = "",
        detail: dict[str, str] | None = None,
    ) -> T:
        key = KeyById(key_id) if key_id else None
        facts = facts_of_request(key, detail or {})

        async def act_with_intent() -> T:
            await self._audit.commit(self._append("intent", caller, verb, "", facts))
            return await act()

        return await self._use(caller, verb, act_with_intent(), key=key, detail=detail)

    async def _use(
        self,
        caller: Caller,
        verb: str,
        work: Coroutine[object, None, T],
        *,
        key: KeyRef | None = None,
        ciphertext: bytes | None = None,
        detail: dict[str, str] | None = None,
    ) -> T:
        """Authorise, do the work, and return its result once the outcome is durable.

        ``key``, ``ciphertext`` and ``detail`` are what the request says, for the entry.
        """
        detail = {} if detail is None else detail
        try:
            self._policy.require(caller, verb)
            result = await work
        except asyncio.CancelledError as error:
            # Nobody waits for an answer, so nobody waits for the entry; but no intent stays without an outcome.
            facts = self._facts_of_error(key, ciphertext, detail, error)
            with contextlib.suppress(AuditUnavailableError):
                self._append("outcome", caller, verb, _CANCELLED, facts)
            raise
        except Exception as error:
            facts = self._facts_of_error(key, ciphertext, detail, error)
            await self._audit.commit(self._append("outcome", caller, verb, outcome_of_error(error), facts))
            raise
        finally:
            work.close()  # does nothing, unless the caller was refused: then the work never began
        facts = facts_of_result(key, detail, result)
        await self._audit.commit(self._append("outcome", caller, verb, _OK, facts))
        return result

    def _facts_of_error(
        self, key: KeyRef | None, ciphertext: bytes | None, detail: dict[str, str], error: BaseException
    ) -> Facts:
        facts = facts_of_error(key, detail, error)
        if facts.key_id or isinstance(error, KeyringError):
            return facts
        # A refusal, an outage, a cancellation: the error knows of no key, but the request names one.
        return facts._replace(key_id=self._keyring.identify(key, ciphertext) or "")

    def _append(self, kind: Kind, caller: Caller, verb: str, outcome: str, facts: Facts) -> int:
        return self._audit.append(
            kind,
            f"kms.{verb}",
            principal=caller.principal,
            access_key_id=caller.access_key_id,
            source_address=caller.source_address,
            request_id=caller.request_id,
            key_id=facts.key_id,
            key_version=facts.key_version,
            outcome=outcome,
            detail=facts.detail,
        )
