"""Load for a running service: signed requests made beforehand, driven by wrk, and what came of them.

    service = find_service(home)                                 # of strongroom.client
    maker = RequestMaker(KmsCaller(service, clock=SystemClock()), key_id="alias/tour")
    run = drive(Wrk.find(), service.endpoint, maker.requests("Encrypt"), connections=8, seconds=2.0)
    print(run.rate, run.p99_ms, run.errors.total)

The client is a C program (wrk) that sends bytes which were signed before the clock started, so that it takes
as little as it can from the machine that it shares with the service. A signature holds for five minutes: make
requests right before each run.

``measure_calls`` does the same for the calls of one HSM member, without a service.

Threading: everything here is for one thread (``measure_calls`` for one event loop). It starts wrk and waits for it; it starts no service, compares
with nothing and draws nothing: ``./dev bench`` (tests/bench) does that with what is here.
"""

from strongroom.bench._batches import (
    BATCH_ITEM_BYTES,
    BATCH_ITEMS,
    BATCH_OPERATIONS,
    BATCH_TABLE_SIZE,
    items_of,
)
from strongroom.bench._errors import BenchError, RequestFailedError, WrkMissingError
from strongroom.bench._hsm import BenchKeys, Call, CallCell, MeasuredMember, measure_calls, member_calls
from strongroom.bench._http import Connection, HttpRequest, render_request
from strongroom.bench._kms import (
    OPERATIONS,
    PLAINTEXT_BYTES,
    SINGLE_OPERATIONS,
    TABLE_SIZE,
    KmsCaller,
    RequestMaker,
)
from strongroom.bench._machine import Machine, describe_machine
from strongroom.bench._results import Cell, Errors, Run, summarise
from strongroom.bench._wrk import Wrk, drive, lua_script, parse_report, request_table

__all__ = [
    "BATCH_ITEMS",
    "BATCH_ITEM_BYTES",
    "BATCH_OPERATIONS",
    "BATCH_TABLE_SIZE",
    "OPERATIONS",
    "PLAINTEXT_BYTES",
    "SINGLE_OPERATIONS",
    "TABLE_SIZE",
    "BenchError",
    "BenchKeys",
    "Call",
    "CallCell",
    "Cell",
    "Connection",
    "Errors",
    "HttpRequest",
    "KmsCaller",
    "Machine",
    "MeasuredMember",
    "RequestFailedError",
    "RequestMaker",
    "Run",
    "Wrk",
    "WrkMissingError",
    "describe_machine",
    "drive",
    "items_of",
    "lua_script",
    "measure_calls",
    "member_calls",
    "parse_report",
    "render_request",
    "request_table",
    "summarise",
]
