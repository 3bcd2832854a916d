"""``strongroom officers genesis``: make the beginning of a cluster, read it, and check it, offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from strongroom.cli._genesis_signing import assemble, sign
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import GenesisBody, QuorumRule

_PATH: Final = click.Path(path_type=Path)


@click.group
def genesis() -> None:
    """Make the genesis of a cluster: its officers and rules, signed by all its security officers."""


genesis.add_command(sign)
genesis.add_command(assemble)


@genesis.command
@click.option("--toml", "is_toml", is_flag=True, help="Print them as they stand in a script of init.")
@reporting
def rules(output: Output, *, is_toml: bool) -> None:
    """Show rules to begin with: for every act, who must approve it."""
    from strongroom.custody import DEFAULT_RULES, VERB_WORDS, rule_in_words

    output.document(
        {
            "rules": {verb: _plain(rule) for verb, rule in DEFAULT_RULES.items()},
            "words": {verb: VERB_WORDS.get(verb, "") for verb in DEFAULT_RULES},
        }
    )
    if is_toml:
        output.say("[rules]", *(_as_toml(verb, rule) for verb, rule in DEFAULT_RULES.items()))
        return
    for verb, rule in DEFAULT_RULES.items():
        output.say(f"{verb}: {rule_in_words(rule)}", f"    {VERB_WORDS.get(verb, '')}")


@genesis.command
@click.option("--script", required=True, type=_PATH, metavar="FILE", help="The script of strongroom init.")
@click.option(
    "--enrolment",
    "enrolments",
    multiple=True,
    type=_PATH,
    metavar="FILE",
    help="What an officer made with officers enrol; for each officer one.",
)
@click.option(
    "--output", "file", required=True, type=_PATH, metavar="FILE", help="Where what is to be signed goes."
)
@reporting
def new(output: Output, *, script: Path, enrolments: tuple[Path, ...], file: Path) -> None:  # fmt: skip
    """Make what the security officers are to sign: the officers and rules of a script.

    With --enrolment, what the script says of an officer must be what that officer signed.
    """
    from strongroom.cli._enrolment import require_enrolled
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free
    from strongroom.core import SystemClock, random_bytes
    from strongroom.custody import check_genesis_body
    from strongroom.wiring.init_script import genesis_body_of, read_init_script

    require_free(file, overwrite=False)
    body = genesis_body_of(
        read_init_script(script), cluster=random_bytes(16).hex(), created=int(SystemClock().now())
    )
    data = check_genesis_body(body)
    unproved = require_enrolled(body, enrolments)
    write_new(file, data, mode=0o644)
    _tell(output, body, {"file": str(file)}, unproved)
    output.say(
        "",
        f"To be signed by each security officer: strongroom officers genesis sign {visible(str(file))} --key KEY",
    )


@genesis.command
@click.argument("file", type=_PATH)
@reporting
def show(output: Output, *, file: Path) -> None:
    """Show in plain words what a genesis says. FILE is what is to be signed, or a genesis that is signed."""
    from strongroom.cli._genesis_signing import read_body

    _tell(output, read_body(file), {}, [])


@genesis.command
@click.argument("file", type=_PATH)
@click.option("--sha256", metavar="HEX", help="The hash as you know it; else compare the one shown.")
@reporting
def verify(output: Output, *, file: Path, sha256: str | None) -> None:
    """Verify a genesis: every security officer in it has signed it. Prints its hash, to be compared aloud."""
    from strongroom.cli._errors import NotDoneError
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_DOCUMENT_BYTES, Chain, Role, describe_hash

    state = Chain.from_documents(read_bounded(file, MAX_DOCUMENT_BYTES)).state
    if sha256 is not None and sha256.lower() != state.head:
        raise NotDoneError(
            f"the genesis is another than the one you know: its hash is {state.head}",
            next_step="do not use it; ask the security officers",
        )
    signers = sorted(one.id for one in state.signers(Role.SECURITY_OFFICER))
    output.document(
        {"cluster": state.cluster, "name": state.name, "genesis_sha256": state.head, "is_expected": sha256 is not None, "signed_by": signers}
    )  # fmt: skip
    output.say(
        f"The genesis of {visible(state.name)} is signed by all its security officers: {', '.join(signers)}.",
        *describe_hash(state.head),
    )
    if sha256 is None:
        output.say(
            "It proves nothing until the security officers say the same hash: have them read it aloud."
        )


def _tell(output: Output, body: "GenesisBody", more: dict[str, Any], warnings: list[str]) -> None:
    from strongroom.custody import describe_genesis, describe_hash, genesis_warnings, hash_of_body

    hashed = hash_of_body(body)
    warnings = [*warnings, *genesis_warnings(body)]
    words = [*describe_genesis(body), *describe_hash(hashed)]
    output.document(
        {**more, "body": _plain(body), "body_sha256": hashed, "words": words, "warnings": warnings}
    )
    output.say(*words)
    if warnings:
        output.say("", "Think about:", *(f"  - {visible(warning)}" for warning in warnings))


def _as_toml(verb: str, rule: "QuorumRule") -> str:
    standing = ", standing = true" if rule.standing else ""
    return f'{verb} = {{ m = {rule.m}, role = "{rule.role}", expires_s = {rule.expires_s}{standing} }}'


def _plain(document: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(document)
