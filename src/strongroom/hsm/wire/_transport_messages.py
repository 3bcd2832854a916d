"""The admin verbs of transport keys: how they are made at ``init``, and how keys travel under them.

All are of the admin socket. Lengths are checked by the token (``hsm.token``), kinds by the decoder.
"""

from typing import Annotated

import msgspec

from strongroom.core import HsmKey, TransportKind

_MOST_KEYS = 16
_MOST_MEMBERS = 64


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """As in ``_messages``."""


class OfferTransport(_Message, frozen=True, array_like=True, tag="offer-transport"):
    """Make the pair under which transport keys come in; it lives in this worker only. Answered by TransportOffer."""

    pair_id: bytes


class TransportOffer(_Message, frozen=True, array_like=True):
    """Where transport keys can be sent, and what wraps keys under them there."""

    spki_der: bytes
    mechanisms: list[int]
    """CKM_ numbers that this token can wrap keys with under an AES key, best first."""


class TransportName(_Message, frozen=True, array_like=True):
    """The CKA_ID of a transport key, the same on all members, and what it carries."""

    cka_id: bytes
    kind: TransportKind


class MakeTransportKeys(_Message, frozen=True, array_like=True, tag="make-transport-keys"):
    """Make a member's own transport keys (security officer only).

    Answered by a list for each of ``targets`` (public halves of offers, SPKI DER): the keys, wrapped for it.
    """

    names: Annotated[list[TransportName], msgspec.Meta(min_length=1, max_length=_MOST_KEYS)]
    label: str
    mechanism: int
    targets: Annotated[list[bytes], msgspec.Meta(max_length=_MOST_MEMBERS)]


class TakeTransportKeys(_Message, frozen=True, array_like=True, tag="take-transport-keys"):
    """Take another member's transport keys in, to unwrap under them. Answered by None."""

    pair_id: bytes
    names: Annotated[list[TransportName], msgspec.Meta(min_length=1, max_length=_MOST_KEYS)]
    label: str
    mechanism: int
    wrapped: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=_MOST_KEYS)]


class EndTransportOffer(_Message, frozen=True, array_like=True, tag="end-transport-offer"):
    """Destroy the pair of an offer. Answered by None; also where there is none."""

    pair_id: bytes


class DestroyTransportKey(_Message, frozen=True, array_like=True, tag="destroy-transport-key"):
    """Destroy a transport key, the member's own one or another's. Answered by None once it is gone."""

    transport_id: bytes


class WrapOut(_Message, frozen=True, array_like=True, tag="wrap-out"):
    """Wrap a root or a Direct key under this member's own transport key. Answered by bytes."""

    cka_id: bytes
    kind: TransportKind
    transport_id: bytes


class TakeInRoot(_Message, frozen=True, array_like=True, tag="take-in-root"):
    """Unwrap a root that came under another member's transport key, if it has this check value. Answered by None."""

    root_id: bytes
    label: str
    transport_id: bytes
    wrapped: bytes
    check_kind: str
    check_value: str


class TakeInKey(_Message, frozen=True, array_like=True, tag="take-in-key"):
    """Unwrap a Direct key that came under another member's transport key. Answered by None."""

    key: HsmKey
    label: str
    transport_id: bytes
    wrapped: bytes
    spki_der: bytes
    """The public half of a pair, else empty: it is no secret and does not travel wrapped."""


class MakeBackupPair(_Message, frozen=True, array_like=True, tag="make-backup-pair"):
    """Make an RSA pair and wrap its private half under the share key (user only); nothing of it stays. Answered by BackupPair."""

    share_key: bytes
    """256 bits. Workers lock their memory; what holds it here is gone with the call."""

    def __repr__(self) -> str:
        return "MakeBackupPair(...)"


class BackupPair(_Message, frozen=True, array_like=True):
    """The pair of a backup set."""

    spki_der: bytes
    wrapped_private: bytes
    mechanism: int
    """The CKM_ number by which it was wrapped."""


class OfferBackup(_Message, frozen=True, array_like=True, tag="offer-backup"):
    """Open the private half of a backup pair into this worker, as the pair of an offer. Answered by TransportOffer."""

    pair_id: bytes
    share_key: bytes
    wrapped_private: bytes
    mechanism: int

    def __repr__(self) -> str:
        return f"OfferBackup({self.pair_id!r}, ...)"


TransportCall = (
    OfferTransport
    | MakeTransportKeys
    | TakeTransportKeys
    | EndTransportOffer
    | DestroyTransportKey
    | WrapOut
    | TakeInRoot
    | TakeInKey
    | MakeBackupPair
    | OfferBackup
)
