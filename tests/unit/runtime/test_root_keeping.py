"""Main rotates the root for its owner alone, takes up what was interrupted, and destroys only what nothing hangs under."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from fakes_replication import CLOCK, FakeCluster
from fresh_database import fresh_database
from strongroom.audit import AuditLog, read_entries
from strongroom.core import (
    ApprovalRequiredError,
    HsmIntegrityError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    StorageError,
)
from strongroom.hsm.cluster import TooFewCopiesError
from strongroom.keyring import CacheLimits, KekCiphers, RootRewrapping
from strongroom.runtime import _root_keeping, _root_retiring
from strongroom.runtime._any_member import AnyMember
from strongroom.runtime._root_keeping import RootKeeping
from strongroom.runtime._root_retiring import RootRotationError
from strongroom.storage import RootRotationRecord, RootState, RotationState, Store
from strongroom.testing import FakeMember
from strongroom.wiring.root_door import RootRequest

API_PID = 4_242
ROTATE, RETIRE = RootRequest("rotate", 1_000.0), RootRequest("retire")


class Bench:
    """Three members that serve, some domains under their root, and main's part over them."""

    def __init__(self, store, audit, folder):
        self.store, self.audit, self.folder = store, audit, folder
        self.cluster = FakeCluster(store)
        self.came_back = []

    async def make(self, n_domains=4):
        await self.cluster.make()
        await self.cluster.join_all()
        self.begin()
        await self.make_domains(n_domains)

    def begin(self):
        """Begin a life of main."""
        keys = SimpleNamespace(
            roots=self.cluster.roots,
            serving=self.cluster.replicas,
            must_come_back=lambda member, _error: self.came_back.append(member),
        )
        self.keeping = RootKeeping(
            self.store,
            keys,
            self.audit,
            api_pids=lambda: {API_PID},
            request_s=0.5,
            events=self.cluster.events,
            clock=CLOCK,
        )

    async def make_domains(self, n_domains):
        member = AnyMemberUse(self.cluster)
        limits = CacheLimits(60.0, 10, 10, 0.0)
        ciphers = KekCiphers(self.store, member, clock=CLOCK, limits=limits, request_s=5.0)
        for _ in range(n_domains):
            root_id = RootId(self.store.get_current_root().root_id)
            domain = await ciphers.new_domain(root_id, "shard")
            await self.store.write(lambda tx, domain=domain: tx.insert_domain(domain))

    async def rewrap_all(self):
        """What an API process does."""
        rewrapping = RootRewrapping(self.store, AnyMember(self.cluster.replicas), clock=CLOCK, request_s=5.0)
        while domains := rewrapping.next_domains(50):
            assert not (await rewrapping.rewrap(domains)).failures
        await rewrapping.finish()

    async def ask(self, request, pid=1):
        return await self.keeping.answer(request, pid)

    def holders(self, root_id):
        return {name for name, hsm in self.cluster.hsms.items() if root_id in hsm._roots}

    def told(self, event):
        return [(e.kind, e.outcome) for e in read_entries(self.folder) if e.event == event]


class AnyMemberUse:
    """``HsmUse`` of the first member that serves."""

    def __init__(self, cluster):
        self._member = FakeMember(cluster.hsms[cluster.serving[0]])

    async def wrap(self, *arguments, deadline):
        return await self._member.wrap(*arguments, deadline=deadline)


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "strongroom.db"
    fresh_database(path)
    return path.read_bytes()


@pytest.fixture
async def bench(blank, tmp_path, monkeypatch):
    monkeypatch.setattr(_root_retiring, "_MARGIN_S", 0.0)
    monkeypatch.setattr(_root_keeping, "_FIRST_PAUSE_S", 0.01)
    path = tmp_path / "strongroom.db"
    path.write_bytes(blank)
    folder = tmp_path / "audit"
    folder.mkdir()
    with Store.open(path) as store:
        audit = AuditLog.open(folder, "main", clock=CLOCK)
        try:
            made = Bench(store, audit, folder)
            await made.make()
            yield made
            made.keeping.close()
        finally:
            audit.close()


