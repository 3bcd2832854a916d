"""The documents of custody as types, and their way from and to bytes.

Every document is canonical JSON and says what it is in ``type``. What is unknown in it is refused; nothing may be left out.
A document is named by its hash: SHA-256 of its bytes, in hex, as ``sha256sum`` prints it of the file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from strongroom.custody._canonical import MAX_DOCUMENT_BYTES, canonical_json, parse_canonical
from strongroom.custody._errors import MalformedDocumentError

MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_PEOPLE: Final = 100
MAX_APPROVALS: Final = 32
MAX_SECONDS: Final = 2**40
_MAX_PARAMETER_DEPTH: Final = 8
"""Requests stand inside records, and records inside evidence: their parameters are less deep than a document may be."""

Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Verb = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Za-z0-9]{1,62}\Z")]
Hex16 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS)]
"""Seconds since the Unix epoch."""
KeyLine = Annotated[str, msgspec.Meta(min_length=20, max_length=1024)]
Recipient = Annotated[str, msgspec.Meta(max_length=1024)]
"""``age1…``, a line of an ``ssh-ed25519`` key without its comment, or empty: whoever has none is delivered nothing."""
Signature = Annotated[str, msgspec.Meta(min_length=20, max_length=6000)]
"""An SSH signature (SSHSIG blob) in base64."""


class Role(StrEnum):
    """What a person is in the custody of a cluster."""

    SECURITY_OFFICER = "security-officer"
    """Members, officers and policy."""
    CRYPTO_OFFICER = "crypto-officer"
    """Keys."""
    AUDITOR = "auditor"
    """Reads logs and nothing else: approves nothing."""
    OPERATOR = "operator"
    """Health and drills."""
    CUSTODIAN = "custodian"
    """Holds a share."""
    WITNESS = "witness"
    """Watches ceremonies and signs what they saw."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frozen; unknown members are refused."""


class Person(_Document, frozen=True):
    """Somebody with a name, roles and keys."""

    id: Id
    name: Words
    roles: Annotated[tuple[Role, ...], msgspec.Meta(min_length=1, max_length=6)]
    """Sorted, each once."""
    keys: Annotated[tuple[KeyLine, ...], msgspec.Meta(min_length=1, max_length=8)]
    """Public keys as in ``.pub`` files, without comments."""
    principals: Annotated[tuple[Words, ...], msgspec.Meta(max_length=16)]
    """As whom this person calls the service, such as ``user/anna``: what they ask for there they do not approve."""
    recipient: Recipient
    """Where deliveries to them, such as PINs, are encrypted to (age)."""


class QuorumRule(_Document, frozen=True):
    """Who must approve a verb."""

    m: Annotated[int, msgspec.Meta(ge=1, le=16)]
    """How many people."""
    role: Role
    """The role that each of them must hold."""
    expires_s: Annotated[int, msgspec.Meta(ge=60, le=31 * 86_400)]
    """How long a request may live."""
    standing: bool
    """Whether a standing approval may be given for it."""


class GenesisBody(_Document, frozen=True):
    """How a cluster begins: what all its first security officers sign."""

    type: Literal["strongroom-genesis-v1"]
    cluster: Hex16
    """Random: what keeps the approvals of two clusters apart."""
    name: Words
    created: Seconds
    people: Annotated[tuple[Person, ...], msgspec.Meta(min_length=1, max_length=MAX_PEOPLE)]
    rules: Annotated[dict[Verb, QuorumRule], msgspec.Meta(max_length=100)]


class Genesis(_Document, frozen=True):
    """The beginning with its signatures: one by each security officer, in the order of ``people``."""

    body: GenesisBody
    signatures: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=MAX_PEOPLE)]


class EnrolmentBody(_Document, frozen=True):
    """What somebody says of themselves who is to become an officer. Roles and principals others give them."""

    type: Literal["strongroom-enrolment-v1"]
    id: Id
    name: Words
    keys: Annotated[tuple[KeyLine, ...], msgspec.Meta(min_length=1, max_length=8)]
    recipient: Recipient
    created: Seconds


