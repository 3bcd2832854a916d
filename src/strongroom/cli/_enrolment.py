"""``strongroom officers enrol`` and ``enrolment``: who is to become an officer shows that they hold their keys."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from strongroom.cli._errors import CliError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, key_options, opened_key
from strongroom.config import toml_value

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import EnrolmentBody, GenesisBody

_PATH: Final = click.Path(path_type=Path)
_MAX_RECIPIENT_BYTES: Final = 2048


@click.command
@click.argument("officer_id", metavar="ID")
@click.option("--name", required=True, metavar="TEXT", help="Your name, as others are to read it.")
@key_options
@click.option(
    "--also-key",
    "more_keys",
    multiple=True,
    metavar="KEY",
    help="Another key of yours, such as one in a safe; may stand several times.",
)
@click.option(
    "--recipient",
    default="",
    metavar="TEXT",
    help="Where deliveries to you are encrypted to: age1..., or an ssh-ed25519 public key.",
)
@click.option(
    "--recipient-file", type=_PATH, metavar="FILE", help="The same, from a file, such as your .pub."
)
@click.option(
    "--output", "file", type=_PATH, metavar="FILE", help="Where the enrolment goes, instead of ID.enrolment."
)
@reporting
def enrol(output: Output, *, officer_id: str, name: str, more_keys: tuple[str, ...], recipient: str, recipient_file: Path | None, file: Path | None, **options: Any) -> None:  # fmt: skip
    """Say who you are and which keys are yours, and sign it with each of them.

    ID is what you will be called, in small letters. Nothing is sent anywhere: hand the file to whoever enrols you,
    and compare its hash with them aloud. The key is a file, in an agent or on a card; no secret leaves it.
    """
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free
    from strongroom.core import SystemClock
    from strongroom.custody import describe_hash, document_hash, make_enrolment

    target = file or Path(f"{officer_id}.enrolment")
    require_free(target, overwrite=False)
    choice = KeyChoice.taken_from(options)
    with ExitStack() as keys:
        signers = [
            keys.enter_context(opened_key(choice._replace(key=key))) for key in (choice.key, *more_keys)
        ]
        data = make_enrolment(
            officer_id,
            name,
            signers,
            recipient=_recipient(recipient, recipient_file),
            now=int(SystemClock().now()),
        )
    write_new(target, data, mode=0o644)
    hashed, fingerprints = document_hash(data), [signer.public.fingerprint for signer in signers]
    output.document({"file": str(target), "sha256": hashed, "fingerprints": fingerprints})
    output.say(
        f"Enrolment:  {visible(str(target))}, signed with {', '.join(fingerprints)}",
        *describe_hash(hashed),
        "Read the words to whoever enrols you: they see the same when they look at the file.",
    )


@click.command
@click.argument("file", type=_PATH)
@click.option(
    "--toml",
    "is_toml",
    is_flag=True,
    help="Print it as it stands in a script of init; roles are yours to add.",
)
@reporting
def enrolment(output: Output, *, file: Path, is_toml: bool) -> None:  # fmt: skip
    """Check the enrolment of somebody, and show it: who they say they are, their keys, and its hash."""
    import msgspec

    from strongroom.custody import describe_enrolment, describe_hash, document_hash, verify_enrolment

    data = _read(file)
    body = verify_enrolment(data)
    output.document({"enrolment": msgspec.to_builtins(body), "sha256": document_hash(data)})
    if is_toml:
        output.say(*_as_toml(body))
        return
    output.say(
        *describe_enrolment(body),
        *describe_hash(document_hash(data)),
        "",
        "It does not prove who made it: have them read these words to you.",
    )


def require_enrolled(body: "GenesisBody", files: Iterable[Path]) -> list[str]:
    """Check that what a genesis says of people is what they signed; return warnings about those who signed nothing.

    Raises CliError for an enrolment of somebody else, or of other keys, CustodyError for one that does not verify.
    """
    from strongroom.custody import person_enrolled, verify_enrolment

    people, proved = {person.id: person for person in body.people}, set()
    for file in files:
        enrolled = verify_enrolment(_read(file))
        person = people.get(enrolled.id)
        if person is None:
            raise CliError(f"{file}: {enrolled.id} is none of the officers of the script")
        if person_enrolled(enrolled, person.roles, person.principals) != person:
            raise CliError(
                f"{file}: the script says something else of {enrolled.id} than they signed: name, keys or recipient",
                next_step=f"take what they signed: strongroom officers enrolment {file} --toml",
            )
        proved.add(enrolled.id)
    return [
        f"{person.id} has not shown that their keys are theirs: no --enrolment of them was given"
        for person in body.people
        if person.id not in proved
    ]


def _read(file: Path) -> bytes:
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_ENROLMENT_BYTES

    return read_bounded(file, MAX_ENROLMENT_BYTES)


def _recipient(text: str, file: Path | None) -> str:
    """Return a recipient without its comment."""
    from strongroom.cli._officer_files import read_line_of

    if file is not None:
        if text:
            raise CliError("there are two recipients: --recipient and --recipient-file")
        text = read_line_of(file, _MAX_RECIPIENT_BYTES)
    return " ".join(text.split(" ")[:2]) if text.startswith("ssh-") else text


def _as_toml(body: "EnrolmentBody") -> list[str]:
    return [
        "[[officers]]",
        f"id = {toml_value(body.id)}",
        f"name = {toml_value(body.name)}",
        "roles = []  # such as security-officer",
        f"keys = {toml_value(body.keys)}",
        f"recipient = {toml_value(body.recipient)}",
        "principals = []  # as whom they call the service, such as user/anna",
    ]
