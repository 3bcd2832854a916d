"""All members together: each is proved by its canary and by a peer before it serves, whatever the others do."""

import asyncio
import errno
import hashlib
import shutil

import pytest

from fakes_runtime import until
from fakes_supervisor import Cluster
from strongroom.config import ClusterConfig, Config, Home
from strongroom.core import (
    ConfigError,
    HsmError,
    HsmIntegrityError,
    HsmRequestError,
    MemberFailedError,
    PinRefusedError,
    SystemClock,
    TokenNotFoundError,
)
from strongroom.hsm.cluster import MemberState
from strongroom.runtime import _restart_pauses, _supervisor, _watch, _worker_starts
from strongroom.runtime._supervisor import Supervisor
from strongroom.testing import FakeHsm

ACTIVE, EJECTED, STOPPED = MemberState.ACTIVE, MemberState.EJECTED, MemberState.STOPPED


@pytest.fixture
async def cluster(short_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_folder))
    home = Home(tmp_path)
    home.pins.mkdir()
    for name in ("hsm-a", "hsm-b"):
        (home.pins / name).write_text(f"pin-of-{name}\n")
        (home.pins / name).chmod(0o400)
    made = Cluster(short_folder, home)
    monkeypatch.setattr(_worker_starts, "start_member", made.start_member)
    monkeypatch.setattr(_restart_pauses, "_FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 0.05)
    yield made
    await made.stop()


async def test_every_member_serves_and_each_table_is_newer_than_the_last(cluster):
    await cluster.start()
    assert await cluster.supervisor.first_outcomes() == []
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    versions = [table.version for table in cluster.tables]
    assert versions == sorted(set(versions))
    assert {len(table.workers) for table in cluster.tables[1:]} == {2}


async def test_a_worker_gets_its_own_pin_and_its_missing_protections_are_told(cluster):
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    assert {made.name: made.pin for made in cluster.bootstraps} == {
        "hsm-a": b"pin-of-hsm-a",
        "hsm-b": b"pin-of-hsm-b",
    }
    assert {made.mode for made in cluster.bootstraps} == {"serve"}
    assert {fields["member"] for fields in cluster.events.named("worker.unprotected")} == {"hsm-a", "hsm-b"}
    assert "pin-of" not in str(cluster.events.events) + str(cluster.tables)


async def test_a_member_that_dies_comes_back_while_the_other_serves(cluster):
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    first = len(cluster.tables)
    cluster.children["hsm-b"].die(3)
    await cluster.reaches(hsm_b=EJECTED)
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    for table in cluster.tables[first:]:
        assert [entry.state for entry in table.workers if entry.member == "hsm-a"] == [ACTIVE]


async def test_a_member_with_another_key_is_stopped_and_the_other_serves(cluster):
    cluster.hsms["hsm-b"].faults.wrong_key = True
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=STOPPED)
    assert await cluster.supervisor.first_outcomes() == []
    assert not any(
        entry.state is ACTIVE
        for table in cluster.tables
        for entry in table.workers
        if entry.member == "hsm-b"
    )


async def test_a_member_that_several_revive_at_the_moment_when_it_is_given_up_is_started_once(cluster):
    cluster.hsms["hsm-b"].faults.wrong_key = True
    await cluster.start()
    supervisor, publish = cluster.supervisor, cluster.supervisor.control.publish
    starts = []

    def revive_at_once(table):
        publish(table)
        if {entry.member: entry.state for entry in table.workers}["hsm-b"] is STOPPED and not starts:
            starts.append(len(cluster.bootstraps))
            cluster.hsms["hsm-b"].faults.wrong_key = False
            for _ in range(2):
                supervisor._revive("hsm-b")

    supervisor.control.publish = revive_at_once
    await until(lambda: starts)
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    supervisor._revive("hsm-b")  # it serves: nothing to do
    await asyncio.sleep(0.1)
    assert len(cluster.bootstraps) == starts[0] + 1
    assert cluster.states() == {"hsm-a": ACTIVE, "hsm-b": ACTIVE}


async def test_a_canary_that_was_replaced_stops_every_member(cluster):
    """A key that opens the canary, but to another value than the one that was sealed, is not the root."""
    await cluster.start(digest=hashlib.sha256(b"another value").digest())
    await cluster.reaches(hsm_a=STOPPED, hsm_b=STOPPED)
    failures = await cluster.supervisor.first_outcomes()
    assert [type(failure) for failure in failures] == [HsmIntegrityError] * 2


async def only_hsm_a_serves(cluster):
    cluster.start_errors = {"hsm-b": MemberFailedError("not yet")}
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=EJECTED)


