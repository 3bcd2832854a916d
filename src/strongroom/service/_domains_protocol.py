"""What the service promises about domains; a part of ``KeyService``."""

from typing import Protocol

from strongroom.keyring import DomainInfo, DomainPage
from strongroom.service._caller import Caller


class DomainService(Protocol):
    """The verbs about domains. A domain is named by its name or its id."""

    async def create_domain(self, caller: Caller, *, name: str) -> DomainInfo:
        """Make a named domain. Raises DomainNameError, DomainNameInUseError."""
        ...

    async def list_domains(self, caller: Caller, *, limit: int, after: str | None) -> DomainPage:
        """List domains, ``limit`` 1 to 1,000."""
        ...

    async def describe_domain(self, caller: Caller, domain: str) -> DomainInfo:
        """Tell about a domain, and how far its rotation is. Raises DomainNotFoundError."""
        ...

    async def rotate_domain(self, caller: Caller, domain: str) -> DomainInfo:
        """Put a new domain KEK in the place of one, whose keys move to it. Raises DomainNotFoundError, DomainStateError."""
        ...

    async def move_key(self, caller: Caller, key_id: str, *, domain: str) -> DomainInfo:
        """Put a key into a named domain, or into one of its own (``dedicated``).

        Raises NotInDomainError, DomainNotFoundError, DomainFullError, DomainStateError.
        """
        ...

    async def get_key_domain(self, caller: Caller, key_id: str) -> DomainInfo:
        """Tell which domain a key is in. Raises NotInDomainError."""
        ...
