"""The AWS KMS service model of botocore, walked: its members, right values for them, and every kind of wrong one."""

import base64
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import botocore.loaders
import botocore.model

MODEL = botocore.model.ServiceModel(botocore.loaders.create_loader().load_service_model("kms", "service-2"))
OPERATIONS = tuple(MODEL.operation_names)
COMMON_ERRORS = frozenset(
    """
    AccessDeniedException IncompleteSignature InvalidSignatureException KMSInternalException
    MissingAuthenticationTokenException NotAuthorizedException OptInRequired RequestExpired SerializationException
    ThrottlingException UnknownOperationException UnrecognizedClientException ValidationException
    """.split()  # noqa: SIM905  # quoted words are harder to read
)
"""What every operation may answer: "Common errors" of the AWS KMS API reference, and what SigV4 and JSON 1.1 add."""
_TEXTS = (
    "a", "alias/a", "default", "1234567890123456789012345", "cluster-strongroomhsms", "0" * 64, "123456789012",
    "arn:aws:kms:eu-central-1:123456789012:key/x", "https://a.example.org", "/kms/xks/v1", "a.b.example",
    "A" * 24, "a" * 48, "com.amazonaws.vpce.eu-central-1.vpce-svc-0a1b2c", "eu-central-1",
)  # fmt: skip
_UNFIT = ("é", "a b", "\x00", "\u0100", "-", "Ａ")  # noqa: RUF001  # a letter that only looks like an A


class Wrong(NamedTuple):
    """A value that a member must not have."""

    path: str
    kind: str
    """``type``, or the constraint that it breaks: ``short``, ``long``, ``pattern``, ``enum``, ``required``."""
    value: Any


def input_shape(operation: str) -> botocore.model.StructureShape:
    return MODEL.operation_model(operation).input_shape


def modelled_errors(operation: str) -> frozenset[str]:
    """Return the errors that the model has for an operation, and those that all have.

    The model lets DescribeKey take grant tokens, and has no error for one that is wrong.
    """
    named = {shape.name for shape in MODEL.operation_model(operation).error_shapes}
    if "GrantTokens" in input_shape(operation).members:
        named.add("InvalidGrantTokenException")
    return COMMON_ERRORS | named


def size_limits(shape: botocore.model.Shape) -> tuple[int | None, int | None]:
    return shape.metadata.get("min"), shape.metadata.get("max")


def fits(shape: botocore.model.Shape, text: str) -> bool:
    """Tell whether a text has the length and the form that the model asks for. Java matches the whole text."""
    least, most = size_limits(shape)
    pattern = shape.metadata.get("pattern")
    is_of_form = pattern is None or re.fullmatch(pattern, text, re.ASCII) is not None
    return (least or 0) <= len(text) <= (most or 10**6) and is_of_form


def right_value(shape: botocore.model.Shape) -> Any:
    """Return a value that fulfils every constraint of the model."""
    match shape.type_name:
        case "string" if shape.enum:
            return shape.enum[0]
        case "string":
            return next(text for text in _TEXTS if fits(shape, text))
        case "blob":
            return "eA=="
        case "boolean":
            return True
        case "integer":
            return size_limits(shape)[0] or 1
        case "timestamp":
            return 1_900_000_000
        case "list":
            return [right_value(shape.member)]
        case "map":
            return {right_value(shape.key): right_value(shape.value)}
    return {name: right_value(shape.members[name]) for name in shape.required_members or list(shape.members)}


def wrong_values(shape: botocore.model.Shape, path: str) -> Iterator[Wrong]:
    """Make the values that the model forbids: one of each kind, in the depth too."""
    wrong_types = {"string": 5, "blob": 5, "integer": "5", "boolean": "true", "timestamp": "soon"}
    yield Wrong(path, "type", wrong_types.get(shape.type_name, "text"))
    match shape.type_name:
        case "string":
            yield from _wrong_texts(shape, path)
        case "blob":
            yield Wrong(path, "type", "eB==")
            least, most = size_limits(shape)
            if least:
                yield Wrong(path, "short", "")
            if most:
                yield Wrong(path, "long", base64.b64encode(bytes(most + 1)).decode())
        case "integer":
            least, most = size_limits(shape)
            if least is not None:
                yield Wrong(path, "short", least - 1)
            if most is not None:
                yield Wrong(path, "long", most + 1)
        case "list":
            yield from _wrong_lists(shape, path)
        case "map":
            yield Wrong(path, "type", {"a": 5})
        case "structure":
            yield from _wrong_structures(shape, path)


def _wrong_texts(shape: botocore.model.StringShape, path: str) -> Iterator[Wrong]:
    least, most = size_limits(shape)
    if shape.enum:
        yield Wrong(path, "enum", "ROT13")
        yield Wrong(path, "enum", shape.enum[0].lower())
    if least:
        yield Wrong(path, "short", "")
    if most:
        yield Wrong(path, "long", "a" * (most + 1))
    if pattern := shape.metadata.get("pattern"):
        padded = [text * max(1, least or 1) for text in _UNFIT]
        fitting = right_value(shape)
        padded += [text for text in (f"{fitting}\n", f" {fitting}") if len(text) <= (most or 10**6)]
        yield from (
            Wrong(path, "pattern", text) for text in padded if not re.fullmatch(pattern, text, re.ASCII)
        )


def _wrong_lists(shape: botocore.model.ListShape, path: str) -> Iterator[Wrong]:
    least, most = size_limits(shape)
    if least:
        yield Wrong(path, "short", [])
    if most:
        yield Wrong(path, "long", [right_value(shape.member)] * (most + 1))
    for wrong in wrong_values(shape.member, f"{path}[]"):
        yield wrong._replace(value=[wrong.value])


def _wrong_structures(shape: botocore.model.StructureShape, path: str) -> Iterator[Wrong]:
    right = right_value(shape)
    for name, member in shape.members.items():
        for wrong in wrong_values(member, f"{path}.{name}"):
            yield wrong._replace(value={**right, name: wrong.value})
    for name in shape.required_members:
        yield Wrong(f"{path}.{name}", "required", {key: value for key, value in right.items() if key != name})


def output_paths(operation: str) -> frozenset[str]:
    """Return the path of every member that an answer may have, as ``Operation.Member.Inner``."""
    shape = MODEL.operation_model(operation).output_shape
    return frozenset() if shape is None else frozenset(_paths(shape, operation))


def _paths(shape: botocore.model.Shape, path: str) -> Iterator[str]:
    if shape.type_name == "list":
        yield from _paths(shape.member, path)
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            yield f"{path}.{name}"
            yield from _paths(member, f"{path}.{name}")
