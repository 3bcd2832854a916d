"""From the text of a document to checked parts: sizes, forms and names, but no meaning yet.

JSON as RFC 8259 has it, and stricter: no member twice in an object, no number anywhere, no lone surrogates. A reader
that is forgiving would let two readers of one document understand two policies.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from strongroom.policy._errors import MalformedPolicyError

MAX_DOCUMENT_BYTES: Final = 32_768
VERSIONS: Final = ("2012-10-17", "2008-10-17")
_VARIABLES_SINCE: Final = "2012-10-17"
_DOCUMENT: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT: Final = frozenset({"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition"})
_EFFECTS: Final = ("Allow", "Deny")
_MAX_NAME: Final = 512


class StatementParts(NamedTuple):
    """A statement as it is written."""

    number: int
    """From 1, in the order of the document."""
    sid: str
    is_deny: bool
    principals: Mapping[str, list[str]]
    """By kind: ``AWS`` and ``Service``."""
    actions: list[str]
    is_not_action: bool
    resources: list[str]
    conditions: list[tuple[str, str, list[str]]]
    """Operator, key, values."""


def read_document(text: str) -> list[StatementParts]:
    """Return the statements of a document. Raises MalformedPolicyError."""
    document = _object(_json(text), "the document")
    _only(document, _DOCUMENT, "the document")
    version = document.get("Version", "2008-10-17")
    if version not in VERSIONS:
        raise MalformedPolicyError(f"Version must be one of {', '.join(VERSIONS)}")
    if not isinstance(document.get("Id", ""), str):
        raise MalformedPolicyError("Id must be a text")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyError("the document has no Statement")
    return [
        _statement(
            _object(statement, f"statement {number}"), number, has_variables=version == _VARIABLES_SINCE
        )
        for number, statement in enumerate(statements, 1)
    ]


def _json(text: str) -> object:
    try:
        if len(text.encode()) > MAX_DOCUMENT_BYTES:
            raise MalformedPolicyError(f"the document is longer than {MAX_DOCUMENT_BYTES} bytes")
        return json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeEncodeError and JSONDecodeError are ValueErrors
        raise MalformedPolicyError("the document is not JSON") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedPolicyError("a member stands twice in an object of the document")
    return members


def _no_constant(_name: str) -> None:
    raise MalformedPolicyError("the document is not JSON")


def _statement(statement: dict[str, Any], number: int, *, has_variables: bool) -> StatementParts:
    where = f"statement {number}"
    _only(statement, _STATEMENT, where)
    sid, effect = statement.get("Sid", ""), statement.get("Effect")
    if not isinstance(sid, str) or len(sid) > _MAX_NAME or not sid.isprintable():
        raise MalformedPolicyError(f"{where}: Sid must be a text of up to {_MAX_NAME} printable characters")
    if effect not in _EFFECTS:
        raise MalformedPolicyError(f"{where}: Effect must be Allow or Deny")
    if ("Action" in statement) == ("NotAction" in statement):
        raise MalformedPolicyError(f"{where} must have one of Action and NotAction")
    is_not_action = "NotAction" in statement
    if "Resource" not in statement:
        raise MalformedPolicyError(f"{where} has no Resource")
    return StatementParts(
        number,
        sid,
        effect == "Deny",
        _principals(statement.get("Principal"), where),
        _texts(statement["NotAction" if is_not_action else "Action"], f"{where}, action"),
        is_not_action,
        _texts(statement["Resource"], f"{where}, resource"),
        _conditions(statement.get("Condition", {}), where, has_variables=has_variables),
    )


def _principals(principal: object, where: str) -> Mapping[str, list[str]]:
    if principal == "*":
        return {"AWS": ["*"]}
    if not isinstance(principal, dict) or not principal:
        raise MalformedPolicyError(f'{where} must have a Principal: "*" or an object')
    _only(principal, frozenset({"AWS", "Service"}), f"{where}, Principal")
    return {kind: _texts(texts, f"{where}, Principal") for kind, texts in principal.items()}


def _conditions(block: object, where: str, *, has_variables: bool) -> list[tuple[str, str, list[str]]]:
    found: list[tuple[str, str, list[str]]] = []
    names: set[tuple[str, str]] = set()
    for operator, keys in _object(block, f"{where}, Condition").items():
        for key, values in _object(keys, f"{where}, Condition").items():
            texts = _texts(values, f"{where}, Condition", with_truths=True)
            if has_variables and any("${" in text for text in texts):
                raise MalformedPolicyError(f"{where}: policy variables are not understood")
            if (operator, key.casefold()) in names:
                raise MalformedPolicyError(f"{where}: a condition key stands twice under one operator")
            names.add((operator, key.casefold()))
            found.append((operator, key, texts))
    return found


def _texts(value: object, where: str, *, with_truths: bool = False) -> list[str]:
    """Return one text or a list of them as a list."""
    values: Sequence[object] = value if isinstance(value, list) else [value]
    if not values:
        raise MalformedPolicyError(f"{where}: a list is empty")
    texts = []
    for item in values:
        if with_truths and isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, str) and _is_sound(item):
            texts.append(item)
        else:
            raise MalformedPolicyError(f"{where}: there must be texts")
    return texts


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedPolicyError(f"{where} must be an object")
    return value


def _only(members: Mapping[str, object], known: frozenset[str], where: str) -> None:
    unknown = sorted(set(members) - known)
    if unknown:
        raise MalformedPolicyError(f"{where}: {unknown[0][:100]!r} is not understood")


def _is_sound(text: str) -> bool:
    """Whether a text has no lone surrogates: no text of a request has one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
