"""A real link between module and token, cut and frozen: SoftHSM behind ``p11-kit server``, whose connections are killed.

Random bytes stand for all use verbs here, since the link of this version carries no AES-GCM.
"""

import os
import signal
import threading
import time

import pytest

from strongroom.core import MemberFailedError
from strongroom.hsm.token import load_profile
from tokens.p11kit import p11kit_softhsm
from tokens.remote_token import TokenProcess

pytestmark = pytest.mark.softhsm


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    with p11kit_softhsm(tmp_path_factory.mktemp("link"), load_profile("softhsm2")) as made:
        yield made


@pytest.fixture
def server(linked):
    return linked[1]


@pytest.fixture
def process(linked):
    with TokenProcess(linked[0]) as made:
        made.open()
        yield made


def recovered(process):
    return {name: count for name, count in process.call("token.recoveries")._asdict().items() if count}


def test_f1_a_cut_link_is_healed_by_a_new_start_of_the_module_in_the_same_process(process, server):
    process.token.random(8)
    assert server.cut() == 1
    assert len(process.token.random(8)) == 8
    assert recovered(process) == {"reinitialisations": 1}
    assert not process.call("token.is_broken")


def test_f1_a_link_that_is_cut_again_and_again_is_healed_each_time_at_a_measured_pace(process, server):
    began = time.monotonic()
    for _ in range(3):
        server.cut()
        assert len(process.token.random(8)) == 8
    assert recovered(process) == {"reinitialisations": 3}
    assert time.monotonic() - began > 1.4  # pauses of 0.5 s and 1 s, at least


def test_f1_a_server_that_is_gone_gives_the_token_up_and_a_new_process_heals_it(process, linked, server):
    server.stop()
    try:
        with pytest.raises(MemberFailedError):
            process.token.random(8)
        assert process.call("token.is_broken")
    finally:
        server.start()
    with TokenProcess(linked[0]) as another:
        another.open()
        assert len(another.token.random(8)) == 8


def test_f13_a_call_that_hangs_on_a_dead_link_ends_with_the_link_and_is_healed(process, server):
    server.freeze()
    answers = []

    def ask():
        answers.append(process.token.random(8))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        time.sleep(0.3)
        assert answers == []
    finally:
        server.cut()  # as an operator, or the kernel's keep-alive, would end it
        asking.join(60)
    assert len(answers) == 1
    assert not process.call("token.is_broken")


def test_f13_a_process_that_hangs_on_a_frozen_link_can_be_killed_and_another_takes_its_place(linked, server):
    with TokenProcess(linked[0]) as hung:
        hung.open()
        server.freeze()
        hung.send("token.random", 8)
        hung.kill()
    server.cut()
    with TokenProcess(linked[0]) as another:
        another.open()
        assert len(another.token.random(8)) == 8


def test_f45_a_server_restarted_behind_us_costs_one_new_start(process, server):
    process.token.random(8)
    for pid in server.connections:
        os.kill(pid, signal.SIGKILL)
    server.stop()
    server.start()
    assert len(process.token.random(8)) == 8
    assert recovered(process) == {"reinitialisations": 1}


def test_threads_that_share_a_cut_link_are_healed_by_one_new_start(process, server):
    process.token.random(8)
    server.cut()
    answers, errors = process.call("storm", "token.random", 8, n_threads=6, n_calls=20)
    assert (len(answers), errors) == (120, {})
    assert recovered(process)["reinitialisations"] == 1
