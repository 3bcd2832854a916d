"""ARNs of keys and aliases, as the caller's region and the configured account make them."""

from functools import lru_cache
from typing import NamedTuple


class Arns(NamedTuple):
    """Renders ``arn:aws:kms:REGION:ACCOUNT:...``."""

    account_id: str
    """Twelve digits, from the configuration."""
    region: str
    """From the credential scope of the request's signature."""

    def key(self, key_id: str) -> str:
        """Return the ARN of a key."""
        return f"arn:aws:kms:{self.region}:{self.account_id}:key/{key_id}"

    def alias(self, alias_name: str) -> str:
        """Return the ARN of an alias; ``alias_name`` starts with ``alias/``."""
        return f"arn:aws:kms:{self.region}:{self.account_id}:{alias_name}"

    def principal(self, principal: str) -> str:
        """Return the IAM form of a principal such as ``user/developer``."""
        return f"arn:aws:iam::{self.account_id}:{principal}"


@lru_cache(maxsize=256)
def arns_of(account_id: str, region: str) -> Arns:
    """Return ``Arns`` for callers who were verified: those of a few regions, request for request."""
    return Arns(account_id, region)
