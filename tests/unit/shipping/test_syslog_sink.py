"""Syslog over TLS to a real rsyslog with client certificates: killed, frozen, stopped; every entry arrives at least once."""

import re

import pytest
from cryptography import x509

from client_certificates import make_certificate
from rsyslog_server import Rsyslog, missing
from strongroom.shipping import SinkError, SyslogReceiver, SyslogSink, SyslogStyle, TlsFiles
from unit.shipping.shipping_fakes import CLOCK, KeptEvents, made_entries, shipper_to, until, write

STYLE = SyslogStyle("kms-1", 13, 32473, 8192)
SEQ = re.compile(rb'\[strongroom@32473 writer="([a-z0-9-]+)" seq="([0-9]+)"')


def start(folder, driver="ossl"):
    if lacks := missing(driver):
        pytest.skip(f"needs {lacks}")
    server = Rsyslog(folder, driver)
    server.start()
    return server


@pytest.fixture
def rsyslog(tls):
    server = start(tls)
    yield server
    server.close()


def sink_for(server, tls, *, client="client", timeout_s=20.0, needs_close_notify=True, hold_s=0.0):
    pem = tls / f"{client}.pem" if client else None
    receiver = SyslogReceiver(
        "127.0.0.1",
        server.port,
        "localhost",
        TlsFiles(tls / "ca.pem", pem, pem),
        timeout_s,
        needs_close_notify,
    )
    return SyslogSink(receiver, STYLE, hold_s=hold_s, clock=CLOCK)


def put(sink, first, last):
    sink.send(made_entries(first, last))
    sink.confirm()


def arrived(server, writer=b"main"):
    found = (SEQ.search(line) for line in server.received())
    return [int(match[2]) for match in found if match and match[1] == writer]


def in_order_but_for_repeats(numbers):
    """Whether nothing is missing, and each number that is not the next one was there before."""
    highest = 0
    for number in numbers:
        if number > highest + 1:
            return False
        highest = max(highest, number)
    return True


def test_messages_are_in_the_file_when_they_are_confirmed(rsyslog, tls):
    sink = sink_for(rsyslog, tls)
    for first in (1, 301):
        sink.send(made_entries(first, first + 299))
        sink.confirm()
        assert arrived(rsyslog) == list(range(1, first + 300))
    assert rsyslog.received()[0].startswith(b"<109>1 2027-01-15T08:00:00.000001Z kms-1 strongroom main x [")


@pytest.mark.parametrize(
    ("driver", "clients"),
    [("ossl", ["", "stranger"]), ("gtls", ["", "stranger", "server"])],  # ossl heeds no names of peers
)
def test_who_is_not_let_in_is_not_told_that_messages_arrived(tls, driver, clients):
    """The receiver ends such a connection in order too, and in TLS 1.3 after ours has begun to send."""
    other_ca = make_certificate(tls, "other-ca", "another CA")
    make_certificate(tls, "stranger", "strongroom", other_ca, [x509.DNSName("strongroom")])
    server = start(tls, driver)
    try:
        for client in clients:
            for needs_close_notify in (True, False):
                sink = sink_for(server, tls, client=client, needs_close_notify=needs_close_notify)
                with pytest.raises((OSError, SinkError)):
                    put(sink, 1, 5)
        assert arrived(server) == []
    finally:
        server.close()


def test_a_receiver_that_the_ca_did_not_name_gets_nothing(rsyslog, tls):
    (tls / "ca.pem").write_bytes((tls / "client.pem").read_bytes())
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        sink_for(rsyslog, tls).send(made_entries(1, 1))


def test_a_receiver_that_is_killed_after_it_has_read_everything_has_confirmed_nothing(rsyslog, tls):
    """Its kernel ends the connection in order, which Python would take for a close_notify."""
    sink = sink_for(rsyslog, tls)
    sink.send(made_entries(1, 3))
    rsyslog.kill()
    with pytest.raises((OSError, SinkError)):
        sink.confirm()


def test_a_driver_that_sends_no_close_notify_is_named_and_its_end_is_word_enough_where_that_is_configured(
    tls,
):
    server = start(tls, "gtls")
    try:
        strict = sink_for(server, tls)
        strict.send(made_entries(1, 3))
        with pytest.raises(SinkError, match='confirm = "end"'):
            strict.confirm()
        lenient = sink_for(server, tls, needs_close_notify=False)
        lenient.send(made_entries(4, 6))
        lenient.confirm()
        assert arrived(server) == [1, 2, 3, 4, 5, 6]
        nobody = sink_for(server, tls, client="", needs_close_notify=False)
        with pytest.raises((OSError, SinkError)):
            put(nobody, 7, 9)
    finally:
        server.close()


async def test_kill_freeze_stop_and_new_certificates_lose_nothing(rsyslog, tls, open_log, audit):
    log, events = open_log(), KeptEvents()
    other = open_log("api-0")
    shipper = shipper_to(sink_for(rsyslog, tls, timeout_s=1.0, hold_s=0.2), audit, events, timeout_s=1.0)
    shipper.start()
    written = 0

    async def more(count):
        nonlocal written
        await write(log, count, detail={"x": "y" * 300})
        await write(other, count)
        written += count

    async def is_through():
        await until(lambda: shipper.standing.accepted >= 2 * written and not shipper.standing.is_failing)
        await until(lambda: set(arrived(rsyslog)) == set(range(1, written + 1)))

    try:
        await more(40)
        await is_through()
        for _ in range(3):
            await more(20)
            rsyslog.kill()
            await more(20)
            rsyslog.start()
        await is_through()
        rsyslog.freeze()
        await more(40)
        await until(lambda: shipper.standing.is_failing)
        rsyslog.thaw()
        await more(10)
        await is_through()
        rsyslog.freeze()
        await more(20)
        rsyslog.kill()
        ca = make_certificate(tls, "ca", "the next CA")
        make_certificate(tls, "server", "localhost", ca, [x509.DNSName("localhost")])
        make_certificate(tls, "client", "strongroom", ca, [x509.DNSName("strongroom")])
        rsyslog.start()
        await more(20)
        await is_through()
        rsyslog.stop()
        await more(10)
        rsyslog.start()
        await is_through()
    finally:
        shipper.close()
    for writer in (b"main", b"api-0"):
        numbers = arrived(rsyslog, writer)
        assert set(numbers) == set(range(1, written + 1))
        assert in_order_but_for_repeats(numbers)
    assert {"audit.sink_failed", "audit.sink_recovered"} <= set(events.names())
