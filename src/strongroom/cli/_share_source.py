"""Where a custodian's share comes from: a delivery that their key opens, their card, words in a file or typed unseen. Never an argument.

@share.command
@share_options
@reporting
def something(output: Output, **options: Any) -> None:
held = held_share(ShareSource.taken_from(options))
"""

import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import click

from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import ask_pin, read_private
from strongroom.cli._output import visible
from strongroom.cli._typed_words import HOW_TO, TypedWords
from strongroom.cli._unseen import unseen
from strongroom.custody import CardUri
from strongroom.shares import (
    MAX_TEXT_CHARS,
    SET_ID_BYTES,
    Share,
    UnknownWordError,
    read_share,
)
from strongroom.wiring.process_protection import forbid_dumps

_MAX_KEY_BYTES: Final = 65_536
_ARMOUR: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_PATH: Final = click.Path(path_type=Path)


class ShareSource(NamedTuple):
    """What a command was told."""

    file: Path | None
    key: Path | None
    card: str | None
    pin_file: Path | None
    set_id: str | None

    @classmethod
    def taken_from(cls, options: MutableMapping[str, Any]) -> Self:
        """Take what ``share_options`` put among the arguments of a command out of them."""
        return cls(*(options.pop(name) for name in cls._fields))


@dataclass(frozen=True, slots=True)
class HeldShare:
    """A share, and of which set it is, where that is known."""

    share: Share
    set_id: bytes | None
    count: int | None


def share_options(command: Any) -> Any:
    """Give a command FILE and the options that name a share; it finds them by ``ShareSource.taken_from``."""
    for option in (
        click.option("--set", "set_id", metavar="ID", help="Of this set: 32 hex digits. Needed where a card has shares of several."),
        click.option("--pin-file", type=_PATH, metavar="PATH", help="Take the PIN of the card from the first line of this file; - is standard input."),
        click.option("--card", metavar="URI", help="The share is on your card: pkcs11:token=LABEL?module-path=/path/of/the/library.so (RFC 7512)."),
        click.option("--key", type=_PATH, metavar="PATH", help="Your private key, for a share by age: a file of age-keygen, or an ssh-ed25519 key without a passphrase."),
        click.argument("file", required=False, type=_PATH),
    ):  # fmt: skip
        command = option(command)
    return command


def held_share(source: ShareSource) -> HeldShare:
    """Return the share. Raises StrongroomError and its kin, and OSError; what is nearest to a mistyped word is told at the terminal alone."""
    forbid_dumps()
    set_id = (
        None if source.set_id is None else bytes_of(source.set_id, "a set's id", SET_ID_BYTES, SET_ID_BYTES)
    )
    if source.card is not None:
        if source.file is not None or source.key is not None:
            raise CliError("a share is on a card or in a file, not both")
        return _on_card(source.card, source.pin_file, set_id)
    if source.file is None:
        return HeldShare(typed_share(), set_id, None)
    if str(source.file) == "-":
        return HeldShare(_of_words(sys.stdin.buffer.read(MAX_TEXT_CHARS + 1)), set_id, None)
    with source.file.open("rb") as file:
        is_encrypted = file.read(len(_ARMOUR)) == _ARMOUR
    if is_encrypted:
        return _by_age(source.file, source.key, set_id)
    return HeldShare(_of_words(read_private(source.file, MAX_TEXT_CHARS)), set_id, None)


def _by_age(file: Path, key: Path | None, set_id: bytes | None) -> HeldShare:
    from strongroom.wiring.share_delivery import open_share

    if key is None:
        raise CliError(f"{file} is encrypted", next_step="name your private key: --key PATH")
    letter, share = open_share(file, read_private(key, _MAX_KEY_BYTES))
    found = bytes.fromhex(letter.set)
    if set_id not in {None, found}:
        raise CliError(f"{file} holds a share of set {letter.set}")
    return HeldShare(share, found, letter.count)


def _on_card(text: str, pin_file: Path | None, set_id: bytes | None) -> HeldShare:
    from strongroom.wiring.share_cards import ShareCard

    uri = CardUri.from_text(text)
    card = ShareCard(uri)
    source = pin_file or (Path(uri.pin_source) if uri.pin_source is not None else None)
    pin = None if card.has_pin_pad else ask_pin(source, f"PIN of the card {visible(card.name)}")
    try:
        found = card.share(pin, set_id)
    finally:
        if pin is not None:
            pin.zeroize()
    return HeldShare(found.share, found.set_id, None)


def _of_words(raw: bytes) -> Share:
    try:
        return read_share(raw.decode("utf-8", "replace"))
    except UnknownWordError as error:
        if error.nearest and sys.stderr.isatty():
            click.echo(f"  Word {error.position}: is it {' or '.join(error.nearest)}?", err=True)
        raise


def typed_share(*, is_alone: bool = True) -> Share:
    """Ask for the words, as many at a time as whoever types likes. Raises CliError without a terminal, and ShareError.

    ``is_alone``: the screen is the custodian's own, so that words like a mistyped one may be shown. What the checksum says to be wrong is asked
    for again; an empty line gives it up.
    """
    if not sys.stdin.isatty():
        raise CliError(
            "there is no terminal to ask for the words at",
            next_step="name a file that holds the share; - is standard input",
        )
    click.echo(f"Type the words of your share. {HOW_TO}", err=True)
    typed = TypedWords(is_alone=is_alone)
    with unseen(sys.stdin.fileno()):
        while (prompt := typed.prompt) is not None:
            click.echo(f"{prompt}: ", nl=False, err=True)
            said = typed.take(sys.stdin.readline(MAX_TEXT_CHARS))
            click.echo(err=True)
            if said is not None:
                click.echo(f"  {said}", err=True)
    text = typed.text()
    try:
        return read_share(text.reveal().decode())
    finally:
        text.zeroize()


def bytes_of(text: str, what: str, least: int, most: int) -> bytes:
    """Return what hex digits stand for. Raises CliError for what is none, or has another length (in bytes)."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if not least <= len(found) <= most:
        digits = f"{2 * least}" if least == most else f"{2 * least} to {2 * most:,}"
        raise CliError(f"{what} is {digits} hex digits")
    return found
