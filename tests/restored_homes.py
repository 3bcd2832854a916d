"""A cluster with officers that was backed up and is gone, and homes that are restored from its bundle."""

import asyncio
import base64
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from backup_sets import Custodians, make_set
from fakes_custody import key_of
from running_service import copy_home
from scripted_homes import LIMIT_S, Prepared, approve_all
from strongroom.backup import write_set
from strongroom.config import Home, load_config
from strongroom.core import ApprovalRequiredError, Secret
from strongroom.custody import armour
from strongroom.wiring.pin_sealing import read_pin

PROGRAM = Path(__file__).with_name("restore_program.py")
CONTEXT = {"tenant": "7"}
PLAINTEXT = b"before the HSMs were gone"
SCRIPT = """
version = 1
cluster = { name = "production" }
tls = { make_for = ["localhost", "127.0.0.1"] }
service = { port = 8443 }
[[members]]
name = "gamma"
profile = "softhsm2"
[[members]]
name = "alpha"
profile = "softhsm2"
"""
"""One member has a new name, the other that of one who is gone."""
SCRIPT_OF_ONE = SCRIPT[: SCRIPT.rindex("[[members]]")]


class Lost(NamedTuple):
    """What is left of a cluster: a bundle, the document of its set, shares, what its callers remember."""

    folder: Path
    ready: Prepared
    bundle: Path
    set_file: Path
    custodians: Custodians
    key_id: str
    sealed: bytes
    access_key: dict[str, str]

    def restored(self, name: str = "restored", script: str = SCRIPT) -> "Restored":
        """A restore into a folder of its own."""
        folder = self.folder / name
        (folder / "shares").mkdir(parents=True)
        (folder / "signatures").mkdir()
        (folder / "restore.toml").write_text(script)
        return Restored(self, folder, self.ready._replace(folder=folder, home=Home(folder / "home")))


class Restored(NamedTuple):
    """A restore on its way."""

    lost: Lost
    folder: Path
    ready: Prepared

    @property
    def home(self) -> Home:
        return self.ready.home

    @property
    def request(self) -> Path:
        return self.folder / "restore-request.json"

    def bring_shares(self, *names: str) -> None:
        for name in names:
            path = self.folder / "shares" / name
            path.write_text(self.lost.custodians.sheets[name])
            path.chmod(0o600)

    def sign(self, *officers: str) -> None:
        """What ``strongroom approvals sign`` writes."""
        for name in officers:
            signature = key_of(name).sign(self.request.read_bytes(), "approval@strongroom")
            (self.folder / "signatures" / f"{name}.sig").write_bytes(armour(signature))

    def run(self, *more: object) -> subprocess.CompletedProcess[str]:
        """The command, with the shares and signatures that are there."""
        shares = [part for path in sorted((self.folder / "shares").iterdir()) for part in ("--share", path)]
        signed = sorted((self.folder / "signatures").iterdir())
        signatures = [part for path in signed for part in ("--signature", path)]
        return self.ready.strongroom(
            *("backup", "restore", self.lost.bundle, "--set", self.lost.set_file),
            *("--script", self.folder / "restore.toml", "--request", self.request, "--json"),
            *(*shares, *signatures, *more),
        )

    def killed_at(self, point: str) -> subprocess.CompletedProcess[str]:
        """Restore in a process that kills itself at a point (``restore_program``)."""
        return subprocess.run(
            [
                *(sys.executable, PROGRAM, self.home.root, self.lost.bundle, self.lost.set_file),
                *(self.folder / "restore.toml", self.request, self.folder / "signatures"),
                *(self.folder / "shares", point),
            ],
            capture_output=True,
            text=True,
            env=self.ready.environment(),
            timeout=LIMIT_S,
            check=False,
        )

    def leaks(self, *custodians: str, said: Sequence[str]) -> list[str]:
        """Where a PIN, a share or the share key stands that a restore used, but for the shares that were brought."""
        members = load_config(self.home.root).cluster.members
        share_key = self.lost.custodians.share_key(*custodians).reveal()
        secrets = [share_key, *(read_pin(member, self.home).reveal() for member in members)]
        secrets += [pin.encode() for pin in self.ready.so_pins().values()]
        secrets += [" ".join(self.lost.custodians.sheets[name].split()[4:8]).encode() for name in custodians]
        forms = [form for one in secrets for form in (one, one.hex().encode(), base64.b64encode(one))]
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.parent.name != "shares"]
        found = [str(path) for path in files if any(form in path.read_bytes() for form in forms)]
        return found + [text for text in said if any(form in text.encode() for form in forms)]

    def client(self, service):
        """boto3 with an access key from before."""
        keys = Home(self.home.root).access_keys
        keys.mkdir(exist_ok=True)
        for name in ("user-app.json", "user-cleo.json"):
            shutil.copy(self.lost.folder / "access-keys" / name, keys / name)
        return self.ready.client(service, "user/app")

    def decrypts(self, service) -> bool:
        """Whether the old ciphertext opens."""
        answer = self.client(service).decrypt(
            CiphertextBlob=self.lost.sealed, KeyId=self.lost.key_id, EncryptionContext=CONTEXT
        )
        return answer["Plaintext"] == PLAINTEXT


