"""Key policies and grants of ``FakeKeyService``, in memory. Nothing here decides about anybody."""

from strongroom.core import random_bytes
from strongroom.keyring import DryRunError
from strongroom.policy import PolicyDocument, default_policy
from strongroom.service import GrantInfo, GrantNotFoundError, GrantPage, MadeGrant, make_grant_token

ACCOUNT = "123456789012"


class FakeAccess:
    """Needs ``_begin``, ``_key`` and ``_clock`` of ``FakeKeyManagement``."""

    def _start_access(self):
        self.policies = {}
        self.grants = {}

    async def get_key_policy(self, caller, key_id):
        self._begin("GetKeyPolicy", caller)
        self._key(key_id)
        return self.policies.get(key_id, default_policy(ACCOUNT))

    async def put_key_policy(self, caller, key_id, *, document, skip_lockout_check):
        self._begin("PutKeyPolicy", caller)
        self._key(key_id)
        PolicyDocument(document)
        self.policies[key_id] = document

    async def list_key_policies(self, caller, key_id):
        self._begin("ListKeyPolicies", caller)
        self._key(key_id)

    async def create_grant(self, caller, key_id, *, wanted, dry_run=False):
        self._begin("CreateGrant", caller)
        self._key(key_id, usable=True)
        _stop(dry_run, key_id)
        made = GrantInfo(
            random_bytes(32).hex(), key_id, wanted.name, wanted.grantee, wanted.retiring, tuple(sorted(wanted.actions)),
            wanted.equals, wanted.subset, self._clock.now(),
        )  # fmt: skip
        self.grants[made.grant_id] = made
        return MadeGrant(made.grant_id, make_grant_token(made.grant_id))

    async def list_grants(self, caller, key_id, *, grant_id, grantee, limit, after):
        self._begin("ListGrants", caller)
        self._key(key_id)
        found = [g for g in self.grants.values() if g.key_id == key_id and grantee in {None, g.grantee}]
        if grant_id is not None:
            found = [self._grant(grant_id, key_id)]
        return _page(found, limit, after)

    async def list_retirable_grants(self, caller, *, retiring, limit, after):
        self._begin("ListRetirableGrants", caller)
        return _page([g for g in self.grants.values() if g.retiring == retiring], limit, after)

    async def revoke_grant(self, caller, key_id, *, grant_id, dry_run=False):
        self._begin("RevokeGrant", caller)
        self._key(key_id)
        self._remove(grant_id, key_id, dry_run)

    async def retire_grant(self, caller, *, key_id, grant_id, dry_run=False):
        self._begin("RetireGrant", caller)
        self._remove(grant_id, key_id, dry_run)

    def _grant(self, grant_id, key_id):
        found = self.grants.get(grant_id)
        if found is None or key_id not in {None, found.key_id}:
            raise GrantNotFoundError
        return found

    def _remove(self, grant_id, key_id, dry_run):
        found = self._grant(grant_id, key_id)
        _stop(dry_run, found.key_id)
        del self.grants[found.grant_id]


def _stop(dry_run, key_id):
    if dry_run:
        raise DryRunError(key_id=key_id, material_id="")


def _page(found, limit, after):
    found = sorted((g for g in found if after is None or g.grant_id > after), key=lambda g: g.grant_id)
    return GrantPage(tuple(found[:limit]), found[limit - 1].grant_id if len(found) > limit else None)
