"""What a member holds against what it should hold: pure comparison, and the report that comes of it.

1. Roots in use belong on every member; so do Direct keys that may leave the member that made them.
2. A Direct key that may not leave belongs where its record says that it is.
3. What has a tombstone is destroyed wherever it is found, roots too.
4. A root or key that is being made is nobody's business yet.
5. Whatever is not known is reported and never touched: it may be somebody else's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Self

import msgspec

from strongroom.core import KeySpec, RootId, WrapAlgorithm, root_object_ids
from strongroom.hsm.wire import PIN_LABEL, ObjectEntry
from strongroom.storage import (
    CopyState,
    HsmKeyCopyRecord,
    HsmKeyRecord,
    HsmKeyState,
    RootRecord,
    RootState,
    TransportKeyRecord,
    UnreadableHsmKey,
)

QUARANTINE_STEP: Final = (
    "find out whether the record or the HSMs are wrong: docs/direct-keys.md, keys in quarantine"
)
_IN_USE: Final = frozenset({RootState.CURRENT, RootState.OLD})


class DriftKind(StrEnum):
    """How a member differs from the records."""

    MISSING = "missing"
    """It lacks a root or a key that it should hold, or a part of it."""
    DIFFERENT = "not the same key"
    """It holds another key under this name."""
    QUARANTINED = "quarantined"
    """No member that serves holds the key that the record says, or the record cannot be read: nobody may use it."""
    DESTROYED = "destroyed, and still there"
    """It holds a key that has a tombstone."""
    STRANGE = "strange"
    """It holds something that no record knows."""
    GHOST = "ghost"
    """It lists an object that it cannot read: half-written, as after a power cut."""
    NO_TRANSPORT = "no transport key"
    """It lacks a key under which keys travel, so that some copies cannot be made."""


class Drift(msgspec.Struct, frozen=True):
    """One difference, and what was done about it."""

    kind: DriftKind
    what: str
    """``root``, ``key``, ``transport key`` or ``object``."""
    object_id: str
    """CKA_ID, in hex."""
    label: str = ""
    repair: str = ""
    """What was done; empty: nothing, see ``cause`` and ``next_step``."""
    cause: str = ""
    """Why it could not be repaired."""
    next_step: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it still has to be repaired. What is strange or a ghost waits for a person, and harms nobody."""
        return not self.repair and self.kind not in {DriftKind.STRANGE, DriftKind.GHOST}

    def in_words(self) -> str:
        """Say it in one line."""
        named = f"{self.what} {self.object_id}" + (f" ({self.label})" if self.label else "")
        done = self.repair or f"not repaired{f': {self.cause}' if self.cause else ''}"
        if not self.repair and self.kind in {DriftKind.STRANGE, DriftKind.GHOST}:
            done = "left alone"
        return f"{self.kind}: {named}: {done}"


