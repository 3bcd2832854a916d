"""The operations that sign, make MACs, agree on secrets and make pairs of data keys. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_asymmetric as requests
from strongroom.api._arns import Arns
from strongroom.api._names import parse_key_ref
from strongroom.api._operation import ECDH, Action, Document, Prepare, algorithms, given, parse
from strongroom.keyring import DataKeyPair
from strongroom.service import Caller, KeyService


def _sign(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.SignMembers)
    key = parse_key_ref(given(members.key_id), arns)
    message = given(members.message).value
    algorithm, kind, dry_run = members.algorithm(), members.kind(), bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.sign(caller, key, message, algorithm=algorithm, kind=kind, dry_run=dry_run)
        return {"KeyId": arns.key(made.key_id), "Signature": made.signature, "SigningAlgorithm": algorithm}

    return act


def _verify(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.VerifyMembers)
    key = parse_key_ref(given(members.key_id), arns)
    message, signature = given(members.message).value, given(members.signature).value
    algorithm, kind, dry_run = members.algorithm(), members.kind(), bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        found = await service.verify(
            caller, key, message, signature=signature, algorithm=algorithm, kind=kind, dry_run=dry_run
        )
        return {"KeyId": arns.key(found.key_id), "SignatureValid": True, "SigningAlgorithm": algorithm}

    return act


def _generate_mac(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.GenerateMacMembers)
    key = parse_key_ref(given(members.key_id), arns)
    message = given(members.message).value
    algorithm, dry_run = members.algorithm(), bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.generate_mac(caller, key, message, algorithm=algorithm, dry_run=dry_run)
        return {"Mac": made.mac, "MacAlgorithm": algorithm, "KeyId": arns.key(made.key_id)}

    return act


def _verify_mac(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.VerifyMacMembers)
    key = parse_key_ref(given(members.key_id), arns)
    message, mac = given(members.message).value, given(members.mac).value
    algorithm, dry_run = members.algorithm(), bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        found = await service.verify_mac(caller, key, message, mac=mac, algorithm=algorithm, dry_run=dry_run)
        return {"KeyId": arns.key(found.key_id), "MacValid": True, "MacAlgorithm": algorithm}

    return act


def _get_public_key(body: bytes, arns: Arns) -> Action:
    key = parse_key_ref(given(parse(body, requests.GetPublicKeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        half = await service.get_public_key(caller, key)
        return {
            "KeyId": arns.key(half.key_id),
            "PublicKey": half.public_key,
            "CustomerMasterKeySpec": half.spec,
            "KeySpec": half.spec,
            "KeyUsage": half.usage,
            **algorithms(half.spec, half.usage),
        }

    return act


def _derive_shared_secret(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.DeriveSharedSecretMembers)
    key = parse_key_ref(given(members.key_id), arns)
    peer, dry_run = given(members.public_key).value, bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.derive_shared_secret(caller, key, peer_public_key=peer, dry_run=dry_run)
        return {
            "KeyId": arns.key(made.key_id),
            "SharedSecret": made.shared_secret,
            "KeyAgreementAlgorithm": ECDH,
            "KeyOrigin": made.origin,
        }

    return act


def _generate_data_key_pair(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.GenerateDataKeyPairMembers)
    key = parse_key_ref(given(members.key_id), arns)
    spec, context, dry_run = members.spec(), members.encryption_context or {}, bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.generate_data_key_pair(caller, key, spec=spec, context=context, dry_run=dry_run)
        return {**_pair(made, arns), "KeyPairSpec": spec, "PrivateKeyPlaintext": made.private_key}

    return act


def _generate_data_key_pair_without_plaintext(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.GenerateDataKeyPairWithoutPlaintextMembers)
    key = parse_key_ref(given(members.key_id), arns)
    spec, context, dry_run = members.spec(), members.encryption_context or {}, bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.generate_data_key_pair_without_plaintext(
            caller, key, spec=spec, context=context, dry_run=dry_run
        )
        return {**_pair(made, arns), "KeyPairSpec": spec}

    return act


def _pair(made: DataKeyPair, arns: Arns) -> Document:
    return {
        "PrivateKeyCiphertextBlob": made.ciphertext,
        "PublicKey": made.public_key,
        "KeyId": arns.key(made.key_id),
        "KeyMaterialId": made.material_id,
    }


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "DeriveSharedSecret": _derive_shared_secret,
        "GenerateDataKeyPair": _generate_data_key_pair,
        "GenerateDataKeyPairWithoutPlaintext": _generate_data_key_pair_without_plaintext,
        "GenerateMac": _generate_mac,
        "GetPublicKey": _get_public_key,
        "Sign": _sign,
        "Verify": _verify,
        "VerifyMac": _verify_mac,
    }
)
