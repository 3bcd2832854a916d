"""How one share reaches its custodian, and how it is known to have: on paper, encrypted by age, or on a PKCS#11 card.

| Way | What is given | What proves the copy |
|---|---|---|
| paper | ``share_sheet``, printed or shown, never stored | the custodian types the words: ``check_retyped`` |
| age | a file that their key alone opens: ``deliver_by_age`` | they open it and answer a challenge: ``strongroom share prove`` |
| card | a private data object: ``ShareCard.keep`` | the card is read again by another login, in ``keep`` itself |

Nothing here writes a share in clear to a disk.
"""

import datetime as dt
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from strongroom.core import Secret, StrongroomError
from strongroom.paper import ShareSheet
from strongroom.shares import MAX_TEXT_CHARS, Share, ShareError, ShareLengthError, read_share
from strongroom.wiring.pin_delivery import DeliveryError, decrypted, deliver

_Hex16 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Number = Annotated[int, msgspec.Meta(ge=1, le=16)]


class CopyDiffersError(StrongroomError):
    """What a custodian typed is not their share. ``positions``, from 1: the words that differ; none: it is another share."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        if not positions:
            said = "these are the words of another share"
        elif len(positions) == 1:
            said = f"word {positions[0]} is not that of the share"
        else:
            *first, last = map(str, positions)
            said = f"words {', '.join(first)} and {last} are not those of the share"
        super().__init__(said, next_step="correct the copy, then type it again from the copy")
        self.positions = positions


@dataclass(frozen=True, slots=True)
class ShareAddress:
    """Of which set a share is, and for whom."""

    set_id: bytes
    count: int
    """How many shares the set has."""
    custodian: str
    """Id of the custodian."""


class ShareLetter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a delivery by age holds."""

    type: Literal["strongroom-share-v1"]
    set: _Hex16
    custodian: Annotated[str, msgspec.Meta(max_length=200)]
    share: _Number
    threshold: _Number
    count: _Number
    made_at: Annotated[str, msgspec.Meta(max_length=40)]
    """ISO 8601, UTC."""
    words: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]

    def __repr__(self) -> str:
        return f"ShareLetter(set {self.set}, share {self.share})"


class OpenedShare(NamedTuple):
    """A letter, and the share in it."""

    letter: ShareLetter
    share: Share


def share_sheet(
    share: Share,
    address: ShareAddress,
    *,
    custodian_name: str,
    made_at: str,
    is_rehearsal: bool,
    organisation: str = "",
    location: str = "",
    ceremony: str = "",
) -> ShareSheet:
    """Return what ``strongroom.paper`` prints of a share. It holds the words: print it, never store it."""
    return ShareSheet(
        organisation=organisation,
        set_id=address.set_id.hex(),
        slip39_identifier=share.set_identifier,
        share_number=share.index,
        count=address.count,
        threshold=share.threshold,
        custodian=custodian_name,
        location=location,
        ceremony=ceremony,
        made_at=made_at,
        words=share.words,
        is_rehearsal=is_rehearsal,
    )


def check_retyped(share: Share, typed: Secret) -> None:
    """Check what a custodian typed from their copy, whole, against the share.

    Raises CopyDiffersError with the places of all words that differ, ShareLengthError and UnknownWordError, whose ``nearest`` are for
    the custodian's eyes alone.
    """
    words = typed.reveal().decode("utf-8", "replace").lower().split()
    wanted = share.words
    if hmac.compare_digest(" ".join(words).encode(), " ".join(wanted).encode()):
        return
    if len(words) != len(wanted):
        raise ShareLengthError(len(words))
    try:
        read_share(" ".join(words))
    except ShareError:
        differing = (
            at for at, pair in enumerate(zip(words, wanted, strict=True), start=1) if pair[0] != pair[1]
        )
        raise CopyDiffersError(tuple(differing)) from None
    raise CopyDiffersError(())


def deliver_by_age(share: Share, address: ShareAddress, recipient: str, path: Path, *, at: float) -> None:
    """Encrypt a share to one custodian (``age1…``, ``ssh-ed25519 …``) and write a new file (mode 0600), durable on return.

    ``at``: seconds since the Unix epoch. Raises DeliveryError for a recipient that is none, and when there is such a file.
    """
    letter = ShareLetter(
        type="strongroom-share-v1",
        set=address.set_id.hex(),
        custodian=address.custodian,
        share=share.index,
        threshold=share.threshold,
        count=address.count,
        made_at=dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds"),
        words=" ".join(share.words),
    )
    clear = Secret(msgspec.json.format(msgspec.json.encode(letter)) + b"\n")
    try:
        deliver(clear, [recipient], path)
    finally:
        clear.zeroize()


def open_share(path: Path, identity: bytes) -> OpenedShare:
    """Open a delivery by age with the custodian's private key, offline.

    ``identity``: the content of a file of age-keygen, or of a private key of OpenSSH that has no passphrase. Raises DeliveryError,
    and ShareError when the words in it are no share.
    """
    opened = decrypted(path, identity)
    try:
        letter = msgspec.json.decode(opened.reveal(), type=ShareLetter)
    except msgspec.MsgspecError:
        raise DeliveryError(
            f"{path} holds something else than a share", next_step="a PIN is opened by: strongroom pin open"
        ) from None
    finally:
        opened.zeroize()
    share = read_share(letter.words)
    if (share.index, share.threshold) != (letter.share, letter.threshold):
        raise DeliveryError(f"{path} says that it holds share {letter.share}, and holds share {share.index}")
    return OpenedShare(letter, share)
