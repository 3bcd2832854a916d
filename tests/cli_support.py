"""What the tests of the command line share: a complete home without HSMs, a service in this process, a runner."""

import asyncio
import json
import socket
import ssl
from contextlib import contextmanager

from click.testing import CliRunner

from api_support import ACCOUNT, FakeKeyService
from fresh_database import fresh_database
from http_support import serve
from strongroom.api import Handler
from strongroom.cli import root_command
from strongroom.config import (
    ClusterConfig,
    Config,
    Home,
    MemberConfig,
    PinSource,
    ServiceConfig,
    render_config,
)
from strongroom.core import Secret, SystemClock
from strongroom.service import Credential
from strongroom.storage import MemberRecord, RootRecord, Store
from strongroom.wiring.development_tls import make_development_tls, write_private

ACCESS_KEY = "AKIATESTSOFTHECLI"
SECRET_KEY = "a-secret/that+only;env'may\"print"
PINS = (b"pin-of-alpha-17", b"pin-of-beta-17")
ROOT = RootRecord(bytes(16), 1, "CKA_CHECK_VALUE", "dc95c0", b"blob", bytes(32), 1.0)


def run(*arguments, **environment):
    """Run a command in this process; the environment variables are set for it alone."""
    return CliRunner().invoke(root_command, [str(argument) for argument in arguments], env=environment)


def make_home(root, *, port=8443, tls=True, profile="softhsm2", module=None):
    """Make a home that is complete but for the tokens of its members."""
    home = Home(root)
    for folder in (home.root, home.pins, home.tokens, home.audit):
        folder.mkdir(mode=0o700)
    for name, pin in zip(("alpha", "beta"), PINS, strict=True):
        write_private(home.pins / name, pin)
    make_development_tls(home.tls, clock=SystemClock())
    key = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
    write_private(home.development_access_key, json.dumps(key).encode())
    members = [
        MemberConfig(
            name=name,
            profile=profile,
            pin=PinSource(file=f"pins/{name}"),
            token_label=f"strongroom-{name}",
            module=module,
            environment={"SOFTHSM2_CONF": f"{{home}}/tokens/{name}.conf"},
        )
        for name in ("alpha", "beta")
    ]
    config = Config(
        version=1, service=ServiceConfig(port=port, tls=tls), cluster=ClusterConfig(members=members)
    )
    home.config_file.write_text(render_config(config))
    fresh_database(home.database)
    return home


def record_cluster(home):
    """Put a root key and two members into the database."""

    async def write(store):
        await store.write(lambda tx: tx.insert_root(ROOT))
        for position, name in enumerate(("alpha", "beta")):
            record = MemberRecord(name, "softhsm2", f"{position:016x}", name, position)
            await store.write(lambda tx, record=record: tx.insert_member(record))

    store = Store.open(home.database)
    try:
        asyncio.run(write(store))
    finally:
        store.close()


class AdjustableHealth:
    """A HealthSource that says what the test wants."""

    def __init__(self):
        self.reasons = []
        self.members = [
            {
                "name": "alpha",
                "worker": 0,
                "state": "active",
                "generation": 1,
                "reason": "",
                "pid": 4_100_001,
            },
            {"name": "beta", "worker": 0, "state": "active", "generation": 2, "reason": "", "pid": 4_100_002},
        ]

    def roots(self):
        return {"roots": [], "rotation": None}

    def readiness(self):
        return self.reasons

    def status(self):
        return {
            "version": "0.0-test", "not_ready": self.reasons, "members": self.members, "failovers": 3,
            "cached_keks": 5, "audit_entries": 7, "audit_failure": None,
        }  # fmt: skip

    def metrics(self):
        return ""


class ServedApi:
    """The API over TLS on a loopback port, with a key service in memory behind it."""

    def __init__(self):
        self.port = 0
        self.service = FakeKeyService(SystemClock())
        self.health = AdjustableHealth()
        self.reset()

    def reset(self):
        """Begin anew, at the same port."""
        self.service.__init__(SystemClock())
        self.service.credentials = {
            ACCESS_KEY: Credential(ACCESS_KEY, "user/developer", Secret(SECRET_KEY.encode()))
        }
        self.health.__init__()


@contextmanager
def served(home):
    """Serve the API with the certificate of a home."""
    running = ServedApi()
    handler = Handler(running.service, running.health, clock=SystemClock(), account_id=ACCOUNT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.tls / "server.pem", home.tls / "server.key")
    with serve(handler, tls=context) as serving:
        running.port = serving.port
        yield running


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
