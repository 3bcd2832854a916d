"""Who the officers are and what the rules are, at one point of the chain; and what may never be so."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.core import conflict_of
from strongroom.custody._documents import GenesisBody, Person, QuorumRule, Role
from strongroom.custody._errors import StateRefusedError
from strongroom.custody._officer_keys import OfficerKey
from strongroom.custody._recipients import check_recipient, opening_point, opening_point_of_key
from strongroom.custody._standing_terms import STANDING_VERB

CUSTODY_VERBS: Final = (
    "AddOfficer",
    "AddOfficerKey",
    "ChangeOfficerRecipient",
    "ChangeOfficerRoles",
    "RemoveQuorumRule",
    "RevokeOfficer",
    "RevokeOfficerKey",
    "SetQuorumRule",
)
"""The verbs that change officers and rules. Each always has a rule that can be reached, or nothing could change any more."""


class Officer(NamedTuple):
    """A person as they stand at some point of the chain. Nobody is ever removed: ids and keys are never given anew."""

    id: str
    name: str
    roles: frozenset[Role]
    keys: frozenset[OfficerKey]
    revoked_keys: frozenset[OfficerKey]
    principals: frozenset[str]
    is_revoked: bool = False
    recipient: str = ""
    """Where deliveries are encrypted to; empty: nothing is delivered to them."""

    @property
    def points(self) -> frozenset[bytes]:
        """The points of all keys that this person has or had.

        One secret makes signatures of every kind that its point can be called, so it is the point that nobody shares.
        """
        return frozenset(key.point for key in self.keys | self.revoked_keys)

    def may_sign(self, role: Role) -> bool:
        """Whether this person can approve what asks for a role."""
        return not self.is_revoked and role in self.roles and bool(self.keys)

    def is_known_as(self, requester: str) -> bool:
        """Whether a request of this requester is this person's own."""
        return requester == f"officer/{self.id}" or requester in self.principals


class CustodyState(NamedTuple):
    """Officers and rules at one point of a chain. Made by ``Chain`` alone."""

    cluster: str
    name: str
    head: str
    """Hash of the last document of the chain up to here."""
    history: frozenset[str]
    """Hashes of all documents up to here, ``head`` among them."""
    sequence: int
    """0 for the genesis, else the number of the record."""
    at: int
    officers: Mapping[str, Officer]
    rules: Mapping[str, QuorumRule]

    def officer_of(self, key: OfficerKey) -> Officer | None:
        """Return whose key it is or was; None if nobody's."""
        for officer in self.officers.values():
            if key in officer.keys or key in officer.revoked_keys:
                return officer
        return None

    def signers(self, role: Role) -> list[Officer]:
        """Return who can approve what asks for a role."""
        return [officer for officer in self.officers.values() if officer.may_sign(role)]


def officer_from(person: Person) -> Officer:
    """Take a person up as an officer. Raises StateRefusedError and OfficerKeyError."""
    if list(person.roles) != sorted(set(person.roles)):
        raise StateRefusedError(f"the roles of {person.id} are not sorted, or one stands twice")
    check_roles(person.id, person.roles)
    check_recipient(person.recipient)
    keys = [key_from_line(line) for line in person.keys]
    if len({key.point for key in keys}) != len(keys) or len(set(person.principals)) != len(person.principals):
        raise StateRefusedError(f"a key or a principal of {person.id} stands twice")
    return Officer(
        person.id,
        person.name,
        frozenset(person.roles),
        frozenset(keys),
        frozenset(),
        frozenset(person.principals),
        recipient=person.recipient,
    )


def key_from_line(line: str) -> OfficerKey:
    """Return the key of a line that is nothing but kind and base64. Raises StateRefusedError, OfficerKeyError."""
    key = OfficerKey.from_line(line)
    if key.line != line:
        raise StateRefusedError("a key stands in a document without its comment")
    return key


def check_roles(person_id: str, roles: Iterable[Role]) -> None:
    """Refuse roles that nobody may hold together (``core.conflict_of``). Raises StateRefusedError."""
    conflict = conflict_of(roles)
    if conflict is not None:
        raise StateRefusedError(
            f"{person_id} cannot be {conflict[0]} and {conflict[1]}: these duties are separate",
            next_step="give one of the roles to somebody else",
        )


def first_state(body: GenesisBody, head: str) -> CustodyState:
    """Return the state that a genesis sets up. Raises StateRefusedError, OfficerKeyError."""
    officers = [officer_from(person) for person in body.people]
    by_id = {officer.id: officer for officer in officers}
    if len(by_id) != len(officers):
        raise StateRefusedError("an id stands twice among the people")
    state = CustodyState(
        body.cluster,
        body.name,
        head,
        frozenset((head,)),
        0,
        body.created,
        MappingProxyType(by_id),
        MappingProxyType(dict(body.rules)),
    )
    check_state(state, reachable=state.rules)
    return state


def check_state(state: CustodyState, *, reachable: Iterable[str]) -> None:
    """Refuse a state that may not be: keys or principals shared, rules that auditors would decide or nobody can reach.

    ``reachable``: the verbs, besides those of custody, whose rule enough people must be able to meet. Raises StateRefusedError.
    """
    _check_nothing_is_shared(state.officers.values())
    for verb in CUSTODY_VERBS:
        if verb not in state.rules:
            raise StateRefusedError(
                f"{verb} has no rule, so nothing could be changed any more", next_step="give it a rule"
            )
    if STANDING_VERB in state.rules:
        raise StateRefusedError(f"{STANDING_VERB} has no rule of its own: that of the verb it allows holds")
    for verb, rule in state.rules.items():
        if rule.role is Role.AUDITOR:
            raise StateRefusedError(f"{verb} would be approved by auditors, who read logs and nothing else")
        if rule.standing and verb in CUSTODY_VERBS:
            raise StateRefusedError(f"{verb} changes who decides: there is no standing approval for it")
    for verb in {*CUSTODY_VERBS, *reachable}:
        rule = state.rules[verb]
        if len(state.signers(rule.role)) < rule.m:
            raise StateRefusedError(
                f"{verb} needs {rule.m} people who are {rule.role}, and there are fewer",
                next_step="add officers first, or lower the rule first",
            )


def _check_nothing_is_shared(officers: Iterable[Officer]) -> None:
    points: set[bytes] = set()
    principals: set[str] = set()
    opening: set[bytes] = set()
    for officer in officers:
        theirs = officer.keys | officer.revoked_keys
        if points & officer.points or principals & officer.principals:
            raise StateRefusedError(f"{officer.id} shares a key or a principal with somebody else")
        opens = {opening_point_of_key(key) for key in theirs}
        if officer.recipient:
            opens.add(opening_point(officer.recipient))
        if opening & opens:
            raise StateRefusedError(f"deliveries to {officer.id} could be opened by somebody else")
        points |= officer.points
        principals |= officer.principals
        opening |= opens
