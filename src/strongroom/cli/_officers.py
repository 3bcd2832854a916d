"""``strongroom officers``: what an officer needs before anything can be approved, offline; and changes of officers, online."""

from pathlib import Path

import click

from strongroom.cli._enrolment import enrol, enrolment
from strongroom.cli._genesis import genesis
from strongroom.cli._officer_keys import keys
from strongroom.cli._officers_online import ONLINE
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting

_KINDS = {"ed25519": "ssh-ed25519", "p256": "ecdsa-sha2-nistp256"}


@click.group
def officers() -> None:
    """List and change officers; offline, make their keys, enrol them, and make the genesis of a cluster."""


officers.add_command(keys)
officers.add_command(enrol)
officers.add_command(enrolment)
officers.add_command(genesis)
for _command in ONLINE:
    officers.add_command(_command)


@officers.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--kind", type=click.Choice(list(_KINDS)), default="ed25519", show_default=True, help="Kind of key."
)
@click.option("--comment", default="", metavar="TEXT", help="Comment in the public file, such as a name.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Take the passphrase from the first line of this file; - is standard input.",
)
@reporting
def keygen(output: Output, *, file: Path, kind: str, comment: str, passphrase_file: Path | None) -> None:
    """Make a key to sign approvals with: FILE, under a passphrase, and FILE.pub.

    Both are files of OpenSSH: ssh-keygen and ssh-agent work with them. Nothing is sent anywhere; hand FILE.pub to
    whoever enrols you.
    """
    from strongroom.cli._errors import CliError
    from strongroom.cli._officer_files import ask_passphrase, write_new
    from strongroom.client import require_free
    from strongroom.custody import KeyKind, OfficerPrivateKey

    public_file = file.with_name(f"{file.name}.pub")
    require_free(file, overwrite=False)
    require_free(public_file, overwrite=False)
    if not comment.isprintable() or len(comment) > 200:
        raise CliError("a comment has up to 200 printable characters")
    passphrase = ask_passphrase(passphrase_file, is_new=True)
    try:
        key = OfficerPrivateKey.generate(KeyKind(_KINDS[kind]))
        write_new(file, key.file_bytes(passphrase), mode=0o600)
    finally:
        passphrase.zeroize()
    line = f"{key.public.line} {comment}".rstrip()
    write_new(public_file, f"{line}\n".encode(), mode=0o644)
    output.document(
        {
            "file": str(file),
            "public_file": str(public_file),
            "kind": str(key.public.kind),
            "public_key": key.public.line,
            "fingerprint": key.public.fingerprint,
        }
    )
    output.say(
        f"Private key:  {visible(str(file))} (under the passphrase; without it the key is lost)",
        f"Public key:   {visible(str(public_file))}",
        f"Fingerprint:  {key.public.fingerprint}",
    )
