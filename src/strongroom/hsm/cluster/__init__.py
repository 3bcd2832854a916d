"""Several members as one HSM: routing, failover, replication of roots, and the proof that two hold the same key.

    cluster = HsmCluster(clock=clock, events=events, attempt_s=1.0, report=control.report_suspect)
    cluster.apply(table)                       # published by the main process
    blob = await cluster.wrap(root_id, kek, aad, deadline=Deadline.after(clock, 10))

Use verbs are idempotent: they move to the next member when one fails or does not answer in time, and a second
member is asked when the first takes longer than the healthy members do. Members that are slow, busy or of a
lower rank get less or nothing; ``Routing`` says how calls are given out, ``Call`` what becomes of one. Nothing
here restarts a worker or decides that a member is fit to serve: the main process does, and publishes a
``ClusterTable``. Threading: everything belongs to one event loop. It never imports a PKCS#11 binding.
"""

from strongroom.hsm.cluster._breaker import BreakerState
from strongroom.hsm.cluster._cluster import HsmCluster
from strongroom.hsm.cluster._key_copies import KeyCopier
from strongroom.hsm.cluster._key_door import BeforeCall, KeyDoor, MemberUse, RemoteKeys, Replica
from strongroom.hsm.cluster._key_proof import prove_key
from strongroom.hsm.cluster._key_removal import Destroyed
from strongroom.hsm.cluster._key_replication import KeyReplication, Rules, TooFewCopiesError
from strongroom.hsm.cluster._latency import BOUNDS_S
from strongroom.hsm.cluster._member import RemoteAdmin, RemoteMember
from strongroom.hsm.cluster._proof import Canary, make_canary, prove_canary, prove_same_root, prove_use
from strongroom.hsm.cluster._reconcile import Drift, DriftKind, DriftReport
from strongroom.hsm.cluster._reconciler import Reconciler
from strongroom.hsm.cluster._repairs import Allowed
from strongroom.hsm.cluster._replication import (
    AdminDoor,
    ImportKey,
    copy_root,
    exchanged_import_keys,
    fingerprint,
    generate_root,
)
from strongroom.hsm.cluster._root_replication import MadeRootCopies, RootReplication
from strongroom.hsm.cluster._suspicion import Suspicion, SuspicionKind
from strongroom.hsm.cluster._table import SERVING, ClusterTable, MemberState, WorkerEntry, quarantine_of
from strongroom.hsm.cluster._transport_exchange import (
    MadeTransport,
    NoTransportError,
    TransportDoor,
    destroy_backup_transport_keys,
    destroy_unknown_transport_keys,
    make_transport_keys,
)
from strongroom.hsm.cluster._turns import Turns
from strongroom.hsm.cluster._worker import Worker

__all__ = [
    "BOUNDS_S",
    "SERVING",
    "AdminDoor",
    "Allowed",
    "BeforeCall",
    "BreakerState",
    "Canary",
    "ClusterTable",
    "Destroyed",
    "Drift",
    "DriftKind",
    "DriftReport",
    "HsmCluster",
    "ImportKey",
    "KeyCopier",
    "KeyDoor",
    "KeyReplication",
    "MadeRootCopies",
    "MadeTransport",
    "MemberState",
    "MemberUse",
    "NoTransportError",
    "Reconciler",
    "RemoteAdmin",
    "RemoteKeys",
    "RemoteMember",
    "Replica",
    "RootReplication",
    "Rules",
    "Suspicion",
    "SuspicionKind",
    "TooFewCopiesError",
    "TransportDoor",
    "Turns",
    "Worker",
    "WorkerEntry",
    "copy_root",
    "destroy_backup_transport_keys",
    "destroy_unknown_transport_keys",
    "exchanged_import_keys",
    "fingerprint",
    "generate_root",
    "make_canary",
    "make_transport_keys",
    "prove_canary",
    "prove_key",
    "prove_same_root",
    "prove_use",
    "quarantine_of",
]
