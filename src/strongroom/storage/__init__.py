"""Records and transactions: what must outlive the process, in SQLite.

    >>> import asyncio, tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "strongroom.db"
    >>> create_database(path)
    >>> with Store.open(path) as store:
    ...     root = RootRecord(bytes(16), 1, "CKA_CHECK_VALUE", "dc95c0", b"blob", bytes(32), 1.0)
    ...     asyncio.run(store.write(lambda transaction: transaction.insert_root(root)))
    ...     [record.check_value for record in store.list_roots()]
    ['dc95c0']
    >>> folder.cleanup()

Threading: a store belongs to the thread that opened it, which does its reads inline; one more thread does all
writes of the store, as many as wait in one durable commit. Processes share a database by each opening a store;
``generation`` tells one cheaply that any of them changed something.

What it does not do: it caches nothing, retries nothing, understands no blob that it keeps, and decides nothing
about keys. Creating, upgrading and opening are different verbs, and opening never creates.

``CiphertextTable`` is apart from all that: it reads and changes ciphertexts in tables of applications, by any URL.

What is SQLite's own is in ``_sqlite``; all else is SQL that PostgreSQL takes too.
"""

from strongroom.storage._access import GrantRecord, KeyPolicyRecord
from strongroom.storage._backup_records import (
    BackupRecord,
    BackupSetRecord,
    BackupSetState,
    BackupState,
    BackupTransportRecord,
    CeremonyRecord,
    CustodianRecord,
    CustodianState,
)
from strongroom.storage._ciphertext_table import CiphertextRow, CiphertextTable, has_password
from strongroom.storage._custody_records import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    SignatureKind,
    StandingUseRecord,
)
from strongroom.storage._errors import DuplicateError, RootNotInUseError
from strongroom.storage._inventories import InventoryRecord
from strongroom.storage._key_stores import KeyStoreRecord
from strongroom.storage._migrate import create_database, knows_revision, upgrade_database
from strongroom.storage._reader import Reader
from strongroom.storage._records import (
    AccessKeyRecord,
    AliasRecord,
    CopyState,
    DomainRecord,
    HsmKeyCopyRecord,
    HsmKeyRecord,
    HsmKeyState,
    KeyRecord,
    KeyVersionRecord,
    MemberRecord,
    RootRecord,
    RootState,
    TagRecord,
    TransportKeyRecord,
    UnreadableHsmKey,
)
from strongroom.storage._roots import RootRotationRecord, RotationState
from strongroom.storage._snapshot import DatabaseSnapshot, inspect_snapshot, snapshot_database
from strongroom.storage._store import ReadOnlyStore, Store
from strongroom.storage._transaction import Transaction
from strongroom.storage._uses import KeyUseRecord

__all__ = [
    "AccessKeyRecord",
    "AliasRecord",
    "ApprovalRecord",
    "ApprovalSignatureRecord",
    "ApprovalState",
    "BackupRecord",
    "BackupSetRecord",
    "BackupSetState",
    "BackupState",
    "BackupTransportRecord",
    "CeremonyRecord",
    "CiphertextRow",
    "CiphertextTable",
    "CopyState",
    "CustodianRecord",
    "CustodianState",
    "CustodyDocumentRecord",
    "DatabaseSnapshot",
    "DomainRecord",
    "DuplicateError",
    "GrantRecord",
    "HsmKeyCopyRecord",
    "HsmKeyRecord",
    "HsmKeyState",
    "InventoryRecord",
    "KeyPolicyRecord",
    "KeyRecord",
    "KeyStoreRecord",
    "KeyUseRecord",
    "KeyVersionRecord",
    "MemberRecord",
    "ReadOnlyStore",
    "Reader",
    "RootNotInUseError",
    "RootRecord",
    "RootRotationRecord",
    "RootState",
    "RotationState",
    "SignatureKind",
    "StandingUseRecord",
    "Store",
    "TagRecord",
    "Transaction",
    "TransportKeyRecord",
    "UnreadableHsmKey",
    "create_database",
    "has_password",
    "inspect_snapshot",
    "knows_revision",
    "snapshot_database",
    "upgrade_database",
]
