"""Batches to a real HTTPS server: a webhook, and a collector of OpenTelemetry."""

import functools

import pytest

from https_receiver import receiving
from strongroom.core import Secret
from strongroom.shipping import (
    HttpsReceiver,
    HttpsSink,
    SinkError,
    TlsFiles,
    check_otlp_answer,
    otlp_document,
    webhook_document,
)
from unit.shipping.shipping_fakes import CLOCK, made_entries, shipper_to, until, write

WEBHOOK = functools.partial(webhook_document, host="kms-1")
OTLP = functools.partial(otlp_document, host="kms-1", version="0.1.0")


def sink_for(
    server, tls, *, document=WEBHOOK, check=lambda body: None, client=False, timeout_s=20.0, token=None
):
    pem = tls / "client.pem" if client else None
    files = TlsFiles(tls / "ca.pem", pem, pem)
    return HttpsSink(
        HttpsReceiver(server.url, files, timeout_s, token), document=document, check=check, clock=CLOCK
    )


def test_a_webhook_gets_entries_with_token_and_type(tls):
    with receiving(tls) as server:
        sink_for(server, tls, token=lambda: Secret(b"s3cret")).send(made_entries(1, 3))
    (document,), (headers,) = server.documents, server.headers
    assert (document["version"], document["host"]) == (1, "kms-1")
    assert [entry["seq"] for entry in document["entries"]] == [1, 2, 3]
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer s3cret", "application/json")
    assert server.paths == ["/in?x=1"]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 500, 503])
def test_every_answer_but_2xx_is_a_refusal(tls, status):
    with receiving(tls) as server:
        server.answers.append((status, {"Location": server.url, "Retry-After": "7"}, b"no"))
        with pytest.raises(SinkError, match=str(status)) as refused:
            sink_for(server, tls).send(made_entries(1, 1))
        assert refused.value.retry_after_s == 7.0
    assert server.asked == 1


@pytest.mark.parametrize("asked", ["-1", "x", "", "Wed, 21 Oct 2026 07:28:00 GMT", "\u0661"])
def test_a_pause_that_is_no_number_is_none(tls, asked):
    with receiving(tls) as server:
        server.answers.append((503, {"Retry-After": asked.encode().decode("latin-1")}, b""))
        with pytest.raises(SinkError) as refused:
            sink_for(server, tls).send(made_entries(1, 1))
    assert refused.value.retry_after_s == 0.0


def test_a_server_that_the_ca_did_not_name_gets_nothing(tls, tmp_path):
    from client_certificates import make_certificate

    (tmp_path / "other").mkdir()
    make_certificate(tmp_path / "other", "ca", "another CA")
    with receiving(tls) as server:
        sink = HttpsSink(
            HttpsReceiver(server.url, TlsFiles(tmp_path / "other" / "ca.pem"), 20.0),
            document=WEBHOOK,
            check=lambda body: None,
            clock=CLOCK,
        )
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            sink.send(made_entries(1, 1))
    assert server.asked == 0


def test_a_server_that_asks_for_a_certificate_gets_ours(tls):
    with receiving(tls, wants_certificate=True) as server:
        with pytest.raises(OSError):
            sink_for(server, tls).send(made_entries(1, 1))
        sink_for(server, tls, client=True).send(made_entries(1, 1))
    assert len(server.documents) == 1


def test_a_collector_gets_log_records(tls):
    with receiving(tls) as server:
        server.answers.append((200, {}, b'{"partialSuccess":{}}'))
        sink_for(server, tls, document=OTLP, check=check_otlp_answer).send(made_entries(5, 6))
    (logs,) = server.documents[0]["resourceLogs"]
    (scope,) = logs["scopeLogs"]
    first, second = scope["logRecords"]
    assert {"key": "host.name", "value": {"stringValue": "kms-1"}} in logs["resource"]["attributes"]
    assert first["timeUnixNano"] == "1800000000000005000"
    assert (first["eventName"], first["severityNumber"]) == ("x", 10)
    assert {"key": "strongroom.seq", "value": {"intValue": "6"}} in second["attributes"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old\x1b"}}',
        b'{"partialSuccess":{"rejectedLogRecords":1}}',
        b'{"partialSuccess":{"rejectedLogRecords":"x"}}',
        b'{"partialSuccess":[1]}',
        b"[]",
        b"<html>",
        b"\xff",
        b"[" * 20_000,
    ],
)
def test_records_that_a_collector_rejected_were_not_accepted(body):
    with pytest.raises(SinkError):
        check_otlp_answer(body)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"partialSuccess":null}', b'{"partialSuccess":{"rejectedLogRecords":"0"}}']
)
def test_records_that_a_collector_took_are(body):
    check_otlp_answer(body)


async def test_a_server_that_hangs_refuses_and_is_away_gets_everything_in_the_end(tls, open_log, audit):
    await write(open_log(), 30)
    with receiving(tls) as server:
        server.answers += [(503, {}, b""), (413, {}, b""), (200, {}, b""), (500, {}, b"")]
        server.may_answer.clear()
        sink = sink_for(server, tls, timeout_s=0.5)
        sink.hold_s = 0.0
        shipper = shipper_to(sink, audit, timeout_s=0.5)
        shipper.start()
        try:
            await until(lambda: shipper.standing.failures >= 1)  # it hangs
            server.may_answer.set()
            await until(lambda: shipper.standing.accepted >= 30)
        finally:
            shipper.close()
    seen = [entry["seq"] for document in server.documents for entry in document["entries"]]
    assert set(seen) == set(range(1, 31))


def test_a_file_that_is_not_there_or_no_certificate_is_named(tls):
    with receiving(tls) as server:
        for ca, pem in (("absent.pem", None), ("ca.pem", "absent-too.pem"), ("ca.pem", "none.pem")):
            (tls / "none.pem").write_text("nothing")
            files = TlsFiles(tls / ca, tls / pem if pem else None, tls / pem if pem else None)
            receiver = HttpsReceiver(server.url, files, 20.0)
            sink = HttpsSink(receiver, document=WEBHOOK, check=lambda body: None, clock=CLOCK)
            with pytest.raises(SinkError, match=pem or ca):
                sink.send(made_entries(1, 1))
    assert server.asked == 0
