"""``AuditedVerbs``: the one way that every verb goes.

A verb that only uses or looks: authorise → act → outcome durable → return. A verb that changes something:
authorise → intent durable → act → outcome durable → return. Whoever is authorised may still be over a quota, and is refused for that
before anything else. So there is no effect without an intent in the log, and
no answer without an outcome. A call whose caller went away (it was cancelled) ends with the outcome ``Cancelled``:
whether it had its effect is then not known.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final, TypeVar

from strongroom.audit import AuditLog, EntryFields, Kind
from strongroom.core import AuditUnavailableError, noting_members
from strongroom.keyring import (
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    KeyById,
    KeyRef,
    Keyring,
    KeyringError,
    ReEncrypted,
)
from strongroom.service._access_writer import AccessWriter
from strongroom.service._authority import NO_CONTEXT, NO_VALUES, Source
from strongroom.service._context_values import ContextValues
from strongroom.service._errors import PoliciesNotKeptError
from strongroom.service._facts import (
    Facts,
    facts_of_error,
    facts_of_request,
    facts_of_result,
    outcome_of_error,
)
from strongroom.service._key_authority import KeyAuthority
from strongroom.service._quotas import Quotas
from strongroom.service._values import Caller

T = TypeVar("T")

OK: Final = "ok"
CANCELLED: Final = "Cancelled"
_NOT_OF_KMS: Final = {
    "GetCallerIdentity": "sts.GetCallerIdentity",
    "MarkKeyCompromised": "strongroom.MarkKeyCompromised",
    "ListKeyUses": "strongroom.ListKeyUses",
    "SetCryptoperiod": "strongroom.SetCryptoperiod",
    "SetActivationDate": "strongroom.SetActivationDate",
    "RetireKeyVersion": "strongroom.RetireKeyVersion",
    "RecordInventory": "strongroom.RecordInventory",
    "ReadApiDescription": "strongroom.ReadApiDescription",
    "ReadHealth": "strongroom.ReadHealth",
    "ReadCaller": "strongroom.ReadCaller",
    "ListKeyStates": "strongroom.ListKeyStates",
    "ListPrincipals": "strongroom.ListPrincipals",
    "CheckKeyPolicy": "strongroom.CheckKeyPolicy",
    "CreateDomain": "strongroom.CreateDomain",
    "ListDomains": "strongroom.ListDomains",
    "DescribeDomain": "strongroom.DescribeDomain",
    "RotateDomain": "strongroom.RotateDomain",
    "MoveKey": "strongroom.MoveKey",
    "GetKeyDomain": "strongroom.GetKeyDomain",
    "DescribeCustody": "strongroom.DescribeCustody",
    "ListApprovals": "strongroom.ListApprovals",
    "DescribeApproval": "strongroom.DescribeApproval",
    "RequestApproval": "strongroom.RequestApproval",
    "ApproveRequest": "strongroom.ApproveRequest",
    "RejectRequest": "strongroom.RejectRequest",
    "GetEvidence": "strongroom.GetEvidence",
    # As which paths of the admin API are refused before it is known which verb they come to.
    "ReadMembers": "strongroom.ReadMembers",
    "ReadRoots": "strongroom.ReadRoots",
    "DescribeKeyState": "strongroom.DescribeKeyState",
    "CreateKeyInDomain": "strongroom.CreateKeyInDomain",
    "BatchEncrypt": "strongroom.BatchEncrypt",
    "BatchDecrypt": "strongroom.BatchDecrypt",
    "BatchRewrap": "strongroom.BatchRewrap",
    "BatchDataKeys": "strongroom.BatchDataKeys",
    "BatchSign": "strongroom.BatchSign",
    "BatchMac": "strongroom.BatchMac",
}
USES: Final = frozenset(
    (
        *("Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
        *("GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "Sign", "Verify"),
        *("GenerateMac", "VerifyMac", "DeriveSharedSecret"),
    )
)
"""The verbs that use a key, as GetKeyLastUsage knows them."""


def event_of(verb: str) -> str:
    """Return what the audit log calls a verb: its name behind that of the AWS service."""
    return _NOT_OF_KMS.get(verb) or f"kms.{verb}"


class AuditedVerbs:
    """What the verbs stand on: a keyring, an audit log and a policy. Belongs to one event loop."""

    def __init__(
        self, keyring: Keyring, audit: AuditLog, *, policy: KeyAuthority, quotas: Quotas | None = None
    ) -> None:
        """Without ``quotas`` everybody may call as often as they like."""
        self._keyring = keyring
        self._audit = audit
        self._policy = policy
        self._quotas = quotas
        self.context_values: ContextValues | None = None
        """What entries say of the values of encryption contexts; nothing when None. To be set before the first call."""

    def authorise_now(
        self,
        caller: Caller,
        verb: str,
        key: KeyRef | None = None,
        *,
        ciphertext: bytes | None = None,
        context: Mapping[str, str] = NO_CONTEXT,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
        source: Source | None = None,
    ) -> str:
        """Return if the caller may do this: the one decision of all verbs, taken in memory, without waiting.

        What allows it is returned, as the entry says it: a role, a statement of the key's policy, a grant; of a ReEncrypt
        both where they differ, with a space between. ``key`` is what the request
        names; ``ciphertext`` names its key where the request does not; ``source`` is what a ReEncrypt comes from. Raises
        as ``KeyAuthority.authorise_now``.
        """
        authorise = self._policy.authorise_now
        if source is None:
            return authorise(caller, verb, key, ciphertext=ciphertext, context=context, further=further)
        opening = authorise(
            caller, f"{verb}From", source.key, ciphertext=source.ciphertext, context=source.context
        )
        sealing = authorise(caller, f"{verb}To", key, context=context)
        return opening if opening == sealing else f"{opening} {sealing}"

    def _writer(self) -> AccessWriter:
        """Return who changes policies and grants. Raises PoliciesNotKeptError."""
        writer = self._policy.writer
        if writer is None:
            raise PoliciesNotKeptError
        return writer

    async def _change(
        self,
        caller: Caller,
        verb: str,
        act: Callable[[], Awaitable[T]],
        *,
        key_id: str = "",
        detail: dict[str, str] | None = None,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
        authorise: Callable[[], str] | None = None,
    ) -> T:
        key = KeyById(key_id) if key_id else None
        detail = {} if detail is None else detail  # what allows it is added before the intent is written
        facts = facts_of_request(key, detail)

        async def act_with_intent() -> T:
            await self._record("intent", caller, verb, "", facts)
            return await act()

        return await self._use(
            caller, verb, act_with_intent(), key=key, detail=detail, further=further, authorise=authorise
        )

    async def _use(
        self,
        caller: Caller,
        verb: str,
        work: Coroutine[object, None, T],
        *,
        key: KeyRef | None = None,
        ciphertext: bytes | None = None,
        context: Mapping[str, str] = NO_CONTEXT,
        detail: dict[str, str] | None = None,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
        source: Source | None = None,
        authorise: Callable[[], str] | None = None,
        weight: int = 1,
    ) -> T:
        """Authorise, do the work, and return its result once the outcome is durable.

        ``key``, ``ciphertext`` and ``detail`` are what the request says, for the entry; ``context``, ``further`` and
        ``source`` are for the decision, which ``authorise`` takes where it is not the usual one. ``weight``: what the call
        counts in quotas.
        """
        said, named = {} if detail is None else detail, Source(key, ciphertext, context)
        if self.context_values is not None:
            said |= self.context_values.detail(context)
            if source is not None:
                said |= self.context_values.detail(source.context, "source_")

        def admit() -> None:
            allowed_by = (
                authorise()
                if authorise is not None
                else self.authorise_now(
                    caller, verb, key, ciphertext=ciphertext, context=context, further=further, source=source
                )
            )
            said["allowed_by"] = allowed_by
            self._count(caller, verb, named, source, weight)

        facts, result = await self._recorded(caller, verb, work, named=named, detail=said, admit=admit)
        if verb in USES and facts.key_version:
            self._note_uses(verb, facts, caller.request_id, result)
        return result

    def _count(self, caller: Caller, verb: str, named: Source, source: Source | None, weight: int) -> None:
        """Count a call in the quotas of its caller and of the keys that it names. Raises QuotaExceededError."""
        if self._quotas is not None:
            abouts = (named,) if source is None else (named, source)
            keys = [self._keyring.identify(about.key, about.ciphertext) for about in abouts]
            self._quotas.take(caller.principal, verb, tuple(filter(None, keys)), weight=weight)

    async def _recorded(
        self,
        caller: Caller,
        verb: str,
        work: Coroutine[object, None, T],
        *,
        named: Source,
        detail: dict[str, str],
        admit: Callable[[], None],
    ) -> tuple[Facts, T]:
        """Do what is admitted, and return what came of it once the outcome, a refusal too, is durable."""
        try:
            admit()
            with noting_members() as served:
                result = await work
        except asyncio.CancelledError as error:
            # Nobody waits for an answer, so nobody waits for the entry; but no intent stays without an outcome.
            facts = self._facts_of_error(named, detail, error)
            with contextlib.suppress(AuditUnavailableError):
                self._audit.append("outcome", event_of(verb), **_fields(caller, CANCELLED, facts))
            raise
        except Exception as error:
            facts = self._facts_of_error(named, detail, error)
            await self._record("outcome", caller, verb, outcome_of_error(error), facts)
            raise
        finally:
            work.close()  # does nothing, unless the caller was refused: then the work never began
        facts = facts_of_result(named.key, detail, result)
        fields = _fields(caller, OK, facts)
        if members := served.members:
            fields |= {"member": members, "detail": {**fields["detail"], "hsm_session": served.sessions}}
        await self._audit.record("outcome", event_of(verb), **fields)
        return facts, result

    def _note_uses(self, verb: str, facts: Facts, request_id: str, result: object) -> None:
        """Note which versions were used, and how often: each item of a batch is a use of the version that it is under."""
        note = self._keyring.last_uses.note
        if isinstance(result, BatchOfBytes | BatchOfPlaintexts):
            for material_id, n_opened in result.opened.items():
                note(facts.key_id, material_id, verb, request_id, n_uses=n_opened, is_processing=True)
        if isinstance(result, BatchOfBytes | BatchOfDataKeys):
            n_made = sum(not isinstance(made, KeyringError) for made in result.results)
            if n_made:
                note(facts.key_id, facts.key_version, verb, request_id, n_uses=n_made)
        elif not isinstance(result, BatchOfPlaintexts):
            note(facts.key_id, facts.key_version, verb, request_id)
        if isinstance(result, ReEncrypted):
            source = (result.source_key_id, result.source_material_id)
            note(*source, verb, request_id, is_processing=True)

    def _facts_of_error(self, named: Source, detail: dict[str, str], error: BaseException) -> Facts:
        facts = facts_of_error(named.key, detail, error)
        if facts.key_id or isinstance(error, KeyringError):
            return facts
        # A refusal, an outage, a cancellation: the error knows of no key, but the request names one.
        return facts._replace(key_id=self._keyring.identify(named.key, named.ciphertext) or "")

    def _record(self, kind: Kind, caller: Caller, verb: str, outcome: str, facts: Facts) -> Awaitable[None]:
        return self._audit.record(kind, event_of(verb), **_fields(caller, outcome, facts))


def _fields(caller: Caller, outcome: str, facts: Facts) -> EntryFields:
    key_id, key_version, detail = facts
    return {
        "principal": caller.principal,
        "access_key_id": caller.access_key_id,
        "source_address": caller.source_address,
        "request_id": caller.request_id,
        "key_id": key_id,
        "key_version": key_version,
        "outcome": outcome,
        "detail": {**caller.credential_detail, **detail} if caller.credential_detail else detail,
    }
