"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that officers sign bytes and mean a value.

The serialiser is the ``rfc8785`` package; what reads is ours and strict. A document is accepted only in the very bytes
that the serialiser would make, so that nobody can show one text and have another one signed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import rfc8785

from strongroom.custody._errors import MalformedDocumentError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_DOCUMENT_BYTES: Final = 256 * 1024
"""The largest request, genesis or record. Evidence, which holds many, may be larger."""
MAX_DEPTH: Final = 16
"""How deep arrays and objects may be nested."""

_BRACKETS: Final = re.compile(rb"[\[\]{}]")


def canonical_json(value: Json) -> bytes:
    """Return the canonical bytes of a value (RFC 8785).

    Raises MalformedDocumentError for what has none: integers beyond 2^53 - 1, NaN and infinities (RFC 8785 section
    3.2.2.3), lone surrogates, keys that are no text, and more than ``MAX_DEPTH`` levels.
    """
    _check_depth(value, 0)
    try:
        return rfc8785.dumps(value)
    except ValueError as error:  # CanonicalizationError and UnicodeEncodeError are ValueErrors
        raise MalformedDocumentError("the value has no canonical form") from error


def parse_canonical(data: bytes, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> Json:
    """Return the value of a document in canonical form. Raises MalformedDocumentError for any other bytes.

    A member that stands twice, white space, another order, another spelling of a number or a text: all are refused, and
    so is a whole number beyond 2^53 - 1 without an exponent, which readers disagree about.
    """
    if len(data) > max_bytes:
        raise MalformedDocumentError(f"the document is longer than {max_bytes} bytes")
    _check_depth_of_text(data)
    try:
        value: Json = json.loads(
            data.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise MalformedDocumentError("the document is not JSON in UTF-8") from error
    if canonical_json(value) != data:
        raise MalformedDocumentError(
            "the document is not in canonical form", next_step="keep its bytes as they were made (RFC 8785)"
        )
    return value


def _check_depth(value: Json, depth: int) -> None:
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return
    if depth == MAX_DEPTH:
        raise MalformedDocumentError(f"the value has more than {MAX_DEPTH} levels")
    for inner in value.values() if isinstance(value, Mapping) else value:
        _check_depth(inner, depth + 1)


def _check_depth_of_text(data: bytes) -> None:
    """Refuse deep nesting before a recursive parser sees it."""
    depth = 0
    # Behind a backslash that stands outside of a text the parser reads nothing, so what is made of it there is all the same.
    outside_of_texts = data.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    # One by one: a list of all brackets in a hostile manifest of 64 MiB takes gigabytes.
    for bracket in _BRACKETS.finditer(b"".join(outside_of_texts)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedDocumentError(f"the document has more than {MAX_DEPTH} levels")


def _without_doubles(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedDocumentError("a member stands twice in an object")
    return members


def _no_constant(_name: str) -> None:
    raise MalformedDocumentError("the document is not JSON")
