"""``--key`` of every command that signs: a file, a key of an SSH agent, or a key on a smart card.

A command takes the options as they come:

    @officers.command
    @key_options
    @reporting
    def something(output: Output, **options: Any) -> None:
        with opened_key(KeyChoice.taken_from(options)) as key:
            key.sign(message, namespace)
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import click

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import OfficerSigner

_PATH: Final = click.Path(path_type=Path)
_AGENT: Final = "agent:"
_CARD: Final = "pkcs11:"


class KeyChoice(NamedTuple):
    """Which key, and where its passphrase or PIN comes from."""

    key: str
    """A file, ``agent:FINGERPRINT`` or ``pkcs11:…``."""
    passphrase_file: Path | None = None
    pin_file: Path | None = None
    agent_socket: Path | None = None

    @classmethod
    def taken_from(cls, options: MutableMapping[str, Any]) -> Self:
        """Take what ``key_options`` put among the arguments of a command out of them."""
        return cls(*(options.pop(name) for name in cls._fields))


def key_options(command: Any) -> Any:
    """Give a command ``--key`` and what belongs to it; it finds them by ``KeyChoice.taken_from``."""
    for option in (
        click.option("--agent-socket", type=_PATH, envvar="SSH_AUTH_SOCK", metavar="PATH", help="Socket of the SSH agent; SSH_AUTH_SOCK if left out."),
        click.option("--pin-file", type=_PATH, metavar="PATH", help="Take the PIN of the card from the first line of this file; - is standard input."),
        click.option("--passphrase-file", type=_PATH, metavar="PATH", help="Take the passphrase from the first line of this file; - is standard input."),
        click.option("--key", required=True, metavar="KEY", help="Your key: a file (OpenSSH, under a passphrase), agent:FINGERPRINT, or pkcs11:token=...;object=... (RFC 7512)."),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def opened_key(choice: KeyChoice) -> Iterator["OfficerSigner"]:
    """Lend the key; its passphrase or PIN is forgotten at the end. Raises CliError, OfficerKeyError and OSError."""
    if choice.key.startswith(_AGENT):
        from strongroom.cli._agent import AgentSigner, socket_of

        yield AgentSigner.with_fingerprint(socket_of(choice.agent_socket), choice.key.removeprefix(_AGENT))
    elif choice.key.startswith(_CARD):
        from strongroom.cli._card import CardSigner
        from strongroom.cli._officer_files import ask_pin
        from strongroom.cli._output import visible
        from strongroom.custody import CardUri

        uri = CardUri.from_text(choice.key)
        source = choice.pin_file or (Path(uri.pin_source) if uri.pin_source is not None else None)
        with CardSigner(uri, lambda card: ask_pin(source, f"PIN of the card {visible(card)}")) as card:
            yield card
    else:
        yield _from_file(Path(choice.key), choice.passphrase_file)


def _from_file(path: Path, passphrase_file: Path | None) -> "OfficerSigner":
    from strongroom.cli._officer_files import ask_passphrase, read_private
    from strongroom.custody import MAX_KEY_FILE_BYTES, OfficerPrivateKey

    data = read_private(path, MAX_KEY_FILE_BYTES)
    passphrase = ask_passphrase(passphrase_file, is_new=False, of=str(path))
    try:
        return OfficerPrivateKey.from_file_bytes(data, passphrase)
    finally:
        passphrase.zeroize()
