"""``Client`` and ``strongroom rewrap`` before a whole service: an API process that dies, a rotated key, kill -9."""

import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from running_service import RunningService, copy_home
from strongroom import Client
from strongroom.client import Service, values
from strongroom.client import home_service as service_of_home

COUNT = 12_000
LIMIT_S = 120


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    home = copy_home(initialised_home, tmp_path_factory.mktemp("client") / "home")
    with RunningService(home) as running:
        running.start()
        kms = running.client()
        kms.create_alias(AliasName="alias/rows", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        yield running


@pytest.fixture
def here(service: RunningService) -> Service:
    found = service_of_home(service.home)
    return found._replace(endpoint=found.endpoint._replace(port=service.port))


def test_an_api_process_that_is_killed_in_the_middle_costs_no_item(
    service: RunningService, here: Service
) -> None:
    plaintexts = [b"%d" % number for number in range(COUNT)]
    with Client(here, batch_items=1_000, timeout_s=LIMIT_S) as client:
        sealed = []
        for ciphertext in values(client.encrypt_many("alias/rows", plaintexts, context={"tenant": "7"})):
            sealed.append(ciphertext)
            if len(sealed) == COUNT // 2:
                service.signal("api", signal.SIGKILL)
        opened = client.decrypt_many("alias/rows", sealed, context={"tenant": "7"})
        assert list(values(opened)) == plaintexts
    theirs = service.client().decrypt(CiphertextBlob=sealed[-1], EncryptionContext={"tenant": "7"})
    assert theirs["Plaintext"] == plaintexts[-1]


def test_stored_lines_are_rewrapped_under_the_new_version_though_the_command_is_killed(
    service: RunningService, here: Service, tmp_path: Path
) -> None:
    source, target = tmp_path / "rows.jsonl", tmp_path / "new.jsonl"
    with Client(here) as client:
        sealed = list(values(client.encrypt_many("alias/rows", (b"%d" % n for n in range(COUNT)))))
    lines = [{"id": number, "c": b64encode(one).decode()} for number, one in enumerate(sealed)]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    service.client().rotate_key_on_demand(KeyId=_key_id(service))
    command = [
        "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "strongroom", "rewrap", "lines", "-", "-o", str(target),
        "--key", "alias/rows", "--field", "c", "--batch-items", "500", "--resume", "--json",
    ]  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"], "STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port),
    }  # fmt: skip
    part = tmp_path / "new.jsonl.part"
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as first:
        assert first.stdin is not None
        # Without the end of the input it cannot be done before it is killed.
        first.stdin.write(source.read_bytes()[:1_000_000])
        first.stdin.flush()
        deadline = time.monotonic() + LIMIT_S
        while not part.exists() or part.read_bytes().count(b"\n") < 500:
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        first.kill()
    with source.open("rb") as again:
        done = subprocess.run(
            command, env=environment, stdin=again, capture_output=True, timeout=LIMIT_S, check=False
        )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["resumed"] >= 500
    assert document["rewrapped"] + document["resumed"] == document["lines"] == COUNT
    made = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert [line["id"] for line in made] == list(range(COUNT))
    anew = [b64decode(line["c"]) for line in made]
    assert not set(anew) & set(sealed)
    with Client(here) as client:
        assert list(values(client.decrypt_many("alias/rows", anew))) == [b"%d" % n for n in range(COUNT)]


def _key_id(service: RunningService) -> str:
    return str(service.client().describe_key(KeyId="alias/rows")["KeyMetadata"]["KeyId"])
