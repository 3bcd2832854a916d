"""What stands in a batch and in its answer, for JSON and MessagePack alike."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from strongroom.api._admin import AdminAnswer, AdminMembers
from strongroom.api._requests import MAX_CIPHERTEXT_BYTES, MAX_PLAINTEXT_BYTES
from strongroom.core import MacAlgorithm, SigningAlgorithm
from strongroom.keyring import MAX_ITEMS, MessageType

_MAX_DATA_KEY_BYTES: Final = 1_024
_Context = dict[str, str]
_Items = Meta(min_length=1, max_length=MAX_ITEMS)


class PlainItemIn(AdminMembers, frozen=True, gc=False):
    """What is to be encrypted."""

    plaintext: Annotated[bytes, Meta(min_length=1, max_length=MAX_PLAINTEXT_BYTES)]
    context: _Context | None = None
    """In place of that of the batch."""


class SealedItemIn(AdminMembers, frozen=True, gc=False):
    """What is to be decrypted."""

    ciphertext: Annotated[bytes, Meta(min_length=1, max_length=MAX_CIPHERTEXT_BYTES)]
    context: _Context | None = None
    """In place of that of the batch."""


class MessageIn(AdminMembers, frozen=True, gc=False):
    """What is to be signed, or to have a MAC."""

    message: Annotated[bytes, Meta(min_length=1, max_length=MAX_PLAINTEXT_BYTES)]


class PlainBatch(AdminMembers, frozen=True):
    """Items to encrypt."""

    items: Annotated[list[PlainItemIn], _Items]
    context: _Context = msgspec.field(default_factory=dict)
    """Encryption context of every item that has none of its own."""


class SealedBatch(AdminMembers, frozen=True):
    """Items to decrypt or to encrypt anew."""

    items: Annotated[list[SealedItemIn], _Items]
    context: _Context = msgspec.field(default_factory=dict)
    """Encryption context of every item that has none of its own."""


class DataKeyBatch(AdminMembers, frozen=True):
    """How many data keys, and how long."""

    count: Annotated[int, Meta(ge=1, le=MAX_ITEMS)]
    bytes: Annotated[int, Meta(ge=1, le=_MAX_DATA_KEY_BYTES)] = 32
    context: _Context = msgspec.field(default_factory=dict)
    """Encryption context of every item that has none of its own."""


class SignBatch(AdminMembers, frozen=True):
    """Messages or digests to sign."""

    items: Annotated[list[MessageIn], _Items]
    signing_algorithm: SigningAlgorithm
    message_type: MessageType = MessageType.RAW


class MacBatch(AdminMembers, frozen=True):
    """Messages to make MACs of."""

    items: Annotated[list[MessageIn], _Items]
    mac_algorithm: MacAlgorithm


class ItemError(AdminAnswer, frozen=True):
    """Why an item has no result."""

    code: str
    message: str


class CiphertextOut(AdminAnswer, frozen=True):
    """What became of an item."""

    ciphertext: bytes | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class PlaintextOut(AdminAnswer, frozen=True):
    """What became of an item."""

    plaintext: bytes | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class SignatureOut(AdminAnswer, frozen=True):
    """What became of an item."""

    signature: bytes | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class MacOut(AdminAnswer, frozen=True):
    """What became of an item."""

    mac: bytes | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class DataKeyOut(AdminAnswer, frozen=True):
    """A data key, in clear and encrypted."""

    plaintext: bytes
    ciphertext: bytes


class BatchAnswer(AdminAnswer, frozen=True):
    """What every answer says."""

    key_id: str
    """ARN."""
    key_material_id: str


class CiphertextBatch(BatchAnswer, frozen=True):
    """Results in the order of the items."""

    items: list[CiphertextOut]


class PlaintextBatch(BatchAnswer, frozen=True):
    """Results in the order of the items."""

    items: list[PlaintextOut]


class SignatureBatch(BatchAnswer, frozen=True):
    """Results in the order of the items."""

    items: list[SignatureOut]


class MacsBatch(BatchAnswer, frozen=True):
    """Results in the order of the items."""

    items: list[MacOut]


class DataKeysBatch(BatchAnswer, frozen=True):
    """As many data keys as were asked for."""

    items: list[DataKeyOut]