async def test_a_member_that_opens_the_canary_but_seals_by_another_key_is_stopped(cluster, monkeypatch):
    await only_hsm_a_serves(cluster)
    monkeypatch.setattr(cluster.hsms["hsm-b"], "wrap", stranger_with(cluster.root_id).wrap)
    cluster.start_errors = {}
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=STOPPED)


def stranger_with(root_id):
    """An HSM with another key under the same id."""
    stranger = FakeHsm("stranger")
    stranger.generate_root(root_id, "root")
    return stranger


async def test_where_the_one_that_serves_holds_another_key_by_now_it_is_the_one_to_go(cluster, monkeypatch):
    await only_hsm_a_serves(cluster)
    monkeypatch.setattr(_watch, "_PROVE_ACCUSED_EVERY_S", 0.0)
    cluster.hsms["hsm-a"].faults.wrong_key = True
    cluster.start_errors = {}
    await cluster.reaches(hsm_a=STOPPED, hsm_b=ACTIVE)
    assert {fields["member"] for fields in cluster.events.named("member.differs")} == {"hsm-a"}
    assert not any(
        entry.state in {EJECTED, STOPPED} and "key" in entry.reason
        for table in cluster.tables
        for entry in table.workers
        if entry.member == "hsm-b"
    )


@pytest.mark.parametrize(
    "error", [MemberFailedError, HsmError, HsmRequestError, HsmIntegrityError, TokenNotFoundError]
)
async def test_whatever_the_peer_says_it_is_not_held_against_a_member_that_proved_itself(cluster, error):
    await only_hsm_a_serves(cluster)
    cluster.hsms["hsm-a"].faults.fail_next(4, lambda: error("said by the peer"))
    cluster.start_errors = {}
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    assert not any("said by the peer" in str(fields) for fields in cluster.events.named("member.failed"))


async def test_where_the_peer_fails_just_then_the_canary_alone_proves_a_member(cluster):
    await only_hsm_a_serves(cluster)
    cluster.hsms["hsm-a"].faults.fail_next(100)
    cluster.start_errors = {}
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)


async def test_a_member_that_lost_the_root_is_ejected_and_tried_again(cluster):
    cluster.hsms["hsm-b"].forget_root(cluster.root_id)
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=EJECTED)
    cluster.hsms["hsm-a"].copy_root_to(cluster.hsms["hsm-b"], cluster.root_id)
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)


async def test_when_no_member_serves_the_reasons_are_told(cluster):
    cluster.start_errors = {"hsm-a": PinRefusedError("refused"), "hsm-b": TokenNotFoundError("none")}
    await cluster.start()
    failures = await asyncio.wait_for(cluster.supervisor.first_outcomes(), 60)
    assert [type(failure) for failure in failures] == [PinRefusedError, TokenNotFoundError]


async def test_a_member_that_hangs_at_its_start_holds_up_nobody(cluster):
    cluster.starting["hsm-a"].clear()
    await cluster.start()
    assert await asyncio.wait_for(cluster.supervisor.first_outcomes(), 60) == []
    assert cluster.states()["hsm-b"] is ACTIVE
    assert len(cluster.bootstraps) == 2


async def test_a_member_that_failed_first_and_serves_then_is_not_held_up_by_one_that_hangs(cluster):
    cluster.starting["hsm-a"].clear()
    cluster.start_errors = {"hsm-b": MemberFailedError("not yet")}
    await cluster.start()
    await cluster.reaches(hsm_b=EJECTED)
    waiting = asyncio.ensure_future(cluster.supervisor.first_outcomes())
    await asyncio.sleep(0.1)
    assert not waiting.done(), "one failed, but the other may serve any moment"
    cluster.start_errors = {}
    assert await asyncio.wait_for(waiting, 60) == []


async def test_a_pin_that_was_refused_is_not_tried_again_by_another_main_either(cluster):
    cluster.start_errors = {"hsm-a": PinRefusedError("CKR_PIN_INCORRECT")}
    await cluster.start()
    await cluster.reaches(hsm_a=STOPPED, hsm_b=ACTIVE)
    for _ in range(2):
        await cluster.restart()
        await cluster.reaches(hsm_a=STOPPED, hsm_b=ACTIVE)
        failure = cluster.supervisor._keepers["hsm-a"].failure
        assert isinstance(failure, PinRefusedError)
        assert str(cluster.home.pin_refused / "hsm-a") in failure.next_step
    tries = [made.pin for made in cluster.bootstraps if made.name == "hsm-a"]
    assert tries == [b"pin-of-hsm-a"]
    assert "pin-of" not in str(failure) + (cluster.home.pin_refused / "hsm-a").read_text()