async def test_a_rotation_is_told_published_and_waits_for_nothing_else(bench):
    before = bench.store.get_current_root()
    answer = await bench.ask(ROTATE)
    current = bench.store.get_current_root()
    assert (answer.root_id, answer.n_domains) == (current.root_id.hex(), 4)
    assert bench.holders(current.root_id) == {"alpha", "beta", "gamma"}
    rotation = bench.store.get_last_root_rotation()
    assert (rotation.state, rotation.root_id, rotation.domains_per_s) == (
        RotationState.REWRAPPING,
        current.root_id,
        1_000.0,
    )
    assert rotation.asked_by == f"local/{os.geteuid()}"
    assert bench.store.count_domains_by_root() == {before.root_id: 4}
    assert bench.told("root.Rotate") == [("intent", ""), ("outcome", "ok")]


@pytest.mark.parametrize("action", ["rotate", "rate", "retire"])
async def test_an_api_process_is_refused(bench, action):
    with pytest.raises(ApprovalRequiredError):
        await bench.ask(RootRequest(action), API_PID)
    assert bench.store.get_last_root_rotation() is None


async def test_there_is_one_rotation_at_a_time(bench):
    await bench.ask(ROTATE)
    with pytest.raises(RootRotationError, match="4 domain KEKs hang under old roots"):
        await bench.ask(ROTATE)
    await bench.rewrap_all()
    await bench.ask(ROTATE)
    assert [one.state for one in bench.store.list_root_rotations()] == [
        RotationState.FINISHED,
        RotationState.REWRAPPING,
    ]


async def test_commands_do_not_run_side_by_side(bench):
    first = asyncio.ensure_future(bench.ask(ROTATE))
    await asyncio.sleep(0)
    with pytest.raises(RootRotationError, match="at work"):
        await bench.ask(ROTATE)
    await first
    assert len(bench.store.list_root_rotations()) == 1


async def test_a_rotation_that_cannot_be_leaves_all_as_it_was_and_another_one_can_follow(bench):
    before = bench.store.get_current_root()
    bench.cluster.serving = ["alpha"]
    with pytest.raises(TooFewCopiesError, match="1 of the 2"):
        await bench.ask(ROTATE)
    assert bench.store.get_current_root() == before
    failed = bench.store.get_last_root_rotation()
    assert failed.state is RotationState.FAILED
    assert "1 of the 2" in failed.trouble
    assert bench.told("root.Rotate")[-1] == ("outcome", "TooFewCopiesError")
    bench.cluster.serving = ["alpha", "beta"]
    await bench.ask(ROTATE)
    assert bench.store.get_current_root() != before


async def test_a_member_that_serves_without_its_copy_is_made_to_come_back(bench):
    bench.cluster.hsms["gamma"].faults.wrong_key = True
    answer = await bench.ask(ROTATE)
    assert bench.came_back == answer.lacking == ["gamma"]
    assert answer.held_by == ["alpha", "beta"]


async def test_the_rate_of_a_rotation_can_be_changed_while_it_is_under_way(bench):
    with pytest.raises(RootRotationError, match="no rotation is under way"):
        await bench.ask(RootRequest("rate", 3.0))
    await bench.ask(ROTATE)
    await bench.ask(RootRequest("rate", 3.0))
    assert bench.store.get_last_root_rotation().domains_per_s == 3.0
    assert bench.told("root.SetRate") == [("intent", ""), ("outcome", "ok")]


