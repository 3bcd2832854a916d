"""What a witness remembers: before a cosignature goes out, through failing disks, power losses and kill -9, one process at a time."""

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.audit import (
    AuditCorruptError,
    AuditWriterInUseError,
    Witness,
    WitnessFiles,
    WitnessRefusalError,
    WitnessStore,
)
from strongroom.audit._witness_request import read_add_checkpoint
from unit.audit.tree_disks import FailingDisk, PowerDisk
from unit.audit.witness_logs import (
    LOGS,
    ORIGIN,
    WITNESS,
    StandingClock,
    checkpoint_of,
    leaves_of_past,
    request_of,
)

TRUE, FALSE = leaves_of_past("true", 300), leaves_of_past("false", 40)
PROGRAM = Path(__file__).with_name("witness_crash.py")


@pytest.fixture
def folder(tmp_path):
    WitnessStore.make(tmp_path / "w")
    return tmp_path / "w"


def ask(store, leaves, old, new):
    return Witness(LOGS, WITNESS, store, clock=StandingClock()).add_checkpoint(request_of(leaves, old, new))


def test_two_witnesses_do_not_run_with_one_folder(folder):
    store = WitnessStore(folder)
    with pytest.raises(AuditWriterInUseError):
        WitnessStore(folder)
    store.close()
    WitnessStore(folder).close()


def test_a_folder_that_was_never_made_or_is_made_twice_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AuditCorruptError, match="known"):
        WitnessStore(tmp_path / "empty")
    with pytest.raises(FileExistsError):
        WitnessStore.make(folder)


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "other"])
def test_a_head_that_is_lost_is_an_error_and_no_beginning(folder, damage):
    store = WitnessStore(folder)
    ask(store, TRUE, 0, 8)
    store.close()
    (head,) = (folder / "heads").iterdir()
    data = head.read_bytes()
    if damage == "gone":
        head.unlink()
    else:
        other = data.replace(ORIGIN.encode(), b"strongroom/test/hosT")
        head.write_bytes({"empty": b"", "cut": data[:40], "other": other}[damage])
    with pytest.raises(AuditCorruptError):
        WitnessStore(folder)


def test_nothing_is_cosigned_that_a_disk_did_not_take(folder):
    """Whichever call fails, half done or done: what was answered is remembered, and nothing against it is ever cosigned."""
    n_calls, fails_at = 99, 0
    while fails_at <= n_calls + 1:
        for is_done_first in (False, True):
            place = folder.with_name(f"w-{fails_at}-{is_done_first}")
            WitnessStore.make(place)
            disk = FailingDisk()
            store = WitnessStore(place, disk)
            disk.n_calls, disk.is_done_first = 0, is_done_first
            answered = []
            disk.fails_at = fails_at
            for old, new in ((0, 3), (3, 8)):
                try:
                    ask(store, TRUE, old, new)
                    answered.append(new)
                except (OSError, WitnessRefusalError):
                    break
            if not disk.fails_at:
                n_calls = disk.n_calls
            disk.fails_at = 0
            again = max(answered, default=0)
            assert store.head(ORIGIN).size == again
            store.close()
            store = WitnessStore(place)
            assert store.head(ORIGIN).size >= again
            if answered:
                with pytest.raises(WitnessRefusalError):
                    ask(store, FALSE, store.head(ORIGIN).size, 20)
            store.close()
        fails_at += 1


@pytest.mark.parametrize("seed", range(4))
def test_no_power_loss_makes_a_witness_forget_what_it_cosigned(folder, seed):
    chance = random.Random(seed)
    answered = 0
    for _ in range(6):
        disk = PowerDisk(chance, folder)
        store = WitnessStore(folder, disk)
        head = store.head(ORIGIN)
        assert head.size >= answered
        assert head.size == 0 or head.root == checkpoint_of(TRUE, head.size).root
        disk_calls = chance.randint(0, 12)
        sync = disk.sync

        def failing(path, sync=sync, left=[disk_calls]):  # noqa: B006  # it counts
            left[0] -= 1
            if left[0] < 0:
                raise OSError(5, "power")
            sync(path)

        disk.sync = failing
        for _ in range(3):
            new = min(store.head(ORIGIN).size + chance.randint(1, 9), len(TRUE))
            try:
                ask(store, TRUE, store.head(ORIGIN).size, new)
            except OSError:
                break
            answered = new
        store.close()
        disk.cut_power(folder)


def test_of_many_requests_at_once_no_two_contradict(folder):
    store = WitnessStore(folder)
    witness = Witness(LOGS, WITNESS, store, clock=StandingClock())

    def one(number):
        leaves = TRUE if number % 2 else FALSE
        try:
            return witness.add_checkpoint(request_of(leaves, 0, 1 + number % 16)).checkpoint
        except WitnessRefusalError:
            return None

    with ThreadPoolExecutor(8) as threads:
        found = [checkpoint for checkpoint in threads.map(one, range(64)) if checkpoint is not None]
    assert len(set(found)) == 1
    store.close()


def test_evidence_has_a_limit(folder, monkeypatch):
    monkeypatch.setattr("strongroom.audit._witness_store.MAX_EVIDENCE", 3)
    store = WitnessStore(folder)
    ask(store, TRUE, 0, 8)
    for new in range(8, 16):
        with pytest.raises(WitnessRefusalError):
            ask(store, FALSE, 8, new)
    assert len(list((folder / "refused").iterdir())) == 3
    store.close()


@pytest.mark.parametrize("own", [False, True], ids=["of-strangers", "of-the-log"])
def test_no_lines_of_signatures_make_a_head_that_cannot_be_read_again(folder, own):
    """Whoever fills the note of a request would make the witness forget, and so be able to begin anew with another past."""
    request = read_add_checkpoint(request_of(TRUE, 0, 8))
    (signature,) = request.checkpoint.signatures
    others = [signature if own else signature._replace(name=f"key-{number}") for number in range(63)]
    note = request.checkpoint._replace(signatures=(signature, *others))
    store = WitnessStore(folder)
    Witness(LOGS, WITNESS, store, clock=StandingClock()).add_checkpoint(
        request._replace(checkpoint=note).encode()
    )
    store.close()
    again = WitnessStore(folder)
    assert again.head(ORIGIN).size == 8
    assert len(again.note(ORIGIN).signatures) == 3
    again.close()


def test_what_was_cosigned_can_be_read_beside_the_witness(folder):
    store = WitnessStore(folder)
    ask(store, TRUE, 0, 8)
    files = WitnessFiles(folder)
    assert files.known() == (ORIGIN,)
    assert files.note(ORIGIN).text == checkpoint_of(TRUE, 8).text()
    assert files.note("another/log") is None
    store.close()


def _run_and_kill(folder, after_s):
    """Run a witness that two pasts ask, kill it, return what it let out."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), "true", "false"],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(after_s)
    finally:
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
    return [line.split() for line in (first + rest).decode().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("n_kills", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_a_witness_that_is_killed_never_lets_out_two_heads_of_one_size(folder, n_kills):
    chance, roots = random.Random(8), {}
    for _ in range(n_kills):
        try:
            told = _run_and_kill(folder, chance.random() * 0.3)
        finally:
            store = WitnessStore(folder)
            head = store.head(ORIGIN)
            store.close()
        for size, root, _ in told:
            assert roots.setdefault(size, root) == root
            assert int(size) <= head.size
    assert roots
