"""``PolicyVerbs``: the policies of keys."""

import hashlib

from strongroom.keyring import KeyById
from strongroom.policy import KeyFacts, PolicyDocument, default_policy
from strongroom.service._audited import AuditedVerbs
from strongroom.service._caller import Caller
from strongroom.service._errors import LockoutError


class PolicyVerbs(AuditedVerbs):
    """See ``PolicyService`` for what each verb promises. Documents are in audit entries by their SHA-256 only."""

    async def get_key_policy(self, caller: Caller, key_id: str) -> str:
        """Return the policy of a key."""

        async def act() -> str:
            self._keyring.describe(KeyById(key_id))
            record = self._writer().store.get_key_policy(key_id)
            return (
                default_policy(self._key_authority().book.account_id) if record is None else record.document
            )

        return await self._use(caller, "GetKeyPolicy", act(), key=KeyById(key_id))

    async def put_key_policy(
        self, caller: Caller, key_id: str, *, document: str, skip_lockout_check: bool
    ) -> None:
        """Give a key another policy."""
        detail = _detail_of(document)

        async def act() -> None:
            record = self._keyring.records.find(KeyById(key_id)).record
            facts = KeyFacts(key_id, record.spec, record.usage, record.origin)
            self.check_policy(caller, document, facts, detail, skip_lockout_check=skip_lockout_check)
            await self._writer().put_policy(key_id, document)

        await self._change(
            caller,
            "PutKeyPolicy",
            act,
            key_id=key_id,
            detail=detail,
            further=_further(skip_lockout_check=skip_lockout_check),
        )

    async def list_key_policies(self, caller: Caller, key_id: str) -> None:
        """Check and record."""

        async def act() -> None:
            self._keyring.describe(KeyById(key_id))

        await self._use(caller, "ListKeyPolicies", act(), key=KeyById(key_id))

    def check_policy(
        self,
        caller: Caller,
        document: str,
        key: KeyFacts,
        detail: dict[str, str],
        *,
        skip_lockout_check: bool,
    ) -> None:
        """Check that a policy can be kept to, and by default that the caller could change it again.

        What it asks for and no request to this service has is noted in ``detail``. Raises MalformedPolicyError,
        LockoutError.
        """
        prepared = PolicyDocument(document)
        if prepared.not_present:
            detail["never_present"] = ", ".join(prepared.not_present)[:500]
        may_change = self._key_authority().would_allow(prepared, caller, "PutKeyPolicy", key)
        if not may_change and not skip_lockout_check:
            raise LockoutError


def _detail_of(document: str) -> dict[str, str]:
    return {"policy_sha256": hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()}


def _further(*, skip_lockout_check: bool) -> dict[str, tuple[str, ...]]:
    return {"kms:bypasspolicylockoutsafetycheck": ("true" if skip_lockout_check else "false",)}
