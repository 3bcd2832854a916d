"""A genesis and an enrolment in plain words, and what to think about before a genesis is signed."""

from collections.abc import Iterable, Iterator, Mapping

from strongroom.custody._default_rules import DEFAULT_RULES
from strongroom.custody._documents import (
    EnrolmentBody,
    GenesisBody,
    Person,
    QuorumRule,
    Role,
    document_hash,
    write_document,
)
from strongroom.custody._officer_keys import OfficerKey
from strongroom.custody._spoken import spoken
from strongroom.custody._words import quoted, shown_time

_WORDS_A_LINE = 8


def describe_genesis(body: GenesisBody) -> list[str]:
    """Return the body of a genesis as lines for people: everything that its security officers sign, whole."""
    lines = [
        f"The beginning of the cluster {quoted(body.name)}: its officers, and who must approve what.",
        "",
        f"  cluster      {body.cluster}",
        f"  created      {shown_time(body.created)}",
        "  people",
    ]
    for person in body.people:
        lines += _person(person)
    lines.append("  rules")
    width = max(map(len, body.rules), default=0)
    lines += [f"    {verb:<{width}}  {rule_in_words(rule)}" for verb, rule in sorted(body.rules.items())]
    return [*lines, "  anything else cannot be done at all"]


def describe_enrolment(body: EnrolmentBody) -> list[str]:
    """Return an enrolment as lines for people."""
    return [
        f"{quoted(body.name)} ({body.id}) says that these keys are theirs, and has signed with each of them.",
        "",
        *_keys(body.keys, "  "),
        *_recipient(body.recipient, "  "),
        f"  signed at    {shown_time(body.created)}, by their own clock",
    ]


def rule_in_words(rule: QuorumRule) -> str:
    """Return who must approve, and for how long a request lives."""
    people = f"{rule.m} {'person who is' if rule.m == 1 else 'people who are'} {rule.role}"
    standing = "; may be allowed beforehand, within bounds" if rule.standing else ""
    return f"{people}, within {_duration(rule.expires_s)}{standing}"


def describe_hash(hashed: str) -> list[str]:
    """Return a hash as people compare it: in hex, and in words to be read aloud."""
    words = spoken(hashed)
    rows = [words[at : at + _WORDS_A_LINE] for at in range(0, len(words), _WORDS_A_LINE)]
    return [f"  SHA-256      {hashed}", *(f"               {' '.join(row)}" for row in rows)]


def genesis_warnings(body: GenesisBody) -> list[str]:
    """Return what is allowed and yet deserves a thought, as sentences."""
    return [
        *_acts_without_rule(body.rules),
        *_acts_that_nobody_knows(body.rules),
        *_narrow_rules(body),
        *_people(body.people),
    ]


def hash_of_body(body: GenesisBody) -> str:
    """Return the hash of what the security officers sign."""
    return document_hash(write_document(body))


def _acts_without_rule(rules: Mapping[str, QuorumRule]) -> Iterator[str]:
    for verb in sorted(DEFAULT_RULES.keys() - rules.keys()):
        yield f"{verb} has no rule: nobody can have it done until a rule is set"


def _acts_that_nobody_knows(rules: Mapping[str, QuorumRule]) -> Iterator[str]:
    for verb in sorted(rules.keys() - DEFAULT_RULES.keys()):
        yield f"{verb} is no act that this version of Strongroom knows: see whether its name is right"


def _narrow_rules(body: GenesisBody) -> Iterator[str]:
    alone = sorted(verb for verb, rule in body.rules.items() if rule.m == 1)
    if alone:
        yield f"one person alone is enough for {', '.join(alone)}"
    for role in Role:
        n_people = sum(role in person.roles for person in body.people)
        all_of = sorted(
            verb for verb, rule in body.rules.items() if rule.role is role and rule.m == n_people > 1
        )
        if all_of:
            yield (
                f"all {n_people} people who are {role} are needed for {', '.join(all_of)}:"
                " whoever is away, loses their key, or asks for it themselves stops it; have one more"
            )


def _people(people: Iterable[Person]) -> Iterator[str]:
    for person in people:
        if Role.SECURITY_OFFICER in person.roles and not person.recipient:
            yield f"{person.id} has no recipient: no PIN can be delivered to them"
        approves = {Role.SECURITY_OFFICER, Role.CRYPTO_OFFICER} & set(person.roles)
        if approves and not person.principals:
            yield (
                f"{person.id} has no principal: if they call the service as one, it cannot be told"
                " that they approve what they asked for themselves"
            )


def _person(person: Person) -> list[str]:
    principals = ", ".join(map(quoted, person.principals)) or "none"
    return [
        f"    {person.id}: {quoted(person.name)}, {', '.join(person.roles)}",
        *_keys(person.keys, "      "),
        *_recipient(person.recipient, "      "),
        f"      calls as   {principals}",
    ]


def _keys(lines: Iterable[str], indent: str) -> list[str]:
    keys = [OfficerKey.from_line(line) for line in lines]
    return [f"{indent}key        {key.fingerprint} ({key.kind})" for key in keys]


def _recipient(recipient: str, indent: str) -> list[str]:
    if not recipient:
        return [f"{indent}deliveries none can be made to them"]
    is_key = recipient.startswith("ssh-")
    shown = f"{OfficerKey.from_line(recipient).fingerprint} (ssh-ed25519)" if is_key else quoted(recipient)
    return [f"{indent}deliveries encrypted to {shown}"]


def _duration(seconds: int) -> str:
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            n = seconds // unit
            return f"{n} {name}{'' if n == 1 else 's'}"
    return f"{seconds} seconds"
