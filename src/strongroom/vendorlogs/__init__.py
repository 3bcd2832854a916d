"""The logs that HSMs keep themselves: taken in, kept, and compared with what our workers asked of the HSMs.

    report = Import(RecordStore(audit, "luna-a"), "luna-syslog", name="luna-a", now=now).run(file)
    found = compare_logs(store.read, lambda: read_uses(audit, "luna-a"), limits=Limits(), names={})
    found.unknown            # uses that the HSM saw and no worker of ours made

A worker whose member's log is going to be compared counts its calls itself (``UseJournal``).

Threading: ``UseJournal`` from any thread, all else for one thread. Everything is done by whoever calls; nothing here asks an HSM, and
nothing verifies what only a vendor's device can (the HMAC of Luna's records).
"""

from strongroom.vendorlogs._cloudhsm import read_cloudhsm
from strongroom.vendorlogs._compare import Comparison, KeyCount, Limits, compare_logs, measure_offset
from strongroom.vendorlogs._errors import BrokenChainError, UnknownRecordError, VendorLogError
from strongroom.vendorlogs._imports import FORMATS, Gap, Import, ImportReport, LogFormat
from strongroom.vendorlogs._journal import UseJournal, UseRow, covered_since, last_use, read_uses, uses_folder
from strongroom.vendorlogs._luna import DateOrder, LunaReader
from strongroom.vendorlogs._record import COMPARED, Use, VendorRecord
from strongroom.vendorlogs._store import MemberState, RecordStore, SourceState
from strongroom.vendorlogs._yubihsm import LogItem, YubiHsmLog, read_yubihsm

__all__ = [
    "COMPARED",
    "FORMATS",
    "BrokenChainError",
    "Comparison",
    "DateOrder",
    "Gap",
    "Import",
    "ImportReport",
    "KeyCount",
    "Limits",
    "LogFormat",
    "LogItem",
    "LunaReader",
    "MemberState",
    "RecordStore",
    "SourceState",
    "UnknownRecordError",
    "Use",
    "UseJournal",
    "UseRow",
    "VendorLogError",
    "VendorRecord",
    "YubiHsmLog",
    "compare_logs",
    "covered_since",
    "last_use",
    "measure_offset",
    "read_cloudhsm",
    "read_uses",
    "read_yubihsm",
    "uses_folder",
]
