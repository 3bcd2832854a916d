"""The admin API of a whole service: tokens of an issuer that serves its keys by HTTPS, client certificates, and what the audit log says."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from client_certificates import make_certificate
from issuer_server import KeyServer, serving_keys
from oidc_support import AUDIENCE, ISSUER, IssuedKey, Issuer, claims_at
from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.config import ClientConfig

LIMIT_S = 60.0
CHECKS = [
    not_a_server_error, content_type_conformance, negative_data_rejection, response_schema_conformance, status_code_conformance,
]  # fmt: skip
OIDC = """
[oidc]
issuer = "{issuer}"
audience = "{audience}"
jwks_url = "https://localhost:{port}/keys"
jwks_ca_file = "tls/ca.pem"
retry_s = 0.1
callers = [
    {{ value = "alice", principal = "user/alice", roles = ["crypto-officer", "crypto-user", "operator"] }},
    {{ claim = "groups", value = "operators", principal = "role/operators", roles = ["operator"] }},
]
"""


class Running:
    def __init__(self, service: RunningService, keys: KeyServer, issuer: Issuer) -> None:
        self.service, self.keys, self.issuer = service, keys, issuer
        self.ca_file = str(service.home.tls / "ca.pem")
        self.tokens: list[str] = []

    def token(self, key: IssuedKey | None = None, **claims: Any) -> str:
        made: str = (key or self.issuer.main).token(claims_at(int(time.time()), **claims))
        self.tokens.append(made)
        return made

    def ask(
        self,
        path: str,
        token: str | None = None,
        *,
        certificate: Path | None = None,
        body: bytes | None = None,
    ) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        answer = requests.request(
            "GET" if body is None else "POST", f"{self.service.url}/api/v1/{path}", headers=headers, data=body,
            cert=None if certificate is None else str(certificate), verify=self.ca_file, timeout=LIMIT_S,
        )  # fmt: skip
        return answer.status_code, answer.json()

    def until(self, status: int, path: str, token: str) -> Any:
        """Ask until it is answered so: keys are read beside requests."""
        deadline = time.monotonic() + LIMIT_S
        while (answer := self.ask(path, token))[0] != status:
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        return answer[1]


@pytest.fixture(scope="module")
def running(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("admin")
    home, issuer = copy_home(initialised_home, folder / "home"), Issuer()
    ca = make_certificate(home.tls, "client-ca", "clients")
    make_certificate(home.tls, "alice", "alice", ca)
    clients = [ClientConfig(identity="cn:alice", principal="user/alice", roles=["operator"])]
    configure(home, section="service", tls_client_ca="tls/client-ca.pem", clients=clients)
    with serving_keys(home.tls) as keys:
        keys.answer = (200, {}, issuer.key_set())
        oidc = OIDC.format(issuer=ISSUER, audience=AUDIENCE, port=keys.server_port)
        text = home.config_file.read_text()
        head, members, rest = text.partition("\n[[cluster.members]]")
        home.config_file.write_text(f"{head}\n{oidc}{members}{rest}")
        with RunningService(home) as service:
            service.start()
            yield Running(service, keys, issuer)


def test_token_certificate_and_signature_are_of_the_same_principals(running: Running) -> None:
    alice = running.until(200, "caller", running.token())
    assert (alice["principal"], alice["credential"]) == ("user/alice", "oidc:sub=alice")
    _, operator = running.ask("caller", running.token(sub="bob", groups=["operators"]))
    assert (operator["principal"], operator["credential"]) == ("role/operators", "oidc:groups=operators")
    _, by_certificate = running.ask("caller", certificate=running.service.home.tls / "alice.pem")
    assert (by_certificate["principal"], by_certificate["credential"]) == ("user/alice", "cn:alice")
    assert "Encrypt" in alice["verbs"]
    assert "Encrypt" not in by_certificate["verbs"]


def test_roles_hold_for_tokens_and_the_log_says_whose_they_were(running: Running) -> None:
    key_id = running.service.client().create_key()["KeyMetadata"]["KeyId"]
    running.until(200, f"keys/{key_id}", running.token())
    status, refused = running.ask(
        f"keys/{key_id}/compromise", running.token(sub="bob", groups=["operators"], jti="bobs"), body=b""
    )
    assert (status, refused["__type"]) == (400, "AccessDeniedException")
    status, _ = running.ask(f"keys/{key_id}/compromise", running.token(jti="alices"), body=b"")
    assert status == 200
    assert running.ask("status", running.token(key=IssuedKey("key-ES256")))[0] == 401
    audit = running.service.home.audit
    entries = {
        (entry.detail.get("token"), entry.kind): entry
        for entry in read_entries(audit)
        if entry.key_id == key_id
    }
    assert entries["bobs", "outcome"].outcome == "AccessDeniedError"
    assert entries["bobs", "outcome"].detail["token_subject"] == "bob"
    assert (entries["alices", "intent"].principal, entries["alices", "outcome"].outcome) == (
        "user/alice",
        "ok",
    )
    verify_log(audit)
    logged = b"".join(path.read_bytes() for path in audit.rglob("*") if path.is_file())
    for token in running.tokens:
        signature = token.rpartition(".")[2]
        assert signature.encode() not in logged
        assert signature not in running.service.log()


def test_keys_of_the_issuer_change_without_a_restart(running: Running) -> None:
    new = IssuedKey("key-new", "EdDSA")
    old = running.token()
    running.until(200, "caller", old)
    running.keys.answer = (200, {}, json.dumps({"keys": [new.jwk()]}).encode())
    try:
        running.until(200, "caller", running.token(key=new))
        assert running.ask("caller", old)[0] == 401
        running.keys.answer = (500, {}, b"")
        assert running.ask("caller", running.token(key=new))[0] == 200
    finally:
        running.keys.answer = (200, {}, running.issuer.key_set())
    running.until(200, "caller", running.token())


def test_the_owner_sees_who_is_configured(running: Running) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "strongroom", "principals", "list", "--json"],
        env={**os.environ, "STRONGROOM_HOME": str(running.service.home.root)},
        stdout=subprocess.PIPE, check=True, timeout=LIMIT_S,
    )  # fmt: skip
    listed = json.loads(done.stdout)
    (certificate,) = listed["certificates"]
    assert (certificate["identity"], certificate["principal"]) == ("cn:alice", "user/alice")
    assert certificate["roles"] == certificate["counting_roles"] == ["operator"]
    assert [(claim["identity"], claim["principal"]) for claim in listed["claims"]] == [
        ("oidc:sub=alice", "user/alice"),
        ("oidc:groups=operators", "role/operators"),
    ]


def test_the_description_is_one_that_generators_of_clients_read(running: Running) -> None:
    document = running.until(200, "openapi.json", running.token())
    schemathesis.openapi.from_dict(document)
    assert document["openapi"] == "3.1.0"


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_schemathesis_finds_nothing_on_the_running_service(running: Running) -> None:
    document = running.until(200, "openapi.json", running.token())
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    with requests.Session() as session:

        @settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
        @given(data=st.data())
        def ask(data: Any) -> None:
            operation = data.draw(st.sampled_from(operations))
            case = data.draw(
                operation.as_strategy(generation_mode=data.draw(st.sampled_from(GenerationMode)))
            )
            if case.media_type == "application/msgpack":
                case.media_type = "application/json"
            response = case.call(
                base_url=running.service.url, session=session, verify=running.ca_file, timeout=LIMIT_S,
                headers={"Authorization": f"Bearer {running.token()}"},
            )  # fmt: skip
            is_too_long = response.status_code in {
                413,
                414,
                431,
            }  # refused, though Schemathesis does not count it so
            checks = [check for check in CHECKS if not (is_too_long and check is negative_data_rejection)]
            case.validate_response(response, checks=checks)

        ask()
    assert running.service.client().list_keys()