async def test_an_old_root_is_destroyed_everywhere_once_nothing_hangs_under_it(bench):
    with pytest.raises(RootRotationError, match="no old root"):
        await bench.ask(RETIRE)
    before = bench.store.get_current_root()
    await bench.ask(ROTATE)
    with pytest.raises(RootRotationError, match="hang under old roots"):
        await bench.ask(RETIRE)
    await bench.rewrap_all()
    rewrapped_at = bench.store.get_last_root_rotation().last_at
    answer = await bench.ask(RETIRE)
    tombstone = bench.store.get_root(before.root_id)
    assert tombstone.destroyed_at - rewrapped_at >= 0.5, "requests that read of it before had their time"
    assert answer.n_domains == 4
    assert [(one.root_id, one.left_on) for one in answer.retired] == [(before.root_id.hex(), [])]
    assert bench.holders(before.root_id) == set()
    assert bench.told("root.Retire") == [("intent", ""), ("outcome", "ok")]


async def test_where_an_old_root_is_left_is_told(bench):
    before = bench.store.get_current_root()
    await bench.ask(ROTATE)
    await bench.rewrap_all()
    bench.cluster.hsms["beta"].destroy_root = _refusing
    answer = await bench.ask(RETIRE)
    assert answer.retired[0].left_on == ["beta"]
    assert bench.holders(before.root_id) == {"beta"}


def _refusing(_root_id):
    raise MemberFailedError("it does not")


async def test_nothing_is_destroyed_while_too_few_members_prove_the_current_root(bench):
    before = bench.store.get_current_root()
    await bench.ask(ROTATE)
    await bench.rewrap_all()
    bench.cluster.serving = ["alpha"]
    with pytest.raises(TooFewCopiesError, match="1 members prove"):
        await bench.ask(RETIRE)
    assert bench.holders(before.root_id) == {"alpha", "beta", "gamma"}
    assert bench.told("root.Retire") == [("intent", ""), ("outcome", "TooFewCopiesError")]


async def test_nothing_is_destroyed_while_a_domain_kek_does_not_open(bench):
    before = bench.store.get_current_root()
    await bench.ask(ROTATE)
    await bench.rewrap_all()
    (domain, *_) = bench.store.list_domains(after="", limit=10)
    spoilt = domain.wrapped[:-1] + bytes((domain.wrapped[-1] ^ 1,))
    await bench.store.write(
        lambda tx: tx.replace_domain_wrapped(
            domain.domain_id, was=domain.wrapped, root_id=domain.root_id, wrapped=spoilt
        )
    )
    with pytest.raises(HsmIntegrityError, match=domain.domain_id):
        await bench.ask(RETIRE)
    assert bench.holders(before.root_id) == {"alpha", "beta", "gamma"}
    assert [root.state for root in bench.store.list_roots()] == [RootState.OLD, RootState.CURRENT]


async def test_a_domain_that_is_made_during_the_look_is_opened_too(bench):
    await bench.ask(ROTATE)
    await bench.rewrap_all()
    pace, calls = bench.keeping._retiring._pace, []

    async def making(n_opened):
        calls.append(n_opened)
        if len(calls) == 1:
            await bench.make_domains(2)
        await pace(n_opened)

    bench.keeping._retiring._pace = making
    answer = await bench.ask(RETIRE)
    assert (calls[0], sum(calls), answer.n_domains) == (4, 6, 6)


async def test_a_rotation_that_was_interrupted_is_taken_up_when_enough_members_serve(bench):
    before = bench.store.get_current_root()
    interrupted = RootRotationRecord("0" * 36, RotationState.MAKING, "local/77", 10.0, 5.0)
    await bench.store.write(lambda tx: tx.insert_root_rotation(interrupted))
    bench.cluster.serving = ["alpha"]
    bench.begin()
    bench.keeping.start()
    with pytest.raises(RootRotationError, match="under way"):
        await bench.ask(ROTATE)
    await asyncio.sleep(0.05)
    assert bench.store.get_current_root() == before, "not enough members serve"
    bench.cluster.serving = ["alpha", "beta"]
    async with asyncio.timeout(60):
        while bench.store.get_last_root_rotation().state is RotationState.MAKING:
            await asyncio.sleep(0.005)
        while not bench.told("root.Rotate"):
            await asyncio.sleep(0.005)
    assert bench.store.get_current_root() != before
    assert bench.told("root.Rotate") == [("outcome", "ok")]