class DriftReport(msgspec.Struct, frozen=True):
    """How one member differs from the records, at one moment."""

    member: str
    at: float
    """Seconds since the Unix epoch."""
    keys_proved: int
    """How many Direct keys it used on a challenge, and was right."""
    drifts: list[Drift] = []

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to do."""
        return not any(drift.is_open for drift in self.drifts)

    def in_words(self) -> list[str]:
        """Say it in lines."""
        if not self.drifts:
            return [f"{self.member}: holds what it should, {self.keys_proved} keys proved"]
        return [f"{self.member}: {drift.in_words()}" for drift in self.drifts]


class Records(NamedTuple):
    """What the database says of all members."""

    roots: Sequence[RootRecord]
    """All that there ever were."""
    keys: Sequence[HsmKeyRecord]
    copies: Sequence[HsmKeyCopyRecord]
    transports: Sequence[TransportKeyRecord]
    unreadable: Sequence[UnreadableHsmKey] = ()
    """Keys of which nothing is known but that they are there."""
    backup_transports: frozenset[bytes] = frozenset()
    """CKA_IDs of the transport keys of backup sets; each is on one member."""

    def states(self) -> Mapping[bytes, HsmKeyState | RootState]:
        """The state of every root and Direct key: what a returning member must not have missed a change of."""
        roots: Mapping[bytes, RootState] = {record.root_id: record.state for record in self.roots}
        return {**roots, **{record.key_id: record.state for record in self.keys}}

    def changed_since(self, known: Mapping[bytes, HsmKeyState | RootState]) -> Self:
        """Return those roots and keys alone whose state is another one by now."""
        return self._replace(
            roots=[root for root in self.roots if known.get(root.root_id) is not root.state],
            keys=[key for key in self.keys if known.get(key.key_id) is not key.state],
        )


class Comparison(NamedTuple):
    """What follows from a list of objects."""

    missing_roots: list[RootRecord]
    buried_roots: list[RootRecord]
    """With a tombstone, and there, be it in part."""
    missing_keys: list[HsmKeyRecord]
    present_keys: list[HsmKeyRecord]
    """Whole, by their name; whether they are the same keys is another question."""
    partial_keys: list[HsmKeyRecord]
    """Of which one half is there, or something is there twice, so that the token cannot tell which is meant."""
    buried_keys: list[HsmKeyRecord]
    """With a tombstone, and there."""
    gone_keys: list[HsmKeyRecord]
    """With a tombstone, and not there, though the records still say that it is."""
    others: list[Drift]
    """Strangers, ghosts, missing transport keys, and keys whose record cannot be read."""


def compare(member: str, inventory: Sequence[ObjectEntry], records: Records) -> Comparison:
    """Compare what a member lists with the records."""
    held: dict[bytes, Counter[str]] = {}
    for entry in inventory:
        if not entry.is_ghost:
            held.setdefault(entry.cka_id, Counter())[entry.object_class] += 1
    found = Comparison([], [], [], [], [], [], [], [])
    for root in records.roots:
        parts = _root_parts(root)
        if root.state is RootState.DESTROYED and any(part in held for part in parts):
            found.buried_roots.append(root)
        elif root.state in _IN_USE and any(part not in held for part in parts):
            found.missing_roots.append(root)
    copies = {(copy.key_id, copy.member): copy.state for copy in records.copies}
    for record in records.keys:
        classes = held.get(record.key_id, Counter())
        is_known = copies.get((record.key_id, member)) is CopyState.HELD
        _sort(record, classes, found, is_known=is_known)
    found.others.extend(map(_unreadable, records.unreadable))
    found.others.extend(_strangers(inventory, records))
    found.others.extend(_missing_transports(member, held, records))
    return found


def _sort(record: HsmKeyRecord, classes: Counter[str], found: Comparison, *, is_known: bool) -> None:
    if record.state is HsmKeyState.PENDING:
        return
    if record.state is HsmKeyState.DESTROYED:
        if classes:
            found.buried_keys.append(record)
        elif is_known:
            found.gone_keys.append(record)
        return
    if _classes(record.spec) <= classes.keys() and max(classes.values()) == 1:
        found.present_keys.append(record)
    elif classes:
        found.partial_keys.append(record)
    elif record.may_leave or is_known:
        found.missing_keys.append(record)


def _unreadable(key: UnreadableHsmKey) -> Drift:
    return Drift(
        DriftKind.QUARANTINED,
        "key",
        key.key_id.hex(),
        key.label,
        cause="its record cannot be read",
        next_step=QUARANTINE_STEP,
    )


def _strangers(inventory: Sequence[ObjectEntry], records: Records) -> list[Drift]:
    known = {part for root in records.roots for part in _root_parts(root)}
    known |= {record.key_id for record in records.keys}
    known |= {record.transport_id for record in records.transports}
    known |= {key.key_id for key in records.unreadable} | records.backup_transports
    drifts = [
        Drift(
            DriftKind.STRANGE,
            "object",
            entry.cka_id.hex(),
            entry.label,
            next_step="find out whose it is; destroy it with the vendor's tool if it is nobody's",
        )
        for entry in inventory
        if not (entry.is_ghost or entry.cka_id in known or _is_pin(entry))
    ]
    ghosts = sum(entry.is_ghost for entry in inventory)
    if ghosts:
        drifts.append(
            Drift(
                DriftKind.GHOST,
                "object",
                "-",
                f"{ghosts} of them",
                next_step="harmless; see the HSM's manual",
            )
        )
    return drifts


def _is_pin(entry: ObjectEntry) -> bool:
    """Whether it is the object in which a member remembers the genesis of its officers."""
    return (entry.object_class, entry.cka_id, entry.label) == ("data", b"", PIN_LABEL)


def _missing_transports(member: str, held: Mapping[bytes, Counter[str]], records: Records) -> list[Drift]:
    return [
        Drift(
            DriftKind.NO_TRANSPORT,
            "transport key",
            record.transport_id.hex(),
            f"{record.kind} keys from {record.member}",
            cause=f"keys of this kind cannot be copied from {record.member} to {member}"
            if record.member != member
            else f"keys of this kind cannot be copied from {member}",
            next_step=f"with the security officers at hand: strongroom members add {member}",
        )
        for record in records.transports
        if record.transport_id not in held
    ]


def _classes(spec: KeySpec) -> set[str]:
    return {"private_key", "public_key"} if spec.is_pair else {"secret_key"}


def _root_parts(root: RootRecord) -> tuple[bytes, ...]:
    return root_object_ids(RootId(root.root_id), WrapAlgorithm(root.wrap_algorithm))
