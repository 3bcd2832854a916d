"""``Statement``: one statement of a policy, prepared once."""

import re
from typing import Final

from strongroom.policy._conditions import Condition
from strongroom.policy._errors import MalformedPolicyError
from strongroom.policy._patterns import Pattern, has_wildcards
from strongroom.policy._principals import account_of_root, is_principal_arn
from strongroom.policy._reading import StatementParts
from strongroom.policy._request import AccessRequest

_SERVICE: Final = "kms"
_ANY_ACTION_LEN: Final = 40
_STATEMENT_COST: Final = 300
_RESOURCE_COST: Final = 200
_KEY_ID_LEN: Final = 36
_RESOURCE: Final = re.compile(r"arn:aws:kms:[a-z0-9*?-]{1,40}:([0-9*?]{1,12}):key/([0-9A-Za-z*?-]{1,64})")
_SERVICE_PRINCIPAL: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")


class Statement:
    """What one statement says. ``covers``, ``names`` (or ``names_account``) and ``holds`` together: whether it decides."""

    __slots__ = (
        *(
            "_accounts",
            "_actions",
            "_any_principal",
            "_arns",
            "_conditions",
            "_is_about_all",
            "_is_not_action",
            "_patterns",
            "_resources",
            "_variable",
        ),
        *("action_cost", "fixed_cost", "is_deny", "not_present", "number", "sid"),
    )

    def __init__(self, parts: StatementParts) -> None:
        """Raises MalformedPolicyError."""
        self.number = parts.number
        self.sid = parts.sid
        self.is_deny = parts.is_deny
        where = f"statement {parts.number}"
        self._any_principal = False
        self._accounts: frozenset[str] = frozenset()
        self._arns: frozenset[str] = frozenset()
        self._take_principals(parts.principals.get("AWS", []), where)
        services = parts.principals.get("Service", [])
        if not all(map(_SERVICE_PRINCIPAL.fullmatch, services)):
            raise MalformedPolicyError(f"{where}: a Service principal is no name of an AWS service")
        self._is_not_action = parts.is_not_action
        names = [_action(text, where) for text in parts.actions]
        self._is_about_all = not self._is_not_action and "*" in names
        self._actions = frozenset(name for name in names if not has_wildcards(name))
        self._patterns = [Pattern(name) for name in dict.fromkeys(names) if has_wildcards(name)]
        self.action_cost = sum(p.fixed_cost + _ANY_ACTION_LEN * p.per_char_cost for p in self._patterns)
        resources = _Resources(parts.resources, where)
        self._resources = None if "*" in parts.resources else resources
        self._conditions = _conditions(parts, where)
        self._variable = [condition for condition in self._conditions if condition.is_variable]
        self.fixed_cost = _STATEMENT_COST + sum(condition.fixed_cost for condition in self._conditions)
        self.fixed_cost += 0 if self._resources is None else self._resources.cost
        self.not_present = tuple(services) + tuple(c.key_name for c in self._conditions if c.is_never_present)

    @property
    def is_plain_delegation(self) -> bool:
        """Whether this leaves everything to the roles of one account, and says nothing else."""
        return (
            not self.is_deny
            and not (self._any_principal or self._arns or self._conditions)
            and len(self._accounts) == 1
            and self._resources is None
            and self._is_about_all
        )

    @property
    def is_unconditional(self) -> bool:
        """Whether it holds for every request that it concerns."""
        return not self._conditions and self._resources is None

    def covers(self, action: str) -> bool:
        """Whether the statement is about an action, given in lower case."""
        found = action in self._actions or any(pattern.matches(action) for pattern in self._patterns)
        return found is not self._is_not_action

    def names(self, principal_arn: str) -> bool:
        """Whether it speaks of this principal by itself, or of everybody."""
        return self._any_principal or principal_arn in self._arns

    def names_account(self, account_id: str) -> bool:
        """Whether it speaks of the account as a whole."""
        return account_id in self._accounts

    def cost(self, request: AccessRequest) -> int:
        """Bound what ``holds`` costs for this request, in nanoseconds or so."""
        cost = self.fixed_cost
        for condition in self._variable:
            cost += condition.further_cost(request)
        return cost

    def holds(self, request: AccessRequest) -> bool:
        """Whether resource and conditions are as the statement says."""
        if self._resources is not None and not self._resources.include(
            request.account_id, request.key.key_id
        ):
            return False
        return all(condition.holds(request) for condition in self._conditions)

    def _take_principals(self, texts: list[str], where: str) -> None:
        accounts, arns = set(), set()
        for text in texts:
            account = account_of_root(text)
            if text == "*":
                self._any_principal = True
            elif account is not None:
                accounts.add(account)
            elif is_principal_arn(text):
                arns.add(text)
            else:
                raise MalformedPolicyError(
                    f"{where}: a principal is neither '*' nor an account nor the ARN of one"
                )
        self._accounts, self._arns = frozenset(accounts), frozenset(arns)


class _Resources:
    """The keys that a statement is about; ``*`` is the one that has the policy, whichever that is.

    The region of an ARN is not compared: a key answers in the region that its caller signed for, whatever it is,
    and a caller must not get round a Deny by choosing another.
    """

    __slots__ = ("_exact", "_patterns", "cost")

    def __init__(self, texts: list[str], where: str) -> None:
        """Raises MalformedPolicyError."""
        found = dict.fromkeys(_resource(text, where) for text in texts)
        self._exact = frozenset(names for names in found if not has_wildcards("".join(names)))
        patterns = [names for names in found if names not in self._exact]
        self._patterns = [(Pattern(account), Pattern(key_id)) for account, key_id in patterns]
        self.cost = _RESOURCE_COST + sum(map(_cost_of_pair, self._patterns))

    def include(self, account_id: str, key_id: str) -> bool:
        """Whether a key is one of them."""
        return (account_id, key_id) in self._exact or any(
            account.matches(account_id) and key.matches(key_id) for account, key in self._patterns
        )


def _resource(text: str, where: str) -> tuple[str, str]:
    """Return account and key id of the ARN of a key, either perhaps with wildcards."""
    if text == "*":
        return text, text
    found = _RESOURCE.fullmatch(text)
    if found is None:
        raise MalformedPolicyError(f"{where}: a resource is neither '*' nor the ARN of a key")
    return found[1], found[2]


def _cost_of_pair(pair: tuple[Pattern, Pattern]) -> int:
    return sum(_RESOURCE_COST + part.fixed_cost + _KEY_ID_LEN * part.per_char_cost for part in pair)


def _conditions(parts: StatementParts, where: str) -> list[Condition]:
    try:
        return [
            Condition(operator, key, texts, is_deny=parts.is_deny)
            for operator, key, texts in parts.conditions
        ]
    except MalformedPolicyError as error:
        raise MalformedPolicyError(f"{where}: {error.message}") from None


def _action(text: str, where: str) -> str:
    """Return an action in lower case without its service. Raises MalformedPolicyError for another service's."""
    if text == "*":
        return text
    service, colon, name = text.lower().partition(":")
    if service != _SERVICE or not colon or not name or not text.isascii():
        raise MalformedPolicyError(f"{where}: an action is neither '*' nor one of kms:")
    return name