async def test_a_rate_that_is_set_while_the_root_waits_to_be_made_holds_for_the_rewrapping(bench):
    making = RootRotationRecord("00000000-0000-4000-8000-000000000000", RotationState.MAKING, "o", 0.0, 10.0)
    await bench.store.write(lambda tx: tx.insert_root_rotation(making))
    bench.cluster.serving = ["alpha"]
    bench.begin()
    bench.keeping.start()
    await bench.ask(RootRequest("rate", 77.0))
    bench.cluster.serving = ["alpha", "beta"]
    rotation = await _made(bench)
    assert (rotation.state, rotation.domains_per_s) == (RotationState.REWRAPPING, 77.0)


async def test_a_rotation_that_a_full_disk_let_neither_succeed_nor_fail_is_taken_up_by_itself(
    bench, monkeypatch
):
    """Until now it counted as under way, and nobody was at work on it, until main was started again."""
    write, refused = bench.store.write, []

    async def refuse_behind_the_pending_root(work):
        if bench.store.get_last_root_rotation() and any(
            root.state is RootState.PENDING for root in bench.store.list_all_roots()
        ):
            refused.append(work)
            raise StorageError("the disk is full")
        return await write(work)

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "write", refuse_behind_the_pending_root)
        with pytest.raises(StorageError, match="full"):
            await bench.ask(ROTATE)
    assert len(refused) >= 3, "publishing, the tombstone, the end of the rotation"
    rotation = await _made(bench)
    assert rotation.state is RotationState.REWRAPPING
    assert bench.holders(rotation.root_id) == {"alpha", "beta", "gamma"}


async def test_a_rotation_that_cannot_be_and_that_the_disk_does_not_let_end_is_ended_later(
    bench, monkeypatch
):
    making = RootRotationRecord("00000000-0000-4000-8000-000000000000", RotationState.MAKING, "o", 0.0, 10.0)
    await bench.store.write(lambda tx: tx.insert_root_rotation(making))
    tried, write = [], bench.store.write

    async def make(_publish, *, deadline):
        assert not deadline.has_passed()
        raise HsmRequestError("roots do not travel here")

    async def refuse_once(work):
        tried.append(work)
        if len(tried) == 1:
            raise StorageError("the disk is full")
        return await write(work)

    bench.begin()
    monkeypatch.setattr(bench.cluster.roots, "make", make)
    monkeypatch.setattr(bench.store, "write", refuse_once)
    bench.keeping.start()
    assert (await _made(bench)).state is RotationState.FAILED


async def test_a_root_that_was_published_though_the_commit_was_told_as_failed_is_rewrapped_under(
    bench, monkeypatch
):
    write = bench.store.write

    async def keep_and_complain(work):
        published = bench.store.get_current_root()
        done = await write(work)
        if bench.store.get_current_root() != published:
            raise StorageError("nobody knows whether it is durable")
        return done

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "write", keep_and_complain)
        with pytest.raises(StorageError, match="nobody knows"):
            await bench.ask(ROTATE)
    assert bench.store.get_last_root_rotation().state is RotationState.REWRAPPING
    await bench.rewrap_all()
    assert bench.store.get_last_root_rotation().state is RotationState.FINISHED
    assert bench.holders(bench.store.get_current_root().root_id) == {"alpha", "beta", "gamma"}


async def _made(bench):
    """Return the newest rotation once its root is made, or given up."""
    async with asyncio.timeout(60):
        while (rotation := bench.store.get_last_root_rotation()).state is RotationState.MAKING:
            await asyncio.sleep(0.005)
    return rotation
