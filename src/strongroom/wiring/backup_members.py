"""The part of a backup set that the members make: pair, backup transport keys, and the key that signs; and the share key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.backup import (
    SHARE_KEY_BYTES,
    Origin,
    SetTransport,
    WrappedTransport,
    set_seal_key,
    share_key_check,
)
from strongroom.config import ClusterConfig
from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    KeySpec,
    KeyUsage,
    Secret,
    TransportKind,
    new_backup_transport_id,
    random_bytes,
)
from strongroom.hsm.cluster import KeyReplication, RemoteAdmin, RemoteMember, Turns
from strongroom.hsm.token import load_profile
from strongroom.hsm.wire import BackupPair, TransportName
from strongroom.shares import Share, SharePlan, split
from strongroom.storage import BackupTransportRecord, HsmKeyRecord, Store, Transaction
from strongroom.wiring.cluster_setup import Doors, Progress
from strongroom.wiring.replication_rules import replication_rules

BACKUP_LABEL: Final = "backup-"
"""How the labels of backup transport keys begin; then the member's name."""
SIGNING_LABEL: Final = "backup-signing"
"""How the label of the key begins that signs the backups of a set; then the set's id."""
SOFTWARE_PROFILES: Final = frozenset({"softhsm2", "p11-kit-softhsm", "nss", "opencryptoki"})
_SHARE_KEY_INFO: Final = b"strongroom backup share key v1"
_RANDOM_LIMIT_S: Final = 30.0
_KEY_LIMIT_S: Final = 60.0


class MadeAtMembers(NamedTuple):
    """What the members made for a set, and the shares of its share key."""

    pair: BackupPair
    transports: tuple[SetTransport, ...]
    signing: HsmKeyRecord
    share_key_check: str
    seal_key: Secret
    """Seals the document once it is whole; whoever has this overwrites it."""
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class SetMaking:
    """Makes one set at the members of a cluster."""

    set_id: bytes
    cluster: ClusterConfig
    store: Store
    events: EventSink
    clock: Clock
    progress: Progress

    async def make(self, doors: Doors, plan: SharePlan) -> MadeAtMembers:
        """Make everything; whoever calls overwrites shares and seal key. Raises HsmError: then some of it may be there, as the records say."""
        self.progress("making the key that signs backups, on every member")
        signing = await self._signing_key(doors)
        self.progress("making the backup key, of random bytes of every HSM and of this machine")
        share_key = await self._share_key(doors.uses)
        try:
            pair = await doors.users[0].make_backup_pair(share_key)
            transports = [await self._transports(officer, pair) for officer in doors.officers]
            return MadeAtMembers(
                pair,
                tuple(transports),
                signing,
                share_key_check(share_key),
                set_seal_key(share_key),
                split(share_key, plan),
            )
        finally:
            share_key.zeroize()

    async def _share_key(self, uses: Sequence[RemoteMember]) -> Secret:
        """HKDF-SHA-256 (RFC 5869) of 256 bits of each HSM and of the kernel: as good as the best of them."""
        deadline = Deadline.after(self.clock, _RANDOM_LIMIT_S)
        parts = [Secret(random_bytes(SHARE_KEY_BYTES))]
        try:
            parts += [await use.random(SHARE_KEY_BYTES, deadline=deadline) for use in uses]
            hkdf = HKDF(hashes.SHA256(), SHARE_KEY_BYTES, salt=self.set_id, info=_SHARE_KEY_INFO)
            return Secret(hkdf.derive(b"".join(part.reveal() for part in parts)))
        finally:
            for part in parts:
                part.zeroize()

    async def _transports(self, officer: RemoteAdmin, pair: BackupPair) -> SetTransport:
        self.progress(f"making the keys that leave member {officer.name} under the backup key")
        mechanism = self._mechanism(officer.name, pair)
        names = [TransportName(new_backup_transport_id(self.set_id), kind) for kind in TransportKind]
        now = self.clock.now()
        records = [
            BackupTransportRecord(name.cka_id, self.set_id, officer.name, name.kind, mechanism, now)
            for name in names
        ]

        def note(tx: Transaction) -> None:
            for record in records:
                tx.insert_backup_transport_key(record)

        await self.store.write(note)
        (wrapped,) = await officer.make_transport_keys(
            names, f"{BACKUP_LABEL}{officer.name}", mechanism=mechanism, targets=[pair.spki_der]
        )
        keys = [
            WrappedTransport(cka_id=name.cka_id.hex(), kind=name.kind, wrapped=blob)
            for name, blob in zip(names, wrapped, strict=True)
        ]
        (config,) = [member for member in self.cluster.members if member.name == officer.name]
        oaep_hash = load_profile(config.profile, config.profile_changes).oaep_hash
        return SetTransport(member=officer.name, mechanism=mechanism, oaep_hash=oaep_hash, keys=tuple(keys))

    def _mechanism(self, member: str, pair: BackupPair) -> int:
        """Return by what a member's own transport keys wrap: what all members can."""
        found = [one.mechanism for one in self.store.list_transport_keys() if one.member == member]
        return found[0] if found else pair.mechanism

    async def _signing_key(self, doors: Doors) -> HsmKeyRecord:
        keys = KeyReplication(
            self.store,
            lambda: doors.replicas,
            rules=replication_rules(self.cluster)._replace(min_copies=len(doors.replicas)),
            turns=Turns(),
            events=self.events,
            clock=self.clock,
        )
        return await keys.create(
            KeySpec.ECC_NIST_P256,
            KeyUsage.SIGN_VERIFY,
            f"{SIGNING_LABEL} {self.set_id.hex()}",
            may_leave=True,
            deadline=Deadline.after(self.clock, _KEY_LIMIT_S),
        )


def origin_of(cluster: ClusterConfig) -> Origin:
    """Return of what kind the members are: HSMs, unless every one is a software token."""
    return "softhsm" if all(member.profile in SOFTWARE_PROFILES for member in cluster.members) else "hsm"
