"""What main answers at its control socket is shown by ``--json`` as a document with names, as every other answer."""

import contextlib
import json
import socket
import threading

import msgspec
import pytest

from cli_support import run
from strongroom.hsm.wire import FrameBuffer, frame
from strongroom.wiring.home import runtime_folder
from strongroom.wiring.pin_door import PinAnswer, PinOutcome
from strongroom.wiring.root_door import RetiredRoot, RootAnswer

ROTATED = RootAnswer("ab" * 16, ["alpha", "beta"], ["gamma"], 4)
RETIRED = RootAnswer("ab" * 16, ["alpha"], n_domains=4, retired=[RetiredRoot("cd" * 16, ["beta"])])
CHANGED = PinAnswer([PinOutcome("alpha", "user", "changed", "01" * 8)])


@contextlib.contextmanager
def main_that_answers(home, answer):
    """Stand at the control socket of a home, and answer the first request."""
    path = runtime_folder(home) / "control"

    def serve():
        connection, _ = listening.accept()
        with connection:
            frames = FrameBuffer()
            while not list(frames.feed(connection.recv(65536))):
                pass
            connection.sendall(frame(msgspec.msgpack.encode(answer)))

    with socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(30)
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join()
            path.unlink()


@pytest.mark.parametrize(
    ("command", "answer", "document"),
    [
        (
            ["root", "rotate"],
            ROTATED,
            {"root_id": "ab" * 16, "held_by": ["alpha", "beta"], "lacking": ["gamma"], "n_domains": 4},
        ),
        (
            ["root", "retire", "--yes"],
            RETIRED,
            {
                "root_id": "ab" * 16,
                "held_by": ["alpha"],
                "n_domains": 4,
                "retired": [{"root_id": "cd" * 16, "left_on": ["beta"]}],
            },
        ),
        (
            ["pin", "rotate"],
            CHANGED,
            {
                "outcomes": [
                    {
                        "member": "alpha",
                        "role": "user",
                        "state": "changed",
                        "change_id": "01" * 8,
                        "delivery": "",
                        "cause": "",
                    }
                ],
                "failure": None,
            },
        ),
    ],
    ids=["root rotate", "root retire", "pin rotate"],
)
def test_an_answer_of_main_is_a_document_with_names(home, command, answer, document):
    with main_that_answers(home, answer):
        done = run(*command, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == document
