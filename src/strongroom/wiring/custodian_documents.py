"""What passes between the service and a custodian's own machine: duties to sign, challenges and proofs.

All are canonical JSON, read in just the bytes that it gives. A challenge is named by the SHA-256 of its bytes, and that is what
a custodian's share signs: so set, custodian and dates are signed with it.
"""

import hashlib
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from strongroom.core import StrongroomError, random_bytes
from strongroom.custody import (
    MAX_SIGNATURE_BYTES,
    MalformedDocumentError,
    OfficerKey,
    SignatureRefusedError,
    canonical_json,
    document_hash,
    parse_canonical,
    signature_from_base64,
    signature_to_base64,
    verify_signature,
)
from strongroom.shares import Share, check_possession, prove_possession

MAX_DOCUMENT_BYTES: Final = 16_384
NAMESPACE_CUSTODIAN: Final = "custodian@strongroom"
"""Of signatures by which somebody takes on the duties of a custodian."""
CHALLENGE_VALID_S: Final = 30 * 86_400
"""How long a challenge may be answered. The proof counts from its recording, and may be so much older."""

Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
SetId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{128}\Z")]
Number = Annotated[int, msgspec.Meta(ge=1, le=16)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class CustodianDocumentError(StrongroomError):
    """A document of a custodian is malformed, about something else, or too old."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frozen; unknown members are refused."""


class Duty(_Document, frozen=True):
    """What a custodian takes on (PCI DSS v4.0.1, 3.7.8). The same for the same set and person, whenever it is made."""

    type: Literal["strongroom-custodian-duty-v1"]
    set: SetId
    custodian: Id
    name: Words
    share: Number
    threshold: Number
    count: Number
    duties: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=600)], ...], msgspec.Meta(max_length=20)
    ]


class Acknowledgement(_Document, frozen=True):
    """A duty with the custodian's signature, or with the word of whoever saw them sign it on paper."""

    type: Literal["strongroom-custodian-acknowledgement-v1"]
    duty: Duty
    key: Annotated[str, msgspec.Meta(max_length=1024)]
    """The line of the key that signed, as in a ``.pub`` file; empty on paper."""
    signature: Annotated[str, msgspec.Meta(max_length=6000)]
    """SSH signature over the bytes of the duty, in base64; empty on paper."""
    seen_by: Annotated[str, msgspec.Meta(max_length=200)]
    """On paper: who saw it signed and has the sheet."""
    recorded_by: Words
    at: Seconds


class Challenge(_Document, frozen=True):
    """What a custodian is to answer with their share."""

    type: Literal["strongroom-custodian-challenge-v1"]
    set: SetId
    custodian: Id
    name: Words
    share: Number
    nonce: Hex32
    created: Seconds
    until: Seconds


class Proof(_Document, frozen=True):
    """The answer: a signature by the key that is derived from the share. It holds nothing secret."""

    type: Literal["strongroom-custodian-proof-v1"]
    set: SetId
    custodian: Id
    challenge: Hex32
    """SHA-256 of the bytes of the challenge."""
    proof: Hex64


DocumentT = TypeVar("DocumentT", Duty, Acknowledgement, Challenge, Proof)


def read_custodian_document(data: bytes, kind: type[DocumentT]) -> DocumentT:
    """Return the document that the bytes are. Raises CustodianDocumentError."""
    try:
        return msgspec.convert(parse_canonical(data, max_bytes=MAX_DOCUMENT_BYTES), kind, strict=True)
    except MalformedDocumentError as error:
        raise CustodianDocumentError(error.message, next_step=error.next_step) from error
    except msgspec.ValidationError as error:
        raise CustodianDocumentError(f"this is no {kind.__name__.lower()} of a custodian: {error}") from error


def write_custodian_document(document: Duty | Acknowledgement | Challenge | Proof) -> bytes:
    """Return the bytes of a document."""
    return canonical_json(msgspec.to_builtins(document))


def make_challenge(*, set_id: bytes, custodian: str, name: str, share: int, now: int) -> Challenge:
    """Return a new challenge. ``now``: seconds since the Unix epoch."""
    return Challenge(
        type="strongroom-custodian-challenge-v1",
        set=set_id.hex(),
        custodian=custodian,
        name=name,
        share=share,
        nonce=random_bytes(32).hex(),
        created=now,
        until=now + CHALLENGE_VALID_S,
    )


