"""``strongroom approvals``, by the running service: list, request, evidence, rules; and show, sign and reject by id."""

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from strongroom.cli._approval_calls import (
    Approval,
    connect,
    list_approvals,
    read_approval,
    read_custody,
    read_evidence,
    request_approval,
    send_signature,
)
from strongroom.cli._confirmation import confirm_read
from strongroom.cli._errors import CliError
from strongroom.cli._output import Output, plain, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, opened_key

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import ApprovalRequest

_STANDS: Final = ("open", "approved", "expired", "void", "rejected", "executed", "standing", "ended")
_ROLES: Final = ("security-officer", "crypto-officer", "operator", "custodian", "witness")
_JSON: Final = re.compile(r'[\[{"]|(?:true|false|0|-?[1-9][0-9]{0,14})\Z')
_DID: Final = {
    "counted": "It counts; more officers must sign.",
    "decided": "Enough officers have approved: whoever asked repeats what they wanted.",
    "changed": "It was the last one that was needed: the change is in force.",
    "rejected": "Nothing will be done under this request any more.",
}


@click.command("list")
@click.option("--stands", type=click.Choice(_STANDS), help="Only those that stand so.")
@reporting
def list_command(output: Output, *, stands: str | None) -> None:
    """List requests for approval, the newest first."""
    with connect() as client:
        found = list(list_approvals(client, stands))
    output.document({"approvals": [plain(one) for one in found]})
    if not found:
        output.say("There are none.")
        return
    rows = [
        [one.shown_id, one.verb, one.requester, one.stands, one.so_far, shown_time(one.expires)]
        for one in found
    ]
    output.table(["REQUEST", "ACT", "ASKED BY", "STANDS", "APPROVED", "GOOD UNTIL"], rows)


@click.command
@click.argument("verb")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter: text, a whole number of up to 15 digits, true, false, or JSON in brackets. May stand several times.",
)
@click.option(
    "--parameters-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="All parameters, as a JSON object.",
)
@reporting
def request(output: Output, *, verb: str, parameters: tuple[str, ...], parameters_file: Path | None) -> None:
    """Ask officers to approve an act, such as RotatePin or AllowStanding.

    Changes of officers and rules are done once enough have signed; everything else by who repeats the command for it.
    """
    ask(output, verb, _parameters(parameters, parameters_file))


@click.command
@click.argument("approval", metavar="ID")
@click.option("--use", type=click.IntRange(0), default=0, help="Of a standing approval: which use, from 1.")
@click.option("--output", "file", type=click.Path(path_type=Path), metavar="FILE", help="Where it goes, instead of ID.evidence.json.")  # fmt: skip
@reporting
def evidence(output: Output, *, approval: str, use: int, file: Path | None) -> None:
    """Fetch what proves that an act was approved: a file that verifies without the service.

    ID is that of the request, or the first digits of it.
    """
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free

    suffix = f".use-{use}" if use else ""
    target = file or Path(f"{approval}{suffix}.evidence.json")
    require_free(target, overwrite=False)
    with connect() as client:
        found = read_evidence(client, approval, use)
    write_new(target, found.evidence.encode(), mode=0o644)
    output.document({"evidence_file": str(target), "sha256": found.sha256})
    output.say(
        f"Evidence:  {visible(str(target))}",
        f"SHA-256:   {found.sha256} (as in the audit log)",
        f"Check it, anywhere: strongroom approvals verify {visible(str(target))} --genesis-sha256 HEX",
    )


@click.group
def rules() -> None:
    """Show who must approve what, and ask for changes of that."""


@rules.command("show")
@reporting
def show_rules(output: Output) -> None:
    """Show the rule of each act. What has none cannot be done at all."""
    with connect() as client:
        custody = read_custody(client)
    output.document({"head": custody.head, "rules": plain(custody.rules)})
    rows = [
        [verb, str(rule.m), rule.role, f"{rule.expires_s} s", "yes" if rule.standing else "no"]
        for verb, rule in sorted(custody.rules.items())
    ]
    output.table(["ACT", "PEOPLE", "ROLE", "REQUESTS LIVE", "STANDING APPROVALS"], rows)


