"""What officers read before they sign: the whole request in plain words, nothing left out, nothing that drives a terminal."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from strongroom.custody._canonical import canonical_json
from strongroom.custody._documents import ApprovalRequest, document_hash, write_document
from strongroom.custody._errors import ApprovalRefusedError
from strongroom.custody._quorum import rule_of
from strongroom.custody._state import CustodyState

VERB_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AddMember": "Give an HSM what it needs to be a member: keys that travel between the members, the roots, and the keys.",
        "AddOfficer": "Make a person an officer of this cluster.",
        "AddOfficerKey": "Give an officer one more key to sign with.",
        "AllowStanding": "Allow an act again and again, without asking each time, within the bounds below.",
        "ChangeOfficerRecipient": "Change to which key PINs and other deliveries to an officer are encrypted.",
        "ChangeOfficerRoles": "Change what an officer may approve: the roles below replace those of now.",
        "CreateBackup": "Take the keys out of the HSMs into a backup, wrapped for the custodians of the set below.",
        "CreateHsmKey": "Make a new key inside the HSMs, of the kind below.",
        "DestroyHsmKey": "DESTROY keys inside the HSMs on every member. What only they can open is lost for good.",
        "MakeAuditKey": "Make the key inside the HSMs that signs the checkpoints of the audit log, and nothing else.",
        "MakeBackupSet": "Make a backup key and shares of it: as many custodians as the threshold says can then open every backup under it.",
        "PruneAuditLog": "REMOVE the oldest entries of the audit log of the host below, for good, up to the entries that are named.",
        "RemoveQuorumRule": "Take away the rule of an act, so that nobody can have it done.",
        "ReplaceHsmKey": "DESTROY keys on one member that are not the same there as on the others, so that they are copied anew.",
        "ResetMember": "ERASE a member: all keys on its token are destroyed.",
        "RestoreBackup": "Bring keys from a backup into the HSMs.",
        "RetireBackupSet": "Have nothing more taken out under a backup set. Backups of before stay as open to its custodians as they were.",
        "RetireKeyVersion": "Let an old version of a key be used no more, though it was in use of late. What only it can open is lost then.",
        "RetireRoot": "DESTROY an old root key on every member. What still hangs under it, and backups from before, are lost for good.",
        "RevokeOfficer": "Take all rights from an officer, for good.",
        "RevokeOfficerKey": "Let a key of an officer count no longer, for good.",
        "RotatePin": "Change the PIN of a member's token.",
        "RotateRoot": "Make a new root key in the place of the one below, and wrap everything under it.",
        "ScheduleKeyDeletion": "Have a key destroyed after a short waiting period. What it encrypted is lost then.",
        "SetQuorumRule": "Change who must approve an act: the rule below replaces that of now.",
        "SignRootCertificate": "Sign with the key of a root certificate authority.",
    }
)
"""What each verb does. A verb that is not here is shown with a warning."""

_UNSEEN: Final = re.compile(
    "(?<= ) |[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef\u2800]"
)
"""Printable by Unicode's categories, and yet nothing is seen: blanks in a row, fillers, selectors of variants."""


def describe_request(request: ApprovalRequest, state: CustodyState | None = None) -> list[str]:
    """Return a request as lines for people. Every parameter is shown whole.

    With the state in force also the cluster's name, how many officers must approve, and who asked by name. Control
    characters, and others that change how text is shown, appear as escapes.
    """
    known = VERB_WORDS.get(request.verb)
    lines = [
        known
        or "UNKNOWN ACT: this version of Strongroom has no words for it. Do not sign what you do not know.",
        "",
        f"  act          {request.verb}",
        *_parameters(request.parameters),
        f"  asked for by {quoted(request.requester)}{_person(request.requester, state)}",
        f"  asked at     {shown_time(request.created)}",
        f"  good until   {shown_time(request.expires)}",
        f"  cluster      {request.cluster}{f' ({quoted(state.name)})' if state else ''}",
        f"  under        {request.state}",
        f"  nonce        {request.nonce}",
        f"  SHA-256      {document_hash(write_document(request))}",
    ]
    return [*lines, *(_rule(request, state) if state is not None else [])]


def neutral(text: str) -> str:
    """Return text in which every character that does not show as itself is escaped.

    These are controls, line feeds, turns of direction, letters that show as nothing, and a blank after a blank: enough of
    them would begin a line of their own on the officer's screen.
    """
    return _UNSEEN.sub(_escaped, "".join(char if char.isprintable() else _escape(char) for char in text))


def _escape(char: str) -> str:
    return ascii(char)[1:-1] if ord(char) > 0x7E or not char.isprintable() else f"\\x{ord(char):02x}"


def _escaped(found: re.Match[str]) -> str:
    return _escape(found[0])


def _parameters(parameters: Mapping[str, object]) -> list[str]:
    if not parameters:
        return ["  parameters   none"]
    lines: list[str] = []
    for name in sorted(parameters):
        lines += _value(f"{quoted(name)}", parameters[name], 4)
    return ["  parameters", *lines]


def _value(name: str, value: object, indent: int) -> list[str]:
    head = " " * indent + name
    if isinstance(value, Mapping) and value:
        inner = [line for key in sorted(value) for line in _value(quoted(str(key)), value[key], indent + 2)]
        return [f"{head}:", *inner]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [f"{head}:", *(line for item in value for line in _value("-", item, indent + 2))]
    return [f"{head}: {_scalar(value)}" if name != "-" else f"{head} {_scalar(value)}"]


def _scalar(value: object) -> str:
    """Texts are in quotation marks, so that "1" and 1, or an empty text and none, look different."""
    if isinstance(value, str):
        return quoted(value)
    return canonical_json(value).decode()  # type: ignore[arg-type]  # what a request holds is JSON


def quoted(text: str) -> str:
    """Return text in quotation marks, with escapes for them and for what does not show as itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{neutral(escaped)}"'


def shown_time(seconds: int) -> str:
    """Return a moment in UTC; any number of seconds has words."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a request may name any second
        return f"{seconds} seconds after 1970"


def _person(requester: str, state: CustodyState | None) -> str:
    officers = state.officers.values() if state is not None else ()
    return "".join(f" = {quoted(one.name)} ({one.id})" for one in officers if one.is_known_as(requester))


def _rule(request: ApprovalRequest, state: CustodyState) -> list[str]:
    try:
        rule = rule_of(state, request.verb, request.parameters)
    except ApprovalRefusedError as error:
        return [f"  needs        nothing helps: {neutral(str(error))}"]
    people = "person who is" if rule.m == 1 else "people who are"
    is_now = "" if request.state == state.head else "; VOID: officers or policy have changed since"
    return [f"  needs        {rule.m} {people} {rule.role}, whoever asked not among them{is_now}"]
