"""What the audit tests share."""

import pytest

from strongroom.audit import AuditLog
from unit.audit.audit_fakes import FlakyDisk, SettableClock


@pytest.fixture
def disk():
    return FlakyDisk()


@pytest.fixture
def open_log(tmp_path, disk):
    """Open logs below tmp_path/audit; all of them are closed at the end."""
    opened, clock = [], SettableClock()

    def open_one(writer="main", **options):
        options = {
            "clock": clock,
            "retry_after_s": 0.05,
            "open_folder": disk.open_folder,
            **options,
        }
        log = AuditLog.open(tmp_path / "audit", writer, **options)
        opened.append(log)
        return log

    yield open_one
    disk.decide = lambda _call: None
    for log in opened:
        log.close()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "audit"


@pytest.fixture
def wal(directory):
    return directory / "wal" / "main"
