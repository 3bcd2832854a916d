"""A process that asks one thing of a custodian's card: what it keeps, or to keep or destroy a share. Its library is loaded here alone.

    python -m strongroom.wiring.share_card_process

Asked a ``ShareCardQuestion``, the PIN in it, it says a ``ShareCardAnswer``.
"""

from typing import Final, Literal

import msgspec

from strongroom.core import Secret, StrongroomError
from strongroom.wiring.asked_process import answer_one
from strongroom.wiring.process_protection import protect_process

APPLICATION: Final = "strongroom shares"
"""CKA_APPLICATION of every share on a card."""


Verb = Literal["look", "read", "keep", "destroy"]
"""``look`` needs no login."""


class ShareCardQuestion(msgspec.Struct, frozen=True):
    """What to load, and what to ask."""

    module: str
    """Path of the PKCS#11 library."""
    verb: Verb
    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    pin: bytes | None = None
    label: str = ""
    value: bytes = b""
    """To keep."""

    def __repr__(self) -> str:
        return f"ShareCardQuestion({self.verb!r}, {self.module!r})"


class KeptValue(msgspec.Struct, frozen=True):
    """A share on the card, as it stands there."""

    label: str
    value: bytes

    def __repr__(self) -> str:
        return f"KeptValue({self.label!r})"


class ShareCardAnswer(msgspec.Struct, frozen=True):
    """What was found or done, or why nothing was."""

    label: str = ""
    serial: str = ""
    has_pin_pad: bool = False
    was_pin_wrong: bool = False
    """Whether a wrong PIN came since the last login."""
    kept: list[KeptValue] = []
    destroyed: int = 0
    failure: str | None = None
    next_step: str | None = None


def ask(question: ShareCardQuestion) -> ShareCardAnswer:
    """Load the library and ask."""
    from strongroom.hsm.cryptoki import Module
    from strongroom.hsm.token import Card, CardSelector

    pin = None if question.pin is None else Secret(question.pin)
    kept: list[KeptValue] = []
    destroyed = 0
    try:
        named = CardSelector(question.token, question.serial, question.manufacturer, question.model)
        card = Card(Module.load(question.module), named)
        card.check_login()
        if question.verb == "keep":
            card.keep_value(pin, APPLICATION, question.label, Secret(question.value))
        elif question.verb == "destroy":
            destroyed = card.destroy_value(pin, APPLICATION, question.label)
        elif question.verb == "read":
            found = card.values(pin, APPLICATION)
            kept = [KeptValue(one.label, one.value.reveal()) for one in found]
    except StrongroomError as error:
        return ShareCardAnswer(failure=error.message, next_step=error.next_step)
    return ShareCardAnswer(
        label=card.identity.label,
        serial=card.identity.serial,
        has_pin_pad=card.has_pin_pad,
        was_pin_wrong=card.was_pin_wrong,
        kept=kept,
        destroyed=destroyed,
    )


def main() -> None:
    """Answer one question."""
    protect_process()
    answer_one(ShareCardQuestion, ask)


if __name__ == "__main__":
    main()
