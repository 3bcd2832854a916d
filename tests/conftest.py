"""Fixtures that several folders of tests share, and what every test may count on."""

import gc
import signal

from hypothesis import settings

from fixtures_real_clients import client_service, clients
from running_service import initialised_home
from scripted_homes import made_by_script

# How long an example takes is said by the machine that is busy, not by what is tested: a test of times has limits of its own.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")

__all__ = ["client_service", "clients", "initialised_home", "made_by_script"]


def pytest_configure() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl-C, and so would every process that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # until all is collected, which makes half a million objects and little garbage


def pytest_collection_finish() -> None:
    """What was collected, half a million objects, lives as long as the run: no collection of garbage goes through it again."""
    gc.collect()
    gc.freeze()
    gc.enable()
