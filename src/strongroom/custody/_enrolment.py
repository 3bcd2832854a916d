"""Enrolments: a person's id, name, public keys and recipient, signed by each of those keys.

An enrolment proves that whoever made it held the secret halves at that moment. It does not prove who that was: compare its
hash aloud with the person before they become an officer. It names no cluster, for there may be none yet.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from strongroom.custody._documents import (
    Enrolment,
    EnrolmentBody,
    Person,
    Role,
    read_document,
    write_document,
)
from strongroom.custody._errors import SignatureRefusedError, StateRefusedError
from strongroom.custody._officer_keys import OfficerKey
from strongroom.custody._recipients import check_recipient
from strongroom.custody._ssh_signatures import (
    NAMESPACE_ENROLMENT,
    OfficerSigner,
    signature_from_base64,
    signature_to_base64,
    verify_signature,
)
from strongroom.custody._state import key_from_line

MAX_ENROLMENT_BYTES: Final = 64 * 1024


def make_enrolment(
    officer_id: str, name: str, signers: Sequence[OfficerSigner], *, recipient: str, now: int
) -> bytes:
    """Return the bytes of an enrolment, signed by all the keys that are enrolled.

    ``now``: seconds since the Unix epoch. Raises StateRefusedError for what no officer may have, OfficerKeyError when a
    key does not sign, MalformedDocumentError for an id or a name that no document takes.
    """
    body = EnrolmentBody(
        type="strongroom-enrolment-v1",
        id=officer_id,
        name=name,
        keys=tuple(signer.public.line for signer in signers),
        recipient=recipient,
        created=now,
    )
    _check(body)
    signed = write_document(body)
    signatures = tuple(signature_to_base64(signer.sign(signed, NAMESPACE_ENROLMENT)) for signer in signers)
    data = write_document(Enrolment(body=body, signatures=signatures))
    verify_enrolment(data)
    return data


def verify_enrolment(data: bytes) -> EnrolmentBody:
    """Return what a person says of themselves, once each of their keys has signed it.

    Raises MalformedDocumentError, OfficerKeyError, StateRefusedError, SignatureRefusedError.
    """
    enrolment = read_document(data, Enrolment, max_bytes=MAX_ENROLMENT_BYTES)
    keys = _check(enrolment.body)
    if len(enrolment.signatures) != len(keys):
        raise SignatureRefusedError(f"there are {len(enrolment.signatures)} signatures, and {len(keys)} keys")
    signed = write_document(enrolment.body)
    for key, text in zip(keys, enrolment.signatures, strict=True):
        if verify_signature(signature_from_base64(text), signed, NAMESPACE_ENROLMENT) != key:
            raise SignatureRefusedError(f"the signature in the place of {key.fingerprint} is by another key")
    return enrolment.body


def person_enrolled(body: EnrolmentBody, roles: Iterable[Role], principals: Iterable[str] = ()) -> Person:
    """Return the person that an enrolment describes, with what others give them: roles, and principals of the service."""
    return Person(
        id=body.id,
        name=body.name,
        roles=tuple(sorted(set(roles))),
        keys=body.keys,
        principals=tuple(principals),
        recipient=body.recipient,
    )


def _check(body: EnrolmentBody) -> tuple[OfficerKey, ...]:
    read_document(write_document(body), EnrolmentBody, max_bytes=MAX_ENROLMENT_BYTES)
    if not body.name.isprintable():
        raise StateRefusedError("the name holds characters that do not show")
    check_recipient(body.recipient)
    keys = tuple(key_from_line(line) for line in body.keys)
    if len(set(keys)) != len(keys):
        raise StateRefusedError("a key stands twice in the enrolment")
    return keys