async def _make_set(ready: Prepared, custodians: Custodians):
    pins = ready.so_pins()

    def present(member):
        return Secret(pins[member.name].encode())

    with contextlib.suppress(ApprovalRequiredError):
        await make_set(ready.home, custodians, so_pin=present)
    await approve_all(ready.home, "anna", "ben")
    return await make_set(ready.home, custodians, so_pin=present)


def lose_a_cluster(template: Prepared, folder: Path) -> Lost:
    """Copy a home with officers, use it, back it up, and remove it with its tokens."""
    ready = template._replace(home=copy_home(template.home.root, folder / "gone"))
    custodians = Custodians()
    backup_set = asyncio.run(_make_set(ready, custodians))
    (folder / "set.json").write_bytes(write_set(backup_set))
    bundle = folder / "home.bundle"
    with ready.service() as service:
        service.start()
        key_id = ready.client(service, "user/cleo").create_key()["KeyMetadata"]["KeyId"]
        sealed = ready.client(service, "user/app").encrypt(
            KeyId=key_id, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT
        )["CiphertextBlob"]
        waiting = ready.strongroom("backup", "create", "--output", bundle)
        assert waiting.returncode == 1, waiting.stdout + waiting.stderr
        asyncio.run(approve_all(ready.home, "cleo"))
        made = ready.strongroom("backup", "create", "--output", bundle)
        assert made.returncode == 0, made.stderr
        service.stop()
    shutil.copytree(ready.home.access_keys, folder / "access-keys")
    access_key = ready.access_key("user/app")
    shutil.rmtree(ready.home.root)
    return Lost(folder, ready, bundle, folder / "set.json", custodians, key_id, bytes(sealed), access_key)


def without_officers(template: Path, folder: Path) -> Restored:
    """A development home that was backed up and is gone, and what restores it."""
    home = copy_home(template, folder / "gone")
    ready = Prepared(folder, home, folder / "none", folder / "none", {})
    custodians = Custodians()
    backup_set = asyncio.run(make_set(home, custodians))
    (folder / "set.json").write_bytes(write_set(backup_set))
    bundle = folder / "home.bundle"
    key = msgspec.json.decode(home.development_access_key.read_bytes())
    with ready.service() as service:
        service.start()
        client = service.client()
        key_id = client.create_key()["KeyMetadata"]["KeyId"]
        sealed = client.encrypt(KeyId=key_id, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT)[
            "CiphertextBlob"
        ]
        made = ready.strongroom("backup", "create", "--output", bundle)
        assert made.returncode == 0, made.stderr
        service.stop()
    (folder / "access-keys").mkdir()
    for name in ("user-app", "user-cleo"):
        (folder / "access-keys" / f"{name}.json").write_bytes(msgspec.json.encode(key))
    shutil.rmtree(home.root)
    lost = Lost(folder, ready, bundle, folder / "set.json", custodians, key_id, bytes(sealed), key)
    return lost.restored()
