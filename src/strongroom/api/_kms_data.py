"""The further operations that use keys. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_data as requests
from strongroom.api._arns import Arns
from strongroom.api._kms_algorithms import re_encrypt_by, rehearse_data_key
from strongroom.api._names import parse_key_ref
from strongroom.api._operation import Action, Document, Prepare, given, parse
from strongroom.api._requests import SYMMETRIC_DEFAULT
from strongroom.service import Caller, KeyService


def _generate_data_key_without_plaintext(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.GenerateDataKeyWithoutPlaintextMembers)
    if members.dry_run:
        return rehearse_data_key(members, arns, "GenerateDataKeyWithoutPlaintext")
    key = parse_key_ref(given(members.key_id), arns)
    n_bytes = members.n_bytes()
    context = members.encryption_context or {}

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.generate_data_key_without_plaintext(
            caller, key, n_bytes=n_bytes, context=context
        )
        return {
            "CiphertextBlob": made.ciphertext,
            "KeyId": arns.key(made.key_id),
            "KeyMaterialId": made.material_id,
        }

    return act


def _re_encrypt(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ReEncryptMembers)
    if members.source_encryption_algorithm or members.destination_encryption_algorithm or members.dry_run:
        return re_encrypt_by(members, arns)
    ciphertext = given(members.ciphertext_blob).value
    source_key = None if members.source_key_id is None else parse_key_ref(members.source_key_id, arns)
    key = parse_key_ref(given(members.destination_key_id), arns)
    source_context = members.source_encryption_context or {}
    context = members.destination_encryption_context or {}

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.re_encrypt(
            caller,
            ciphertext,
            source_key=source_key,
            source_context=source_context,
            key=key,
            context=context,
        )
        return {
            "CiphertextBlob": made.ciphertext,
            "SourceKeyId": arns.key(made.source_key_id),
            "KeyId": arns.key(made.key_id),
            "SourceEncryptionAlgorithm": SYMMETRIC_DEFAULT,
            "DestinationEncryptionAlgorithm": SYMMETRIC_DEFAULT,
            "SourceKeyMaterialId": made.source_material_id,
            "DestinationKeyMaterialId": made.material_id,
        }

    return act


def _generate_random(body: bytes, _arns: Arns) -> Action:
    members = parse(body, requests.GenerateRandomMembers)
    n_bytes, store_id = given(members.number_of_bytes), members.custom_key_store_id

    async def act(service: KeyService, caller: Caller) -> Document:
        return {"Plaintext": await service.generate_random(caller, n_bytes=n_bytes, store_id=store_id)}

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "GenerateDataKeyWithoutPlaintext": _generate_data_key_without_plaintext,
        "GenerateRandom": _generate_random,
        "ReEncrypt": _re_encrypt,
    }
)
