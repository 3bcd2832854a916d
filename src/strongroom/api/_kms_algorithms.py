"""Encrypt, Decrypt, ReEncrypt and GenerateDataKey where a request names an algorithm or only rehearses (DryRun).

The usual requests do neither and are in ``_kms`` and ``_kms_data``.
"""

from strongroom.api._arns import Arns
from strongroom.api._key_kinds import oaep_of
from strongroom.api._names import parse_key_ref
from strongroom.api._operation import Action, Document, given
from strongroom.api._requests import (
    SYMMETRIC_DEFAULT,
    DecryptMembers,
    EncryptMembers,
    GenerateDataKeyMembers,
)
from strongroom.api._requests_data import GenerateDataKeyWithoutPlaintextMembers, ReEncryptMembers
from strongroom.service import Caller, KeyService


def encrypt_by(members: EncryptMembers, arns: Arns) -> Action:
    """Prepare an Encrypt."""
    key = parse_key_ref(given(members.key_id), arns)
    plaintext, context = given(members.plaintext), members.encryption_context or {}
    algorithm, dry_run = oaep_of(members.encryption_algorithm), bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        try:
            made = await service.encrypt_by(
                caller, key, plaintext, algorithm=algorithm, context=context, dry_run=dry_run
            )
        finally:
            plaintext.zeroize()
        return {
            "CiphertextBlob": made.ciphertext,
            "KeyId": arns.key(made.key_id),
            "EncryptionAlgorithm": algorithm or SYMMETRIC_DEFAULT,
        }

    return act


def decrypt_by(members: DecryptMembers, arns: Arns) -> Action:
    """Prepare a Decrypt."""
    key = None if members.key_id is None else parse_key_ref(members.key_id, arns)
    ciphertext, context = given(members.ciphertext_blob).value, members.encryption_context or {}
    algorithm, dry_run = oaep_of(members.encryption_algorithm), bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        opened = await service.decrypt_by(
            caller, ciphertext, key=key, algorithm=algorithm, context=context, dry_run=dry_run
        )
        return {
            "KeyId": arns.key(opened.key_id),
            "Plaintext": opened.plaintext,
            "EncryptionAlgorithm": algorithm or SYMMETRIC_DEFAULT,
            **({"KeyMaterialId": opened.material_id} if algorithm is None else {}),
        }

    return act


def re_encrypt_by(members: ReEncryptMembers, arns: Arns) -> Action:
    """Prepare a ReEncrypt."""
    source_key = None if members.source_key_id is None else parse_key_ref(members.source_key_id, arns)
    key = parse_key_ref(given(members.destination_key_id), arns)
    ciphertext = given(members.ciphertext_blob).value
    source_algorithm = oaep_of(members.source_encryption_algorithm)
    algorithm = oaep_of(members.destination_encryption_algorithm)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.re_encrypt_by(
            caller,
            ciphertext,
            source_key=source_key,
            source_algorithm=source_algorithm,
            source_context=members.source_encryption_context or {},
            key=key,
            algorithm=algorithm,
            context=members.destination_encryption_context or {},
            dry_run=bool(members.dry_run),
        )
        of_source = {"SourceKeyMaterialId": made.source_material_id}
        of_destination = {"DestinationKeyMaterialId": made.material_id}
        return {
            "CiphertextBlob": made.ciphertext,
            "SourceKeyId": arns.key(made.source_key_id),
            "KeyId": arns.key(made.key_id),
            "SourceEncryptionAlgorithm": source_algorithm or SYMMETRIC_DEFAULT,
            "DestinationEncryptionAlgorithm": algorithm or SYMMETRIC_DEFAULT,
            **(of_source if source_algorithm is None else {}),
            **(of_destination if algorithm is None else {}),
        }

    return act


def rehearse_data_key(
    members: GenerateDataKeyMembers | GenerateDataKeyWithoutPlaintextMembers, arns: Arns, verb: str
) -> Action:
    """Prepare a rehearsal of GenerateDataKey or GenerateDataKeyWithoutPlaintext, which ``verb`` says."""
    key = parse_key_ref(given(members.key_id), arns)
    n_bytes, context = members.n_bytes(), members.encryption_context or {}

    async def act(service: KeyService, caller: Caller) -> None:
        await service.generate_data_key_dry(caller, key, n_bytes=n_bytes, context=context, verb=verb)

    return act
