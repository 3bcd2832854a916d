"""``Client`` before a server that throttles, hangs up, lies, or takes its time; and deadlines that hold."""

import asyncio
import itertools
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_server import ScriptedServer, answer, close, drip, silence
from strongroom import AsyncClient, Client
from strongroom.client import (
    AccessKey,
    Endpoint,
    ForeignAnswerError,
    GatewayError,
    RequestRefusedError,
    Retries,
    Service,
    ServiceNotTrustedError,
    ServiceUnreachableError,
    values,
)
from strongroom.core import Secret, SystemClock

KEY = "0d9d1b2e-6a5b-4f0e-8f1d-2b8f7a0c6f3e"
QUICK = Retries(first_s=0.001, most_s=0.004)
ACCESS_KEY_SECRET = "never-shown-in-any-error"
FINE = answer(200, json.dumps({"CiphertextBlob": "Zmluaw=="}).encode())
THROTTLED = answer(400, b'{"__type": "ThrottlingException", "message": "later"}')
FAILED = answer(500, b'{"__type": "KMSInternalException", "message": ""}')
NO_HSM = answer(503, b'{"__type": "DependencyTimeoutException", "message": ""}')
GATEWAY = answer(503, b"<html>no upstream</html>", kind="text/html")
CUT_OFF = answer(200, b'{"CiphertextBlob": "Zmluaw=="}', length=99)
DENIED = answer(400, b'{"__type": "AccessDeniedException", "message": "no"}')


class HurryingClock(SystemClock):
    """A tenth of a second passes between two looks, however busy the machine is."""

    def __init__(self):
        self._looks = itertools.count()

    def monotonic(self):
        return next(self._looks) / 10


def service_at(port):
    return Service(
        Endpoint("http", "127.0.0.1", port, None), AccessKey("AKIA", Secret.from_text(ACCESS_KEY_SECRET)), "us-east-1"
    )  # fmt: skip


def client_of(server, **settings):
    return Client(service_at(server.port), **{"retries": QUICK, **settings})


def hang_up_after(step):
    """Answer these bytes and close."""

    def act(connection, stop):
        connection.sendall(step)

    return act


TROUBLES = [THROTTLED, FAILED, NO_HSM, GATEWAY, close, hang_up_after(CUT_OFF), hang_up_after(b"HTTP/1.1 200")]


def test_what_passes_is_tried_again_until_it_succeeds():
    with ScriptedServer([*TROUBLES, FINE]) as server, client_of(server) as client:
        assert client.encrypt(KEY, b"data") == b"fink"
        assert len(server.requests) == len(TROUBLES) + 1
        assert len({body for _, body in server.requests}) == 1


async def test_the_asynchronous_client_does_so_too():
    with ScriptedServer([*TROUBLES, FINE]) as server:
        async with AsyncClient(service_at(server.port), retries=QUICK) as client:
            assert await client.encrypt(KEY, b"data") == b"fink"
        assert len(server.requests) == len(TROUBLES) + 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (DENIED, RequestRefusedError),
        (answer(200, b"[]"), ForeignAnswerError),
        (answer(400, b"what?"), ForeignAnswerError),
        (answer(200, b'{"CiphertextBlob": 7}'), ForeignAnswerError),
    ],
)
def test_what_does_not_pass_is_tried_once(step, kind):
    with ScriptedServer([step]) as server, client_of(server) as client:
        with pytest.raises(kind):
            client.encrypt(KEY, b"data")
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [(THROTTLED, RequestRefusedError), (close, ServiceUnreachableError), (GATEWAY, GatewayError)],
)
def test_when_time_is_over_the_last_failure_is_raised(step, kind):
    with ScriptedServer([step]) as server, client_of(server, timeout_s=30, clock=HurryingClock()) as client:
        with pytest.raises(kind) as caught:
            client.encrypt(KEY, b"plaintext-of-somebody")
        assert len(server.requests) > 1
        assert ACCESS_KEY_SECRET not in repr(caught.value) + str(caught.value) + repr(client)
        assert "plaintext-of" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("step", [drip, silence])
