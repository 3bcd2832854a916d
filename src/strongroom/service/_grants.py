"""``GrantVerbs``: grants on keys. Audit entries name their ids, and nothing of what they say."""

from collections.abc import Mapping

from strongroom.core import StorageError
from strongroom.keyring import DryRunError, KeyById
from strongroom.policy import GrantTerms
from strongroom.service._access_protocols import GrantInfo, GrantPage, MadeGrant, NewGrant
from strongroom.service._audited import AuditedVerbs
from strongroom.service._authority import Ground
from strongroom.service._caller import Caller
from strongroom.service._errors import (
    AccessDeniedError,
    GrantNotFoundError,
    PoliciesNotKeptError,
    UnfitGrantError,
)
from strongroom.service._facts import names_list
from strongroom.service._grant_tokens import make_grant_token
from strongroom.storage import GrantRecord


class GrantVerbs(AuditedVerbs):
    """See ``GrantService`` for what each verb promises."""

    async def create_grant(
        self, caller: Caller, key_id: str, *, wanted: NewGrant, dry_run: bool = False
    ) -> MadeGrant:
        """Make a grant."""
        detail = {"operations": names_list(wanted.actions)}
        further = _further(wanted)

        def check() -> None:
            self._require_passable(caller, key_id, wanted, further)
            if dry_run:
                self._writer().check_grant(key_id, wanted)
                raise _dry_run(key_id)

        async def act() -> MadeGrant:
            check()
            made = await self._writer().create_grant(key_id, wanted, caller.principal)
            detail["grant"] = made.grant_id
            return MadeGrant(made.grant_id, make_grant_token(made.grant_id))

        if dry_run:
            return await self._use(
                caller, "CreateGrant", act(), key=KeyById(key_id), detail=detail, further=further
            )
        return await self._change(caller, "CreateGrant", act, key_id=key_id, detail=detail, further=further)

    async def list_grants(
        self,
        caller: Caller,
        key_id: str,
        *,
        grant_id: str | None,
        grantee: str | None,
        limit: int,
        after: str | None,
    ) -> GrantPage:
        """List grants of a key."""

        async def act() -> GrantPage:
            self._keyring.describe(KeyById(key_id))
            store = self._writer().store
            if grant_id is None:
                return _page(store.list_grants(key_id, grantee=grantee, after=after, limit=limit + 1), limit)
            found = store.get_grant(grant_id)
            if found is None or found.key_id != key_id or grantee not in {None, found.grantee}:
                raise GrantNotFoundError
            return _page([found], limit)

        return await self._use(caller, "ListGrants", act(), key=KeyById(key_id))

    async def list_retirable_grants(
        self, caller: Caller, *, retiring: str, limit: int, after: str | None
    ) -> GrantPage:
        """List grants to retire."""

        async def act() -> GrantPage:
            found = self._writer().store.list_retirable_grants(retiring, after=after, limit=limit + 1)
            return _page(found, limit)

        def authorise() -> str:
            own = self._policy.arn_of(caller) == retiring
            verb = "GetCallerIdentity" if own else "ListRetirableGrants"  # one's own are everybody's to see
            return self.authorise_now(caller, verb, None)

        return await self._use(caller, "ListRetirableGrants", act(), authorise=authorise)

    async def revoke_grant(
        self, caller: Caller, key_id: str, *, grant_id: str, dry_run: bool = False
    ) -> None:
        """Revoke a grant."""

        async def act() -> None:
            self._keyring.describe(KeyById(key_id))
            found = self._writer().store.get_grant(grant_id)
            if found is None or found.key_id != key_id:
                raise GrantNotFoundError
            if dry_run:
                raise _dry_run(key_id)
            await self._writer().delete_grant(grant_id)

        detail = {"grant": grant_id}
        if dry_run:
            await self._use(caller, "RevokeGrant", act(), key=KeyById(key_id), detail=detail)
        else:
            await self._change(caller, "RevokeGrant", act, key_id=key_id, detail=detail)

    async def retire_grant(
        self, caller: Caller, *, key_id: str | None, grant_id: str, dry_run: bool = False
    ) -> None:
        """Retire a grant."""
        found = self._find_grant(grant_id, key_id)
        about = key_id or ("" if found is None else found.key_id)

        def authorise() -> str:
            if found is not None:
                return self._policy.authorise_retiring(caller, found)
            return self.authorise_now(caller, "RetireGrant", KeyById(about) if about else None)

        async def act() -> None:
            if found is None:
                raise GrantNotFoundError
            if dry_run:
                raise _dry_run(found.key_id)
            await self._writer().delete_grant(grant_id)

        detail = {"grant": grant_id}
        if dry_run:
            key = KeyById(about) if about else None
            await self._use(caller, "RetireGrant", act(), key=key, detail=detail, authorise=authorise)
        else:
            await self._change(caller, "RetireGrant", act, key_id=about, detail=detail, authorise=authorise)

    def _find_grant(self, grant_id: str, key_id: str | None) -> GrantRecord | None:
        """Return a grant, on a certain key if one is named. Raises nothing: what fails here fails again when it is decided."""
        try:
            found = self._writer().store.get_grant(grant_id)
        except (StorageError, PoliciesNotKeptError):
            return None
        return found if found is not None and key_id in {None, found.key_id} else None

    def _require_passable(
        self, caller: Caller, key_id: str, wanted: NewGrant, further: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Check that who may make grants by a grant alone passes on no more than it has itself."""
        authority = self._policy
        decision = authority.decide(caller, "CreateGrant", KeyById(key_id), further=further)
        if decision.ground is Ground.GRANT:
            terms = GrantTerms(wanted.actions, wanted.equals, wanted.subset)
            if not authority.has_grant_that_includes(key_id, caller, terms):
                raise UnfitGrantError("a grant that is made by a grant allows no more than that one does")
        elif not decision.is_allowed:  # it was allowed a moment ago
            raise AccessDeniedError(caller.principal, "CreateGrant")


def _further(wanted: NewGrant) -> dict[str, tuple[str, ...]]:
    """Return the condition keys that CreateGrant alone has."""
    found = {"kms:grantoperations": tuple(sorted(wanted.actions)), "kms:granteeprincipal": (wanted.grantee,)}
    if wanted.retiring:
        found["kms:retiringprincipal"] = (wanted.retiring,)
    if wanted.equals is not None:
        found["kms:grantconstrainttype"] = ("EncryptionContextEquals",)
    elif wanted.subset is not None:
        found["kms:grantconstrainttype"] = ("EncryptionContextSubset",)
    return found


def _dry_run(key_id: str) -> DryRunError:
    return DryRunError(key_id=key_id, material_id="")


def _page(found: list[GrantRecord], limit: int) -> GrantPage:
    shown = found[:limit]
    return GrantPage(tuple(map(_info, shown)), shown[-1].grant_id if len(found) > limit else None)


def _info(record: GrantRecord) -> GrantInfo:
    return GrantInfo(
        record.grant_id,
        record.key_id,
        record.name,
        record.grantee,
        record.retiring,
        record.actions,
        record.context_equals,
        record.context_subset,
        record.created_at,
    )
