"""``strongroom officers keys``: what an SSH agent or a smart card holds that an officer can sign with."""

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import click

from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting

_PATH: Final = click.Path(path_type=Path)


class _Held(NamedTuple):
    """A key as ``--key`` names it."""

    key: str
    name: str
    kind: str
    fingerprint: str
    public_key: str


@click.command
@click.option(
    "--card",
    metavar="URI",
    help="A smart card: pkcs11:, or pkcs11:token=...?module-path=/path/of/the/library.so",
)
@click.option(
    "--agent-socket",
    type=_PATH,
    envvar="SSH_AUTH_SOCK",
    metavar="PATH",
    help="Socket of the SSH agent; SSH_AUTH_SOCK if left out.",
)
@reporting
def keys(output: Output, *, card: str | None, agent_socket: Path | None) -> None:  # fmt: skip
    """List the keys of your SSH agent, or of a smart card, that can sign approvals.

    Shows for each what to give as --key. Nobody logs in to the card; some show no keys then.
    """
    held = _on_card(card) if card is not None else _in_agent(agent_socket)
    output.document({"keys": [one._asdict() for one in held]})
    if not held:
        output.say("None that officers can use: Ed25519 and P-256 are, in a file, an agent or a card.")
        return
    output.table(("--key", "name", "kind"), [(one.key, visible(one.name), one.kind) for one in held])


def _in_agent(path: Path | None) -> list[_Held]:
    from strongroom.cli._agent import agent_keys, socket_of

    return [
        _Held(f"agent:{key.fingerprint}", comment, str(key.kind), key.fingerprint, key.line)
        for key, comment in agent_keys(socket_of(path))
    ]


def _on_card(text: str) -> list[_Held]:
    from strongroom.cli._card import ask_card, officer_key_of
    from strongroom.custody import CARD_SCHEME, CardUri

    uri = CardUri.from_text(text)
    answer = ask_card(uri)
    library = f"?module-path={quote(uri.module_path)}" if uri.module_path is not None else ""
    held = []
    for found in answer.keys:
        key = officer_key_of(found)
        name = (
            f"id={quote(found.key_id, safe='')}" if found.key_id else f"object={quote(found.label, safe='')}"
        )
        named = f"{CARD_SCHEME}serial={quote(answer.serial, safe='')};{name}{library}"
        held.append(_Held(named, found.label, str(key.kind), key.fingerprint, key.line))
    return held
