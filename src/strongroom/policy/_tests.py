"""What an operator does with one value: the texts of a condition, prepared once.

``Texts``, ``Arns``, ``Truths`` and ``Networks`` each say whether a value is one of those that a condition lists.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol

from strongroom.policy._errors import MalformedPolicyError
from strongroom.policy._patterns import Pattern, has_wildcards
from strongroom.policy._request import read_address

_EXACT_COST: Final = 100
_ARN_PARTS: Final = 6
_ARN_COST: Final = 800
_MAPPED_BITS: Final = 96
"""Of the prefix under which IPv6 has the addresses of IPv4 (RFC 4291, section 2.5.5.2)."""


class ValueTest(Protocol):
    """Says whether a value is among those listed; costs are as in ``Pattern``."""

    @property
    def fixed_cost(self) -> int:
        """Upper bound for one value, whatever it is."""
        ...

    @property
    def per_char_cost(self) -> int:
        """As much more for each of its characters."""
        ...

    def holds(self, value: str) -> bool:
        """Whether the value is among them."""
        ...


class Texts:
    """Exact texts, and patterns where these are asked for."""

    def __init__(self, texts: list[str], *, with_patterns: bool, ignore_case: bool) -> None:
        is_pattern = has_wildcards if with_patterns else (lambda _text: False)
        self._ignore_case = ignore_case
        folded = [text.casefold() for text in texts] if ignore_case else texts
        self._exact = frozenset(text for text in folded if not is_pattern(text))
        self._patterns = [Pattern(text) for text in dict.fromkeys(folded) if is_pattern(text)]
        self.fixed_cost = _EXACT_COST + sum(pattern.fixed_cost for pattern in self._patterns)
        self.per_char_cost = ignore_case + sum(pattern.per_char_cost for pattern in self._patterns)

    def holds(self, value: str) -> bool:
        """Whether the value is one of the texts, or as one of the patterns says."""
        if self._ignore_case:
            value = value.casefold()
        if value in self._exact:
            return True
        return any(pattern.matches(value) for pattern in self._patterns)


class Arns:
    """ARNs with wildcards: each of the six parts is compared with its own (IAM, "ArnEquals" and "ArnLike")."""

    def __init__(self, texts: list[str]) -> None:
        for text in texts:
            if text.count(":") < _ARN_PARTS - 1 and text != "*":
                raise MalformedPolicyError("a condition on an ARN lists what is no ARN of six parts")
        self._any = "*" in texts
        self._exact = frozenset(text for text in texts if not has_wildcards(text))
        self._patterns = [
            _arn_pattern(text) for text in dict.fromkeys(texts) if has_wildcards(text) and text != "*"
        ]
        patterns = [pattern for _literals, patterns in self._patterns for _place, pattern in patterns]
        self.fixed_cost = _EXACT_COST + _ARN_COST * len(self._patterns) + sum(p.fixed_cost for p in patterns)
        self.per_char_cost = sum(pattern.per_char_cost for pattern in patterns)

    def holds(self, value: str) -> bool:
        """Whether the value is one of the ARNs."""
        if value in self._exact or self._any:
            return True
        parts = value.split(":", _ARN_PARTS - 1)
        if len(parts) != _ARN_PARTS:
            return False
        return any(
            all(parts[place] == text for place, text in literals)
            and all(pattern.matches(parts[place]) for place, pattern in patterns)
            for literals, patterns in self._patterns
        )


def _arn_pattern(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, Pattern]]]:
    """Return the parts of an ARN that are plain, and those with wildcards, each with its place."""
    parts = list(enumerate(text.split(":", _ARN_PARTS - 1)))
    plain = [(place, part) for place, part in parts if not has_wildcards(part)]
    return plain, [(place, Pattern(part)) for place, part in parts if has_wildcards(part) and part != "*"]


class Networks:
    """Networks of IP addresses, found by their length and then at once."""

    def __init__(self, texts: list[str]) -> None:
        by_mask: dict[tuple[int, int], set[int]] = {}
        for text in texts:
            try:
                network = ip_network(text, strict=False)
            except ValueError:
                raise MalformedPolicyError(
                    "a condition on an address lists what is no address or network"
                ) from None
            mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
            if mapped is not None and network.prefixlen >= _MAPPED_BITS:  # as addresses of requests are read
                network = IPv4Network((int(mapped), network.prefixlen - _MAPPED_BITS))
            mask = int(network.netmask)
            by_mask.setdefault((network.version, mask), set()).add(int(network.network_address))
        self._by_mask = by_mask
        self.fixed_cost = _EXACT_COST + 200 + 150 * len(by_mask)
        self.per_char_cost = 0

    def holds(self, value: str) -> bool:
        """Whether the address is in one of the networks."""
        address = read_address(value)
        if address is None:
            return False
        version, number = address
        return any(
            of_version == version and number & mask in networks
            for (of_version, mask), networks in self._by_mask.items()
        )
