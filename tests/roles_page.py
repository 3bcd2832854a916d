"""The table of roles in docs/authorisation.md is made of ROLES_FOR and of every door: ``python tests/roles_page.py`` writes it anew."""

from pathlib import Path

from role_requests import COMMANDS, every_request
from strongroom.core import APPROVED_ALGORITHMS, APPROVED_SPECS, ManagedKeySpec, why_not_approved
from strongroom.service import FOR_EVERYBODY, ROLES_FOR, Role

PAGE = Path(__file__).parents[1] / "docs" / "authorisation.md"
_MARKS = {
    "roles": ("<!-- roles: made by tests/roles_page.py -->", "<!-- end of roles -->"),
    "approved": ("<!-- approved: made by tests/roles_page.py -->", "<!-- end of approved -->"),
}
_SHORT = {
    Role.SECURITY_OFFICER: "security officer",
    Role.CRYPTO_OFFICER: "crypto officer",
    Role.CRYPTO_USER: "crypto user",
    Role.AUDITOR: "auditor",
    Role.OPERATOR: "operator",
    Role.CUSTODIAN: "custodian",
    Role.WITNESS: "witness",
}


def with_tables(text: str) -> str:
    """The text of the page with the tables as they are to be."""
    for name, table in (("roles", _roles()), ("approved", _approved())):
        begin, end = _MARKS[name]
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def _roles() -> str:
    doors = _doors()
    rows = [
        f"| `{verb}` | {doors.get(verb, '')} | "
        + " | ".join("yes" if role in ROLES_FOR[verb] else "" for role in _SHORT)
        + " |"
        for verb in sorted(ROLES_FOR, key=lambda verb: (-len(ROLES_FOR[verb]), sorted(ROLES_FOR[verb]), verb))
    ]
    rows += [
        f"| `{verb}` | {doors.get(verb, '')} | " + " | ".join("yes" for _ in _SHORT) + " |"
        for verb in sorted(FOR_EVERYBODY)
    ]
    head = f"| Verb | Doors | {' | '.join(_SHORT.values())} |\n|---|---|{'---|' * len(_SHORT)}\n"
    return head + "\n".join(rows) + "\n"


def _doors() -> dict[str, str]:
    found: dict[str, list[str]] = {"GetCallerIdentity": ["AWS (STS)"]}
    for request in every_request():
        for verb in request.verbs:
            door = request.door if request.door == "AWS" else f"`{request.door}`"
            found.setdefault(verb, []).append(door)
    for command in COMMANDS:
        for verb in command.verbs + command.with_officers:
            name = f"`strongroom {command.name}`"
            if name not in found[verb]:
                found[verb].append(name)
    return {verb: ", ".join(doors) for verb, doors in found.items()}


def _approved() -> str:
    rows = [
        f"| `{spec}` | {APPROVED_SPECS.get(spec) or f'refused: {why_not_approved(spec)}'} |"
        for spec in ManagedKeySpec
    ]
    rows += [f"| `{name}` | {source} |" for name, source in APPROVED_ALGORITHMS.items()]
    return "| Key spec or algorithm | Approved by |\n|---|---|\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
