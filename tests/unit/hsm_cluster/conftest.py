"""Three members over real sockets, and a cluster of them with everything it reports; fakes with records of their keys."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest

from fakes_replication import FakeCluster
from fresh_database import fresh_database
from strongroom.core import SystemClock
from strongroom.hsm.cluster import HsmCluster
from strongroom.storage import Store
from strongroom.testing import RecordingEvents
from worker_in_process import running_worker, table, three_hsms

ATTEMPT_S = 0.2


@pytest.fixture
def attempt_s():
    """How long a member may take to answer; short, so that tests of what is late are soon done."""
    return ATTEMPT_S


@pytest.fixture
async def trio(tmp_path, attempt_s):
    """``workers`` (alpha, beta, gamma), their ``root_id``, the ``cluster``, its ``events`` and ``suspicions``."""
    hsms, root_id = three_hsms()
    events, suspicions = RecordingEvents(), []
    cluster = HsmCluster(clock=SystemClock(), events=events, attempt_s=attempt_s, report=suspicions.append)
    async with AsyncExitStack() as stack:
        # Attempts that nobody waits for may be about to connect: their connections are made, and seen to be closed.
        stack.push_async_callback(asyncio.sleep, 0.02)
        stack.callback(cluster.close)
        workers = [await stack.enter_async_context(running_worker(hsm, tmp_path)) for hsm in hsms]
        cluster.apply(table(1, *workers))
        yield SimpleNamespace(
            workers=workers,
            hsms=hsms,
            root_id=root_id,
            cluster=cluster,
            events=events,
            suspicions=suspicions,
            performed=lambda: sum(len(worker.performer.performed) for worker in workers),
        )


@pytest.fixture
async def cluster(tmp_path):
    """Three fake members that serve, and the two that keep their keys as the records say."""
    path = tmp_path / "strongroom.db"
    fresh_database(path)
    with Store.open(path) as store:
        made = FakeCluster(store)
        await made.make()
        await made.join_all()
        yield made
