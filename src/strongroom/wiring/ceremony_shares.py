"""Shares and people: one custodian after the other gets a share and proves the copy; later enough of them enter theirs again.

Words go through ``show_share`` and ``ask_hidden`` alone. Nothing of a share is in what is noted, or in an error.
"""

import asyncio
import base64
import binascii
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import segno

from strongroom.backup import (
    AlteredShareError,
    BackupSet,
    SetCustodian,
    WrongSetError,
    check_share_key,
    custodian_of_share,
)
from strongroom.ceremony import (
    SHARE_WORDS,
    CeremonyError,
    Console,
    Delivery,
    Participant,
    Question,
    SharePage,
)
from strongroom.core import Clock, Secret, StrongroomError, random_bytes
from strongroom.custody import CardUri
from strongroom.shares import (
    PossessionError,
    Share,
    ShareError,
    check_possession,
    combine,
    possession_public_key,
    read_share,
)
from strongroom.wiring.backup_set import ShareToGive
from strongroom.wiring.share_cards import ShareCard
from strongroom.wiring.share_delivery import CopyDiffersError, ShareAddress, check_retyped, deliver_by_age
from strongroom.wiring.share_printing import PrintingError, SheetPrinter

_COPIED_QUESTION: Final = "go-on"
_PROOF_QUESTION: Final = "share-proof"
_CARD_PIN_QUESTION: Final = "card-pin"
_MOST_TRIES: Final = 5
_CHALLENGE_BYTES: Final = 32
_BLOCKS: Final = ("█", "▀", "▄", " ")
"""Two modules in one character, light on dark: both light, the upper one, the lower one, none."""

Noted = Callable[[str, str], Awaitable[None]]
"""Has something noted in the transcript: words, and who it is about."""


class NotProvedError(CeremonyError):
    """A custodian did not prove their copy: the set is abandoned, and begun anew with new shares."""


class GivingShares:
    """Gives each custodian their share, the way that the script says."""

    def __init__(
        self,
        console: Console,
        folder: Path,
        *,
        note: Noted,
        is_rehearsal: bool,
        clock: Clock,
        printer: SheetPrinter | None = None,
    ) -> None:
        """``folder``: where deliveries that are encrypted go. Without a printer words are copied by hand."""
        self._console = console
        self._folder = folder
        self._note = note
        self._is_rehearsal = is_rehearsal
        self._clock = clock
        self._printer = printer

    async def give(self, one: ShareToGive[Participant]) -> SetCustodian:
        """Give one share, and return once its custodian has proved the copy. Raises NotProvedError and CeremonyPausedError."""
        person = one.custodian
        delivery = self._delivery_of(person)
        ways: dict[Delivery, Callable[[ShareToGive[Participant]], Awaitable[None]]] = {
            Delivery.PAPER: self._on_paper,
            Delivery.AGE: self._by_age,
            Delivery.CARD: self._on_card,
        }
        try:
            await ways[delivery](one)
        finally:
            await self._console.clear()
        await self._note(
            f"share {one.share.index} of {one.plan.count} was given, and the copy was proved", person.id
        )
        return SetCustodian(
            id=person.id,
            name=person.name,
            location=person.location or person.organisation,
            share_index=one.share.index,
            delivery=delivery.value,
            possession_key=possession_public_key(one.share, one.set_id),
        )

    def _delivery_of(self, person: Participant) -> Delivery:
        """In a rehearsal nobody has a card, and a key of age is made up: everybody copies words."""
        return Delivery.PAPER if self._is_rehearsal or person.delivery is None else person.delivery

    async def _on_paper(self, one: ShareToGive[Participant]) -> None:
        person, share = one.custodian, one.share
        await self._print(one)
        for _ in range(_MOST_TRIES):
            await self._console.show_share(self._page(one))
            await self._console.ask(
                Question(_COPIED_QUESTION, person.id, "Press Enter when every word is copied")
            )
            await self._console.clear()
            question = Question(SHARE_WORDS, person.id, f"{person.name}: enter the words from your copy")
            typed = await self._console.ask_hidden(question)
            try:
                check_retyped(share, typed)
            except (CopyDiffersError, ShareError) as error:
                await self._console.say(_without_words(error))
                continue
            finally:
                typed.zeroize()
            return
        raise _not_proved(person)

    async def _print(self, one: ShareToGive[Participant]) -> None:
        """Have the sheet printed, if the script says by what. Where that fails, it is told, and the words are copied by hand."""
        if self._printer is None:
            return
        person, number = one.custodian, one.share.index
        try:
            await self._printer.print_share(
                one.share, ShareAddress(one.set_id, one.plan.count, person.id), person
            )
        except PrintingError as error:
            await self._note(f"the sheet of share {number} was not printed: {error.message}", person.id)
            await self._console.say(_without_words(error))
            return
        await self._note(f"the sheet of share {number} was printed", person.id)

    async def _by_age(self, one: ShareToGive[Participant]) -> None:
        person, share = one.custodian, one.share
        address = ShareAddress(one.set_id, one.plan.count, person.id)
        path = self._folder / f"{one.set_id.hex()}-{person.id}.age"
        deliver_by_age(share, address, person.recipient, path, at=self._clock.now())
        await self._console.say(f"The share is encrypted to {person.name}'s own key: {path}")
        public = possession_public_key(share, one.set_id)
        challenge = random_bytes(_CHALLENGE_BYTES)
        text = (
            f"{person.name}: take the file to your own machine, and enter what this prints:"
            f" strongroom share prove FILE --key YOUR-KEY --set {one.set_id.hex()} --challenge {challenge.hex()}"
        )
        for _ in range(_MOST_TRIES):
            answer = await self._console.ask(Question(_PROOF_QUESTION, person.id, text))
            try:
                proof = base64.b64decode(answer, validate=True)
                check_possession(public, one.set_id, challenge, proof)
            except (binascii.Error, PossessionError, ValueError):
                await self._console.say("That does not show that the share was opened.")
                continue
            return
        raise _not_proved(person)

    async def _on_card(self, one: ShareToGive[Participant]) -> None:
        person = one.custodian
        for _ in range(_MOST_TRIES):
            try:
                card = await asyncio.to_thread(ShareCard, CardUri.from_text(person.recipient))
                pin = None
                if not card.has_pin_pad:
                    text = f"{person.name}: PIN of the card {card.name}"
                    pin = await self._console.ask_hidden(Question(_CARD_PIN_QUESTION, person.id, text))
                try:
                    await asyncio.to_thread(card.keep, one.set_id, one.share, pin)
                finally:
                    if pin is not None:
                        pin.zeroize()
            except CeremonyError:
                raise
            except StrongroomError as error:
                await self._console.say(error.message)
                question = Question(_COPIED_QUESTION, person.id, "Put the card right, and press Enter")
                await self._console.ask(question)
                continue
            return
        raise _not_proved(person)

    def _page(self, one: ShareToGive[Participant]) -> SharePage:
        share, plan = one.share, one.plan
        made = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC).strftime("%Y-%m-%d")
        mark = "REHEARSAL: " if self._is_rehearsal else ""
        return SharePage(
            title=f"{mark}Share {share.index} of {plan.count}",
            who=one.custodian.id,
            words=share.words,
            lines=(
                f"{one.custodian.name}: any {plan.threshold} of {plan.count} shares open the backups of this set",
                f"Set {one.set_id.hex()}, {made}",
                "Compare every word with your sheet. You enter them again from it."
                if self._printer is not None
                else "Copy number and word, and nothing else. You enter them again from the copy.",
            ),
            picture=picture_of(" ".join(share.words)),
        )


