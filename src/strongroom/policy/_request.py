"""``AccessRequest``: all that a policy may look at of a request."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import Final, NamedTuple

NO_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
NO_CONTEXT: Final[Mapping[str, str]] = MappingProxyType({})


class KeyFacts(NamedTuple):
    """What conditions may ask of a key, in the words of AWS KMS."""

    key_id: str
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"


class AccessRequest:
    """Who wants to do what with which key. Made once for a decision; belongs to one thread."""

    __slots__ = (
        "_folded",
        "account_id",
        "action",
        "context",
        "further",
        "is_tls",
        "key",
        "principal_arn",
        "source_address",
    )

    def __init__(
        self,
        action: str,
        *,
        principal_arn: str,
        account_id: str,
        key: KeyFacts,
        context: Mapping[str, str] = NO_CONTEXT,
        source_address: str = "",
        is_tls: bool = False,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
    ) -> None:
        """``action`` without ``kms:``. ``further``: values of condition keys, in lower case, that this action alone has."""
        self.action = action
        self.principal_arn = principal_arn
        self.account_id = account_id
        self.key = key
        self.context = context
        self.source_address = source_address
        self.is_tls = is_tls
        self.further = further
        self._folded: dict[str, list[str]] | None = None

    def context_values(self, folded_name: str) -> tuple[str, ...]:
        """Return the values in the encryption context under a name, in whatever case it is written there."""
        if self._folded is None:
            self._folded = {}
            for name, value in self.context.items():
                self._folded.setdefault(name.casefold(), []).append(value)
        return tuple(self._folded.get(folded_name, ()))


Values = Callable[[AccessRequest], tuple[str, ...]]
"""Returns what a request has under a condition key; nothing when it does not have the key."""


@lru_cache(maxsize=4_096)
def read_address(text: str) -> tuple[int, int] | None:
    """Return version and number of an IP address, those of IPv4 in IPv6 as IPv4; None for anything else."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
