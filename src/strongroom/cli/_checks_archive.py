"""A check of ``doctor``: the archive of the audit log can be reached, and what could be pruned."""

from collections.abc import Iterator

from strongroom.audit import retention_status
from strongroom.cli._checks import Finding
from strongroom.config import AuditConfig, Home
from strongroom.core import Clock, StrongroomError

_DAY_US = 86_400 * 1_000_000


def check_audit_archive(home: Home, config: AuditConfig, clock: Clock) -> Iterator[Finding]:
    """Where archived segments are, and whether entries are older than they are kept. Nothing where nothing is archived yet."""
    archive = home.audit / "archive"
    if archive.is_symlink() and not archive.is_dir():
        yield Finding(
            "audit archive",
            "fail",
            f"{archive} leads to {archive.readlink()}, which is not there",
            "mount the volume, or name another folder in audit.archive",
        )
        return
    if not archive.is_dir():
        return
    now_us = int(clock.now() * 1_000_000)
    try:
        found = retention_status(home.audit, hot_from_us=0, keep_from_us=now_us - config.keep_days * _DAY_US)
    except (StrongroomError, OSError) as error:
        yield Finding("audit archive", "fail", str(error), "look at it: strongroom audit verify")
        return
    archived, due = sum(one.archived for one in found), sum(one.prune_due for one in found)
    text = f"{archived} segments of the audit log are archived"
    if due:
        yield Finding(
            "audit archive",
            "warn",
            f"{text}, {due} of them from more than {config.keep_days} days ago",
            "officers may let them go: strongroom audit prune --before DAY",
        )
    else:
        yield Finding("audit archive", "ok", text)
