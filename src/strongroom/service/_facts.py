"""What the audit entry of a call says besides who made it: which key, which version, and a few details."""

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from strongroom.core import ApprovalRequiredError, HsmError, StrongroomError
from strongroom.keyring import (
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    DataKey,
    DataKeyPair,
    Decrypted,
    Derived,
    Encrypted,
    ImportedMaterial,
    IncorrectKeyError,
    KeyByAlias,
    KeyById,
    KeyInfo,
    KeyRef,
    KeyringError,
    Maced,
    PublicHalf,
    ReEncrypted,
    Retired,
    Signed,
    Verified,
)
from strongroom.service._approval_errors import ApprovalPendingError

_TOLD: Final = (KeyringError, HsmError, ApprovalRequiredError)
"""Errors whose messages are made of our own words, ids, names and numbers, so that the audit log tells them."""
_MAX_ERROR_LEN: Final = 200
_RESULTS_OF_A_KEY: Final = (
    *(Encrypted, Decrypted, DataKey, KeyInfo, ImportedMaterial),
    *(Signed, Maced, Verified, PublicHalf, Derived, DataKeyPair),
    *(BatchOfBytes, BatchOfPlaintexts, BatchOfDataKeys, Retired),
)
_QUOTED: Final = frozenset('"\\')


class Facts(NamedTuple):
    """What is known of a call; empty texts where nothing is."""

    key_id: str
    key_version: str
    """The material id."""
    detail: dict[str, str]


def detail_of_request(key: KeyRef | None, context: Mapping[str, str]) -> dict[str, str]:
    """Say what a request names besides a key id: an alias, and the names in its encryption context."""
    detail = {}
    if type(key) is KeyByAlias:
        detail["alias"] = key.alias_name
    if context:
        detail["context"] = names_list(context)
    return detail


def facts_of_request(key: KeyRef | None, detail: dict[str, str]) -> Facts:
    """Say what is known before the work is done."""
    return Facts(key.key_id if isinstance(key, KeyById) else "", "", detail)


def facts_of_result(key: KeyRef | None, detail: dict[str, str], result: object) -> Facts:
    """Say which key and version did the work."""
    if isinstance(result, _RESULTS_OF_A_KEY):
        return Facts(result.key_id, result.material_id, detail)
    if isinstance(result, ReEncrypted):
        source = {"source_key": result.source_key_id, "source_key_version": result.source_material_id}
        return Facts(result.key_id, result.material_id, {**detail, **source})
    return facts_of_request(key, detail)


def facts_of_error(key: KeyRef | None, detail: dict[str, str], error: BaseException) -> Facts:
    """Say which key a call was about that failed, as far as request and error tell."""
    if isinstance(error, _TOLD):
        detail = {**detail, "error": error.message[:_MAX_ERROR_LEN]}
    if isinstance(error, ApprovalPendingError):
        detail["approval"] = error.approval
    asked = facts_of_request(key, detail)
    if not isinstance(error, KeyringError):
        return asked
    if isinstance(error, IncorrectKeyError) and error.ciphertext_key_id is not None:
        detail = {**detail, "ciphertext_key": error.ciphertext_key_id}
    if error.key_id and asked.key_id and error.key_id != asked.key_id:  # the source of a ReEncrypt
        detail = {**detail, "named_key": asked.key_id}
    return Facts(error.key_id or asked.key_id, error.material_id or "", detail)


def outcome_of_error(error: Exception) -> str:
    """What the audit log calls an error: the class, since a message might hold what a caller sent."""
    return type(error).__name__ if isinstance(error, StrongroomError) else "UnexpectedError"


_encoder: Final = msgspec.json.Encoder()


def names_list(names: Iterable[str]) -> str:
    """Return the names in an encryption context, or of tags, as a JSON list; never values: they may identify a person.

    A list, because a name may hold any character. All but printable ASCII is escaped, so that no name can do
    anything to whoever reads the log; ``json`` does that and takes five times as long, so it is for such names only.
    """
    names = sorted(names)
    text = "".join(names)
    if len(names) == 1 and text.isascii() and text.isprintable() and _QUOTED.isdisjoint(text):
        return f'["{text}"]'
    if text.isascii() and text.isprintable():
        return _encoder.encode(names).decode()
    return json.dumps(names, separators=(",", ":"))
