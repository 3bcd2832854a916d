"""The part of the configuration that says how often callers may call."""

from typing import Annotated, Self

import msgspec

from strongroom.core import ConfigError


class QuotaConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A token bucket: so many requests a second in the long run, so many at once."""

    rate: Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
    """Requests a second."""
    burst: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """Requests that may come at once after a rest."""


class QuotasConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Quotas of callers, of all API processes together. What is not named is not limited."""

    principal: QuotaConfig | None = None
    """Of each principal, over all operations and keys."""
    key: QuotaConfig | None = None
    """Of each key, over all principals and operations."""
    operations: dict[str, QuotaConfig] = {}
    """Of each principal, by the name of an operation, such as ``Decrypt``."""

    def checked(self, known: frozenset[str]) -> Self:
        """Return this if its operations are known ones. Raises ConfigError that names the first unknown one."""
        for name in self.operations:
            if name not in known:
                raise ConfigError(
                    f"quotas.operations.{name}: there is no such operation",
                    next_step="operations are named as in the AWS KMS API, such as Decrypt",
                )
        return self