@rules.command("set")
@click.argument("verb")
@click.option("--people", "m", type=click.IntRange(1, 16), required=True, help="How many must approve.")
@click.option("--role", type=click.Choice(_ROLES), required=True, help="The role that each must hold.")
@click.option("--expires-s", type=click.IntRange(60, 31 * 86_400), default=86_400, show_default=True, help="How long a request may live.")  # fmt: skip
@click.option("--standing/--no-standing", default=False, show_default=True, help="Whether there may be standing approvals.")  # fmt: skip
@reporting
def set_rule(output: Output, *, verb: str, m: int, role: str, expires_s: int, standing: bool) -> None:
    """Ask for a rule: officers approve it under the rule for SetQuorumRule."""
    rule = {"m": m, "role": role, "expires_s": expires_s, "standing": standing}
    ask(output, "SetQuorumRule", {"verb": verb, "rule": rule})


@rules.command("remove")
@click.argument("verb")
@reporting
def remove_rule(output: Output, *, verb: str) -> None:
    """Ask that an act has no rule any more, so that nobody can have it done."""
    ask(output, "RemoveQuorumRule", {"verb": verb})


def ask(output: Output, verb: str, parameters: MutableMapping[str, Any]) -> None:
    """Have a request made, and say what is to be done with it. Raises as ``request_approval``."""
    with connect() as client:
        made = request_approval(client, verb, parameters)
    output.document(plain(made))
    output.say(
        *_words(made),
        "",
        f"Request {made.shown_id} waits for its officers. What they do next:",
        f"  strongroom approvals show {made.shown_id}",
        f"  strongroom approvals sign {made.shown_id} --key KEY",
    )


def show_by_id(output: Output, approval: str) -> None:
    """Show a request of the service, in words that are made here of what officers sign."""
    with connect() as client:
        found = read_approval(client, approval)
    output.document(plain(found))
    output.say(*_words(found), f"  stands       {visible(found.stands)}; approved by {visible(found.so_far)}")
    for signature in found.signatures:
        who = f"{visible(signature.name)} ({visible(signature.officer)})"
        output.say(
            f"  {visible(signature.kind):<12} {who} at {shown_time(signature.at)}, {visible(signature.key)}"
        )
    if found.ended_by:
        output.say(f"  ended by     {visible(found.ended_by)}")
    if found.stands == "open":
        output.say("", f"Sign it: strongroom approvals sign {found.shown_id} --key KEY")


def sign_by_id(output: Output, approval: str, *, is_approval: bool, is_sure: bool, options: Any) -> None:
    """Fetch a request, show it, ask, sign it, and bring the signature."""
    from strongroom.custody import NAMESPACE_APPROVAL, NAMESPACE_REJECTION, armour

    if options.pop("signature_file") is not None:
        raise CliError(
            "a signature on a request of the service is sent there, not written to a file",
            next_step="leave --output out, or name the file of a request",
        )
    action = "approve" if is_approval else "reject"
    namespace = NAMESPACE_APPROVAL if is_approval else NAMESPACE_REJECTION
    with connect() as client:
        found = read_approval(client, approval)
        output.say(*_words(found))
        if not is_sure:
            confirm_read(output, f"{action.capitalize()} this?", "strongroom approvals show")
        with opened_key(KeyChoice.taken_from(options)) as key:
            signature, fingerprint = key.sign(found.document.encode(), namespace), key.public.fingerprint
        taken = send_signature(client, found.id, action, armour(signature))
    output.document({**plain(taken), "fingerprint": fingerprint})
    output.say("", f"Signed with {fingerprint} as {visible(taken.officer)}. {_DID.get(taken.did, '')}")


def _words(found: Approval) -> list[str]:
    from strongroom.custody import describe_request

    return describe_request(_request_in(found))


def _request_in(found: Approval) -> "ApprovalRequest":
    from strongroom.custody import MAX_REQUEST_BYTES, ApprovalRequest, read_document

    return read_document(found.document.encode(), ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)


def _parameters(given: tuple[str, ...], file: Path | None) -> dict[str, Any]:
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_REQUEST_BYTES

    parameters: dict[str, Any] = {}
    if file is not None:
        try:
            parameters = msgspec.json.decode(read_bounded(file, MAX_REQUEST_BYTES), type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CliError(f"{file} holds no JSON object") from error
    for text in given:
        name, found, value = text.partition("=")
        if not found or not name or name in parameters:
            raise CliError(f"{text}: parameters are NAME=VALUE, each once")
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:
    """Return a value: text, unless it can be meant for nothing but JSON. Digits in a row, such as of an id, are text."""
    if _JSON.match(text) is None:
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CliError(f"{text} begins like JSON and is none") from error
