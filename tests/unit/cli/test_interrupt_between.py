"""Ctrl-C waits for the end of a piece of work, and a second one does not."""

import os
import signal
import threading

import pytest

from strongroom.cli._interrupt import InterruptBetween


def test_ctrl_c_in_the_middle_of_work_is_raised_at_the_next_sleep():
    with InterruptBetween() as interrupt:
        signal.raise_signal(signal.SIGINT)  # the work goes on
        with pytest.raises(KeyboardInterrupt):
            interrupt.sleep(60)


def test_ctrl_c_during_the_sleep_ends_it():
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    with InterruptBetween() as interrupt:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            interrupt.sleep(60)
    timer.join()


def test_a_second_ctrl_c_does_not_wait():
    with InterruptBetween():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_ctrl_c_is_what_it_was_before():
    before = signal.getsignal(signal.SIGINT)
    with InterruptBetween():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
