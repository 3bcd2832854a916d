"""A call that is interrupted leaves a client that works; one that reaches nobody ends within its time and says why."""

import contextlib
import socket
import time

import pytest

from scripted_server import ScriptedServer, answer
from strongroom.client import AccessKey, Endpoint, Service, ServiceClient, ServiceUnreachableError
from strongroom.client._calls import encrypt_call
from strongroom.client._client import attempt
from strongroom.client._connections import Connections
from strongroom.core import Deadline, Secret, SystemClock


class InterruptingClock(SystemClock):
    """Ctrl-C comes while somebody looks at it for the time after ``left`` more."""

    def __init__(self):
        self.left = -1

    def monotonic(self):
        self.left -= 1
        if self.left == -1:
            raise KeyboardInterrupt
        return super().monotonic()


def client_of(port, *, clock=None, timeout_s=20.0, host="127.0.0.1"):
    service = Service(Endpoint("http", host, port, None), AccessKey("AKIA", Secret(b"secret")), "us-east-1")
    return ServiceClient(service, clock=clock or SystemClock(), timeout_s=timeout_s)


def echo(path, body):
    return answer(200, body)


@pytest.mark.parametrize("at", range(10))
def test_after_a_call_that_was_interrupted_anywhere_the_next_one_has_its_own_answer(at):
    clock = InterruptingClock()
    with ScriptedServer([(echo,)]) as server, client_of(server.port, clock=clock) as client:
        client.call("Zeroth", {"call": 0}, dict)
        clock.left = at
        with contextlib.suppress(KeyboardInterrupt):
            client.call("First", {"call": 1}, dict)
        clock.left = -1
        assert client.call("Second", {"call": 2}, dict) == {"call": 2}


@contextlib.contextmanager
def deaf_port():
    """A port of loopback where connections are neither taken nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_host_of_several_addresses_that_do_not_answer_gets_the_time_of_one_call(monkeypatch):
    with deaf_port() as port, client_of(port, host="two.example", timeout_s=1.0) as client:
        found = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found * 6)
        began = time.monotonic()
        with pytest.raises(ServiceUnreachableError):
            client.probe("/")
        assert time.monotonic() - began < 5.0


def test_a_call_whose_time_went_by_in_a_queue_says_so_and_sends_nothing():
    with ScriptedServer([(echo,)]) as server:
        service = Service(
            Endpoint("http", "127.0.0.1", server.port, None), AccessKey("AKIA", Secret(b"s")), "us-east-1"
        )
        connections = Connections(service, clock=SystemClock())
        with pytest.raises(ServiceUnreachableError, match=r"no connection .* was free"):
            attempt(connections, encrypt_call("alias/a", b"x", None), Deadline.after(SystemClock(), -1.0))
        assert server.requests == []