class Enrolment(_Document, frozen=True):
    """An enrolment with one signature by each of its keys, in their order: whoever made it holds them all."""

    body: EnrolmentBody
    signatures: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=8)]


class ApprovalRequest(_Document, frozen=True):
    """What officers sign: one act, with everything that it depends on."""

    type: Literal["strongroom-request-v1"]
    cluster: Hex16
    state: Hex32
    """Hash of the record (or genesis) that was last in the chain: who the officers are and what the rules are."""
    verb: Verb
    parameters: dict[str, Any]
    """Every parameter: texts, whole numbers, truths, lists and objects of them."""
    requester: Words
    """``officer/ID``, or a principal of the service."""
    nonce: Hex16
    created: Seconds
    expires: Seconds


class Record(_Document, frozen=True):
    """A change of officers or policy, as it was approved. ``request.state`` is the hash of the record before."""

    type: Literal["strongroom-record-v1"]
    sequence: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    request: ApprovalRequest
    approvals: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=MAX_APPROVALS)]
    at: Seconds
    """When it came into force, by the clock of the service."""


class Evidence(_Document, frozen=True):
    """Everything that proves one approved act: nothing else is needed to verify it."""

    type: Literal["strongroom-evidence-v1"]
    genesis: Genesis
    records: Annotated[tuple[Record, ...], msgspec.Meta(max_length=10_000)]
    """The chain up to the record that was in force."""
    request: ApprovalRequest
    approvals: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=MAX_APPROVALS)]
    executed: Seconds
    """When the act was begun, by the clock of the service."""


DocumentT = TypeVar(
    "DocumentT", Genesis, GenesisBody, Enrolment, EnrolmentBody, ApprovalRequest, Record, Evidence
)


def read_document(data: bytes, kind: type[DocumentT], *, max_bytes: int = MAX_DOCUMENT_BYTES) -> DocumentT:
    """Return the document that the bytes are. Raises MalformedDocumentError."""
    try:
        document = msgspec.convert(parse_canonical(data, max_bytes=max_bytes), kind, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedDocumentError(f"the document is not a {kind.__name__}: {error}") from error
    _check_parameters(document)
    return document


def write_document(document: msgspec.Struct) -> bytes:
    """Return the canonical bytes of a document. Raises MalformedDocumentError for parameters that have none."""
    if isinstance(document, ApprovalRequest):
        check_request_form(document)
    return canonical_json(msgspec.to_builtins(document))


def document_hash(data: bytes) -> str:
    """Return the name of a document: SHA-256 of its bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def check_request_form(request: ApprovalRequest) -> None:
    """Refuse parameters with numbers that are not whole, too deep, or too long. Raises MalformedDocumentError."""
    _check_value(request.parameters, 0)
    if len(canonical_json(msgspec.to_builtins(request))) > MAX_REQUEST_BYTES:
        raise MalformedDocumentError(f"the request is longer than {MAX_REQUEST_BYTES} bytes")


def _check_parameters(document: msgspec.Struct) -> None:
    if isinstance(document, ApprovalRequest):
        check_request_form(document)
    if isinstance(document, Record | Evidence):
        check_request_form(document.request)
    if isinstance(document, Evidence):
        for record in document.records:
            check_request_form(record.request)


def _check_value(value: object, depth: int) -> None:
    if depth > _MAX_PARAMETER_DEPTH:
        raise MalformedDocumentError(f"the parameters have more than {_MAX_PARAMETER_DEPTH} levels")
    if isinstance(value, Mapping):
        for inner in value.values():
            _check_value(inner, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        for inner in value:
            _check_value(inner, depth + 1)
    elif value is not None and not isinstance(value, str | int):  # bool is an int
        raise MalformedDocumentError(
            f"a parameter is a {type(value).__name__}: parameters are texts, whole numbers and truths"
        )
