"""The audit log of a whole service that dies under load: what clients were told is in it, and all of it verifies.

Chains, tree and checkpoints are checked after each death, and in the end that a sink got every entry. Deaths are kill -9 of an API process,
of main, of everything; and power failures, for which a file layer drops what was not synced.
"""

import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest

from faults.powerloss import PowerlossLayer
from running_service import RunningService, copy_home
from strongroom.audit import CheckpointFiles, read_entries, verify_log, verify_tree
from strongroom.audit._tree import tree_root
from strongroom.audit._tree_files import TreeFiles

CLIENTS = 4
ANSWERS = 40
"""At least so many between two deaths."""
LIMIT_S = 120

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Answers:
    """Clients that write down which requests were answered."""

    def __init__(self, service, key_id):
        self.requests = set()
        self._service, self._key_id = service, key_id
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def load(self):
        stop = threading.Event()
        threads = [threading.Thread(target=self._call, args=(stop,), daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(LIMIT_S)

    def wait_for_more(self, count=ANSWERS):
        wanted, end = len(self.requests) + count, time.monotonic() + LIMIT_S
        while len(self.requests) < wanted:
            assert time.monotonic() < end, self._service.log()[-5000:]
            time.sleep(0.01)

    def _call(self, stop):
        kms = self._service.client(connect_timeout=2)
        while not stop.is_set():
            try:
                answer = kms.encrypt(KeyId=self._key_id, Plaintext=b"told")
            except Exception:  # it died, or is not there yet: nobody was told anything
                time.sleep(0.02)
                continue
            with self._lock:
                self.requests.add(answer["ResponseMetadata"]["RequestId"])
        kms.close()


def require_whole(home, answers, seen):
    """Check everything; ``seen`` are the newest checkpoints that were there before each death."""
    verify_log(home.audit)
    report = verify_tree(home.audit, CheckpointFiles(home.audit).keys())
    told = {entry.request_id for entry in read_entries(home.audit) if entry.kind == "outcome"}
    missing = answers.requests - told
    assert not missing
    nodes = TreeFiles(home.audit).nodes()
    for checkpoint in seen[-3:]:
        assert checkpoint.size <= report.entries
        assert tree_root(checkpoint.size, nodes) == checkpoint.root
    return report


def newest(home):
    kept = CheckpointFiles(home.audit).last()
    return [] if kept is None else [kept.checkpoint]


def require_shipped(home):
    """Wait until the sink got every entry, and check that those of a writer came in order, some of them again."""
    wanted, end = set(), time.monotonic() + LIMIT_S
    while True:
        wanted = {(one.writer, one.seq, one.request_id) for one in read_entries(home.audit)}
        lines = []
        for line in (home.root / "lines.jsonl").read_bytes().splitlines():
            with contextlib.suppress(ValueError):  # what a crash cut short
                lines.append(json.loads(line))
        if wanted <= {(one["writer"], one["seq"], one.get("request_id", "")) for one in lines}:
            break
        assert time.monotonic() < end
        time.sleep(0.2)
    newest_of = dict.fromkeys({one["writer"] for one in lines}, 0)
    for one in lines:
        assert one["seq"] <= newest_of[one["writer"]] + 1, "an entry was left out"
        newest_of[one["writer"]] = max(newest_of[one["writer"]], one["seq"])


def die_again_and_again(home, *, rounds, layer=None):
    environment = {} if layer is None else {**layer.environment(), "PATH": os.environ["PATH"]}
    chance, seen = random.Random(8), []
    ways = ["everything"] if layer is not None else ["api", "everything", "main"]
    with RunningService(home, environment=environment) as service:
        service.start()
        kms = service.client()
        answers = Answers(service, kms.create_key()["KeyMetadata"]["KeyId"])
        kms.close()
        for number in range(rounds):
            way = ways[number % len(ways)]
            with answers.load():
                answers.wait_for_more()
                time.sleep(chance.random() / 2)
                seen += newest(home)
                if way == "api":
                    service.signal("api", signal.SIGKILL)
                    answers.wait_for_more(CLIENTS + 1)  # of the one that took its place
                elif way == "main":
                    service.signal_main(signal.SIGKILL)
                    service.kill_everything()  # waits for the others, which end by themselves
                else:
                    service.kill_everything()
            if layer is not None:
                layer.cut_power(pages=chance)
            if way != "api":
                service.start()
            require_whole(home, answers, seen)
        require_shipped(home)
        assert service.stop() == 0
    report = require_whole(home, answers, seen)
    print(
        f"{rounds} deaths: {len(answers.requests)} answers, {report.entries} entries, {report.checkpoints} checkpoints"
    )
    assert report.checkpoints


@pytest.fixture
def home(initialised_home, tmp_path):
    made = copy_home(initialised_home, tmp_path / "home")
    sink = '\n[[audit.sinks]]\nkind = "file"\nname = "lines"\npath = "lines.jsonl"\n'
    made.config_file.write_text(made.config_file.read_text() + sink)
    return made


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("rounds", [3, 200])
def test_what_was_answered_is_in_the_log_after_kill_9(home, rounds):
    die_again_and_again(home, rounds=rounds)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("rounds", [2, 200])
def test_what_was_answered_is_in_the_log_after_power_failures(home, tmp_path, rounds):
    layer = PowerlossLayer(home.root, tmp_path / "shadow", tmp_path / "build")
    layer.make_durable()
    die_again_and_again(home, rounds=rounds, layer=layer)
