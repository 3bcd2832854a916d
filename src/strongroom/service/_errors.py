"""What the service refuses by policy."""

from strongroom.core import StrongroomError


class AccessDeniedError(StrongroomError):
    """The verb is denied, or neither policy, roles nor a grant allow it."""

    def __init__(self, principal: str, verb: str) -> None:
        super().__init__(f"{principal} is not allowed to {verb}")
        self.principal = principal
        self.verb = verb


class InactiveAccessKeyError(AccessDeniedError):
    """The access key was disabled or removed after the request was signed with it."""


class InvalidGrantTokenError(StrongroomError):
    """A grant token names no grant that there is."""

    def __init__(self) -> None:
        super().__init__("a grant token names no grant that there is")


class GrantNotFoundError(StrongroomError):
    """There is no such grant on this key."""

    def __init__(self) -> None:
        super().__init__("there is no such grant")


class GrantLimitError(StrongroomError):
    """The key, or the principal on it, has as many grants as there may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} grants already, and there may be no more")
        self.limit = limit


class UnfitGrantError(StrongroomError):
    """A grant asks for what its key cannot do, or for more than its maker may pass on."""


class LockoutError(StrongroomError):
    """With this policy its maker could not change the policy again."""

    def __init__(self) -> None:
        super().__init__("the new policy would not let its maker change it again")


class QuotaExceededError(StrongroomError):
    """The principal, the key or the operation has had as many requests as its quota allows for now."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"a quota is used up for {wait_s:.3f} s")
        self.wait_s = wait_s
        """Seconds after which the request may go, if nobody else comes before it."""


class PoliciesNotKeptError(StrongroomError):
    """This service decides by roles alone and keeps no policies."""

    def __init__(self) -> None:
        super().__init__("this service keeps no policies of keys")