def answer_challenge(data: bytes, share: Share) -> Proof:
    """Answer a challenge with a share. Raises CustodianDocumentError when it is malformed, or asks for another share."""
    challenge = read_custodian_document(data, Challenge)
    if challenge.share != share.index:
        raise CustodianDocumentError(
            f"the challenge is for share {challenge.share}, and this is share {share.index}",
            next_step="take the share of this set: the number is on its sheet",
        )
    name = hashlib.sha256(data).digest()
    return Proof(
        type="strongroom-custodian-proof-v1",
        set=challenge.set,
        custodian=challenge.custodian,
        challenge=name.hex(),
        proof=prove_possession(share, bytes.fromhex(challenge.set), name).hex(),
    )


def check_proof(data: bytes, challenge: bytes, public_key: bytes, *, now: float) -> Proof:
    """Check an answer against the challenge that was made, and the key of the share; ``now``: seconds since the epoch.

    Raises CustodianDocumentError when it answers another challenge, or too late, and PossessionError when it proves nothing.
    """
    asked = read_custodian_document(challenge, Challenge)
    proof = read_custodian_document(data, Proof)
    if (proof.set, proof.custodian, proof.challenge) != (
        asked.set,
        asked.custodian,
        document_hash(challenge),
    ):
        raise CustodianDocumentError(
            "this answers another challenge than the one that waits",
            next_step="send the custodian the newest one: strongroom custodians challenge",
        )
    if now > asked.until:
        raise CustodianDocumentError(
            "the challenge has expired", next_step="make another one: strongroom custodians challenge"
        )
    check_possession(
        public_key, bytes.fromhex(asked.set), bytes.fromhex(proof.challenge), bytes.fromhex(proof.proof)
    )
    return proof


def duty_signed_with(duty: Duty, signature: bytes) -> OfficerKey:
    """Return the key that signed a duty (an SSHSIG blob). Raises SignatureRefusedError."""
    try:
        return verify_signature(signature, write_custodian_document(duty), NAMESPACE_CUSTODIAN)
    except SignatureRefusedError as error:
        raise SignatureRefusedError(
            f"this is no signature of the duty of {duty.custodian} in this set: {error.message}",
            next_step=error.next_step
            or "have them sign what 'strongroom custodians duty' writes now, byte for byte",
        ) from error


def signed_acknowledgement(duty: Duty, signature: bytes, *, recorded_by: str, now: int) -> Acknowledgement:
    """Return a duty with its signature, once that verifies. Raises SignatureRefusedError."""
    key = duty_signed_with(duty, signature)
    return Acknowledgement(
        type="strongroom-custodian-acknowledgement-v1",
        duty=duty,
        key=key.line,
        signature=signature_to_base64(signature),
        seen_by="",
        recorded_by=recorded_by,
        at=now,
    )


def paper_acknowledgement(duty: Duty, *, seen_by: str, recorded_by: str, now: int) -> Acknowledgement:
    """Return a duty that was signed on paper, by the word of whoever saw it. Raises CustodianDocumentError when nobody did."""
    if not seen_by.strip() or not seen_by.isprintable():
        raise CustodianDocumentError("it is not said who saw the custodian sign")
    return Acknowledgement(
        type="strongroom-custodian-acknowledgement-v1",
        duty=duty,
        key="",
        signature="",
        seen_by=seen_by,
        recorded_by=recorded_by,
        at=now,
    )


def verify_acknowledgement(data: bytes) -> Acknowledgement:
    """Return a stored acknowledgement: its signature verifies, or it says who saw it on paper.

    Raises CustodianDocumentError and SignatureRefusedError.
    """
    found = read_custodian_document(data, Acknowledgement)
    if bool(found.signature) == bool(found.seen_by):
        raise CustodianDocumentError("the acknowledgement is neither signed nor seen, or both")
    if found.signature:
        key = duty_signed_with(found.duty, signature_from_base64(found.signature))
        if key.line != found.key:
            raise CustodianDocumentError("the acknowledgement is signed by another key than it says")
    return found


MAX_ANSWER_BYTES: Final = max(MAX_DOCUMENT_BYTES, 2 * MAX_SIGNATURE_BYTES)
"""Of a file that a custodian sends back."""