def test_a_server_that_dawdles_cannot_hold_a_call_beyond_its_deadline(step):
    with ScriptedServer([step]) as server, client_of(server, timeout_s=0.3) as client:
        began = time.monotonic()
        with pytest.raises(ServiceUnreachableError, match="did not answer"):
            client.encrypt(KEY, b"data")
        assert time.monotonic() - began < 30  # it would be for ever


async def test_a_cancelled_call_leaves_the_event_loop_free():
    with ScriptedServer([silence]) as server:
        client = AsyncClient(service_at(server.port), timeout_s=100)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.encrypt(KEY, b"data")
    await client.close()


def test_only_failures_that_pass_are_tried_again():
    retries = Retries()
    for lasting in (ServiceNotTrustedError("no"), ForeignAnswerError("what"), RequestRefusedError("DisabledException", "", status=400)):  # fmt: skip
        assert retries.pause_s(lasting, 1, 100.0) is None


@given(
    first_s=st.floats(0.001, 10), most_s=st.floats(0.001, 100), failures=st.integers(1, 10_000), left_s=st.floats(-1, 200)
)  # fmt: skip
def test_pauses_are_below_a_bound_that_doubles_and_end_before_the_deadline(first_s, most_s, failures, left_s):
    retries = Retries(first_s, most_s)
    bound = retries.bound_s(failures)
    assert bound == min(most_s, first_s * 2 ** min(failures - 1, 60))
    pause_s = retries.pause_s(ServiceUnreachableError("x"), failures, left_s)
    assert pause_s is None or (0 <= pause_s <= bound and pause_s < left_s)


def test_pauses_are_spread_over_the_whole_range():
    drawn = [Retries(1.0, 1.0).pause_s(ServiceUnreachableError("x"), 1, 9.0) for _ in range(2_000)]
    assert min(drawn) < 0.05
    assert max(drawn) > 0.95
    assert 0.4 < sum(drawn) / len(drawn) < 0.6


def echo(path, body):
    """Encrypt as a mirror would."""
    items = msgspec.msgpack.decode(body)["items"]
    made = [{"ciphertext": b"<" + item["plaintext"]} for item in items]
    return answer(200, msgspec.msgpack.encode({"keyId": "arn", "keyMaterialId": "m", "items": made}))


def test_batches_that_fail_on_the_way_leave_no_gap_and_no_double():
    script = [(echo,), THROTTLED, (echo,), close, GATEWAY, (echo,)]
    plaintexts = [b"%d" % number for number in range(95)]
    with ScriptedServer(script) as server, client_of(server, batch_items=10) as client:
        assert list(values(client.encrypt_many(KEY, plaintexts))) == [b"<" + text for text in plaintexts]


def test_no_more_than_a_batch_of_items_is_taken_ahead_of_the_results():
    taken = []

    def source():
        for number in range(100):
            taken.append(number)
            yield b"%d" % number

    with ScriptedServer([(echo,)]) as server, client_of(server, batch_items=10) as client:
        results = client.encrypt_many(KEY, source())
        assert (taken, server.requests) == ([], [])
        for yielded, _ in enumerate(results):
            assert len(taken) <= yielded + 11
        assert len(server.requests) == 10


def test_an_answer_with_too_few_items_is_none():
    short = answer(200, msgspec.msgpack.encode({"keyId": "arn", "items": [{"ciphertext": b"x"}]}))
    odd = answer(200, msgspec.msgpack.encode({"keyId": "arn", "items": [{}, {"ciphertext": b"x"}]}))
    for script in ([short], [odd], [answer(200, b"\xc1")]):
        with ScriptedServer(script) as server, client_of(server) as client, pytest.raises(ForeignAnswerError):
            list(client.encrypt_many(KEY, [b"a", b"b"]))


@pytest.mark.parametrize("settings", [{"timeout_s": 0}, {"batch_items": 0}, {"batch_items": 10_001}])
def test_limits_that_allow_nothing_are_refused(settings):
    with pytest.raises(ValueError, match="is"):
        Client(service_at(9), **settings)
