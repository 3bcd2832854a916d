"""Role by verb, at every door of one running service: the AWS edge, the admin API, and the command line; each refusal is in the log."""

import base64
import json
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from cli_support import run
from role_requests import COMMANDS, INVENTORY, every_request, may
from running_service import RunningService, copy_home
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
from strongroom.custody import OfficerPrivateKey, make_enrolment
from strongroom.service import Role

DENIED = "AccessDeniedException"
NOBODY = "none"
"""The principal without a role."""
UNREAD = {"ValidationException", "SerializationException", "UnknownOperationException"}
"""What shows that a request never came to the decision."""
LIMIT_S = 60.0


class Caller(NamedTuple):
    role: str
    access_key_id: str
    secret: str

    @property
    def principal(self) -> str:
        return f"user/{self.role}"


class Table:
    """The service, a principal of each role, and every refusal that was told."""

    def __init__(self, service: RunningService) -> None:
        self.service = service
        self.here = {"STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port)}
        self.callers = [self._made(role) for role in (*map(str, Role), NOBODY)]
        self.told: Counter[tuple[str, str]] = Counter()
        key = json.loads(service.home.development_access_key.read_bytes())
        self.officer = Caller("developer", key["access_key_id"], key["secret_access_key"])
        for caller in self.callers:
            self._until_known(caller)

    def _made(self, role: str) -> Caller:
        roles = () if role == NOBODY else ("--role", role)
        done = run("principals", "create", f"user/{role}", *roles, "--json", **self.here)
        assert done.exit_code == 0, done.output
        made = json.loads(done.output)
        return Caller(role, made["access_key_id"], made["secret_access_key"])

    def _until_known(self, caller: Caller) -> None:
        deadline = time.monotonic() + LIMIT_S
        with self.client(caller) as client:
            while self._code(client) == "UnrecognizedClientException":
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def _code(self, client: ServiceClient) -> str:
        try:
            client.read("/api/v1/health", dict)
        except RequestRefusedError as error:
            return error.code
        return ""

    def client(self, caller: Caller) -> ServiceClient:
        endpoint = Endpoint("https", "localhost", self.service.port, self.service.home.tls / "ca.pem")
        access_key = AccessKey(caller.access_key_id, Secret(caller.secret.encode()))
        return ServiceClient(Service(endpoint, access_key, "us-east-1"), clock=SystemClock())

    def environment(self, caller: Caller) -> dict[str, str]:
        return {
            **self.here,
            "AWS_ENDPOINT_URL": self.service.url,
            "AWS_ACCESS_KEY_ID": caller.access_key_id,
            "AWS_SECRET_ACCESS_KEY": caller.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CA_BUNDLE": str(self.service.home.tls / "ca.pem"),
        }

    def tell(self, caller: Caller, words: str) -> bool:
        """Note what a refusal says; whether it is one."""
        found = re.search(r"not authorized to perform: kms:(\w+)", words)
        if found is None:
            return False
        self.told[caller.principal, found[1].removesuffix("From").removesuffix("To")] += 1
        return True

    def recorded(self) -> Counter[tuple[str, str]]:
        """The refusals in the audit log: principal and verb of each."""
        return Counter(
            (entry.principal, entry.event.partition(".")[2])
            for entry in read_entries(self.service.home.audit)
            if entry.outcome == "AccessDeniedError"
        )


@pytest.fixture(scope="module")
def table(initialised_home, tmp_path_factory):
    home = copy_home(initialised_home, tmp_path_factory.mktemp("roles") / "home")
    with RunningService(home) as running:
        running.start()
        yield Table(running)


def refusal(client: ServiceClient, request) -> tuple[str, str]:
    """Send a request; return code and message of its refusal, nothing of its success."""
    try:
        if request.method == "GET":
            client.read(request.path, msgspec.Raw)
        else:
            read_answer(client.exchange(Outgoing(request.path, request.headers, request.body)), msgspec.Raw)
    except RequestRefusedError as error:
        return error.code, str(error)
    return "", ""


def test_each_role_may_at_each_operation_and_route_what_the_table_says(table):
    wrong, told = [], Counter()
    requests = list(every_request())
    for caller in table.callers:
        with table.client(caller) as client:
            for request in requests:
                code, message = refusal(client, request)
                is_denied = code == DENIED and table.tell(caller, message)
                told[caller.role] += is_denied
                if is_denied is may(caller.role, request.verbs) or code in UNREAD:
                    wrong.append((caller.role, request.door, request.operation, code, message))
    assert not wrong, "\n".join(map(str, wrong))
    everybody = sum(may(NOBODY, request.verbs) for request in requests)
    assert told[NOBODY] == len(requests) - everybody
    assert 0 < told["crypto-officer"] < told["auditor"] < told[NOBODY]
    assert table.recorded() == table.told


def test_each_role_may_by_each_command_what_the_table_says(table, tmp_path):
    files = Files(table, tmp_path)
    wrong = []
    for caller in table.callers:
        environment = table.environment(caller)
        for command in COMMANDS:
            done = run(*files.filled_in(command), **environment)
            is_denied = table.tell(caller, done.output)
            if is_denied is may(caller.role, command.verbs) or (is_denied and not done.exit_code):
                wrong.append((caller.role, command.name, done.exit_code, done.output))
    assert not wrong, "\n".join(map(str, wrong))
    assert table.recorded() == table.told


class Files:
    """What commands work on: keys, and files."""

    def __init__(self, table: Table, folder) -> None:
        self._folder = folder
        self._n_new = 0
        self._keys: dict[str, str] = {}
        self._table = table
        clear, sealed, lines = folder / "clear", folder / "sealed", folder / "lines"
        clear.write_bytes(b"text")
        key = self.key("encrypt")
        done = run("encrypt", clear, "--key", key, "--output", sealed, **table.environment(table.officer))
        assert done.exit_code == 0, done.output
        with table.client(table.officer) as client:
            members = {"KeyId": key, "Plaintext": base64.b64encode(b"x").decode()}
            made = client.call("Encrypt", members, dict)
        lines.write_text(json.dumps({"c": made["CiphertextBlob"]}) + "\n")
        inventory = folder / "inventory"
        inventory.write_bytes(INVENTORY.file())
        self._named = {"FILE": clear, "SEALED": sealed, "LINES": lines, "INVENTORY": inventory}
        self._named |= {"DATABASE": f"sqlite:///{_table(folder / 'table.db', made['CiphertextBlob'])}"}
        self._named |= _officer_files(folder)

    def key(self, command: str) -> str:
        """Return the key of a command: one each, for some are of no use afterwards."""
        if command not in self._keys:
            with self._table.client(self._table.officer) as client:
                made: dict[str, Any] = client.call("CreateKey", {}, dict)
            self._keys[command] = made["KeyMetadata"]["KeyId"]
        return self._keys[command]

    def filled_in(self, command) -> list[str]:
        self._n_new += 1
        values = {**self._named, "NEW": self._folder / f"new-{self._n_new}"}
        if "KEY" in command.arguments:
            values["KEY"] = self.key("encrypt" if command.name.startswith("rewrap ") else command.name)
        return [str(values.get(word, word)) for word in command.arguments]


def _table(path: Path, ciphertext: str) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, c TEXT)")
        database.execute("INSERT INTO t VALUES (1, ?)", (ciphertext,))
        database.commit()
    return path


def _officer_files(folder: Path) -> dict[str, Path]:
    """The files of somebody who would be an officer."""
    key = OfficerPrivateKey.generate()
    enrolment, public = folder / "enrolment", folder / "key.pub"
    enrolment.write_bytes(make_enrolment("anna", "Anna", [key], recipient="", now=0))
    public.write_text(key.public.line)
    return {"ENROLMENT": enrolment, "PUBLIC": public}
