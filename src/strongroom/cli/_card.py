"""Signing with a smart card: its library runs in a process of its own (``_card_process``), which gets one PIN for one login."""

from collections.abc import Callable
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from strongroom.cli._card_process import CardAnswer, CardQuestion, FoundKey
from strongroom.cli._errors import CliError
from strongroom.core import Secret, StrongroomError
from strongroom.custody import CardUri, OfficerKey, OfficerKeyError, signature_from_raw, signed_bytes
from strongroom.wiring.asked_process import ask_process
from strongroom.wiring.smart_cards import CARD_LIMIT_S, card_library

_PROGRAM: Final = "strongroom.cli._card_process"
AskPin = Callable[[str], Secret]
"""Returns the PIN of the card that is named."""


class CardSigner:
    """An ``OfficerSigner``. Keeps the PIN until ``close``; each signature is one login."""

    def __init__(self, uri: CardUri, ask_pin: AskPin) -> None:
        """Look at the card. Raises CliError and its kin (``ask_card``), and OfficerKeyError: no card, no key, or more than one that fits."""
        self._uri = uri
        self._ask_pin = ask_pin
        self._pin: Secret | None = None
        seen = ask_card(uri)
        self._has_pin_pad = seen.has_pin_pad
        self.name = f"{seen.label} (serial {seen.serial})"
        if not seen.shows_keys:  # some cards show nothing before a login
            seen = self._ask(logs_in=True)
        if len(seen.keys) != 1:
            raise CliError(
                f"{len(seen.keys) or 'no'} keys on the card {self.name} fit, of Ed25519 or P-256",
                next_step="name one by object= or id=; strongroom officers keys lists them",
            )
        self._key = seen.keys[0]
        self.public = officer_key_of(self._key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return the signature (SSHSIG blob), once it verifies. Raises CliError, OfficerKeyError."""
        answer = self._ask(logs_in=True, data=signed_bytes(message, namespace))
        if answer.signature is None or len(answer.keys) != 1 or officer_key_of(answer.keys[0]) != self.public:
            raise OfficerKeyError("the card signed with another key than the one that it showed")
        return signature_from_raw(self.public, answer.signature, message, namespace)

    def close(self) -> None:
        """Forget the PIN."""
        if self._pin is not None:
            self._pin.zeroize()

    def _ask(self, *, logs_in: bool, data: bytes | None = None) -> CardAnswer:
        if self._pin is None and not self._has_pin_pad:
            self._pin = self._ask_pin(self.name)
        try:
            return ask_card(self._uri, logs_in=logs_in, data=data, pin=self._pin)
        except StrongroomError:
            self.close()
            raise


def ask_card(
    uri: CardUri, *, logs_in: bool = False, data: bytes | None = None, pin: Secret | None = None
) -> CardAnswer:
    """Run the process. Raises CliError with what the card says, CardError, and AskedProcessError with what became of the process."""
    question = CardQuestion(
        module=card_library(uri),
        token=uri.token,
        serial=uri.serial,
        manufacturer=uri.manufacturer,
        model=uri.model,
        key_label=uri.object,
        key_id=uri.id,
        logs_in=logs_in,
        data=data,
        pin=None if pin is None else pin.reveal(),
    )
    answer = ask_process(
        _PROGRAM, question, CardAnswer, library="the library of the card", limit_s=CARD_LIMIT_S
    )
    if answer.failure is not None:
        raise CliError(answer.failure, next_step=answer.next_step)
    return answer


def officer_key_of(found: FoundKey) -> OfficerKey:
    """Return a card's key as officers have it. Raises OfficerKeyError."""
    try:
        public = serialization.load_der_public_key(found.spki_der)
        line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OfficerKeyError("the card shows a public key that is none") from error
    return OfficerKey.from_line(line.decode())
