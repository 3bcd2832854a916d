"""What the verbs of key policies and grants promise, and what they take and return."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from strongroom.service._caller import Caller


class NewGrant(NamedTuple):
    """What a grant is to say."""

    grantee: str
    """ARN of the principal that may."""
    actions: frozenset[str]
    retiring: str = ""
    """ARN of the principal that may retire it; empty for none."""
    equals: Mapping[str, str] | None = None
    subset: Mapping[str, str] | None = None
    name: str = ""
    """With a name, the same request again comes to the same grant."""


class GrantInfo(NamedTuple):
    """A grant as callers may see it."""

    grant_id: str
    """64 hexadecimal digits."""
    key_id: str
    name: str
    grantee: str
    retiring: str
    actions: tuple[str, ...]
    equals: Mapping[str, str] | None
    subset: Mapping[str, str] | None
    created_at: float


class MadeGrant(NamedTuple):
    """What CreateGrant came to."""

    grant_id: str
    token: str
    """Another one each time, also for the same grant."""


class GrantPage(NamedTuple):
    """Grants in the order of their ids; ``next_after`` is the id to go on after, None at the end."""

    grants: tuple[GrantInfo, ...]
    next_after: str | None


class GrantService(Protocol):
    """The verbs of grants. With ``dry_run`` all is checked, nothing done, and DryRunError raised."""

    async def create_grant(
        self, caller: Caller, key_id: str, *, wanted: NewGrant, dry_run: bool = False
    ) -> MadeGrant:
        """Allow a principal some uses of a key; with a name, the same request again gives the same grant.

        Raises GrantLimitError, UnfitGrantError, KeyStateError.
        """
        ...

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
        """List the grants on a key: all, those of a grantee, or the one of an id. Raises GrantNotFoundError."""
        ...

    async def list_retirable_grants(
        self, caller: Caller, *, retiring: str, limit: int, after: str | None
    ) -> GrantPage:
        """List the grants that name a principal, by its ARN, as the one that may retire them."""
        ...

    async def revoke_grant(
        self, caller: Caller, key_id: str, *, grant_id: str, dry_run: bool = False
    ) -> None:
        """Remove a grant: no request that is sent after this returned can use it. Raises GrantNotFoundError."""
        ...

    async def retire_grant(
        self, caller: Caller, *, key_id: str | None, grant_id: str, dry_run: bool = False
    ) -> None:
        """Remove a grant, as one of those whom the grant itself lets do so. Raises GrantNotFoundError."""
        ...


class PolicyService(Protocol):
    """The verbs of key policies. A key has one policy, which is called ``default``."""

    async def get_key_policy(self, caller: Caller, key_id: str) -> str:
        """Return the policy of a key, as it was put; the default policy when none was."""
        ...

    async def put_key_policy(
        self, caller: Caller, key_id: str, *, document: str, skip_lockout_check: bool
    ) -> None:
        """Give a key another policy, for every request from the moment this returns.

        Raises MalformedPolicyError, and LockoutError when the caller could not change it again, unless that check
        is skipped.
        """
        ...

    async def list_key_policies(self, caller: Caller, key_id: str) -> None:
        """Check and record that a caller asks for the names of a key's policies, of which there is one."""
        ...
