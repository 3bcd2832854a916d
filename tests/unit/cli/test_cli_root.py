"""``strongroom root``: what it shows of a rotation, from the database alone, and what it asks of whom."""

import asyncio
import json
import threading
import time

import pytest

from cli_support import ROOT, run
from strongroom.core import SystemClock
from strongroom.storage import (
    DomainRecord,
    RootRotationRecord,
    RootState,
    RotationState,
    Store,
)
from strongroom.wiring import root_status

NEW = ROOT._replace(root_id=b"n" * 16, created_at=1_800_000_000.0)
ROTATION = RootRotationRecord(
    "0" * 36,
    RotationState.REWRAPPING,
    "local/1000",
    1_800_000_000.0,
    10.0,
    NEW.root_id,
    1_800_000_001.0,
    n_domains=4,
    n_rewrapped=3,
    last_at=1_800_000_004.0,
)


def write(home, work):
    with Store.open(home.database) as store:
        asyncio.run(store.write(work))


@pytest.fixture(autouse=True)
def first_root(home):
    write(home, lambda tx: tx.insert_root(ROOT))


def rotate(home, *, n_done=3, n_left=1, **changes):
    def work(tx):
        tx.insert_root(NEW._replace(state=RootState.PENDING))
        tx.publish_root(NEW)
        for number in range(n_done + n_left):
            root_id = NEW.root_id if number < n_done else ROOT.root_id
            domain_id = f"00000000-0000-4000-8000-{number:012x}"
            tx.insert_domain(DomainRecord(domain_id, root_id, "shard", b"blob", 0, 1.0))
        tx.insert_root_rotation(ROTATION._replace(**changes))

    write(home, work)


def finish(home):
    def work(tx):
        (left,) = tx.list_domains_under(ROOT.root_id, after="", limit=5)
        tx.replace_domain_wrapped(left.domain_id, was=b"blob", root_id=NEW.root_id, wrapped=b"other")
        tx.change_root_rotation(ROTATION._replace(state=RotationState.FINISHED, finished_at=2e9))

    write(home, work)


def test_a_root_that_was_never_rotated(home):
    result = run("root", "status")
    assert result.exit_code == 0
    assert ROOT.root_id.hex() in result.output
    assert "never rotated" in result.output
    document = json.loads(run("root", "status", "--json").output)
    assert document["rotation"] is None
    assert [root["state"] for root in document["roots"]] == ["current"]


def test_a_rotation_under_way_says_how_far_it_is_and_when_it_ends(home):
    rotate(home)
    result = run("root", "status")
    assert result.exit_code == 0
    assert "3 of 4 domain KEKs are under the current root, 1.0 a second, about 1 s left" in result.output
    assert "10 a second at most" in result.output
    document = json.loads(run("root", "status", "--json").output)
    shown = document["rotation"]
    assert (shown["domains"], shown["rewrapped"], shown["left"]) == (4, 3, 1)
    assert shown["measured_per_s"] == pytest.approx(1.0)
    assert [(root["state"], root["domains"]) for root in document["roots"]] == [("old", 1), ("current", 3)]


def test_a_finished_rotation_says_what_to_do_with_the_old_root(home):
    rotate(home, n_done=4, n_left=0, state=RotationState.FINISHED, finished_at=1_800_000_005.0)
    result = run("root", "status")
    assert result.exit_code == 0
    assert "strongroom root retire" in result.output


@pytest.mark.parametrize(
    "changes",
    [
        {"state": RotationState.FAILED, "trouble": "a member was away"},
        {"trouble": "a member was away", "trouble_at": 5.0},
    ],
    ids=["failed", "in trouble"],
)
def test_trouble_is_told_and_ends_with_1(home, changes):
    rotate(home, **changes)
    result = run("root", "status")
    assert result.exit_code == 1
    assert "a member was away" in result.output


def test_waiting_ends_when_nothing_is_left(home):
    rotate(home)

    def later():
        time.sleep(0.3)
        finish(home)

    thread = threading.Thread(target=later)
    thread.start()
    try:
        result = run("root", "status", "--wait")
    finally:
        thread.join()
    assert result.exit_code == 0
    assert "finished since" in result.output


def test_before_two_seconds_no_speed_is_told(home):
    rotate(home, last_at=1_800_000_002.0)
    shown = root_status.read_root_status(home, SystemClock()).rotation
    assert (shown.measured_per_s, shown.ends_at) == (None, None)


@pytest.mark.parametrize("arguments", [["rotate"], ["rate", "5"], ["retire", "--yes"]])
def test_without_the_service_it_ends_with_3(home, arguments):
    result = run("root", *arguments)
    assert result.exit_code == 3
    assert "strongroom serve" in result.output


def test_nothing_is_destroyed_unless_somebody_says_so(home):
    rotate(home, n_done=4, n_left=0, state=RotationState.FINISHED, finished_at=1_800_000_005.0)
    result = run("root", "retire")
    assert result.exit_code == 1
    assert "--yes" in result.output


@pytest.mark.parametrize("rate", ["0", "-1", "1000000", "quick"])
def test_an_impossible_rate_is_wrong_usage(home, rate):
    assert run("root", "rotate", "--rate", rate).exit_code == 2
