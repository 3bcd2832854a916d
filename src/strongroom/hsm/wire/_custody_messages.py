"""What main tells a member worker of custody: the chain, approved acts, and which genesis to pin.

All are of the admin socket, and none passes the approval gate: they are what the gate judges by. Each is checked by the
worker from the genesis on; who sends it is believed nothing but the time at which an act of long ago was begun.
"""

from typing import Annotated, Final

import msgspec

PIN_APPLICATION: Final = "strongroom"
PIN_LABEL: Final = "strongroom-custody"
"""Application and label of the data object in which a member's token remembers the genesis of its officers."""
MAX_RECORDS: Final = 64
"""Records of one ``FollowChain``; together with everything else they must fit in a frame."""

_Document = Annotated[bytes, msgspec.Meta(min_length=1, max_length=256 * 1024)]
_RequestBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=64 * 1024)]
_Signature = Annotated[bytes, msgspec.Meta(max_length=4096)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """As in ``_messages``."""


class CustodyPlace(_Message, frozen=True, array_like=True):
    """Where a member stands in the chain."""

    genesis_sha256: str
    """Empty: the member has no custody."""
    sequence: int
    """Number of the newest record that it was shown; 0: the genesis alone."""
    head: str
    """Hash of that document."""
    pinned_sequence: int
    """Number of the newest record that it ever followed: while ``sequence`` is lower, it lets nothing be done."""


class WhereInChain(_Message, frozen=True, array_like=True, tag="where-in-chain"):
    """Where does the member stand? Answered by CustodyPlace."""


class FollowChain(_Message, frozen=True, array_like=True, tag="follow-chain"):
    """Follow changes of officers and rules, each approved by the rules before it. Answered by CustodyPlace.

    Records that the member knows may be among them, if they are the very same.
    """

    records: Annotated[list[_Document], msgspec.Meta(min_length=1, max_length=MAX_RECORDS)]


class AdmitAct(_Message, frozen=True, array_like=True, tag="admit-act"):
    """Hold an approved act ready for the calls that it covers. Answered by None."""

    request: _RequestBytes
    """The canonical bytes that officers signed."""
    signatures: Annotated[list[_Signature], msgspec.Meta(max_length=32)]
    executed: _Seconds = 0
    """When the act was begun, if that was before: for members that were away then. 0: now."""
    parameters: Annotated[bytes, msgspec.Meta(max_length=64 * 1024)] = b""
    """Canonical JSON: the parameters of the act, where ``request`` is a standing approval for acts of its kind."""


class RejectAct(_Message, frozen=True, array_like=True, tag="reject-act"):
    """Remember that a request was rejected, or a standing approval taken back. Answered by None."""

    request: _RequestBytes
    signature: _Signature
    """Of the officer who rejected it."""


class PinCustody(_Message, frozen=True, array_like=True, tag="pin-custody"):
    """Pin a genesis in the token, for good; during initialisation only. Answered by CustodyPlace.

    Without effect where this very genesis is pinned; refused where another one is.
    """

    genesis: _Document


CustodyCall = FollowChain | AdmitAct | RejectAct | PinCustody | WhereInChain
