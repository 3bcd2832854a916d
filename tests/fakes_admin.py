"""What the admin API alone asks of ``FakeKeyService``, in memory. Nothing here decides about anybody."""

from strongroom.service import (
    AccessKeyInfo,
    Decision,
    Ground,
    ListedKey,
    ListedKeyPage,
    PolicyCheck,
    PrincipalInfo,
    PrincipalPage,
)


class FakeAdmin:
    """Needs ``_begin``, ``_key``, ``keys`` and ``credentials`` of ``FakeKeyService``."""

    async def read_api_description(self, caller):
        self._begin("ReadApiDescription", caller)

    async def read_health(self, caller):
        self._begin("ReadHealth", caller)

    async def read_caller(self, caller):
        self._begin("ReadCaller", caller)
        return ("DescribeKey", "Encrypt")

    async def list_key_states(self, caller, *, limit, after):
        self._begin("ListKeyStates", caller)
        ids = sorted(key_id for key_id in self.keys if after is None or key_id > after)
        page = tuple(ListedKey(key_id, self.keys[key_id]) for key_id in ids[:limit])
        return ListedKeyPage(page, page[-1].key_id if len(ids) > limit else None)

    async def list_principals(self, caller, *, limit, after):
        self._begin("ListPrincipals", caller)
        found = [
            PrincipalInfo(
                known.principal,
                (AccessKeyInfo(known.access_key_id, ("operator",), ("operator",), True, 1.5, None),),
            )
            for known in self.credentials.values()
            if after is None or known.principal > after
        ]
        return PrincipalPage(tuple(found[:limit]), found[limit - 1].principal if len(found) > limit else None)

    async def check_key_policy(self, caller, key_id, *, case):
        self._begin("CheckKeyPolicy", caller)
        self._key(key_id)
        return (PolicyCheck(case.access_key_id or "AKID", Decision(True, Ground.ROLES)),)
