"""What a blob is bound to: the bytes that must be the same at opening as at sealing, but are not stored in it.

Each purpose has a label of its own, so a blob of one purpose never opens as another. ``core.encode_fields``
makes every binding injective: ``{"a": "bc"}`` and ``{"ab": "c"}`` differ.
"""

from collections.abc import Mapping

from strongroom.core import WrapAlgorithm, encode_fields, encode_pairs
from strongroom.envelope._blob import KEY_ID_LEN_BYTES, Purpose, encode_header


def domain_kek_binding(domain_id: bytes) -> bytes:
    """Bind a domain KEK to its domain id (16 bytes)."""
    return encode_fields("strongroom domain kek v1", (_id(domain_id),))


def kek_binding(key_id: bytes, key_version: int) -> bytes:
    """Bind a KEK to the key id (16 bytes) and key version (1 or more) that it is the material of."""
    return encode_fields("strongroom kek v1", (_id(key_id), key_version.to_bytes(4, "big")))


def key_material_binding(key_id: bytes, key_version: int, spec: str, usage: str) -> bytes:
    """Bind key material to its key id (16 bytes) and key version, and to what it is and may be used for."""
    fields = (_id(key_id), key_version.to_bytes(4, "big"), spec.encode(), usage.encode())
    return encode_fields("strongroom key material v1", fields)


def data_binding(encryption_context: Mapping[str, str]) -> bytes:
    """Bind data to the caller's encryption context. Raises UnicodeEncodeError on a lone surrogate."""
    return encode_pairs("strongroom data v1", encryption_context)


def credential_binding(access_key_id: str) -> bytes:
    """Bind the secret of an access key to the access key's id."""
    return encode_fields("strongroom credential v1", (access_key_id.encode(),))


def import_token_binding(key_id: bytes) -> bytes:
    """Bind the token of an import to the key id (16 bytes) that it is for."""
    return encode_fields("strongroom import token v1", (_id(key_id),))


def import_digest_key_binding(key_id: bytes) -> bytes:
    """Bind the key by which imported material is recognised to its key id (16 bytes)."""
    return encode_fields("strongroom import digest key v1", (_id(key_id),))


def root_canary_binding(root_id: bytes) -> bytes:
    """Bind a root's canary to the root id (16 bytes)."""
    return encode_fields("strongroom root canary v1", (_id(root_id),))


def backup_snapshot_binding(backup_id: bytes) -> bytes:
    """Bind the key of a backup's snapshot to the backup id (16 bytes)."""
    return encode_fields("strongroom backup snapshot v1", (_id(backup_id),))


def aad_for(
    purpose: Purpose,
    algorithm: WrapAlgorithm,
    wrapping_key_id: bytes,
    wrapping_key_version: int,
    binding: bytes,
) -> bytes:
    """Return the additional authenticated data of a blob: its first 23 bytes, then the binding.

    The first part has a fixed length, so the whole is as injective as the binding. Nothing in it depends on
    the IV, so it is known before an HSM that chooses its own IV encrypts.
    """
    return encode_header(purpose, algorithm, wrapping_key_id, wrapping_key_version) + binding


def _id(value: bytes) -> bytes:
    if len(value) != KEY_ID_LEN_BYTES:
        raise ValueError(f"an id has {KEY_ID_LEN_BYTES} bytes")
    return value
