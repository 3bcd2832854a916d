"""Shares on custodians' cards: private data objects (PKCS#11 3.2, section 4.5), one for each share, in words as on paper.

| Attribute | Value |
|---|---|
| CKA_APPLICATION | ``strongroom shares`` |
| CKA_LABEL | ``SET-ID NUMBER``: 32 hex digits, and the number of the share |
| CKA_VALUE | the words, in lower case, with a blank between them |

So any PKCS#11 tool reads a share from its card, and any SLIP-39 tool takes what it reads. Whoever has the card and its PIN has
the share. Everything here blocks until the card answers: call it in a thread.
"""

import re
from typing import Final, NamedTuple

from strongroom.core import Secret
from strongroom.custody import CardUri
from strongroom.shares import Share, ShareError, read_share
from strongroom.wiring.asked_process import ask_process
from strongroom.wiring.share_card_process import ShareCardAnswer, ShareCardQuestion, Verb
from strongroom.wiring.smart_cards import CARD_LIMIT_S, CardError, card_library

_PROGRAM: Final = "strongroom.wiring.share_card_process"
_LABEL: Final = re.compile(r"([0-9a-f]{32}) ([1-9]|1[0-6])")


class CardShare(NamedTuple):
    """A share that a card keeps."""

    set_id: bytes
    share: Share


class ShareCard:
    """A custodian's card. Each call loads its library in a process of its own, for one login."""

    def __init__(self, uri: CardUri) -> None:
        """Look at the card, without a login. Raises CardError and AskedProcessError: no card fits, or its library fails."""
        if uri.object is not None or uri.id is not None:
            raise CardError(
                "the URI of a card for shares names the card alone", next_step="leave out object= and id="
            )
        self._uri = uri
        seen = self._ask("look")
        self.name: Final = f"{seen.label} (serial {seen.serial})"
        self.has_pin_pad: Final = seen.has_pin_pad
        """The PIN is typed at the reader: give None here."""
        self.was_pin_wrong: Final = seen.was_pin_wrong
        """The card says that a wrong PIN came since the last login."""

    def keep(self, set_id: bytes, share: Share, pin: Secret | None) -> None:
        """Write a share, and read it back by another login. Raises CardError and AskedProcessError."""
        words = " ".join(share.words).encode("ascii")
        label = _label(set_id, share.index)
        self._ask("keep", pin, label=label, value=words)
        kept = [one.value for one in self._ask("read", pin).kept if one.label == label]
        if kept != [words]:
            raise CardError(
                f"the card {self.name} does not show the share that was written to it",
                next_step="take another card, or deliver the share on paper or by age",
            )

    def shares(self, pin: Secret | None) -> list[CardShare]:
        """Return all shares on the card. Raises CardError when one of them is damaged, and AskedProcessError."""
        found = []
        for one in self._ask("read", pin).kept:
            label = _LABEL.fullmatch(one.label)
            if label is None:
                continue
            try:
                share = read_share(one.value.decode("ascii", "replace"))
            except ShareError as error:
                raise CardError(
                    f"the share {one.label} on the card {self.name} is damaged: {error.message}"
                ) from error
            if share.index != int(label[2]):
                raise CardError(
                    f"the share {one.label} on the card {self.name} says that it is share {share.index}"
                )
            found.append(CardShare(bytes.fromhex(label[1]), share))
        return found

    def share(self, pin: Secret | None, set_id: bytes | None = None) -> CardShare:
        """Return the one share on the card, or the one of a set. Raises CardError when not exactly one fits."""
        fitting = [one for one in self.shares(pin) if set_id in {None, one.set_id}]
        if len(fitting) != 1:
            of = "" if set_id is None else f" of set {set_id.hex()}"
            listed = ", ".join(f"share {one.share.index} of set {one.set_id.hex()}" for one in fitting)
            raise CardError(
                f"{len(fitting) or 'no'} shares{of} are on the card {self.name}{': ' if listed else ''}{listed}",
                next_step="name the set" if len(fitting) > 1 and set_id is None else None,
            )
        return fitting[0]

    def destroy(self, set_id: bytes, index: int, pin: Secret | None) -> bool:
        """Destroy a share of a set that is given up; False when it was not there. Raises CardError and AskedProcessError."""
        return self._ask("destroy", pin, label=_label(set_id, index)).destroyed > 0

    def _ask(
        self, verb: Verb, pin: Secret | None = None, *, label: str = "", value: bytes = b""
    ) -> ShareCardAnswer:
        uri = self._uri
        question = ShareCardQuestion(
            module=card_library(uri),
            verb=verb,
            token=uri.token,
            serial=uri.serial,
            manufacturer=uri.manufacturer,
            model=uri.model,
            pin=None if pin is None else pin.reveal(),
            label=label,
            value=value,
        )
        answer = ask_process(
            _PROGRAM, question, ShareCardAnswer, library="the library of the card", limit_s=CARD_LIMIT_S
        )
        if answer.failure is not None:
            raise CardError(answer.failure, next_step=answer.next_step)
        return answer


def _label(set_id: bytes, index: int) -> str:
    return f"{set_id.hex()} {index}"
