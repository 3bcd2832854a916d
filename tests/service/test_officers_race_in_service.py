"""Two API processes of one service, over HTTPS: whoever races for what officers approved, or for the deciding signature, it happens once."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from fakes_custody import CO, key_of, person
from running_service import configure, copy_home
from strongroom.audit import read_entries
from strongroom.client import (
    AccessKey,
    Endpoint,
    Outgoing,
    RequestRefusedError,
    Service,
    ServiceClient,
    read_answer,
)
from strongroom.core import Secret, SystemClock
from strongroom.custody import NAMESPACE_APPROVAL, armour
from strongroom.storage import ReadOnlyStore

pytestmark = pytest.mark.softhsm
JSON = {"Content-Type": "application/json"}


class NeverIdle(SystemClock):
    """So that a client keeps its one connection, and with it the process that serves it."""

    def monotonic(self):
        return 0.0


class Racers:
    """A connection to each API process."""

    def __init__(self, ready, service):
        self.home = ready.home
        found = {}
        self._all = []
        while len(found) < 2:
            assert len(self._all) < 64, "one process alone takes every connection"
            client = self._client(service, ready.access_key("user/cleo"))
            client.call("ListKeys", {}, dict)
            found.setdefault(self._writer(), client)
        self.clients = list(found.values())

    def _client(self, service, key):
        endpoint = Endpoint("https", "localhost", service.port, self.home.tls / "ca.pem")
        access_key = AccessKey(key["access_key_id"], Secret(key["secret_access_key"].encode()))
        self._all.append(ServiceClient(Service(endpoint, access_key, "us-east-1"), clock=NeverIdle()))
        return self._all[-1]

    def _writer(self):
        """Which process answered last."""
        return [entry.writer for entry in read_entries(self.home.audit) if entry.event == "kms.ListKeys"][-1]

    def close(self):
        for client in self._all:
            client.close()

    def race(self, *works):
        """Do works at the same moment; returns what each came to: an answer, or the code of a refusal."""
        ready = threading.Barrier(len(works))

        def run(work):
            ready.wait(60)
            try:
                return work()
            except RequestRefusedError as error:
                return error.code

        with ThreadPoolExecutor(len(works)) as threads:
            return list(threads.map(run, works))


def send(client, path, body):
    data = msgspec.json.encode(body)
    return read_answer(client.exchange(Outgoing(f"/api/v1/approvals{path}", JSON, data)), dict)


def sign(client, approval, officer):
    document = client.read(f"/api/v1/approvals/{approval}", dict)["document"].encode()
    signature = armour(key_of(officer).sign(document, NAMESPACE_APPROVAL)).decode()
    return lambda: send(client, f"/{approval}/approve", {"signature": signature})["did"]


@pytest.fixture
def racers(made_by_script, tmp_path):
    ready = made_by_script.ready
    ready = ready._replace(home=copy_home(ready.home.root, tmp_path / "home"))
    configure(ready.home, section="service", processes=2)
    with ready.service() as service:
        service.start()
        found = Racers(ready, service)
        yield found
        found.close()


def test_what_officers_approved_or_decide_happens_once_through_whichever_process(racers):
    one, other = racers.clients
    store = one.call(
        "CreateCustomKeyStore",
        {"CustomKeyStoreName": "hsm", "CloudHsmClusterId": "cluster-strongroomhsms"},
        dict,
    )["CustomKeyStoreId"]
    one.call("ConnectCustomKeyStore", {"CustomKeyStoreId": store}, dict)

    def create(client):
        members = {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store}
        return client.call("CreateKey", members, dict)["KeyMetadata"]["KeyId"]

    with pytest.raises(RequestRefusedError, match="approv") as waits:
        create(one)
    (approval,) = set(re.findall("[0-9a-f]{12,64}", str(waits.value)))
    assert sign(one, approval, "dora")() == "decided"
    made = racers.race(lambda: create(one), lambda: create(other))
    assert made.count("AccessDeniedException") == 1, made
    assert one.call("ListKeys", {}, dict)["Keys"][0]["KeyId"] in made
    assert len(one.call("ListKeys", {}, dict)["Keys"]) == 1

    for name, signed, pair in (("emil", ("anna",), ("ben", "ben")), ("finn", (), ("anna", "ben"))):
        newcomer = msgspec.to_builtins(person(name, (CO,)))
        approval = send(one, "", {"verb": "AddOfficer", "parameters": {"person": newcomer}})["id"]
        assert [sign(one, approval, officer)() for officer in signed] == ["counted"] * len(signed)
        decided = racers.race(sign(one, approval, pair[0]), sign(other, approval, pair[1]))
        assert decided.count("changed") == 1, decided
    with ReadOnlyStore.open(racers.home.database) as reader:
        assert len(reader.get_custody_documents()) == 3