async def test_a_pin_that_was_changed_is_tried_and_the_marker_goes(cluster):
    cluster.start_errors = {"hsm-a": PinRefusedError("CKR_PIN_INCORRECT")}
    await cluster.start()
    await cluster.reaches(hsm_a=STOPPED)
    (cluster.home.pins / "hsm-a").chmod(0o600)
    (cluster.home.pins / "hsm-a").write_text("another")
    (cluster.home.pins / "hsm-a").chmod(0o400)
    cluster.start_errors = {}
    await cluster.restart()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    assert list(cluster.home.pin_refused.iterdir()) == []


async def test_the_marker_of_a_refused_pin_is_there_before_anybody_is_told(cluster, monkeypatch):
    seen = []
    cluster.start_errors = {"hsm-a": PinRefusedError("CKR_PIN_INCORRECT")}
    marker = cluster.home.pin_refused / "hsm-a"
    monkeypatch.setattr(
        cluster.events, "emit", lambda name, **fields: seen.append((name, fields, marker.exists()))
    )
    await cluster.start()
    await cluster.reaches(hsm_a=STOPPED)
    (told,) = [is_marked for name, fields, is_marked in seen if name == "member.stopped"]
    assert told


async def test_a_marker_that_cannot_be_written_is_told_and_the_member_stopped_all_the_same(
    cluster, monkeypatch
):
    def full_disk(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_worker_starts, "remember_refused_pin", full_disk)
    cluster.start_errors = {"hsm-a": PinRefusedError("CKR_PIN_INCORRECT")}
    await cluster.start()
    await cluster.reaches(hsm_a=STOPPED, hsm_b=ACTIVE)
    assert cluster.events.named("pin.refusal_not_kept")[0]["member"] == "hsm-a"


async def test_a_socket_folder_that_was_cleaned_away_costs_a_restart_and_nothing_else(cluster, monkeypatch):
    """Nobody can connect anew to what was removed; the worker does not notice, its proof to a new caller does."""
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    shutil.rmtree((await cluster.supervisor.restore_sockets()).parent)
    monkeypatch.setattr(_watch, "_PROVE_EVERY_S", 0.0)
    await until(lambda: len(cluster.bootstraps) >= 4)
    monkeypatch.setattr(_watch, "_PROVE_EVERY_S", 60.0)
    await until(lambda: all(entry.generation > 1 for entry in cluster.tables[-1].workers))
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    follower = await cluster.connect()
    tables = []
    following = asyncio.ensure_future(follower.follow(tables.append))
    await until(lambda: tables and tables[-1] == cluster.tables[-1])
    await cluster.supervisor.stop()
    await asyncio.wait_for(following, 60)


async def test_a_pin_file_that_others_may_read_keeps_its_member_out_until_it_is_private_again(cluster):
    path = cluster.home.pins / "hsm-b"
    path.chmod(0o444)
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=EJECTED)
    assert isinstance(cluster.supervisor._keepers["hsm-b"].failure, ConfigError)
    assert [made.name for made in cluster.bootstraps] == ["hsm-a"]
    path.chmod(0o400)
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)


async def test_a_suspicion_goes_to_the_member_that_it_names(cluster, monkeypatch):
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 60.0)
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    heard = []
    for name, keeper in cluster.supervisor._keepers.items():
        monkeypatch.setattr(keeper, "suspect", lambda *said, name=name: heard.append((name, *said)))
    for member in ("hsm-b", "nobody", "hsm-a"):
        cluster.client.report(_supervisor.Suspicion(member, 0, 1, "slow", "timeout"))
    await until(lambda: len(heard) == 2)
    assert heard == [("hsm-b", 1, "slow", "timeout"), ("hsm-a", 1, "slow", "timeout")]


async def test_stopping_ends_every_worker_and_the_control_socket(cluster):
    await cluster.start()
    await cluster.reaches(hsm_a=ACTIVE, hsm_b=ACTIVE)
    await cluster.supervisor.stop()
    assert {child.status for child in cluster.children.values()} == {0}
    assert list(cluster.folder.rglob("control")) == []
    await asyncio.wait_for(cluster.follower, 60)


async def test_stopping_before_anything_was_started_is_no_error(cluster):
    config = Config(version=1, cluster=ClusterConfig(members=[]))
    await Supervisor(config, cluster.home, [], events=cluster.events, clock=SystemClock()).stop()
