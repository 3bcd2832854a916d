"""The operations on imported key material. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_imports as requests
from strongroom.api._arns import Arns
from strongroom.api._names import parse_key_id
from strongroom.api._operation import Action, Document, Prepare, given, parse
from strongroom.keyring import BroughtMaterial, ImportedMaterial, ImportType, WrappingAlgorithm, WrappingBits
from strongroom.service import Caller, KeyService


def _get_parameters_for_import(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.GetParametersForImportMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    algorithm = WrappingAlgorithm(given(members.wrapping_algorithm))
    bits = WrappingBits(given(members.wrapping_key_spec)).bits

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.get_parameters_for_import(caller, key_id, algorithm=algorithm, bits=bits)
        return {
            "KeyId": arns.key(made.key_id),
            "ImportToken": made.token,
            "PublicKey": made.public_key,
            "ParametersValidTo": round(made.valid_to, 3),
        }

    return act


def _import_key_material(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ImportKeyMaterialMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    brought = BroughtMaterial(
        given(members.import_token).value,
        given(members.encrypted_key_material).value,
        members.valid_to,
        None if members.import_type is None else ImportType(members.import_type),
        members.key_material_id,
        members.key_material_description,
    )

    async def act(service: KeyService, caller: Caller) -> Document:
        return _told(await service.import_key_material(caller, key_id, brought=brought), arns)

    return act


def _delete_imported_key_material(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.DeleteImportedKeyMaterialMembers)
    key_id = parse_key_id(given(members.key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        gone = await service.delete_imported_key_material(caller, key_id, material_id=members.key_material_id)
        return _told(gone, arns)

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "DeleteImportedKeyMaterial": _delete_imported_key_material,
        "GetParametersForImport": _get_parameters_for_import,
        "ImportKeyMaterial": _import_key_material,
    }
)


def _told(material: ImportedMaterial, arns: Arns) -> Document:
    return {"KeyId": arns.key(material.key_id), "KeyMaterialId": material.material_id}
