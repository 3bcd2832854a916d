"""Homes that ``strongroom init --script`` makes, with the command itself, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pyrage
import pytest
from botocore.config import Config as BotoConfig

from fakes_custody import NOW, key_of, signed_genesis
from init_scripts import script
from running_service import RunningService, require_softhsm
from strongroom.config import Home
from strongroom.storage import ApprovalSignatureRecord, ApprovalState, Store
from strongroom.wiring.init_script import genesis_body_of, parse_init_script

PROGRAM = Path(__file__).with_name("init_program.py")
LIMIT_S = 600
_KEPT = ("PATH", "STRONGROOM_SOFTHSM_MODULE", "XDG_RUNTIME_DIR", "TMPDIR", "LANG", "PYTHONPATH")


class Prepared(NamedTuple):
    """A folder with a script, the genesis that its officers signed, and the keys that open deliveries."""

    folder: Path
    home: Home
    script: Path
    genesis: Path
    identities: dict[str, Any]
    """The private halves of age's recipients, by officer."""

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "STRONGROOM_HOME": str(self.home.root)}

    def strongroom(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command line on this home."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "strongroom", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=LIMIT_S,
            check=False,
        )

    def init(self) -> subprocess.CompletedProcess[str]:
        return self.strongroom("init", "--script", self.script, "--genesis", self.genesis, "--json")

    def init_killed_at(self, point: str) -> subprocess.CompletedProcess[str]:
        """Run init in a process that kills itself at a point (``init_program``)."""
        return subprocess.run(
            [sys.executable, PROGRAM, self.home.root, self.script, self.genesis, point],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=LIMIT_S,
            check=False,
        )

    def delivered(self, path: Path, officer: str) -> Any:
        """What an officer finds in a delivery."""
        return json.loads(pyrage.decrypt(path.read_bytes(), [self.identities[officer]]))

    def so_pins(self, officer: str = "anna") -> dict[str, str]:
        """The PINs of the tokens' security officers, by member, as an officer opens them."""
        found = (self.home.custody / "deliveries").glob("*.so.first.age")
        return {
            letter["member"]: letter["pin"] for letter in (self.delivered(path, officer) for path in found)
        }

    def service(self) -> RunningService:
        """The service of this home, which is not started yet."""
        return RunningService(self.home, environment=self.environment())

    def access_key(self, principal: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(
            (self.home.access_keys / f"{principal.replace('/', '-')}.json").read_bytes()
        )
        return found

    def client(self, service: RunningService, principal: str) -> Any:
        """boto3, unmodified, with an access key that init made."""
        key = self.access_key(principal)
        return boto3.client(
            "kms",
            endpoint_url=service.url,
            region_name="us-east-1",
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=key["secret_access_key"],
            verify=str(self.home.tls / "ca.pem"),
            config=BotoConfig(retries={"total_max_attempts": 1}, read_timeout=60),
        )


def prepared(folder: Path, *changes: tuple[str, str]) -> Prepared:
    """Write the example as a script, with age recipients for the security officers, and have them sign its genesis."""
    folder.mkdir(exist_ok=True)
    identities = {name: pyrage.x25519.Identity.generate() for name in ("anna", "ben")}
    recipients = [
        (f'recipient = "{key_of(name).public.line}"', f'recipient = "{identity.to_public()}"')
        for name, identity in identities.items()
    ]
    text = script(*recipients, *changes)
    (folder / "init.toml").write_bytes(text)
    body = genesis_body_of(parse_init_script(text), cluster="0c" * 16, created=NOW)
    (folder / "genesis.json").write_bytes(signed_genesis(body))
    return Prepared(folder, Home(folder / "home"), folder / "init.toml", folder / "genesis.json", identities)


POINTS = (
    "before saving alpha=token-made",  # the token has its label and its security officer, and nobody noted it
    "copying the root KEK to member beta",  # one of them has a root
)
"""Where the run that all tests here look at is cut off, one after the other."""


class Made(NamedTuple):
    """A home that init made of blank tokens, what the last run of the command said, and all runs before."""

    ready: Prepared
    done: subprocess.CompletedProcess[str]
    killed: list[subprocess.CompletedProcess[str]]
    refused: subprocess.CompletedProcess[str]
    """``serve`` on the home before that last run."""


@pytest.fixture(scope="session")
def made_by_script(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A home that init made, cut off twice on the way; to be looked at or copied, not changed."""
    require_softhsm()
    ready = prepared(tmp_path_factory.mktemp("scripted"))
    killed = [ready.init_killed_at(point) for point in POINTS]
    refused = ready.strongroom("serve")
    return Made(ready, ready.init(), killed, refused)


async def approve_all(home: Home, *officers: str) -> None:
    """Have officers sign every request that waits, as the service keeps their signatures."""
    store = Store.open(home.database)
    try:
        for record in store.list_approvals(state=ApprovalState.OPEN, limit=10):
            signed = {row.officer for row in store.list_approval_signatures(record.id)}
            for officer in set(officers) - signed:
                signature = key_of(officer).sign(record.document, "approval@strongroom")
                row = ApprovalSignatureRecord(record.id, officer, signature, record.created_at)
                await store.write(lambda tx, row=row: tx.insert_approval_signature(row))
    finally:
        store.close()