class CollectingShares:
    """Asks custodians for their shares, and opens the share key of a set with them."""

    def __init__(self, console: Console, backup_set: BackupSet, *, note: Noted) -> None:
        self._console = console
        self._set = backup_set
        self._note = note

    async def collect(self, people: list[Participant]) -> Secret:
        """Return the share key. Raises ShareError and WrongSetError when what they brought does not open the set."""
        found: list[Share] = []
        try:
            for person in people:
                share = await self._share_of(person, found)
                found.append(share)
                holder = custodian_of_share(self._set, share)
                await self._note(
                    f"share {share.index} was entered, as it was given to {holder.name}", person.id
                )
            key = combine(found)
        finally:
            for share in found:
                share.zeroize()
        try:
            check_share_key(self._set, key)
        except BaseException:
            key.zeroize()
            raise
        return key

    async def _share_of(self, person: Participant, before: list[Share]) -> Share:
        text = f"{person.name}: enter the words of your share"
        for _ in range(_MOST_TRIES):
            typed = await self._console.ask_hidden(Question(SHARE_WORDS, person.id, text))
            await self._console.clear()
            try:
                share = read_share(typed.reveal().decode("utf-8", "replace"))
                self._require_fitting(share, before)
            except (ShareError, WrongSetError, AlteredShareError) as error:
                await self._console.say(_without_words(error))
                continue
            finally:
                typed.zeroize()
            return share
        raise CeremonyError(
            f"{person.name} entered no share of this set",
            next_step="bring another custodian: the script is then another one; or try again",
        )

    def _require_fitting(self, share: Share, before: list[Share]) -> None:
        custodian_of_share(self._set, share)
        if share.index in {one.index for one in before}:
            raise ShareError(f"share {share.index} was entered already")


def picture_of(words: str) -> tuple[str, ...]:
    """Return a QR code as rows of block characters, light on a dark screen."""
    code = segno.make(words, error="m", micro=False, boost_error=False)
    rows = [[not dark for dark in row] for row in code.matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    drawn = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        drawn.append("".join(_BLOCKS[2 * (not a) + (not b)] for a, b in zip(upper, lower, strict=True)))
    return tuple(drawn)


def _without_words(error: StrongroomError) -> str:
    """Say what is wrong; an error tells which place, and never a word of the share."""
    return error.message if error.next_step is None else f"{error.message}. {error.next_step}"


def _not_proved(person: Participant) -> NotProvedError:
    return NotProvedError(
        f"{person.name} did not prove the copy within {_MOST_TRIES} tries: the set is abandoned, and its shares open nothing",
        next_step="destroy every copy that was made; the step makes a new set",
    )
