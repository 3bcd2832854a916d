"""A process that asks one thing of a smart card: which keys it has, or one signature. The library of the card is loaded here alone.

    python -m strongroom.cli._card_process

Asked a ``CardQuestion``, the PIN in it, it says a ``CardAnswer``.
"""

import msgspec

from strongroom.core import Secret, StrongroomError
from strongroom.wiring.asked_process import answer_one
from strongroom.wiring.process_protection import protect_process


class CardQuestion(msgspec.Struct, frozen=True):
    """What to load, and what to ask."""

    module: str
    """Path of the PKCS#11 library."""
    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    key_label: str | None = None
    key_id: bytes | None = None
    logs_in: bool = False
    data: bytes | None = None
    """What to sign; None only lists keys."""
    pin: bytes | None = None

    def __repr__(self) -> str:
        return f"CardQuestion({self.module!r})"


class FoundKey(msgspec.Struct, frozen=True):
    """A public key on the card."""

    label: str
    key_id: bytes
    spki_der: bytes


class CardAnswer(msgspec.Struct, frozen=True):
    """What was found and made, or why nothing was."""

    label: str = ""
    serial: str = ""
    model: str = ""
    has_pin_pad: bool = False
    was_pin_wrong: bool = False
    """Whether a wrong PIN came since the last login."""
    shows_keys: bool = False
    """Whether it shows any key that officers could use."""
    keys: list[FoundKey] = []
    """Those that fit; the one that signed, where there is a signature."""
    signature: bytes | None = None
    failure: str | None = None
    next_step: str | None = None


def ask(question: CardQuestion) -> CardAnswer:
    """Load the library and ask."""
    from strongroom.hsm.cryptoki import Module
    from strongroom.hsm.token import Card, CardSelector

    pin = None if question.pin is None else Secret(question.pin)
    try:
        card = Card(
            Module.load(question.module),
            CardSelector(
                question.token,
                question.serial,
                question.manufacturer,
                question.model,
                question.key_label,
                question.key_id,
            ),
        )
        card.check_login()
        signature = None
        if question.data is None:
            shown = card.keys(pin, logs_in=question.logs_in)
        else:
            key, signature = card.sign(pin, question.data)
            shown = [key]
    except StrongroomError as error:
        return CardAnswer(failure=error.message, next_step=error.next_step)
    return CardAnswer(
        label=card.identity.label,
        serial=card.identity.serial,
        model=card.identity.model,
        has_pin_pad=card.has_pin_pad,
        was_pin_wrong=card.was_pin_wrong,
        shows_keys=bool(shown),
        keys=[FoundKey(key.label, key.cka_id, key.spki_der) for key in shown if card.fits(key)],
        signature=signature,
    )


def main() -> None:
    """Answer one question."""
    protect_process()
    answer_one(CardQuestion, ask)


if __name__ == "__main__":
    main()
