"""Copies of audit entries for the places where security teams look: at least once, in order, and nobody waits.

The log is the queue. A ``Shipper`` follows all writers' logs from positions that it keeps in a file, gives a bounded batch of
entries to its ``Sink``, and writes the positions when the sink has accepted them. A sink that hangs, refuses or is away
is tried again after a while, and is sent what it has not accepted, however long that took.

    sink = FileSink(Path("/var/log/strongroom-audit.jsonl"))
    shipper = Shipper("lines", sink, home.audit, limits, events=events, clock=clock)
    shipper.start()

Sinks: syslog over TLS (``SyslogSink``), JSON lines (``FileSink``, ``StreamSink``), HTTPS (``HttpsSink``, with the documents of a
webhook or of OTLP). Each works in a thread of its own; the shipper belongs to one event loop.
"""

from strongroom.shipping._documents import check_otlp_answer, json_lines, otlp_document, webhook_document
from strongroom.shipping._errors import PositionsUnreadableError, ShippingError, SinkError
from strongroom.shipping._file_sink import FileSink, StreamSink
from strongroom.shipping._https_sink import HttpsReceiver, HttpsSink
from strongroom.shipping._own_thread import OwnThread, ThreadHangsError
from strongroom.shipping._positions import SinkRecord, needed_segments, read_record, record_path
from strongroom.shipping._rfc5424 import SyslogStyle, framed, syslog_message
from strongroom.shipping._shipper import Shipper, ShipperLimits, SinkStanding
from strongroom.shipping._sink import Sink
from strongroom.shipping._syslog_sink import SyslogReceiver, SyslogSink
from strongroom.shipping._tls import TlsFiles, end_calls

__all__ = [
    "FileSink",
    "HttpsReceiver",
    "HttpsSink",
    "OwnThread",
    "PositionsUnreadableError",
    "Shipper",
    "ShipperLimits",
    "ShippingError",
    "Sink",
    "SinkError",
    "SinkRecord",
    "SinkStanding",
    "StreamSink",
    "SyslogReceiver",
    "SyslogSink",
    "SyslogStyle",
    "ThreadHangsError",
    "TlsFiles",
    "check_otlp_answer",
    "end_calls",
    "framed",
    "json_lines",
    "needed_segments",
    "otlp_document",
    "read_record",
    "record_path",
    "syslog_message",
    "webhook_document",
]
