"""Frames between a caller and a member worker (or the main process), and the asynchronous client.

A frame is a 4-byte big-endian length and a MessagePack array of messages. Calls that wait in the same turn
of the event loop share one frame, so many callers cost little more than one. Several calls are in flight on
one connection; replies come in any order and are matched by id.

    client = await WireClient.connect(path)
    wrapped = await client.call(Wrap(root_id, key_bytes, aad), timeout_s=0.5)

Threading: everything here belongs to one event loop. It never loads a PKCS#11 library, and never retries:
a lost connection is a MemberFailedError, a late answer is dropped.
"""

from strongroom.hsm.wire._client import WireClient, peer_pid, peer_uid
from strongroom.hsm.wire._direct_messages import (
    DestroyDirect,
    DirectDecrypt,
    DirectDecryptOaep,
    DirectDerive,
    DirectEncrypt,
    DirectMac,
    DirectPublicKey,
    DirectSign,
    GenerateDirect,
    HoldsDirect,
    InspectDirect,
)
from strongroom.hsm.wire._errors import failure_from, raise_failure
from strongroom.hsm.wire._frames import MAX_FRAME_BYTES, FrameBuffer, FrameError, frame
from strongroom.hsm.wire._messages import (
    AdminCall,
    DestroyImportPair,
    DestroyTrustedPublic,
    Failure,
    GenerateImportPair,
    GenerateRoot,
    ImportTrustedPublic,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    Ping,
    Pong,
    Random,
    Reply,
    Request,
    RootCheck,
    Running,
    Unwrap,
    UnwrapInRoot,
    UseCall,
    Wrap,
    WrapOutRoot,
    Wrapped,
)
from strongroom.hsm.wire._server import Connection, FrameServer
from strongroom.hsm.wire._transport_messages import (
    EndTransportOffer,
    MakeTransportKeys,
    OfferTransport,
    TakeInKey,
    TakeInRoot,
    TakeTransportKeys,
    TransportName,
    TransportOffer,
    WrapOut,
)

__all__ = [
    "MAX_FRAME_BYTES",
    "AdminCall",
    "Connection",
    "DestroyDirect",
    "DestroyImportPair",
    "DestroyTrustedPublic",
    "DirectDecrypt",
    "DirectDecryptOaep",
    "DirectDerive",
    "DirectEncrypt",
    "DirectMac",
    "DirectPublicKey",
    "DirectSign",
    "EndTransportOffer",
    "Failure",
    "FrameBuffer",
    "FrameError",
    "FrameServer",
    "GenerateDirect",
    "GenerateImportPair",
    "GenerateRoot",
    "HoldsDirect",
    "ImportTrustedPublic",
    "InspectDirect",
    "KeyCheck",
    "ListObjects",
    "MakeTransportKeys",
    "ObjectEntry",
    "OfferTransport",
    "Ping",
    "Pong",
    "Random",
    "Reply",
    "Request",
    "RootCheck",
    "Running",
    "TakeInKey",
    "TakeInRoot",
    "TakeTransportKeys",
    "TransportName",
    "TransportOffer",
    "Unwrap",
    "UnwrapInRoot",
    "UseCall",
    "WireClient",
    "Wrap",
    "WrapOut",
    "WrapOutRoot",
    "Wrapped",
    "failure_from",
    "frame",
    "peer_pid",
    "peer_uid",
    "raise_failure",
]
