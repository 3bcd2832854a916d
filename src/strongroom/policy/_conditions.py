"""``Condition``: one operator on one condition key.

Source: IAM, "JSON policy elements: Condition operators" and "Conditions with multiple context keys or values". What a
request does not have makes a plain operator false, a negated one, ``…IfExists`` and ``ForAllValues`` true.
"""

from enum import Enum
from typing import Final

from strongroom.policy._condition_keys import ConditionKey, Kind, find_key
from strongroom.policy._errors import MalformedPolicyError
from strongroom.policy._request import AccessRequest, read_address
from strongroom.policy._tests import Arns, Networks, Texts, ValueTest

_TRUTHS: Final = frozenset({"true", "false"})
_IF_EXISTS: Final = "IfExists"
_CONDITION_COST: Final = 400
_PER_VALUE: Final = 100
_PER_PAIR: Final = 250

_KINDS_OF_OPERATOR: Final = {
    "StringEquals": (Kind.TEXT, Kind.ARN, Kind.TRUTH),
    "StringEqualsIgnoreCase": (Kind.TEXT, Kind.ARN, Kind.TRUTH),
    "StringLike": (Kind.TEXT, Kind.ARN, Kind.TRUTH),
    "ArnEquals": (Kind.ARN,),
    "ArnLike": (Kind.ARN,),
    "Bool": (Kind.TRUTH,),
    "IpAddress": (Kind.ADDRESS,),
}
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
}


class _Quantifier(Enum):
    """How the values that a request has come to one answer."""

    ONE = ""
    ALL = "ForAllValues"
    ANY = "ForAnyValue"


class Condition:
    """One condition, prepared once. ``holds`` is its claim about a request."""

    __slots__ = ("_doubtful", "_if_absent", "_is_negated", "_key", "_null", "_quantifier", "_test")

    def __init__(self, operator: str, key_name: str, texts: list[str], *, is_deny: bool) -> None:
        """Raises MalformedPolicyError. ``is_deny``: whether the statement denies; what is in doubt then holds."""
        key = find_key(key_name)
        if key is None:
            raise MalformedPolicyError(f"the condition key {key_name[:100]!r} is not understood")
        self._key = key
        self._null: bool | None = None
        self._test: ValueTest | None = None
        self._doubtful = is_deny
        self._quantifier, base = _split_quantifier(operator)
        if base == "Null":
            self._is_negated = self._if_absent = False
            self._null = _truth_of_null(texts, self._quantifier)
            return
        if_exists = base.endswith(_IF_EXISTS)
        base = base.removesuffix(_IF_EXISTS)
        self._is_negated = base in _NEGATED
        base = _NEGATED.get(base, base)
        self._test = _make_test(operator, base, key, texts)
        self._if_absent = if_exists or self._is_negated
        if self._quantifier is _Quantifier.ALL:
            self._if_absent = True
        elif self._quantifier is _Quantifier.ANY:
            self._if_absent = if_exists
        if key.is_set and self._quantifier is _Quantifier.ONE:
            raise MalformedPolicyError(
                f"{key_name[:100]!r} may have several values: it takes ForAllValues or ForAnyValue"
            )

    @property
    def is_never_present(self) -> bool:
        """Whether this asks for what no request to this service has."""
        return self._key.is_never_present

    @property
    def key_name(self) -> str:
        """The condition key, in lower case."""
        return self._key.name

    @property
    def fixed_cost(self) -> int:
        """What deciding costs at most for a request with one short value (``Pattern.fixed_cost``)."""
        return _CONDITION_COST + (0 if self._test is None else self._test.fixed_cost)

    @property
    def is_variable(self) -> bool:
        """Whether what deciding costs depends on the request."""
        return self._key.is_set or (self._test is not None and self._test.per_char_cost > 0)

    def further_cost(self, request: AccessRequest) -> int:
        """Bound what deciding costs beyond ``fixed_cost`` for this request, before anything is compared."""
        cost = _PER_PAIR * len(request.context) if self._key.is_set else 0
        test = self._test
        if test is None:
            return cost
        values = self._key.values(request)
        cost += max(0, len(values) - 1) * (test.fixed_cost + _PER_VALUE)
        return cost + test.per_char_cost * sum(map(len, values))

    def holds(self, request: AccessRequest) -> bool:
        """Whether the request is as this condition says."""
        values = self._key.values(request)
        test = self._test
        if test is None:
            return (not values) is self._null
        if not values:
            return self._if_absent
        if self._key.kind is Kind.ADDRESS and read_address(values[0]) is None:
            return self._doubtful  # nobody knows where the request comes from
        wanted = not self._is_negated
        if self._quantifier is _Quantifier.ALL:
            return all(test.holds(value) is wanted for value in values)
        if self._quantifier is _Quantifier.ANY or (self._doubtful and len(values) > 1):
            return any(test.holds(value) is wanted for value in values)
        # Two names that differ in case only give two values: an Allow needs both, a Deny either.
        return all(test.holds(value) is wanted for value in values)


def _split_quantifier(operator: str) -> tuple[_Quantifier, str]:
    before, colon, base = operator.partition(":")
    if not colon:
        return _Quantifier.ONE, operator
    if before == _Quantifier.ALL.value:
        return _Quantifier.ALL, base
    if before == _Quantifier.ANY.value:
        return _Quantifier.ANY, base
    raise _unknown_operator(operator)


def _truth_of_null(texts: list[str], quantifier: _Quantifier) -> bool:
    if quantifier is not _Quantifier.ONE or len(texts) != 1 or texts[0].lower() not in _TRUTHS:
        raise MalformedPolicyError("Null takes one of true and false")
    return texts[0].lower() == "true"


def _make_test(operator: str, base: str, key: ConditionKey, texts: list[str]) -> ValueTest:
    kinds = _KINDS_OF_OPERATOR.get(base)
    if kinds is None:
        raise _unknown_operator(operator)
    if key.kind not in kinds:
        raise MalformedPolicyError(
            f"{operator[:100]} does not go with {key.name[:100]!r}, which is a {key.kind.value}"
        )
    if base == "IpAddress":
        return Networks(texts)
    if base.startswith("Arn"):
        return Arns(texts)
    if base == "Bool":
        if not _TRUTHS.issuperset(text.lower() for text in texts):
            raise MalformedPolicyError("Bool takes true and false only")
        return Texts(texts, with_patterns=False, ignore_case=True)
    return Texts(texts, with_patterns=base == "StringLike", ignore_case=base == "StringEqualsIgnoreCase")


def _unknown_operator(operator: str) -> MalformedPolicyError:
    return MalformedPolicyError(f"the condition operator {operator[:100]!r} is not understood")
