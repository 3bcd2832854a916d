"""The check of ``doctor`` that looks at backups: whether there are any, and how old they are."""

from collections.abc import Iterator

from strongroom.cli._checks import Finding
from strongroom.cli._output import shown_time
from strongroom.config import Config, Home
from strongroom.core import Clock
from strongroom.wiring.backup_status import backup_warnings, read_backup_status

_SEE = "docs/backup.md#backups-of-the-vendors-own-kind"


def check_backups(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    """The newest bundle, the last one that its shares opened, and the vendor's own backups where some are expected."""
    now = clock.now()
    status = read_backup_status(home, config.backups, now=now)
    warnings = backup_warnings(status, now=now)
    for warning in warnings:
        what, _, step = warning.rpartition(": ")
        yield Finding("backups", "warn", what or step, f"{step}; see docs/backup.md" if what else None)
    yield from _vendors_own(config)
    if warnings:
        return
    if status.set_id:
        yield Finding("backups", "ok", f"the newest is of {shown_time(status.newest_at)}")
    elif config.custody is not None:
        yield Finding(
            "backups",
            "note",
            "there is no backup set: if every HSM is lost, so is every key",
            "make one: strongroom ceremony new --type backup (docs/backup.md)",
        )
    else:
        yield Finding("backups", "ok", "none are made: the home has no officers")


def _vendors_own(config: Config) -> Iterator[Finding]:
    """Of members whose roots are in no bundle, where no backup of the vendor's own kind is expected either."""
    from strongroom.hsm.token import load_duties, load_profile

    if config.backups.vendor_max_age_days:
        return
    for member in config.cluster.members:
        profile = load_profile(member.profile, member.profile_changes)
        duties = load_duties(profile.name)
        if profile.is_backed_up_by_bundles:
            continue
        step = f"note each ({_SEE}): strongroom backup record-vendor --kind {duties.backup_kind}"
        yield Finding(
            "backups",
            "note",
            f"member {member.name}: no bundle can hold its roots; the vendor's own backup: {duties.backup}",
            f"{step}; and set [backups] vendor_max_age_days" if duties.backup_kind else None,
        )
