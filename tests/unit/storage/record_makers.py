"""Records for tests: valid in every field, changed by keyword."""

import hashlib
import uuid

from strongroom.core import KeyState
from strongroom.storage import (
    AccessKeyRecord,
    AliasRecord,
    DomainRecord,
    KeyRecord,
    KeyVersionRecord,
    MemberRecord,
    RootRecord,
    TagRecord,
    Transaction,
)

ROOT_ID = bytes(range(16))
DOMAIN_ID = "00000000-0000-4000-8000-000000000001"


def root(**changes) -> RootRecord:
    return RootRecord(ROOT_ID, 1, "CKA_CHECK_VALUE", "dc95c0", b"canary", bytes(32), 1.5)._replace(**changes)


def member(**changes) -> MemberRecord:
    record = MemberRecord("hsm-1", "softhsm2", "0123456789abcdef", "strongroom-1", 0)
    return record._replace(**changes)


def domain(**changes) -> DomainRecord:
    return DomainRecord(DOMAIN_ID, ROOT_ID, "shard", b"wrapped domain KEK", 0, 2.5)._replace(**changes)


def key(**changes) -> KeyRecord:
    key_id = str(uuid.uuid4())
    material_id = hashlib.sha256(key_id.encode()).hexdigest()
    record = KeyRecord(key_id, KeyState.ACTIVE, "invoices", 3.5, DOMAIN_ID, 1, material_id)
    return record._replace(**changes)


def version_of(key_record: KeyRecord, **changes) -> KeyVersionRecord:
    record = KeyVersionRecord(key_record.key_id, 1, key_record.material_id, b"wrapped KEK", 3.5)
    return record._replace(**changes)


def alias(key_id: str, **changes) -> AliasRecord:
    return AliasRecord("alias/invoices", key_id, 4.5, 5.5)._replace(**changes)


def tag(key_id: str, **changes) -> TagRecord:
    return TagRecord(key_id, "team", "blue")._replace(**changes)


def access_key(**changes) -> AccessKeyRecord:
    record = AccessKeyRecord(
        "SRAKEXAMPLE", "user/developer", ("crypto-user", "auditor"), b"secret blob", True, 6.5
    )
    return record._replace(**changes)


def insert_domain_and_root(transaction: Transaction) -> None:
    transaction.insert_root(root())
    transaction.insert_domain(domain())


def insert_whole_key(transaction: Transaction, record: KeyRecord) -> None:
    transaction.insert_key(record)
    transaction.insert_key_version(version_of(record))
    transaction.count_key_in_domain(record.domain_id)


async def insert_keys(store, count):
    records = [key() for _ in range(count)]

    def work(transaction):
        for record in records:
            insert_whole_key(transaction, record)

    await store.write(work)
    return sorted(records)
