"""The verbs on imported material, and the one from which no key comes back: each on a key of its own that waits for material."""

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.core import KeyOrigin
from strongroom.keyring import BroughtMaterial, KeyKind, WrappingAlgorithm

_HOW = {"algorithm": WrappingAlgorithm.RSAES_OAEP_SHA_256, "bits": 2048}
_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
_MATERIAL = bytes(range(32))


async def make_waiting_key(bench):
    made = await bench.service.create_key(
        bench.caller(), description="", kind=KeyKind(origin=KeyOrigin.EXTERNAL)
    )
    return made.key_id


async def brought_for(bench, key_id, *, expires_at=None):
    """Wrap material as the owner of a key does."""
    parameters = await bench.service.get_parameters_for_import(bench.caller(), key_id, **_HOW)
    wrapped = load_der_public_key(parameters.public_key).encrypt(_MATERIAL, _OAEP)
    return BroughtMaterial(parameters.token, wrapped, expires_at)


async def _get_parameters(bench, caller, key_id):
    return await bench.service.get_parameters_for_import(caller, key_id, **_HOW)


async def _import(bench, caller, key_id):
    return await bench.service.import_key_material(caller, key_id, brought=await brought_for(bench, key_id))


async def _delete(bench, caller, key_id):
    return await bench.service.delete_imported_key_material(caller, key_id, material_id=None)


async def _mark(bench, caller, key_id):
    return await bench.service.mark_key_compromised(caller, key_id)


IMPORT_VERBS = {
    "MarkKeyCompromised": _mark,
    "GetParametersForImport": _get_parameters,
    "ImportKeyMaterial": _import,
    "DeleteImportedKeyMaterial": _delete,
}
"""Verb → call(bench, caller, key_id)."""
