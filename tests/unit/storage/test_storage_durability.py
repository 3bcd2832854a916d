"""What was acknowledged is there after kill -9; a full disk is an error and passes."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.storage import ReadOnlyStore

TESTS = Path(__file__).parents[2]

WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from strongroom.storage import Store
from unit.storage import record_makers as make

async def client(store):
    while True:
        record = make.key()
        await store.write(lambda transaction: make.insert_whole_key(transaction, record))
        print(record.key_id, flush=True)

async def main():
    with Store.open(Path(sys.argv[1])) as store:
        await asyncio.gather(*(client(store) for _ in range(16)))

asyncio.run(main())
"""

FILL_THE_DISK = """
import asyncio, resource, sys
from pathlib import Path
from strongroom.core import StorageError
from strongroom.storage import Store
from unit.storage import record_makers as make

async def main():
    path = Path(sys.argv[1])
    with Store.open(path) as store:
        acknowledged = set()

        async def write():
            record = make.key(description="d" * 4000)
            await store.write(lambda transaction: make.insert_whole_key(transaction, record))
            acknowledged.add(record.key_id)

        await write()
        log = path.with_name(path.name + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 60_000, resource.RLIM_INFINITY))
        failures = []
        while len(failures) < 20:
            outcomes = await asyncio.gather(*(write() for _ in range(4)), return_exceptions=True)
            failures += [outcome for outcome in outcomes if outcome is not None]
        assert all(type(failure) is StorageError for failure in failures), failures
        assert all(failure.next_step for failure in failures)
        stored = {record.key_id for record in store.list_keys(after=None, limit=1000)}
        assert stored == acknowledged, "while the disk is full"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await asyncio.gather(*(write() for _ in range(8)))
        stored = {record.key_id for record in store.list_keys(after=None, limit=1000)}
        assert stored == acknowledged, "afterwards"
        print(len(acknowledged), failures[0])

asyncio.run(main())
"""


def python(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(TESTS)},
        **options,
    )


def run_and_kill(path, lines):
    """Let a writer acknowledge that many keys, kill it, and return all that it acknowledged."""
    with python(WRITE_UNTIL_KILLED, path) as process:
        try:
            acknowledged = [process.stdout.readline() for _ in range(lines)]
        finally:
            process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.readlines()
        complaints = process.stderr.read()
    assert complaints == ""
    # The last line may have been cut by the kill.
    return {line.strip() for line in acknowledged if line.endswith("\n")}


@pytest.mark.parametrize("rounds", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_every_acknowledged_key_survives_kill_9(store, path, rounds):
    store.close()
    acknowledged = set()
    for number in range(rounds):
        acknowledged |= run_and_kill(path, 20 + 97 * number)
        with ReadOnlyStore.open(path) as reopened:
            lost = {key_id for key_id in acknowledged if reopened.get_key(key_id) is None}
            assert not lost
            key_id = next(iter(acknowledged))
            assert reopened.get_key_version(key_id, 1) is not None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        # Nothing is half there: each key has its version, and the domain counts them all.
        (keys,) = connection.execute("SELECT count(*) FROM keys").fetchone()
        assert connection.execute("SELECT count(*) FROM key_versions").fetchone() == (keys,)
        assert connection.execute("SELECT key_count FROM domains").fetchone() == (keys,)


def test_a_full_disk_is_an_error_and_writing_goes_on_afterwards(store, path):
    store.close()
    with python(FILL_THE_DISK, path) as process:
        try:
            output, complaints = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, complaints
    assert "disk" in output
