"""``PolicyDocument``: a whole policy, prepared once, that answers what it says of a request."""

from enum import Enum
from typing import Final, NamedTuple

from strongroom.policy._errors import MalformedPolicyError
from strongroom.policy._reading import read_document
from strongroom.policy._request import AccessRequest
from strongroom.policy._statement import Statement

MAX_COST: Final = 600_000
"""The most that one decision may cost, in nanoseconds or so. What would cost more is refused like a Deny."""
_MAX_FIXED_COST: Final = MAX_COST // 2
_MAX_REMEMBERED: Final = 1_024
_PER_PAIR: Final = 200


class Says(Enum):
    """What a policy says of a request."""

    DENY = "deny"
    """A statement denies it, whatever else allows it."""
    ALLOW = "allow"
    """A statement that names the principal, or everybody, allows it."""
    DELEGATE = "delegate"
    """A statement leaves it to the account: its roles decide."""
    NOTHING = "nothing"


class PolicyAnswer(NamedTuple):
    """What a policy says, and which statement says it."""

    says: Says
    number: int = 0
    """Of the statement, from 1; 0 when none decided."""
    sid: str = ""
    is_too_costly: bool = False
    """It would have taken too long to find out: then it is a Deny."""


_NOTHING: Final = PolicyAnswer(Says.NOTHING)
_KINDS: Final = (Says.DENY, Says.ALLOW, Says.DELEGATE)
_TOO_COSTLY: Final = PolicyAnswer(Says.DENY, is_too_costly=True)


class _Concerned(NamedTuple):
    """The statements about one action and one principal."""

    denying: list[Statement]
    allowing: list[Statement]
    delegating: list[Statement]
    always: PolicyAnswer | None
    """What they say of every such request, where that depends on nothing else."""


class PolicyDocument:
    """A policy. Immutable but for what it remembers; belongs to one thread."""

    def __init__(self, text: str) -> None:
        """Read a document of up to 32 KiB. Raises MalformedPolicyError, and nothing else for any text."""
        self._statements = [Statement(parts) for parts in read_document(text)]
        fixed = sum(statement.fixed_cost for statement in self._statements)
        actions = sum(statement.action_cost for statement in self._statements)
        if max(fixed, actions) > _MAX_FIXED_COST:
            raise MalformedPolicyError(
                "the document has too many conditions or patterns to be decided quickly"
            )
        self._by_action: dict[str, list[Statement]] = {}
        self._concerned: dict[tuple[str, str], _Concerned] = {}

    @property
    def not_present(self) -> tuple[str, ...]:
        """Condition keys and services that no request to this service has: whoever put the policy may want to know."""
        return tuple(sorted({name for statement in self._statements for name in statement.not_present}))

    def is_plain_delegation(self, account_id: str) -> bool:
        """Whether the policy leaves everything to the roles of this account, as the default policy does."""
        return len(self._statements) == 1 and (
            self._statements[0].is_plain_delegation and self._statements[0].names_account(account_id)
        )

    def answer(self, request: AccessRequest) -> PolicyAnswer:
        """Return what the policy says of a request. Never raises; the order of statements does not matter."""
        concerned = self._find_concerned(request.action, request.principal_arn, request.account_id)
        if concerned.always is not None:
            return concerned.always
        by_kind = concerned[:3]
        cost = _PER_PAIR * len(request.context)  # their names are folded once, when the first condition asks
        for statements in by_kind:
            for statement in statements:
                cost += statement.cost(request)
        if cost > MAX_COST:
            return _TOO_COSTLY
        for says, statements in zip(_KINDS, by_kind, strict=True):
            for statement in statements:
                if statement.holds(request):
                    return PolicyAnswer(says, statement.number, statement.sid)
        return _NOTHING

    def answer_always(self, action: str, principal_arn: str, account_id: str) -> PolicyAnswer | None:
        """Return what the policy says of such a request whatever else it holds; None when it matters what that is."""
        return self._find_concerned(action, principal_arn, account_id).always

    def _find_concerned(self, action: str, principal_arn: str, account_id: str) -> _Concerned:
        found = self._concerned.get((action, principal_arn))
        if found is not None:
            return found
        denying, allowing, delegating = list[Statement](), list[Statement](), list[Statement]()
        for statement in self._about(action):
            if statement.is_deny:
                if statement.names(principal_arn) or statement.names_account(account_id):
                    denying.append(statement)
            elif statement.names(principal_arn):
                allowing.append(statement)
            elif statement.names_account(account_id):
                delegating.append(statement)
        by_kind = (denying, allowing, delegating)
        found = _Concerned(*by_kind, _always(by_kind))
        if len(self._concerned) >= _MAX_REMEMBERED:
            self._concerned.clear()
        self._concerned[action, principal_arn] = found
        return found

    def _about(self, action: str) -> list[Statement]:
        """Return the statements about an action; there are only as many actions as this service has."""
        found = self._by_action.get(action)
        if found is None:
            lowered = action.lower()
            found = [statement for statement in self._statements if statement.covers(lowered)]
            if len(self._by_action) >= _MAX_REMEMBERED:
                self._by_action.clear()
            self._by_action[action] = found
        return found


def _always(by_kind: tuple[list[Statement], list[Statement], list[Statement]]) -> PolicyAnswer | None:
    """Return the answer of statements none of which asks for anything more; None where one does."""
    if not all(statement.is_unconditional for statements in by_kind for statement in statements):
        return None
    for says, statements in zip(_KINDS, by_kind, strict=True):
        if statements:
            return PolicyAnswer(says, statements[0].number, statements[0].sid)
    return _NOTHING


def default_policy(account_id: str) -> str:
    """Return the policy of a key that was given none: its account decides by roles. As AWS writes it."""
    return f"""{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:aws:iam::{account_id}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"""
