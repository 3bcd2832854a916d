"""A whole service with keys in many domains, each of which has encrypted its own id; and callers who use them all the time."""

import asyncio
import contextlib
import random
import threading
import time
import uuid
from functools import partial

import botocore.exceptions

from running_service import RunningService
from strongroom.config import Home, load_config
from strongroom.core import KeyState, RootId, Secret, SystemClock, random_bytes
from strongroom.hsm.cluster import HsmCluster
from strongroom.keyring import CacheLimits, KekCiphers, KeyById, Keyring
from strongroom.storage import KeyRecord, KeyVersionRecord, ReadOnlyStore, Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.principals import _table_of
from strongroom.wiring.root_door import RootRequest, ask_root
from strongroom.wiring.root_status import read_root_status

CLOCK = SystemClock()
CONTEXT = {"tenant": "blue"}
_CHUNK = 2_000
_AT_ONCE = 16
_SHARD_FULL = 1_000
"""So that keys which the service makes meanwhile go elsewhere."""


@contextlib.asynccontextmanager
async def connected(home: Home):
    """A store and the cluster of the running service, as a command of the home's owner has them."""
    config = load_config(home.root)
    cluster = HsmCluster(
        clock=CLOCK, events=RecordingEvents(), attempt_s=config.deadlines.attempt_s, report=lambda _: None
    )
    store = Store.open(home.database)
    try:
        cluster.apply(await _table_of(home))
        yield store, cluster
    finally:
        cluster.close()
        store.close()


async def fill(home: Home, *, n_domains: int, n_keys: int, say=lambda _text: None) -> dict[str, bytes]:
    """Make keys as the service does, but faster; returns what each encrypted its own id to."""
    limits = CacheLimits(3_600.0, 10, n_domains + 10, 0.0)
    async with connected(home) as (store, cluster):
        ciphers = KekCiphers(store, cluster, clock=CLOCK, limits=limits, request_s=60.0)
        root_id = RootId(store.get_current_root().root_id)
        domains = []
        while len(domains) < n_domains:
            wanted = min(_AT_ONCE, n_domains - len(domains))
            domains += await asyncio.gather(*(ciphers.new_domain(root_id, "shard") for _ in range(wanted)))
        for at in range(0, n_domains, 200):
            await store.write(partial(_insert_domains, domains=domains[at : at + 200]))
        say(f"{n_domains} domains made")
        key_ids: list[str] = []
        while len(key_ids) < n_keys:
            chunk = min(_CHUNK, n_keys - len(key_ids))
            rows = [
                await _key(ciphers, domains[(len(key_ids) + n) % n_domains].domain_id) for n in range(chunk)
            ]
            await store.write(partial(_insert_keys, rows=rows))
            key_ids += [key.key_id for key, _ in rows]
        say(f"{n_keys} keys made")
        return await _encrypted(store, cluster, key_ids)


def _insert_domains(tx, domains):
    for domain in domains:
        tx.insert_domain(domain._replace(key_count=_SHARD_FULL))


async def _key(ciphers, domain_id):
    key_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
    wrapped = await ciphers.new_kek(domain_id, key_id, 1)
    material_id, now = random_bytes(32).hex(), CLOCK.now()
    key = KeyRecord(key_id, KeyState.ACTIVE, "", now, domain_id, 1, material_id)
    return key, KeyVersionRecord(key_id, 1, material_id, wrapped, now)


def _insert_keys(tx, rows):
    for key, version in rows:
        tx.insert_key(key)
        tx.insert_key_version(version)


def _keyring(store, cluster):
    limits = CacheLimits(3_600.0, 1_000_000, 100_000, 0.0)
    return Keyring(store, cluster, clock=CLOCK, limits=limits, request_s=60.0)


async def _encrypted(store, cluster, key_ids):
    keyring = _keyring(store, cluster)
    try:
        sealed = {}
        for key_id in key_ids:
            made = await keyring.encrypt(KeyById(key_id), Secret(key_id.encode()), CONTEXT)
            sealed[key_id] = made.ciphertext
        return sealed
    finally:
        keyring.close()


async def require_every_key_works(home: Home, sealed: dict[str, bytes]) -> None:
    """Each key decrypts what it encrypted before, with nothing in memory."""
    async with connected(home) as (store, cluster):
        keyring = _keyring(store, cluster)
        try:
            for key_id, ciphertext in sealed.items():
                opened = await keyring.decrypt(ciphertext, CONTEXT, key=None)
                assert opened.plaintext.reveal() == key_id.encode(), key_id
        finally:
            keyring.close()


def ask(home: Home, action: str, **settings):
    """Ask main, and have it done."""
    answer = asyncio.run(ask_root(home, RootRequest(action, **settings), timeout_s=600.0))
    assert answer.failure is None, answer.failure
    return answer


def status(home: Home):
    return read_root_status(home, CLOCK)


def wait_until(is_so, what: str, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.05)


def domains_left(home: Home) -> int:
    with ReadOnlyStore.open(home.database) as store:
        current = store.get_current_root().root_id
        return sum(n for root_id, n in store.count_domains_by_root().items() if root_id != current)


class Callers:
    """Threads that have random keys decrypt what they encrypted, all the time, but while ``excused``.

    ``answered`` counts; ``failures`` has what a caller was told while nobody had killed anything.
    """

    def __init__(self, service: RunningService, sealed: dict[str, bytes], *, n_threads: int = 2) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.longest_s = 0.0
        self._service = service
        self._sealed = list(sealed.items())
        self._over = threading.Event()
        self._is_excused = False
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(n_threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    @contextlib.contextmanager
    def excused(self):
        """Failures count for nothing within this, nor does a call that began within it."""
        self._is_excused = True
        try:
            yield
        finally:
            self._is_excused = False

    def _call(self):
        with contextlib.closing(self._service.client()) as client:
            self._call_by(client)

    def _call_by(self, client):
        chance = random.Random()
        while not self._over.is_set():
            key_id, ciphertext = chance.choice(self._sealed)
            was_excused, begun = self._is_excused, time.monotonic()
            try:
                plain = client.decrypt(CiphertextBlob=ciphertext, EncryptionContext=CONTEXT)["Plaintext"]
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                if not (was_excused or self._is_excused):
                    self.failures.append(f"{type(error).__name__}: {error}")
                time.sleep(0.05)
                continue
            if plain != key_id.encode():
                self.failures.append(f"{key_id} opened as something else")
            self.answered += 1
            if not was_excused:
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
