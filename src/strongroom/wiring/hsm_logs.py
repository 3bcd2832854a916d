"""The HSMs' own logs of a home: what is taken in and compared, and what the audit log says of it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from strongroom.audit import AuditLog
from strongroom.config import Config, Home, MemberConfig
from strongroom.core import Clock, ConfigError
from strongroom.hsm.token import load_audit_logging
from strongroom.vendorlogs import (
    COMPARED,
    Comparison,
    ImportReport,
    MemberState,
    RecordStore,
    Use,
    VendorLogError,
    covered_since,
    last_use,
)

_WRITER: Final = "hsm-logs"
_MAX_NAMES_BYTES: Final = 4 * 1024 * 1024
_KEY_LENGTH: Final = 32
_TOLD: Final = 3


def member_named(config: Config, name: str) -> MemberConfig:
    """Return a member of the configuration. Raises ConfigError that names those that there are."""
    for member in config.cluster.members:
        if member.name == name:
            return member
    names = ", ".join(member.name for member in config.cluster.members)
    raise ConfigError(f"there is no member {name!r}", next_step=f"the members are: {names}")


@asynccontextmanager
async def hsm_log_writer(home: Home, *, clock: Clock) -> AsyncIterator[AuditLog]:
    """Hold the audit log of what is done with the HSMs' logs: one process at a time does that.

    Raises AuditWriterInUseError where another one does.
    """
    log = AuditLog.open(home.audit, _WRITER, clock=clock)
    try:
        yield log
    finally:
        log.close()


async def record_import(log: AuditLog, member: str, log_format: str, report: ImportReport) -> None:
    """Write ``hsm.log_imported``. Raises AuditUnavailableError."""
    detail = {
        "format": log_format,
        "sha256": report.sha256,
        "added": str(report.added),
        "repeated": str(report.repeated),
        "unknown": str(report.unknown),
        "missing": str(report.missing),
    }
    known = {
        "first_at": report.first_at,
        "last_at": report.last_at,
        "first_sequence": report.first_sequence,
        "last_sequence": report.last_sequence,
    }
    detail |= {name: str(value) for name, value in known.items() if value is not None}
    if report.gaps:
        detail["gaps"] = ", ".join(f"{gap.source} {gap.first}-{gap.last}" for gap in report.gaps)
    if report.unlogged_boots or report.unlogged_authentications:
        detail["unlogged"] = (
            f"{report.unlogged_boots} boots, {report.unlogged_authentications} authentications"
        )
    await log.record("event", "hsm.log_imported", principal=_who(), member=member, detail=detail)


async def record_comparison(log: AuditLog, member: str, found: Comparison) -> None:
    """Write ``hsm.log_compared``, and before it ``hsm.unknown_use`` where there is one. Raises AuditUnavailableError."""
    if found.unknown:
        shown = [
            f"{record.operation} key={record.key or '-'} at={record.at} {record.source}/{record.sequence}"
            for record in found.first_unknown[:_TOLD]
        ]
        detail = {"unknown": str(found.unknown), "first": "; ".join(shown)}
        await log.record("event", "hsm.unknown_use", principal=_who(), member=member, detail=detail)
    counts = {
        "matched": found.matched,
        "unknown": found.unknown,
        "ours_only": found.ours_only,
        "not_covered": found.not_covered,
        "offset_s": found.offset_s,
    }
    detail = {name: str(value) for name, value in counts.items()}
    await log.record("event", "hsm.log_compared", principal=_who(), member=member, detail=detail)


def read_names(path: Path) -> dict[str, str]:
    """Read which of our keys a vendor means: ``REFERENCE CKA_ID`` on each line, the latter in 32 hexadecimal digits; ``#`` begins a comment.

    Raises VendorLogError and OSError.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_NAMES_BYTES + 1)
    if len(data) > _MAX_NAMES_BYTES:
        raise VendorLogError(f"{path} is over {_MAX_NAMES_BYTES >> 20} MiB")
    names = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not _is_key(words[1]):
            raise VendorLogError(
                f"line {number} of {path} is no reference and CKA_ID",
                next_step="write the vendor's name of the key, a space, and the key's CKA_ID in 32 hexadecimal digits",
            )
        names[words[0].lower()] = words[1].lower()
    return names


def silence_of(home: Home, member: str, state: MemberState) -> float:
    """Return for how long the HSM was used without any record of it having come, in seconds; 0 where all is well.

    Raises OSError.
    """
    since, used = covered_since(home.audit, member), last_use(home.audit, member)
    if since is None or used is None:
        return 0.0
    return max((used - max(since, state.newest_at)) / 1e6, 0.0)


def logged_uses(member: MemberConfig) -> tuple[Use, ...]:
    """Return which uses the HSM of a member can log. Raises ConfigError."""
    if load_audit_logging(member.profile).records == "management":
        return ("make", "destroy", "modify", "wrap", "unwrap", "derive")
    return COMPARED


def state_of(home: Home, member: str) -> MemberState:
    """Return what was taken in from a member's log. Raises VendorLogError and OSError."""
    return RecordStore(home.audit, member).state()


def counts_since(home: Home, member: str) -> int | None:
    """Return from when on a member's workers count what they do, microseconds; None: they do not."""
    return covered_since(home.audit, member)


def _is_key(text: str) -> bool:
    return len(text) == _KEY_LENGTH and all(digit in "0123456789abcdefABCDEF" for digit in text)


def _who() -> str:
    return f"local/{os.geteuid()}"
