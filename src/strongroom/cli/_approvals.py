"""``strongroom approvals``: read, sign, reject and verify from files alone, without a home and a service; by id, with one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from strongroom.cli._approval_calls import is_approval_id
from strongroom.cli._approvals_online import evidence, list_command, request, rules, show_by_id, sign_by_id
from strongroom.cli._confirmation import confirm_read
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, key_options, opened_key

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.custody import ApprovalRequest, VerifiedEvidence

_PATH: Final = click.Path(path_type=Path)


def _signing_options(command: Any) -> Any:
    for option in (
        key_options,
        click.option("--output", "signature_file", type=_PATH, metavar="FILE", help="Where the signature goes, instead of beside the request."),
        click.option("--yes", "is_sure", is_flag=True, help="Do not ask: the request was read already."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group
def approvals() -> None:
    """Ask for approvals, read, sign and reject them; offline, from files, too."""


for _command in (list_command, request, evidence, rules):
    approvals.add_command(_command)


@approvals.command
@click.argument("request", metavar="REQUEST")
@reporting
def show(output: Output, *, request: str) -> None:
    """Show in plain words what a request asks for.

    REQUEST is its id, or the first digits of it; or a file, byte for byte as it was made, for which nothing else is needed.
    """
    if is_approval_id(request):
        show_by_id(output, request)
        return
    found = _read_request(Path(request))
    output.document({"request": _plain(found), "words": _words(found)})
    output.say(*_words(found))


@approvals.command
@click.argument("request", metavar="REQUEST")
@_signing_options
@reporting
def sign(output: Output, *, request: str, is_sure: bool, **options: Any) -> None:
    """Approve a request: show it, and sign it with your key.

    REQUEST is its id, and the signature is sent to the service; or a file, and the signature goes to FILE.sig, as from:
    ssh-keygen -Y sign -n approval@strongroom -f KEY FILE
    """
    from strongroom.custody import NAMESPACE_APPROVAL

    if is_approval_id(request):
        sign_by_id(output, request, is_approval=True, is_sure=is_sure, options=options)
        return
    _sign(output, Path(request), NAMESPACE_APPROVAL, "sig", "Approve", is_sure=is_sure, **options)


@approvals.command
@click.argument("request", metavar="REQUEST")
@_signing_options
@reporting
def reject(output: Output, *, request: str, is_sure: bool, **options: Any) -> None:
    """Reject a request, or take a standing approval back: show it, and sign that it shall not be done.

    REQUEST is its id, and the signature is sent to the service; or a file, and the signature goes to FILE.rejection.sig. A
    rejection is no approval and cannot become one.
    """
    from strongroom.custody import NAMESPACE_REJECTION

    if is_approval_id(request):
        sign_by_id(output, request, is_approval=False, is_sure=is_sure, options=options)
        return
    _sign(output, Path(request), NAMESPACE_REJECTION, "rejection.sig", "Reject", is_sure=is_sure, **options)


@approvals.command
@click.argument("file", type=_PATH)
@click.option(
    "--genesis-sha256", metavar="HEX", help="Hash of the genesis as you know it; else compare the one shown."
)
@reporting
def verify(output: Output, *, file: Path, genesis_sha256: str | None) -> None:
    """Verify evidence of an approved act: who approved what, in which role, under which rules.

    FILE is the evidence. Nothing else is needed but the hash of the cluster's genesis, which must come from elsewhere.
    """
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_EVIDENCE_BYTES, verify_evidence

    expected = None if genesis_sha256 is None else genesis_sha256.lower()
    proved = verify_evidence(read_bounded(file, MAX_EVIDENCE_BYTES), genesis_sha256=expected)
    output.document(
        {
            "cluster": proved.state.cluster,
            "cluster_name": proved.state.name,
            "genesis_sha256": proved.genesis_sha256,
            "is_genesis_expected": expected is not None,
            "after_record": proved.state.sequence,
            "request": _plain(proved.request),
            "approvers": [one._asdict() for one in proved.approvers],
            "executed": proved.executed,
            "use": proved.use,
            "parameters": proved.request.parameters if proved.parameters is None else proved.parameters,
        }
    )
    _say_proved(output, proved, is_expected=expected is not None)


def _say_proved(output: Output, proved: "VerifiedEvidence", *, is_expected: bool) -> None:
    from strongroom.custody import describe_request

    output.say(*describe_request(proved.request, proved.state))
    if proved.parameters is not None:
        output.say(f"  this is use  {proved.use}, with the parameters", *_parameters_of(proved))
    output.say("", "Approved by")
    for one in proved.approvers:
        output.say(f"  {visible(one.name)} ({one.officer}), {one.role}, with {one.key}")
    output.say(
        f"Begun at {shown_time(proved.executed)} by the word of the service, under the rules after record {proved.state.sequence}.",
        f"Genesis SHA-256 {proved.genesis_sha256}" + (": the expected one." if is_expected else ""),
    )
    if not is_expected:
        output.say(
            "The evidence holds together. It proves nothing until that hash is the one you know of the cluster."
        )


def _sign(
    output: Output,
    file: Path,
    namespace: str,
    suffix: str,
    verb: str,
    *,
    signature_file: Path | None,
    is_sure: bool,
    **options: Any,
) -> None:
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free
    from strongroom.custody import armour, write_document

    request = _read_request(file)
    target = signature_file or file.with_name(f"{file.name}.{suffix}")
    require_free(target, overwrite=False)
    output.say(*_words(request))
    if not is_sure:
        confirm_read(output, f"{verb} this?", "strongroom approvals show")
    with opened_key(KeyChoice.taken_from(options)) as key:
        write_new(target, armour(key.sign(write_document(request), namespace)), mode=0o644)
        fingerprint = key.public.fingerprint
    output.document({"signature_file": str(target), "namespace": namespace, "fingerprint": fingerprint})
    output.say("", f"Signed with {fingerprint}: {visible(str(target))}")


def _parameters_of(proved: "VerifiedEvidence") -> list[str]:
    """Return the lines about the parameters of a use: those that a request for them would have."""
    import msgspec

    from strongroom.custody import describe_request

    act = msgspec.structs.replace(proved.request, parameters=dict(proved.parameters or {}))
    lines = describe_request(act)
    first = next(at for at, line in enumerate(lines) if line.startswith("  parameters"))
    last = next(at for at, line in enumerate(lines) if line.startswith("  asked for by"))
    return lines[first + 1 : last]


def _read_request(file: Path) -> "ApprovalRequest":
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_REQUEST_BYTES, ApprovalRequest, read_document

    return read_document(read_bounded(file, MAX_REQUEST_BYTES), ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)


def _words(request: "ApprovalRequest") -> list[str]:
    from strongroom.custody import describe_request

    return describe_request(request)


def _plain(request: "ApprovalRequest") -> Any:
    import msgspec

    return msgspec.to_builtins(request)
