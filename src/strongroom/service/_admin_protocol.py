"""What the service promises of verbs that the admin API alone has; a part of ``KeyService``."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from strongroom.keyring import KeyInfo
from strongroom.service._authority import NO_CONTEXT, Decision
from strongroom.service._caller import Caller


class ListedKey(NamedTuple):
    """A key in a list."""

    key_id: str
    info: KeyInfo | None
    """None for a key that the caller may not describe."""


class ListedKeyPage(NamedTuple):
    """Keys in the order of their ids; ``next_after`` is the id to go on after, None at the end."""

    keys: tuple[ListedKey, ...]
    next_after: str | None


class AccessKeyInfo(NamedTuple):
    """An access key, without its secret."""

    access_key_id: str
    roles: tuple[str, ...]
    """As recorded."""
    counting_roles: tuple[str, ...]
    """Those that count: of an officer what the chain of custody gives, and none that are kept apart or disabled."""
    is_active: bool
    created_at: float
    """Seconds since the Unix epoch."""
    used_at: float | None
    """When it was last used, as far as that was noted; a few minutes late."""


class PrincipalInfo(NamedTuple):
    """A principal that has access keys."""

    principal: str
    access_keys: tuple[AccessKeyInfo, ...]


class PrincipalPage(NamedTuple):
    """Principals in the order of their names; ``next_after`` is the name to go on after, None at the end."""

    principals: tuple[PrincipalInfo, ...]
    next_after: str | None


class PolicyCase(NamedTuple):
    """A request about one key that somebody might make."""

    principal: str
    action: str
    """Without ``kms:``."""
    access_key_id: str = ""
    """Or the identity of a configured caller; empty for each that the principal has."""
    context: Mapping[str, str] = NO_CONTEXT
    source_address: str = ""


class PolicyCheck(NamedTuple):
    """How the case would be decided."""

    access_key_id: str
    decision: Decision


class AdminService(Protocol):
    """Looks at the service itself and at who may do what. Changes nothing."""

    async def read_api_description(self, caller: Caller) -> None:
        """Record that a caller reads how the admin API is to be used; everybody who is known may."""
        ...

    async def read_health(self, caller: Caller) -> None:
        """Record that a caller asks whether the service is ready; everybody who is known may."""
        ...

    async def read_caller(self, caller: Caller) -> tuple[str, ...]:
        """Return the verbs that the caller's roles allow, sorted; everybody who is known may."""
        ...

    async def list_key_states(self, caller: Caller, *, limit: int, after: str | None) -> ListedKeyPage:
        """List keys, ``limit`` 1 to 100, with what the caller might also be told by ``describe_key``."""
        ...

    async def list_principals(self, caller: Caller, *, limit: int, after: str | None) -> PrincipalPage:
        """List principals with their access keys, ``limit`` 1 to 100. Raises PoliciesNotKeptError."""
        ...

    async def check_key_policy(
        self, caller: Caller, key_id: str, *, case: PolicyCase
    ) -> tuple[PolicyCheck, ...]:
        """Decide about a case without doing it. Raises KeyNotFoundError."""
        ...
