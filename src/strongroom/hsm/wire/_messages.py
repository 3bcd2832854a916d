"""What is said between callers and member workers.

Each verb is a Struct of its own, tagged by a short word; a frame is decoded in one go and every type is
checked on the way in. Use verbs and admin verbs are different unions, decoded by different sockets: an admin
verb that is sent to a use socket does not even parse.
"""

from typing import Generic, TypeVar

import msgspec

from strongroom.hsm.wire._custody_messages import CustodyCall
from strongroom.hsm.wire._direct_messages import (
    DirectAdminCall,
    DirectDecrypt,
    DirectEncrypt,
    DirectMac,
    DirectSign,
    DirectUseCall,
)
from strongroom.hsm.wire._transport_messages import TransportCall

CallT = TypeVar("CallT")


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Arrays are half the size of maps and twice as quick; both ends are always of one version."""


class Wrap(_Message, frozen=True, array_like=True, tag="wrap"):
    """Encrypt key bytes under a root KEK. Answered by Wrapped."""

    root_id: bytes
    key_bytes: bytes
    aad: bytes


class Unwrap(_Message, frozen=True, array_like=True, tag="unwrap"):
    """Decrypt key bytes under a root KEK. Answered by bytes."""

    root_id: bytes
    algorithm: int
    iv: bytes
    ciphertext: bytes
    wrap_tag: bytes
    aad: bytes


class Random(_Message, frozen=True, array_like=True, tag="random"):
    """Bytes of the HSM's own generator. Answered by bytes."""

    n_bytes: int


class Ping(_Message, frozen=True, array_like=True, tag="ping"):
    """Are you there, and what are you at? Answered by Pong, by the thread that does no HSM call."""


BatchCall = Wrap | Unwrap | DirectSign | DirectMac | DirectEncrypt | DirectDecrypt
"""The calls that a batch may hold."""


class Batch(_Message, frozen=True, array_like=True, tag="batch"):
    """Many calls. Answered by a list of ItemAnswer, one for each, in the same order."""

    items: list[BatchCall]


class EncodedBatch(_Message, frozen=True, array_like=True, tag="batch"):
    """``Batch`` as it is sent: its items are encoded already, since their length is looked at."""

    items: msgspec.Raw


UseCall = Wrap | Unwrap | Random | DirectUseCall | Batch | Ping


class GenerateRoot(_Message, frozen=True, array_like=True, tag="generate-root"):
    """Make a root KEK. Answered by KeyCheck."""

    root_id: bytes
    label: str


class GenerateImportPair(_Message, frozen=True, array_like=True, tag="generate-import-pair"):
    """Make the RSA pair under which roots are copied to this member. Answered by the public half, SPKI DER."""

    cka_id: bytes
    label: str


class ImportTrustedPublic(_Message, frozen=True, array_like=True, tag="import-trusted-public"):
    """Import another member's public half as trusted (security officer only). Answered by None."""

    cka_id: bytes
    label: str
    spki_der: bytes


class DestroyImportPair(_Message, frozen=True, array_like=True, tag="destroy-import-pair"):
    """Destroy both halves of an import pair (user only). Answered by None once they are gone."""

    cka_id: bytes


class DestroyTrustedPublic(_Message, frozen=True, array_like=True, tag="destroy-trusted-public"):
    """Destroy a trusted public key. Answered by None once it is gone."""

    cka_id: bytes


class DestroyRoot(_Message, frozen=True, array_like=True, tag="destroy-root"):
    """Destroy every object of a root KEK (user only). Answered by None once they are gone."""

    root_id: bytes


class KeyCheck(_Message, frozen=True, array_like=True):
    """A key check value and its kind."""

    kind: str
    value: str


class WrapOutRoot(_Message, frozen=True, array_like=True, tag="wrap-out-root"):
    """Wrap a root KEK under a trusted public key. Answered by bytes."""

    root_id: bytes
    wrapping_cka_id: bytes


class UnwrapInRoot(_Message, frozen=True, array_like=True, tag="unwrap-in-root"):
    """Unwrap a root KEK under this member's import pair, and keep it if it has this check value. Answered by KeyCheck."""

    root_id: bytes
    label: str
    import_cka_id: bytes
    wrapped: bytes
    expected: KeyCheck


class RootCheck(_Message, frozen=True, array_like=True, tag="root-check"):
    """The key check value of a root KEK. Answered by KeyCheck."""

    root_id: bytes


class ReadBack(_Message, frozen=True, array_like=True, tag="read-back"):
    """The attributes of what has this CKA_ID that say what may be done to it. Answered by a list of ReadObject."""

    cka_id: bytes


class ListObjects(_Message, frozen=True, array_like=True, tag="list-objects"):
    """Every object of the token. Answered by a list of ObjectEntry."""


AdminCall = (
    GenerateRoot
    | GenerateImportPair
    | ImportTrustedPublic
    | DestroyImportPair
    | DestroyTrustedPublic
    | DestroyRoot
    | WrapOutRoot
    | UnwrapInRoot
    | RootCheck
    | ReadBack
    | ListObjects
    | TransportCall
    | DirectAdminCall
    | CustodyCall
    | Ping
)


class Wrapped(_Message, frozen=True, array_like=True):
    """What Wrap made."""

    algorithm: int
    iv: bytes
    ciphertext: bytes
    wrap_tag: bytes


class ObjectEntry(_Message, frozen=True, array_like=True):
    """An object of a token; a ghost is one that is listed but cannot be read."""

    object_class: str
    cka_id: bytes
    label: str
    is_ghost: bool


class ReadObject(_Message, frozen=True, array_like=True):
    """An object of a token, with truths among its attributes (``CKA_…``); what the token does not tell is not there."""

    object_class: str
    attributes: dict[str, bool]


class Running(_Message, frozen=True, array_like=True):
    """An operation that has started and not ended."""

    verb: str
    for_s: float
    limit_s: float
    """Started longer ago than this, it counts as hung."""


class Pong(_Message, frozen=True, array_like=True):
    """The worker's answer to Ping: what runs, how many calls wait, how many have come to their end, and its health."""

    running: list[Running]
    waiting: int
    finished: int
    """Calls done or failed since the worker started; while it grows, the worker is at work."""
    recoveries: dict[str, int] = {}
    """How often each rung of recovery was taken since the worker started, by the names of ``RecoveryCounters``."""
    recycle: str = ""
    """Why the worker wants to be replaced when it suits (age, calls, memory); empty while it does not."""


class Failure(_Message, frozen=True, array_like=True):
    """An error, by the name of its class in ``strongroom.core``."""

    kind: str
    message: str
    ckr: int | None
    next_step: str | None


class Sealed(_Message, frozen=True, array_like=True, tag="sealed"):
    """What an item of a batch made that encrypts."""

    algorithm: int
    iv: bytes
    ciphertext: bytes
    wrap_tag: bytes


class Failed(_Message, frozen=True, array_like=True, tag="failed"):
    """What an item of a batch raised."""

    failure: Failure


ItemAnswer = bytes | Sealed | Failed
"""The answer to one item of a batch."""


class Request(msgspec.Struct, Generic[CallT], frozen=True, array_like=True):
    """One call."""

    id: int
    timeout_s: float
    """How long the caller will wait, from when the frame arrives; a call that waited most of it is not started."""
    call: CallT


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """One answer: either a result, which the caller decodes as what its call promises, or a failure."""

    id: int
    result: msgspec.Raw
    failure: Failure | None = None
