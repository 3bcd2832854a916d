"""What the service refuses by policy."""

from strongroom.core import StrongroomError


class AccessDeniedError(StrongroomError):
    """The roles of the access key, which is one of the principal's, do not allow the verb."""

    def __init__(self, principal: str, verb: str) -> None:
        super().__init__(f"{principal} is not allowed to {verb}")
        self.principal = principal
        self.verb = verb
