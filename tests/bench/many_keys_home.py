"""A home with many keys: made as the service makes them and wrapped by its HSMs, but stored thousands at a time.

CreateKey would take one transaction and one audit entry for each; the rows are the same.
"""

import uuid
from functools import partial
from typing import NamedTuple

from strongroom.config import Home, load_config
from strongroom.core import KeyState, RootId, Secret, SystemClock, random_bytes
from strongroom.hsm.cluster import HsmCluster
from strongroom.keyring import CacheLimits, KekCiphers, KeyById, Keyring
from strongroom.storage import DomainRecord, KeyRecord, KeyVersionRecord, Store, Transaction
from strongroom.testing import RecordingEvents
from strongroom.wiring.principals import _table_of

KEYS_IN_DOMAIN = 1_000
"""As many as the service puts into one."""
_AT_ONCE = 2_000
_REQUEST_S = 60.0
_CLOCK = SystemClock()
_Rows = list[tuple[KeyRecord, KeyVersionRecord]]


class FilledKey(NamedTuple):
    """A key that was made, and what it encrypted."""

    key_id: str
    ciphertext: bytes


async def fill(home: Home, n_keys: int, *, plaintext_bytes: int) -> list[FilledKey]:
    """Make keys for the running service of a home, each of which encrypts something. Raises StrongroomError."""
    config = load_config(home.root)
    cluster = HsmCluster(
        clock=_CLOCK, events=RecordingEvents(), attempt_s=config.deadlines.attempt_s, report=lambda _: None
    )
    store = Store.open(home.database)
    try:
        cluster.apply(await _table_of(home))
        key_ids = await _make(store, cluster, n_keys)
        return await _encrypted(store, cluster, key_ids, plaintext_bytes)
    finally:
        cluster.close()
        store.close()


async def _make(store: Store, cluster: HsmCluster, n_keys: int) -> list[str]:
    limits = CacheLimits(3_600.0, 1, 1 + n_keys // KEYS_IN_DOMAIN, 0.0)
    ciphers = KekCiphers(store, cluster, clock=_CLOCK, limits=limits, request_s=_REQUEST_S)
    root_id = RootId(store.get_current_root().root_id)
    key_ids: list[str] = []
    domain: DomainRecord | None = None
    while len(key_ids) < n_keys:
        rows: _Rows = []
        while len(rows) < min(_AT_ONCE, n_keys - len(key_ids)):
            if (len(key_ids) + len(rows)) % KEYS_IN_DOMAIN == 0 or domain is None:
                domain = (await ciphers.new_domain(root_id, "shard"))._replace(key_count=KEYS_IN_DOMAIN)
                await store.write(partial(Transaction.insert_domain, record=domain))
            rows.append(await _key(ciphers, domain.domain_id))
        await store.write(partial(_insert, rows=rows))
        key_ids += [key.key_id for key, _ in rows]
    return key_ids


async def _key(ciphers: KekCiphers, domain_id: str) -> tuple[KeyRecord, KeyVersionRecord]:
    key_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
    wrapped = await ciphers.new_kek(domain_id, key_id, 1)
    material_id, now = random_bytes(32).hex(), _CLOCK.now()
    key = KeyRecord(key_id, KeyState.ACTIVE, "strongroom bench", now, domain_id, 1, material_id)
    return key, KeyVersionRecord(key_id, 1, material_id, wrapped, now)


def _insert(tx: Transaction, *, rows: _Rows) -> None:
    for key, version in rows:
        tx.insert_key(key)
        tx.insert_key_version(version)


async def _encrypted(
    store: Store, cluster: HsmCluster, key_ids: list[str], plaintext_bytes: int
) -> list[FilledKey]:
    limits = CacheLimits(3_600.0, 1, 1 + len(key_ids) // KEYS_IN_DOMAIN, 0.0)
    keyring = Keyring(store, cluster, clock=_CLOCK, limits=limits, request_s=_REQUEST_S)
    try:
        made = []
        for key_id in key_ids:
            sealed = await keyring.encrypt(KeyById(key_id), Secret(random_bytes(plaintext_bytes)), {})
            made.append(FilledKey(key_id, sealed.ciphertext))
        return made
    finally:
        keyring.close()
