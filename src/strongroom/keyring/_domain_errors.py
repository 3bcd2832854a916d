"""What can be wrong with a domain.

KeyringError
├── DomainNotFoundError     no domain has this name or id
├── DomainNameError         a domain cannot be called so
├── DomainNameInUseError    another one is
├── DomainFullError         it has as many keys as a domain may have
├── DomainStateError        what is asked of it does not fit what it is, or what is done to it at this moment
├── NotInDomainError        the key lives inside HSMs: no domain KEK is over it
└── DomainTagError          the tag that says a key's domain was to say something else
"""

from strongroom.keyring._errors import KeyringError


class DomainNotFoundError(KeyringError):
    """No domain has this name or id."""

    def __init__(self, domain: str) -> None:
        super().__init__(f"there is no domain {domain[:64]!r}")


class DomainNameError(KeyringError):
    """A domain cannot be called so."""


class DomainNameInUseError(KeyringError):
    """Another domain has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a domain {name} already")
        self.name = name


class DomainFullError(KeyringError):
    """The domain has as many keys as a domain may have."""

    def __init__(self, domain: str, limit: int) -> None:
        super().__init__(f"the domain {domain} has {limit} keys, which is the most")
        self.limit = limit


class DomainStateError(KeyringError):
    """What is asked of a domain does not fit what it is, or what is done to it at this moment."""


class NotInDomainError(KeyringError):
    """The key lives inside HSMs: nothing of it is under a domain KEK."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} lives inside HSMs, where no domain KEK is over it", key_id=key_id)


class DomainTagError(KeyringError):
    """The tag that says a key's domain was to say something else than the key's domain."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the tag strongroom:domain of the key {key_id} says which domain it is in", key_id=key_id
        )
