"""The audit log: append-only, hash-chained, durable before anybody gets an answer, verifiable offline.

Each process appends to a write-ahead log of its own, ``<audit>/wal/<writer>/``:

    log = AuditLog.open(home / "audit", "api-0", clock=SystemClock())
    ticket = log.append("outcome", "kms.Decrypt", principal="user/app", key_id=key_id, outcome="ok")
    await log.commit(ticket)      # durable from here on: the answer may go out
    log.close()

What one turn of an event loop did is appended together, and nobody waits in a task (``record_uses``).

and anybody reads and checks it without a server and without keys:

    verify_log(home / "audit")    # raises AuditCorruptError, naming the first bad entry
    for entry in read_entries(home / "audit"): ...

Threading: ``append`` from any thread; ``commit`` and ``record`` from asyncio tasks of any loop. Writing and
syncing is done by one thread per log, once for all that wait. Readers are for one thread each.

``TreeLog`` takes the entries of all writers into one Merkle tree and keeps its checkpoints; who signs them is told from
outside.

``Archiver`` compresses old segments, ``Planner`` and ``Pruner`` remove what officers let go (docs/audit-retention.md).

What it does not do: sign anything, ship entries anywhere, decide what is
audited. A hash chain alone cannot show that its end was cut off (docs/audit-log.md).
"""

from strongroom.audit._archive import Archived, Archiver
from strongroom.audit._catalogue import CATALOGUE, DENIED, classes_of, find_event, unknown_details
from strongroom.audit._chain_after import chain_after
from strongroom.audit._checkpoint import Checkpoint, mldsa_cosigned, read_checkpoint
from strongroom.audit._checkpoint_files import CheckpointFiles, KeptCheckpoint
from strongroom.audit._checkpoint_keys import KeyKind, LogKey, read_log_key, verify_checkpoint
from strongroom.audit._checkpoint_log import TreeLog
from strongroom.audit._checkpoint_proof import (
    EntryProof,
    GrowthProof,
    read_entry_proof,
    read_growth_proof,
)
from strongroom.audit._entry import (
    MAX_DETAIL_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_TEXT_BYTES,
    Entry,
    Kind,
    decode_entry,
    leaf_hash,
)
from strongroom.audit._errors import (
    AuditCorruptError,
    AuditWriterInUseError,
    MalformedNoteError,
    ProofError,
    TreeDamagedError,
)
from strongroom.audit._event_type import EventType, Pci
from strongroom.audit._filter import FAILED, OK, Criteria, EntryFilter
from strongroom.audit._follow import FollowedBatch, LogFollower, LogGap, Place, WriterPosition
from strongroom.audit._gather import Gathered
from strongroom.audit._heads import LogHeads
from strongroom.audit._log import AuditLog
from strongroom.audit._note import Note, Signature, read_note, verify_note
from strongroom.audit._once import append_once
from strongroom.audit._read import follow_entries, last_entries, list_writers, read_entries
from strongroom.audit._report_access import AccessCount, AccessReport, KeyAccess
from strongroom.audit._report_counts import Tally
from strongroom.audit._report_failures import FailureCluster, FailureCount, FailureReport
from strongroom.audit._report_pci import PciCount, PciReport
from strongroom.audit._report_unused import KeyLife, UseCount
from strongroom.audit._retention import Pruner
from strongroom.audit._retention_plan import Planner, PrunePlan, RetentionError, require_old_enough
from strongroom.audit._retention_record import PRUNED_EVENT, PrunedWriter, PruneRecord, read_pruned
from strongroom.audit._retention_status import WriterRetention, retention_status
from strongroom.audit._search import LogSearch
from strongroom.audit._search_values import WriterCoverage
from strongroom.audit._tickets import Decided
from strongroom.audit._tree_lookup import TreeLookup
from strongroom.audit._tree_verify import TreeReport, verify_tree
from strongroom.audit._values import AuditStats, EntryFields, UseEntry
from strongroom.audit._verify import Finding, VerifyReport, WriterReport, inspect_log, verify_log
from strongroom.audit._witness import Cosigned, Refusal, WatchedLogs, Witness, WitnessRefusalError
from strongroom.audit._witness_keys import SEED_BYTES, WitnessSigner
from strongroom.audit._witness_request import (
    ADD_CHECKPOINT,
    MAX_ANSWER_BYTES,
    SIZE_TYPE,
    encode_cosignatures,
    encode_size,
    read_cosignatures,
    read_size,
)
from strongroom.audit._witness_store import Head, WitnessFiles, WitnessStore
from strongroom.audit._witness_verify import Confirmed, Witnesses, confirmed_by
from strongroom.audit._witnessed import (
    WitnessedFiles,
    WitnessedWriter,
    newest_witnessed,
    with_cosignatures,
)

__all__ = [
    "ADD_CHECKPOINT",
    "CATALOGUE",
    "DENIED",
    "FAILED",
    "MAX_ANSWER_BYTES",
    "MAX_DETAIL_BYTES",
    "MAX_PAYLOAD_BYTES",
    "MAX_TEXT_BYTES",
    "OK",
    "PRUNED_EVENT",
    "SEED_BYTES",
    "SIZE_TYPE",
    "AccessCount",
    "AccessReport",
    "Archived",
    "Archiver",
    "AuditCorruptError",
    "AuditLog",
    "AuditStats",
    "AuditWriterInUseError",
    "Checkpoint",
    "CheckpointFiles",
    "Confirmed",
    "Cosigned",
    "Criteria",
    "Decided",
    "Entry",
    "EntryFields",
    "EntryFilter",
    "EntryProof",
    "EventType",
    "FailureCluster",
    "FailureCount",
    "FailureReport",
    "Finding",
    "FollowedBatch",
    "Gathered",
    "GrowthProof",
    "Head",
    "KeptCheckpoint",
    "KeyAccess",
    "KeyKind",
    "KeyLife",
    "Kind",
    "LogFollower",
    "LogGap",
    "LogHeads",
    "LogKey",
    "LogSearch",
    "MalformedNoteError",
    "Note",
    "Pci",
    "PciCount",
    "PciReport",
    "Place",
    "Planner",
    "ProofError",
    "PrunePlan",
    "PruneRecord",
    "PrunedWriter",
    "Pruner",
    "Refusal",
    "RetentionError",
    "Signature",
    "Tally",
    "TreeDamagedError",
    "TreeLog",
    "TreeLookup",
    "TreeReport",
    "UseCount",
    "UseEntry",
    "VerifyReport",
    "WatchedLogs",
    "Witness",
    "WitnessFiles",
    "WitnessRefusalError",
    "WitnessSigner",
    "WitnessStore",
    "WitnessedFiles",
    "WitnessedWriter",
    "Witnesses",
    "WriterCoverage",
    "WriterPosition",
    "WriterReport",
    "WriterRetention",
    "append_once",
    "chain_after",
    "classes_of",
    "confirmed_by",
    "decode_entry",
    "encode_cosignatures",
    "encode_size",
    "find_event",
    "follow_entries",
    "inspect_log",
    "last_entries",
    "leaf_hash",
    "list_writers",
    "mldsa_cosigned",
    "newest_witnessed",
    "read_checkpoint",
    "read_cosignatures",
    "read_entries",
    "read_entry_proof",
    "read_growth_proof",
    "read_log_key",
    "read_note",
    "read_pruned",
    "read_size",
    "require_old_enough",
    "retention_status",
    "unknown_details",
    "verify_checkpoint",
    "verify_log",
    "verify_note",
    "verify_tree",
    "with_cosignatures",
]
