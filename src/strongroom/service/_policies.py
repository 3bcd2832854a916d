"""``PolicyVerbs``: the policies of keys."""

from strongroom.keyring import KeyById
from strongroom.policy import KeyFacts, default_policy
from strongroom.service._audited import AuditedVerbs
from strongroom.service._caller import Caller
from strongroom.service._policy_checks import check_policy, detail_of_policy, lockout_key


class PolicyVerbs(AuditedVerbs):
    """See ``PolicyService`` for what each verb promises. Documents are in audit entries by their SHA-256 only."""

    async def get_key_policy(self, caller: Caller, key_id: str) -> str:
        """Return the policy of a key."""

        async def act() -> str:
            self._keyring.describe(KeyById(key_id))
            record = self._writer().store.get_key_policy(key_id)
            return default_policy(self._policy.book.account_id) if record is None else record.document

        return await self._use(caller, "GetKeyPolicy", act(), key=KeyById(key_id))

    async def put_key_policy(
        self, caller: Caller, key_id: str, *, document: str, skip_lockout_check: bool
    ) -> None:
        """Give a key another policy."""
        detail = detail_of_policy(document)

        async def act() -> None:
            record = self._keyring.records.find(KeyById(key_id)).record
            facts = KeyFacts(key_id, record.spec, record.usage, record.origin)
            check_policy(
                self._policy,
                caller,
                document,
                facts,
                detail,
                skip_lockout_check=skip_lockout_check,
            )
            await self._writer().put_policy(key_id, document)

        await self._change(
            caller,
            "PutKeyPolicy",
            act,
            key_id=key_id,
            detail=detail,
            further=lockout_key(skip=skip_lockout_check),
        )

    async def list_key_policies(self, caller: Caller, key_id: str) -> None:
        """Check and record."""

        async def act() -> None:
            self._keyring.describe(KeyById(key_id))

        await self._use(caller, "ListKeyPolicies", act(), key=KeyById(key_id))
