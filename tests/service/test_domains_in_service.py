"""Domains as their users have them: unmodified boto3, the command line, SoftHSM members, kill -9 in the middle of a rotation."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from running_service import RunningService, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.storage import ReadOnlyStore

TAG = [{"TagKey": "strongroom:domain", "TagValue": "tenant-7"}]
N_KEYS = 150
LIMIT_S = 120.0

# The connections of a service that was killed are left in boto3's pools, half open.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    with RunningService(copy_home(initialised_home, tmp_path_factory.mktemp("domains") / "home")) as running:
        running.start()
        yield running


@pytest.fixture
def store(service):
    with ReadOnlyStore.open(service.home.database) as opened:
        yield opened


def strongroom(service, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments, "--json"],
        env={**os.environ, "STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return json.loads(done.stdout)


def wait_until(condition):
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def make_key(kms):
    key_id = kms.create_key(Tags=TAG)["KeyMetadata"]["KeyId"]
    return key_id, kms.encrypt(KeyId=key_id, Plaintext=key_id.encode())["CiphertextBlob"]


def rotate_and_kill_in_the_middle(service, store):
    """Ask for a rotation and kill everything when some of its keys have moved; again, if it was over before that."""
    for _ in range(10):
        strongroom(service, "domains", "rotate", "tenant-7")
        while replaced := store.list_replaced_domains():
            if 0 < replaced[0].key_count < replaced[0].n_to_move:
                service.kill_everything()
                return
            time.sleep(0.002)
    pytest.fail("no rotation could be caught in its middle")


def test_a_rotation_killed_in_the_middle_is_finished_by_the_next_start_and_no_key_is_lost(service, store):
    strongroom(service, "domains", "create", "tenant-7")
    kms = service.client(max_pool_connections=8)
    with ThreadPoolExecutor(8) as pool:
        made = dict(pool.map(lambda _: make_key(kms), range(N_KEYS)))
    kms.close()
    moved = strongroom(service, "keys", "move", next(iter(made)), "--domain", "dedicated")
    assert moved["domain"]["kind"] == "dedicated"

    def work():
        """Make and rotate keys until the service is gone; what was answered is acknowledged."""
        client = service.client(connect_timeout=1)
        try:
            for _ in itertools.count():
                key_id, blob = make_key(client)
                made[key_id] = blob
                client.rotate_key_on_demand(KeyId=key_id)
        except (BotoCoreError, ClientError):
            pass
        finally:
            client.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        rotate_and_kill_in_the_middle(service, store)
    finally:
        worker.join(LIMIT_S)
    assert not worker.is_alive()
    service.start()
    wait_until(lambda: not store.list_replaced_domains())
    kms = service.client()
    for key_id, blob in made.items():
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == key_id.encode()
        kms.encrypt(KeyId=key_id, Plaintext=b"after")
    kms.close()
    shown = strongroom(service, "domains", "show", "tenant-7")
    assert shown["replaces"] is None
    assert shown["n_keys"] >= len(made) - 1
    assert shown["n_keys"] == len(store.list_keys_in_domain(shown["domain_id"], after="", limit=10_000))
    verify_log(service.home.audit)
    ends = [
        entry
        for entry in read_entries(service.home.audit)
        if entry.event == "keyring.FinishDomainRotation" and entry.kind == "outcome"
    ]
    assert ends[-1].outcome == "ok"


def test_secrets_of_access_keys_come_under_a_new_kek_and_their_owners_notice_nothing(service, store):
    (old,) = [domain for domain in store.list_domains(after="", limit=10) if domain.kind == "credentials"]
    rotated = strongroom(service, "domains", "rotate", old.domain_id)
    wait_until(lambda: store.get_domain(old.domain_id) is None)
    kms = service.client()
    kms.list_keys()
    service.kill_everything()
    service.start()  # which unwraps them anew
    assert strongroom(service, "domains", "show", rotated["domain_id"])["n_keys"] == 1
    kms.close()
