"""What the operations share: their types, the reading of members, and the parts that several answers have."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from strongroom.api._arns import Arns
from strongroom.api._json import Blob, decode_members
from strongroom.api._paging import Paged, write_marker
from strongroom.api._requests import SYMMETRIC_DEFAULT, Members
from strongroom.core import KeyOrigin, KeyState, KeyUsage, ManagedKeySpec, Secret
from strongroom.keyring import NO_MATERIAL, KeyInfo
from strongroom.service import Caller, KeyService

Document = Mapping[str, object]
ECDH = "ECDH"
Action = Callable[[KeyService, Caller], Awaitable[Document | None]]
"""Calls the service; returns the members of the answer, None for an empty body."""
Prepare = Callable[[bytes, Arns], Action]

_M = TypeVar("_M", bound=Members)
_G = TypeVar("_G", str, int, Secret, Blob)


def parse(body: bytes, kind: type[_M]) -> _M:
    """Read and check the members of a request. Raises ApiError."""
    members = decode_members(body, kind)
    members.validate()
    return members


def given(value: _G | None) -> _G:
    """Narrow a member that ``validate`` found present."""
    if value is None:
        raise TypeError("validate let an absent member pass")
    return value


def next_page(paged: Paged, next_after: str | None) -> Document:
    """Return the members that tell whether a list goes on."""
    if next_after is None:
        return {"Truncated": False}
    return {"Truncated": True, "NextMarker": write_marker(paged, next_after)}


def key_state(info: KeyInfo) -> str:
    """Return the state of a key in the words of AWS."""
    if info.destroy_at is not None:
        return "PendingDeletion"
    if info.state is KeyState.PENDING_IMPORT:
        return "PendingImport"
    if info.state is not KeyState.ACTIVE:
        return "Disabled"
    return "Enabled" if info.is_available else "Unavailable"


def algorithms(spec: ManagedKeySpec, usage: KeyUsage) -> Document:
    """Return the member that tells by which algorithms a key does what it is for."""
    if usage is KeyUsage.SIGN_VERIFY:
        return {"SigningAlgorithms": list(spec.signing_algorithms)}
    if usage is KeyUsage.GENERATE_VERIFY_MAC:
        return {"MacAlgorithms": [spec.mac_algorithm]}
    if usage is KeyUsage.KEY_AGREEMENT:
        return {"KeyAgreementAlgorithms": [ECDH]}
    return {"EncryptionAlgorithms": [SYMMETRIC_DEFAULT] if spec.is_symmetric else list(spec.oaep_algorithms)}


def key_metadata(info: KeyInfo, arns: Arns) -> Document:
    """Return the KeyMetadata of a key."""
    metadata = {
        "AWSAccountId": arns.account_id,
        "KeyId": info.key_id,
        "Arn": arns.key(info.key_id),
        "CreationDate": round(info.created_at, 3),
        "Enabled": info.state is KeyState.ACTIVE and info.is_available,
        "Description": info.description,
        "KeyUsage": info.usage,
        "KeyState": key_state(info),
        "Origin": info.origin,
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": info.spec,
        "KeySpec": info.spec,
        **algorithms(info.spec, info.usage),
        "MultiRegion": False,
    }
    if info.spec.is_symmetric and info.material_id != NO_MATERIAL:
        metadata["CurrentKeyMaterialId"] = info.material_id
    if info.store_id:
        metadata["CustomKeyStoreId"] = info.store_id
        metadata["CloudHsmClusterId"] = info.cluster_id
    if info.destroy_at is not None:
        metadata["DeletionDate"] = round(info.destroy_at, 3)
    if info.origin is KeyOrigin.EXTERNAL and info.state is not KeyState.PENDING_IMPORT:
        metadata |= expiry(info.expires_at)
    return metadata


def expiry(expires_at: float | None) -> Document:
    """Return the members that tell whether and when imported material expires."""
    if expires_at is None:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": round(expires_at, 3)}
