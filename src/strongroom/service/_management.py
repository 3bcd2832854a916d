"""``ManagementVerbs``: the verbs that make, show and change keys, aliases and tags, and never use a key."""

from collections.abc import Collection, Mapping

from strongroom.core import KeyState
from strongroom.keyring import (
    AliasInfo,
    AliasPage,
    KeyByAlias,
    KeyById,
    KeyInfo,
    KeyKind,
    KeyPage,
    KeyRef,
    TagPage,
)
from strongroom.policy import KeyFacts
from strongroom.service._approval_values import Asker
from strongroom.service._custody_verbs import CustodyVerbs
from strongroom.service._direct_acts import CREATE_HSM_KEY, creation_parameters
from strongroom.service._facts import detail_of_request, names_list
from strongroom.service._policy_checks import check_policy, detail_of_policy, lockout_key
from strongroom.service._values import Caller


class ManagementVerbs(CustodyVerbs):
    """See ``KeyService`` for what each verb promises."""

    async def create_key(
        self,
        caller: Caller,
        *,
        description: str,
        tags: Mapping[str, str] | None = None,
        kind: KeyKind | None = None,
        skip_lockout_check: bool = False,
    ) -> KeyInfo:
        """Create a key."""
        kind = kind or KeyKind()
        detail = {**_tag_names(tags or {}), "spec": kind.spec, "usage": kind.usage}
        if kind.store_id:
            detail["store"] = kind.store_id
        if kind.domain:
            detail["domain"] = kind.domain

        async def act() -> KeyInfo:
            if self._policy.partition is not None:
                self._policy.partition.require_made(kind)
            if kind.policy:
                detail.update(detail_of_policy(kind.policy))
                facts = KeyFacts("", kind.spec, kind.usage, kind.origin)  # no statement can name its id yet
                check_policy(
                    self._policy,
                    caller,
                    kind.policy,
                    facts,
                    detail,
                    skip_lockout_check=skip_lockout_check,
                )
            if not kind.store_id:
                return await self._keyring.create_key(description, tags, kind)
            return await self.approved(
                CREATE_HSM_KEY,
                creation_parameters(kind.spec, kind.usage),
                Asker.of(caller),
                lambda approval: self._keyring.create_key(
                    description, tags, kind._replace(approval=approval)
                ),
                detail=detail,
            )

        return await self._change(
            caller, "CreateKey", act, detail=detail, further=lockout_key(skip=skip_lockout_check)
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

    async def update_alias(self, caller: Caller, *, alias_name: str, target_key_id: str) -> None:
        """Let an alias point to another key."""
        former = self._keyring.identify(KeyByAlias(alias_name))

        def authorise() -> str:
            if former is not None:
                self.authorise_now(caller, "UpdateAlias", KeyById(former))
            return self.authorise_now(caller, "UpdateAlias", KeyById(target_key_id))

        await self._change(
            caller,
            "UpdateAlias",
            lambda: self._keyring.aliases.move(alias_name, target_key_id, former=former or ""),
            key_id=target_key_id,
            detail={"alias": alias_name, **({} if former is None else {"former_key": former})},
            authorise=authorise,
        )

    async def delete_alias(self, caller: Caller, *, alias_name: str) -> None:
        """Remove an alias."""
        former = self._keyring.identify(KeyByAlias(alias_name)) or ""
        await self._change(
            caller,
            "DeleteAlias",
            lambda: self._keyring.aliases.delete(alias_name, former=former),
            key_id=former,
            detail={"alias": alias_name},
        )

    async def update_key_description(self, caller: Caller, key_id: str, *, description: str) -> None:
        """Describe a key anew."""
        await self._change(
            caller,
            "UpdateKeyDescription",
            lambda: self._keyring.lifecycle.set_description(key_id, description),
            key_id=key_id,
        )

    async def cancel_key_deletion(self, caller: Caller, key_id: str) -> None:
        """Take back the date of destruction; the key stays suspended."""
        await self._change(
            caller,
            "CancelKeyDeletion",
            lambda: self._keyring.lifecycle.cancel_destruction(key_id),
            key_id=key_id,
        )

    async def tag_resource(self, caller: Caller, key_id: str, *, tags: Mapping[str, str]) -> None:
        """Put tags on a key."""
        await self._change(
            caller,
            "TagResource",
            lambda: self._keyring.tags.put(key_id, tags),
            key_id=key_id,
            detail=_tag_names(tags),
        )

    async def untag_resource(self, caller: Caller, key_id: str, *, names: Collection[str]) -> None:
        """Remove tags from a key."""
        await self._change(
            caller,
            "UntagResource",
            lambda: self._keyring.tags.remove(key_id, names),
            key_id=key_id,
            detail=_tag_names(names),
        )

    async def list_resource_tags(
        self, caller: Caller, key_id: str, *, limit: int, after: str | None
    ) -> TagPage:
        """List a key's tags in the order of their names."""

        async def act() -> TagPage:
            return self._keyring.tags.page(key_id, limit=limit, after=after)

        return await self._use(caller, "ListResourceTags", act(), key=KeyById(key_id))

    async def _set_state(self, caller: Caller, verb: str, key_id: str, state: KeyState) -> None:
        await self._change(caller, verb, lambda: self._keyring.set_state(key_id, state), key_id=key_id)


def _tag_names(names: Collection[str]) -> dict[str, str]:
    """Say which tags a call is about, by their names; never their values."""
    return {"tags": names_list(names)} if names else {}
