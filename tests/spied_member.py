"""What a token really saw, by OpenSC's pkcs11-spy between our worker and SoftHSM, and vendor records made of that trace.

The trace is another program's: nothing of our own audit log or of the workers' own counts goes into it.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from strongroom.config import Home, load_config, render_config
from strongroom.hsm.token import load_profile

SPY_PATHS = ("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", "/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so")
_CALL = re.compile(r"^(\d+): (C_[A-Za-z]+)$")
_TIME = re.compile(r"^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{3})$")
_SESSION = re.compile(r"^\[in\] hSession = (?:0x)?([0-9a-f]+)$")
_HANDLE = re.compile(r"^\[in\] (?:hKey|hBaseKey|hWrappingKey|hUnwrappingKey|hObject) = (?:0x)?([0-9a-f]+)$")
_ID = re.compile(r"^\s+CKA_ID\s.* / 16$")
_BYTES = re.compile(r"^\s+00000000 ((?: [0-9A-F]{2}){16})")
_RETURNED = re.compile(r"^Returned:\s+(\d+) (\S+)$")
_ENDS = {"C_Sign": "C_SignInit", "C_Encrypt": "C_EncryptInit", "C_Decrypt": "C_DecryptInit"}
_LUNA = {
    "C_Sign": "LUNA_SIGN_SINGLEPART",
    "C_Encrypt": "LUNA_ENCRYPT_SINGLEPART",
    "C_Decrypt": "LUNA_DECRYPT_SINGLEPART",
    "C_GenerateKey": "LUNA_GENERATE_KEY",
    "C_GenerateKeyPair": "LUNA_GENERATE_KEY_PAIR",
    "C_CreateObject": "LUNA_CREATE_OBJECT",
    "C_DestroyObject": "LUNA_DESTROY_OBJECT",
    "C_CopyObject": "LUNA_COPY_OBJECT",
    "C_SetAttributeValue": "LUNA_MODIFY_OBJECT",
    "C_WrapKey": "LUNA_WRAP_KEY",
    "C_UnwrapKey": "LUNA_UNWRAP_KEY",
    "C_DeriveKey": "LUNA_DERIVE_KEY",
    "C_Login": "LUNA_LOGIN",
    "C_OpenSession": "LUNA_OPEN_SESSION",
}


class SeenCall(NamedTuple):
    """One call that the token answered."""

    at: dt.datetime
    function: str
    session: str
    key_id: str
    """CKA_ID of the key, as the token told it to whoever asked."""
    answer: str


def spy_path() -> str:
    """Return where pkcs11-spy is; skips the test where it is not."""
    for path in SPY_PATHS:
        if Path(path).is_file():
            return path
    pytest.skip("pkcs11-spy of OpenSC is missing (Debian package opensc-pkcs11)")


def spy_on(home: Home, *names: str, **settings: object) -> dict[str, Path]:
    """Put the spy between the named members and their tokens; returns where their traces are."""
    config = load_config(home.root)
    traces = {name: home.root.with_name(f"{home.root.name}-{name}.spy") for name in names}
    members = []
    for member in config.cluster.members:
        if member.name in traces:
            environment = {
                **member.environment,
                "PKCS11SPY": member.module or load_profile(member.profile).find_module(),
                "PKCS11SPY_OUTPUT": str(traces[member.name]),
            }
            changes = {"module": spy_path(), "environment": environment, **settings}
            members.append(msgspec.structs.replace(member, **changes))
        else:
            members.append(member)
    cluster = msgspec.structs.replace(config.cluster, members=members)
    home.config_file.write_text(render_config(msgspec.structs.replace(config, cluster=cluster)))
    return traces


def seen_calls(trace: Path) -> Iterator[SeenCall]:
    """Read a trace."""
    begun: dict[tuple[str, str], str] = {}
    ids: dict[str, str] = {}
    function = at = None
    session = handle = ""
    is_id = False
    for line in trace.read_text(errors="replace").splitlines():
        if (call := _CALL.match(line)) is not None:
            function, session, handle = call[2], "", ""
        elif (moment := _TIME.match(line)) is not None:
            year, month, day, hour, minute, second, milli = (int(part) for part in moment.groups())
            at = dt.datetime(year, month, day, hour, minute, second, milli * 1000).astimezone(dt.UTC)
        elif (found := _SESSION.match(line)) is not None:
            session = found[1]
        elif (found := _HANDLE.match(line)) is not None:
            handle = handle or found[1]
        elif is_id and (told := _BYTES.match(line)) is not None:
            ids[handle] = told[1].replace(" ", "").lower()
        elif (returned := _RETURNED.match(line)) is not None and function is not None and at is not None:
            if function.endswith("Init"):
                begun[session, function] = handle
            handle = begun.get((session, _ENDS.get(function, "")), handle)
            yield SeenCall(at, function, session, ids.get(handle, ""), returned[2])
            if function == "C_DestroyObject":
                ids.pop(handle, None)
            function = None
        is_id = function == "C_GetAttributeValue" and _ID.match(line) is not None


def luna_records(traces: list[Path], *, clock_ahead_s: float = 0.0) -> list[bytes]:
    """Write what the token saw as a Luna would, by a clock that is so much ahead of ours; keys under names of its own."""
    calls = sorted(call for trace in traces for call in seen_calls(trace) if call.function in _LUNA)
    lines = []
    for number, call in enumerate(calls, start=1):
        at = (call.at + dt.timedelta(seconds=clock_ahead_s)).strftime("%y/%m/%d %H:%M:%S")
        answer = "RC_OK(0x00000000)" if call.answer == "CKR_OK" else f"RC_{call.answer.removeprefix('CKR_')}"
        key = f" OUID={ouid(call.key_id)}" if call.key_id else ""
        lines.append(
            f"{number},{at},S/N 150718 session {call.session or 0} Access 1:1 CO container:3 operation"
            f" {_LUNA[call.function]} returned {answer}{key},,{number:064X}\n".encode()
        )
    return lines


def ouid(key_id: str) -> str:
    """Return the name that the invented vendor has for a key."""
    return hashlib.sha256(key_id.encode()).hexdigest()[:24]


def key_names(trace: Path) -> str:
    """Write the file that tells which keys these names mean."""
    ids = {call.key_id for call in seen_calls(trace) if call.key_id}
    return "".join(f"{ouid(key_id)} {key_id}\n" for key_id in sorted(ids))
