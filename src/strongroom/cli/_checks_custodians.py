"""Checks of ``doctor`` that look at backups: enough custodians who still have their shares, and no old backup left over."""

from collections.abc import Iterator
from typing import Final

from strongroom.cli._checks import Finding
from strongroom.config import Config, Home
from strongroom.core import Clock

_NAME: Final = "custodians"
_SEE: Final = "see: strongroom custodians report, and docs/custodians.md"


def check_custodians(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether custodians can be counted on. Raises StorageError and what ``read_set`` raises."""
    from strongroom.storage import ReadOnlyStore
    from strongroom.wiring.custodian_reshare import read_old_sets
    from strongroom.wiring.custodian_status import custodian_warnings, read_set_status

    with ReadOnlyStore.open(home.database) as store:
        found = read_set_status(store, config.custodians, now=clock.now())
        old = read_old_sets(store)
    if found is not None:
        for warning in custodian_warnings(found):
            yield Finding(_NAME, "warn", warning, _SEE)
        if not found.is_too_few:
            counted = f"{found.losses.counted} of {found.count} custodians can be counted on, {found.threshold} are needed"
            yield Finding(_NAME, "ok", counted)
    left = [backup for one in old for backup in one.backups if backup.state == "to_destroy"]
    if left:
        yield Finding(_NAME, "warn", f"{len(left)} backups of earlier sets are to be destroyed", "see: strongroom custodians old-sets")  # fmt: skip
