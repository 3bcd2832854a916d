"""``strongroom officers genesis sign`` and ``assemble``: each security officer signs alone, then the signatures are put together."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from strongroom.cli._confirmation import confirm_read
from strongroom.cli._errors import CliError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, key_options, opened_key

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import GenesisBody, OfficerKey

_PATH: Final = click.Path(path_type=Path)


@click.command
@click.argument("file", type=_PATH)
@key_options
@click.option(
    "--output",
    "signature_file",
    type=_PATH,
    metavar="FILE",
    help="Where the signature goes, instead of beside FILE.",
)
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask: it was read already.")
@reporting
def sign(output: Output, *, file: Path, signature_file: Path | None, is_sure: bool, **options: Any) -> None:  # fmt: skip
    """Sign the beginning of a cluster, as one of its security officers.

    FILE is what genesis new made. The signature goes to FILE.ID.sig, ID being yours; it is the one that
    ssh-keygen -Y sign -n genesis@strongroom -f KEY FILE makes.
    """
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free
    from strongroom.custody import (
        NAMESPACE_GENESIS,
        armour,
        check_genesis_body,
        describe_genesis,
        describe_hash,
        hash_of_body,
    )

    body = read_body(file)
    if signature_file is not None:
        require_free(signature_file, overwrite=False)
    output.say(*describe_genesis(body), *describe_hash(hash_of_body(body)))
    if not is_sure:
        confirm_read(output, "Sign this?", "strongroom officers genesis show")
    with opened_key(KeyChoice.taken_from(options)) as key:
        officer = _security_officer(body, key.public)
        target = signature_file or file.with_name(f"{file.name}.{officer}.sig")
        require_free(target, overwrite=False)
        write_new(target, armour(key.sign(check_genesis_body(body), NAMESPACE_GENESIS)), mode=0o644)
        fingerprint = key.public.fingerprint
    output.document(
        {"signature_file": str(target), "officer": officer, "fingerprint": fingerprint, "body_sha256": hash_of_body(body)}
    )  # fmt: skip
    output.say("", f"Signed by {officer} with {fingerprint}: {visible(str(target))}")


@click.command
@click.argument("file", type=_PATH)
@click.argument("signatures", nargs=-1, required=True, type=_PATH)
@click.option(
    "--output", "genesis_file", required=True, type=_PATH, metavar="FILE", help="Where the genesis goes."
)
@reporting
def assemble(output: Output, *, file: Path, signatures: tuple[Path, ...], genesis_file: Path) -> None:  # fmt: skip
    """Put what was signed and the signatures of all security officers together: the genesis.

    FILE is what genesis new made; SIGNATURES are the files of its security officers, in any order, by genesis sign
    or by ssh-keygen.
    """
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free
    from strongroom.custody import (
        Chain,
        Genesis,
        Role,
        describe_hash,
        document_hash,
        signature_to_base64,
        write_document,
    )

    require_free(genesis_file, overwrite=False)
    body = read_body(file)
    signed = _collected(body, signatures)
    wanted = [person.id for person in body.people if Role.SECURITY_OFFICER in person.roles]
    missing = [officer for officer in wanted if officer not in signed]
    if missing:
        raise CliError(
            f"these security officers have not signed: {', '.join(missing)}",
            next_step=f"each signs {file} with strongroom officers genesis sign",
        )
    in_order = tuple(signature_to_base64(signed[officer]) for officer in wanted)
    data = write_document(Genesis(body=body, signatures=in_order))
    Chain.from_documents(data)
    write_new(genesis_file, data, mode=0o644)
    hashed = document_hash(data)
    output.document({"genesis_file": str(genesis_file), "genesis_sha256": hashed, "signed_by": wanted})
    output.say(
        f"Genesis:  {visible(str(genesis_file))}, signed by {', '.join(wanted)}",
        *describe_hash(hashed),
        "Write this hash down: members pin it, and evidence is checked against it.",
    )


def read_body(file: Path) -> "GenesisBody":
    """Return the body of a genesis, or what is to become one, checked. Raises CliError, CustodyError, OSError."""
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import (
        MAX_DOCUMENT_BYTES,
        Chain,
        GenesisBody,
        check_genesis_body,
        parse_canonical,
        read_document,
    )

    data = read_bounded(file, MAX_DOCUMENT_BYTES)
    parsed = parse_canonical(data)
    if isinstance(parsed, dict) and "signatures" in parsed:
        return Chain.from_documents(data).genesis.body
    body = read_document(data, GenesisBody)
    check_genesis_body(body)
    return body


def _collected(body: "GenesisBody", signatures: tuple[Path, ...]) -> dict[str, bytes]:
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import (
        MAX_SIGNATURE_BYTES,
        NAMESPACE_GENESIS,
        CustodyError,
        check_genesis_body,
        dearmour,
        verify_signature,
    )

    data, signed = check_genesis_body(body), {}
    for path in signatures:
        try:
            blob = dearmour(read_bounded(path, 2 * MAX_SIGNATURE_BYTES))
            officer = _security_officer(body, verify_signature(blob, data, NAMESPACE_GENESIS))
        except CustodyError as error:
            raise CliError(f"{path}: {error.message}", next_step=error.next_step) from error
        if officer in signed:
            raise CliError(f"{path}: {officer} has signed in another file too", next_step="give one of them")
        signed[officer] = blob
    return signed


def _security_officer(body: "GenesisBody", key: "OfficerKey") -> str:
    from strongroom.custody import Role

    for person in body.people:
        if key.line in person.keys:
            if Role.SECURITY_OFFICER not in person.roles:
                raise CliError(
                    f"{person.id} is no security officer of this genesis: only they sign it, and nobody else"
                )
            return person.id
    raise CliError(
        f"the key {key.fingerprint} is nobody's in this genesis",
        next_step="see the keys: strongroom officers genesis show",
    )
