"""``GrantTerms`` and ``GrantIndex``: what grants allow.

Source: AWS KMS developer guide, "Grants in AWS KMS". Constraints apply to what takes an encryption context, and to
nothing else that the grant allows.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.policy._request import NO_CONTEXT

CONTEXT_ACTIONS: Final = frozenset(
    """
    Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair
    GenerateDataKeyPairWithoutPlaintext
    """.split()  # noqa: SIM905
)
"""What takes an encryption context."""

_ALWAYS: Final = frozenset({"CreateGrant", "RetireGrant", "DescribeKey"})
_BY_USAGE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "ENCRYPT_DECRYPT": frozenset({"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"}),
        "SIGN_VERIFY": frozenset({"Sign", "Verify"}),
        "GENERATE_VERIFY_MAC": frozenset({"GenerateMac", "VerifyMac"}),
        "KEY_AGREEMENT": frozenset({"DeriveSharedSecret"}),
    }
)
_SYMMETRIC_SPEC: Final = "SYMMETRIC_DEFAULT"


GRANT_ACTIONS: Final = (
    *(
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
    ),
    *("Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair"),
    *("GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac", "DeriveSharedSecret"),
)
"""What grants can be for, on keys of one kind or another."""


def grantable_actions(spec: str, usage: str) -> frozenset[str]:
    """Return what a grant on such a key may allow."""
    actions = _ALWAYS | _BY_USAGE.get(usage, frozenset())
    if spec == _SYMMETRIC_SPEC:
        return actions | CONTEXT_ACTIONS
    return actions if usage == "GENERATE_VERIFY_MAC" else actions | {"GetPublicKey"}


class GrantTerms(NamedTuple):
    """What a grant allows, and with which encryption contexts."""

    actions: frozenset[str]
    equals: Mapping[str, str] | None = None
    """The encryption context must be exactly this."""
    subset: Mapping[str, str] | None = None
    """The encryption context must have at least these pairs."""

    def allow(self, action: str, context: Mapping[str, str] = NO_CONTEXT) -> bool:
        """Whether the grant allows an action with an encryption context."""
        if action not in self.actions:
            return False
        return action not in CONTEXT_ACTIONS or self._fits(context)

    def _fits(self, context: Mapping[str, str]) -> bool:
        if self.equals is not None and context != self.equals:
            return False
        return self.subset is None or all(context.get(name) == value for name, value in self.subset.items())

    def include(self, other: "GrantTerms") -> bool:
        """Whether whatever the other terms allow is allowed by these: who has a grant may pass on no more than it."""
        if not other.actions <= self.actions:
            return False
        if self.equals is not None and other.equals != self.equals:
            return False
        if self.subset is None:
            return True
        known = [pairs for pairs in (other.equals, other.subset) if pairs is not None]
        return all(any(pairs.get(name) == value for pairs in known) for name, value in self.subset.items())


_Pairs = frozenset[tuple[str, str]]


class GrantIndex:
    """The grants that one principal has on one key; finding the one that allows takes no longer for many.

    Each action has its grants by exact context, by one pair that the context must have, and those without either.
    """

    def __init__(self, grants: Iterable[tuple[str, GrantTerms]]) -> None:
        """Take grant ids with their terms."""
        self._free: dict[str, str] = {}
        self._exact: dict[tuple[str, _Pairs], list[tuple[str, GrantTerms]]] = {}
        self._by_pair: dict[tuple[str, tuple[str, str]], list[tuple[str, GrantTerms]]] = {}
        self.terms: dict[str, GrantTerms] = {}
        for grant_id, terms in grants:
            self.terms[grant_id] = terms
            for action in terms.actions:
                self._add(grant_id, terms, action)

    def _add(self, grant_id: str, terms: GrantTerms, action: str) -> None:
        if action not in CONTEXT_ACTIONS or (terms.equals is None and not terms.subset):
            self._free.setdefault(action, grant_id)
        elif terms.equals is not None:
            self._exact.setdefault((action, frozenset(terms.equals.items())), []).append((grant_id, terms))
        elif terms.subset:
            self._by_pair.setdefault((action, min(terms.subset.items())), []).append((grant_id, terms))

    def find(self, action: str, context: Mapping[str, str] = NO_CONTEXT) -> str | None:
        """Return a grant that allows an action with an encryption context; None when there is none."""
        free = self._free.get(action)
        if free is not None:
            return free
        if self._exact:
            found = self._first(self._exact.get((action, frozenset(context.items())), ()), action, context)
            if found is not None:
                return found
        if self._by_pair:
            for pair in context.items():
                found = self._first(self._by_pair.get((action, pair), ()), action, context)
                if found is not None:
                    return found
        return None

    @staticmethod
    def _first(
        candidates: Iterable[tuple[str, GrantTerms]], action: str, context: Mapping[str, str]
    ) -> str | None:
        return next((grant_id for grant_id, terms in candidates if terms.allow(action, context)), None)
