"""Logs of which something is archived and pruned, as main does it."""

from strongroom.audit import TreeLog
from strongroom.audit._archive import Archiver
from strongroom.audit._retention import Pruner
from strongroom.audit._retention_plan import Planner
from unit.audit.signed_logs import ORIGIN, make_signed_log, sign, write_entries

DAY = 86_400
OLD = 1_700_000_000
"""When entries were written: 2023-11-14, 22:13 UTC."""
BEFORE = "2023-11-16"
NEW = OLD + 400 * DAY


def make_old_log(directory, rounds=((2, 3), (4, 2), (1, 30))) -> None:
    """Some rounds of long ago, and one of now; what is old is archived."""
    make_signed_log(directory, rounds)
    for writer in ("api-0", "main"):
        write_entries(directory, writer, 2, at=NEW * 1_000_000)
    gather_and_sign(directory)
    Archiver(directory).run(before_us=(OLD + 2 * DAY) * 1_000_000, needed=None)


def gather_and_sign(directory, at: int = NEW) -> None:
    log = TreeLog(directory, ORIGIN)
    try:
        log.gather(is_last=True)
        sign(log, at=at)
    finally:
        log.close()


def tell(directory, record) -> None:
    """Have main's log tell of a record."""
    write_entries(
        directory, "main", 1, at=NEW * 1_000_000, event="audit.pruned", detail={"record": record.hash()}
    )


def prune(directory, day: str = BEFORE, approval: str = "ab" * 32, disk=None, **planning):
    """Prune as main does."""
    pruner, plan = Pruner(directory, disk=disk), Planner(directory, **planning).plan(day, needed=None)
    record = pruner.begin(plan, approval=approval, at=NEW)
    tell(directory, record)
    pruner.finish(record)
    return record
