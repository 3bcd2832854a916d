"""Principals, key policies and grants on a whole service of two processes, through boto3 and the command line."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from policy_support import policy_text, statement
from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log

ACCOUNT = "123456789012"
ROOT, APP = f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/app"
LIMIT_S = 60.0


@pytest.fixture
def service(initialised_home: Path, tmp_path: Path) -> Iterator[RunningService]:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="service", processes=2)
    with RunningService(home) as running:
        running.start()
        yield running


def strongroom(service: RunningService, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments, "--json"],
        env={**os.environ, "STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return dict(json.loads(done.stdout))


def client_of(service: RunningService, made: dict[str, Any]) -> Any:
    return boto3.session.Session().client(
        "kms",
        endpoint_url=service.url,
        region_name="eu-central-1",
        aws_access_key_id=made["access_key_id"],
        aws_secret_access_key=made["secret_access_key"],
        verify=str(service.home.tls / "ca.pem"),
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )


def until_known(client: Any) -> None:
    """Wait until both processes recognise an access key: each new connection may come to either."""
    deadline, in_a_row = time.monotonic() + LIMIT_S, 0
    while in_a_row < 20:
        assert time.monotonic() < deadline
        client.close()
        code = refusal(client.list_keys)
        in_a_row = 0 if code == "UnrecognizedClientException" else in_a_row + 1
        if not in_a_row:
            time.sleep(0.1)


def refusal(call: Any) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_principal_comes_is_let_in_by_grant_and_policy_and_goes(service: RunningService) -> None:
    officer = service.client()
    key = officer.create_key()["KeyMetadata"]["KeyId"]
    made = strongroom(service, "principals", "create", "user/app")
    app = client_of(service, made)
    until_known(app)

    def encrypt(context: dict[str, str] | None = None) -> str:
        app.close()  # so that it may come to the other process
        return refusal(lambda: app.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context or {}))

    assert encrypt() == "AccessDeniedException"
    granted = officer.create_grant(
        KeyId=key,
        GranteePrincipal=APP,
        Operations=["Encrypt"],
        Constraints={"EncryptionContextSubset": {"a": "1"}},
    )
    for _ in range(6):
        assert encrypt({"a": "1", "b": "2"}) == ""
        assert encrypt({"a": "2"}) == "AccessDeniedException"
    checked = strongroom(
        service,
        "keys",
        "policy-check",
        key,
        "--principal",
        "user/app",
        "--action",
        "Encrypt",
        "--context",
        "a=1",
    )
    (decision,) = checked["decisions"]
    assert (decision["ground"], decision["grant_id"]) == ("grant", granted["GrantId"])
    deny = statement("Deny", principal=APP, action="kms:Encrypt", Sid="not any more")
    officer.put_key_policy(KeyId=key, Policy=policy_text(statement(principal=ROOT), deny))
    assert [encrypt({"a": "1"}) for _ in range(6)] == ["AccessDeniedException"] * 6
    checked = strongroom(
        service, "keys", "policy-check", key, "--principal", "user/app", "--action", "Encrypt"
    )
    assert (checked["decisions"][0]["ground"], checked["decisions"][0]["sid"]) == ("denied", "not any more")
    officer.put_key_policy(KeyId=key, Policy=policy_text(statement(principal=ROOT), statement(principal=APP)))
    assert [encrypt() for _ in range(6)] == [""] * 6
    strongroom(service, "principals", "disable", made["access_key_id"])
    assert {encrypt() for _ in range(6)} == {"UnrecognizedClientException"}


def test_an_access_key_is_rotated_and_its_last_use_is_known_afterwards(service: RunningService) -> None:
    first = strongroom(service, "principals", "create", "user/other", "--role", "operator")
    second = strongroom(service, "principals", "rotate", first["access_key_id"])
    assert (second["principal"], second["roles"]) == ("user/other", ["operator"])
    assert second["secret_access_key"] != first["secret_access_key"]
    for made in (first, second):
        until_known(client_of(service, made))
    strongroom(service, "principals", "delete", first["access_key_id"])
    assert refusal(client_of(service, first).list_keys) == "UnrecognizedClientException"
    strongroom(service, "principals", "roles", second["access_key_id"], "--role", "crypto-officer")
    assert client_of(service, second).create_key()["KeyMetadata"]["Enabled"]
    service.stop()  # at the end of a process what it knows is noted
    known = {
        entry["access_key_id"]: entry for entry in strongroom(service, "principals", "list")["access_keys"]
    }
    assert first["access_key_id"] not in known
    assert known[second["access_key_id"]]["last_used_at"] > 0
    assert known[second["access_key_id"]]["roles"] == ["crypto-officer"]
    entries = [entry for entry in read_entries(service.home.audit) if entry.event.startswith("access.")]
    assert {entry.event for entry in entries} >= {"access.CreateAccessKey", "access.DeleteAccessKey"}
    assert all(entry.principal == f"local/{os.geteuid()}" for entry in entries)
    assert verify_log(service.home.audit)
    logged = b"".join(path.read_bytes() for path in service.home.audit.rglob("*") if path.is_file())
    assert second["secret_access_key"].encode() not in logged
