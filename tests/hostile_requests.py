"""Requests for Hypothesis to draw, made from the service model: right, nearly right, and bodies that are no requests."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import botocore.model
from hypothesis import strategies as st

from kms_model import input_shape, size_limits, wrong_values

SECRET = b"hunter2 is what nobody may log"
SLOW_TO_MAKE = frozenset({"RSA_3072", "RSA_4096"})
Known = Mapping[str, Sequence[Any]]
"""Name of a member → values that mean something in the service that is asked."""

_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_nested = st.integers(1, 12).map(lambda depth: json.loads('{"a":[' * depth + "1" + "]}" * depth))
_contexts = st.dictionaries(st.text(max_size=20), st.just(SECRET.decode()) | st.text(max_size=20), max_size=4)


def _blobs(shape: botocore.model.Shape) -> st.SearchStrategy[str]:
    least, most = size_limits(shape)
    edges = [n for n in (least or 0, 1, 32, 48, 64, most or 0, (most or 0) + 1) if n >= 0]
    held = st.binary(max_size=40).map(lambda some: some + SECRET) | st.just(SECRET)
    sized = st.sampled_from(edges).map(bytes)
    return (held | sized).map(lambda data: base64.b64encode(data).decode())


def _texts(shape: botocore.model.Shape) -> st.SearchStrategy[str]:
    least, most = size_limits(shape)
    edges = [n for n in (least or 0, (least or 0) + 1, most or 7, (most or 7) + 1) if n < 10_000]
    if shape.metadata.get("sensitive"):
        return st.just(SECRET.decode())
    return st.sampled_from(edges).map("a".__mul__) | st.text(max_size=20)


def right_values(shape: botocore.model.Shape, name: str, known: Known) -> st.SearchStrategy[Any]:
    """Draw values of the right type, at the edges of their lengths and a step beyond them."""
    if name in known:
        return st.sampled_from(known[name])
    if enum := getattr(shape, "enum", None):
        return st.sampled_from([word for word in enum if word not in SLOW_TO_MAKE])
    match shape.type_name:
        case "string":
            return _texts(shape)
        case "blob":
            return _blobs(shape)
        case "boolean":
            return st.booleans()
        case "integer":
            least, most = size_limits(shape)
            return st.integers((least or 0) - 1, (most or 1_000) + 1)
        case "timestamp":
            return st.floats(-(2**40), 2**60) | st.integers(0, 2**40)
        case "list":
            return st.lists(right_values(shape.member, name, known), max_size=4)
        case "map":
            return _contexts
    return st.fixed_dictionaries(
        {}, optional={inner: right_values(of, inner, known) for inner, of in shape.members.items()}
    )


@st.composite
def members_of(draw: st.DrawFn, operation: str, known: Known) -> dict[str, Any]:
    """Draw the members of a request: the required ones and some others, and at most two of them wrong."""
    shape = input_shape(operation)
    named = {name: right_values(of, name, known) for name, of in shape.members.items()}
    required = {name: named.pop(name) for name in shape.required_members}
    members: dict[str, Any] = draw(st.fixed_dictionaries(required, optional=named))
    if not shape.members or draw(st.booleans()):
        return members
    for name in draw(st.lists(st.sampled_from(sorted(shape.members)), max_size=2)):
        wrong = [value.value for value in wrong_values(shape.members[name], name)]
        members[name] = draw(st.sampled_from(wrong) | _junk | _nested)
    if draw(st.booleans()):
        members |= draw(st.dictionaries(st.text(max_size=12), _junk | _nested, max_size=2))
    return members


@st.composite
def bodies_of(draw: st.DrawFn, operation: str, known: Known) -> bytes:
    """Draw the body of a request; one in a few is cut, doubled, bent, or no JSON."""
    members = draw(members_of(operation, known))
    body = json.dumps(members, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 11)):
        case 0:
            return body[: draw(st.integers(0, len(body)))]
        case 1:
            return body[:-1] + b"," + body[1:]
        case 2:
            at = draw(st.integers(0, len(body) - 1))
            return body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]
        case 3:
            return draw(st.binary(max_size=60))
    return body
