"""``AdminVerbs``: what the admin API alone asks."""

import asyncio
from collections.abc import Iterable
from itertools import islice
from typing import Final

from strongroom.core import StorageError
from strongroom.keyring import KeyById
from strongroom.service._admin_protocol import (
    AccessKeyInfo,
    ListedKey,
    ListedKeyPage,
    PolicyCase,
    PolicyCheck,
    PrincipalInfo,
    PrincipalPage,
)
from strongroom.service._audited import AuditedVerbs
from strongroom.service._authority import Decision, Ground
from strongroom.service._caller import Caller
from strongroom.service._key_authority import KeyAuthority

_DESCRIBE: Final = "DescribeKey"
_TURN: Final = 8
"""Decisions before others have their turn: one may take a millisecond."""


class AdminVerbs(AuditedVerbs):
    """See ``AdminService`` for what each verb promises."""

    async def read_api_description(self, caller: Caller) -> None:
        """Record that a caller reads how the admin API is to be used; everybody who is known may."""
        await self._use(caller, "ReadApiDescription", _nothing())

    async def read_health(self, caller: Caller) -> None:
        """Record that a caller asks whether the service is ready; everybody who is known may."""
        await self._use(caller, "ReadHealth", _nothing())

    async def read_caller(self, caller: Caller) -> tuple[str, ...]:
        """Return the verbs that the caller's roles allow, sorted; everybody who is known may."""

        async def act() -> tuple[str, ...]:
            verbs = self._policy.book.verbs_of(caller.access_key_id)
            return tuple(sorted(verbs or ()))

        return await self._use(caller, "ReadCaller", act())

    async def list_key_states(self, caller: Caller, *, limit: int, after: str | None) -> ListedKeyPage:
        """List keys with what the caller might also be told by ``describe_key``."""

        async def act() -> ListedKeyPage:
            authority = self._policy
            page = self._keyring.list_keys(limit=limit, after=after)
            listed = []
            for at, info in enumerate(page.keys):
                if at % _TURN == _TURN - 1:
                    await asyncio.sleep(0)
                is_allowed = _may_describe(authority, caller, info.key_id)
                listed.append(ListedKey(info.key_id, info if is_allowed else None))
            return ListedKeyPage(tuple(listed), page.next_after)

        return await self._use(caller, "ListKeyStates", act())

    async def list_principals(self, caller: Caller, *, limit: int, after: str | None) -> PrincipalPage:
        """List principals with their access keys."""

        async def act() -> PrincipalPage:
            found = list(islice(self._principals(after), limit + 1))
            page = found[:limit]
            return PrincipalPage(tuple(page), page[-1].principal if len(found) > limit else None)

        return await self._use(caller, "ListPrincipals", act())

    async def check_key_policy(
        self, caller: Caller, key_id: str, *, case: PolicyCase
    ) -> tuple[PolicyCheck, ...]:
        """Decide about a case without doing it."""
        key = KeyById(key_id)

        async def act() -> tuple[PolicyCheck, ...]:
            self._keyring.describe(key)
            authority = self._policy
            checks = []
            held = authority.book.credentials_of(case.principal)
            for credential in [case.access_key_id] if case.access_key_id else sorted(held):
                asked = Caller(case.principal, credential, case.source_address, caller.region, "-")
                decision = Decision(False, Ground.INACTIVE)  # also with a credential of another principal
                if credential in held:
                    decision = authority.decide(asked, case.action, key, context=case.context)
                checks.append(PolicyCheck(credential, decision))
            return tuple(checks)

        detail = {"subject": case.principal, "action": case.action}
        return await self._use(caller, "CheckKeyPolicy", act(), key=key, detail=detail)

    def _principals(self, after: str | None) -> Iterable[PrincipalInfo]:
        store = self._policy.book.store
        used, counted = store.list_access_key_uses(), self._policy.book.counted()
        by_principal: dict[str, list[AccessKeyInfo]] = {}
        for record in store.list_access_keys():
            counting = counted.get(record.access_key_id)
            known = AccessKeyInfo(
                record.access_key_id,
                record.roles,
                () if counting is None else tuple(sorted(counting.roles)),
                record.active,
                record.created_at,
                used.get(record.access_key_id),
            )
            by_principal.setdefault(record.principal, []).append(known)
        for principal in sorted(by_principal):
            if after is None or principal > after:
                keys = sorted(by_principal[principal], key=lambda known: known.created_at)
                yield PrincipalInfo(principal, tuple(keys))


def _may_describe(authority: KeyAuthority, caller: Caller, key_id: str) -> bool:
    """Whether a caller may know more of a key than its id; nobody may where the key's policy cannot be read."""
    try:
        return authority.decide(caller, _DESCRIBE, KeyById(key_id)).is_allowed
    except StorageError:
        return False


async def _nothing() -> None:
    """Do nothing: what is told is no secret of ours, but that it was asked for is recorded."""
