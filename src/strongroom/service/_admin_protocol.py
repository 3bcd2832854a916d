"""What the service promises of verbs that the admin API alone has; a part of ``KeyService``."""

from typing import Protocol

from strongroom.service._caller import Caller


class AdminService(Protocol):
    """Looks at the service itself and at who may do what. Changes nothing."""

    async def read_api_description(self, caller: Caller) -> None:
        """Record that a caller reads how the admin API is to be used; everybody who is known may."""
        ...
