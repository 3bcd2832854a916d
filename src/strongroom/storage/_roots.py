"""Roots and their rotations: which root is the current one, what hangs under which, and how far a rotation is.

A root that was destroyed stays as a tombstone: members that were away are told by it, and nothing is ever stored under
it again. Whoever stores something under a root does so through ``Transaction.insert_domain`` or
``Transaction.replace_domain_wrapped``, which look at the root's state in the same transaction.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    Executable,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._errors import RootNotInUseError, translated
from strongroom.storage._queries import AnyRow, Queries
from strongroom.storage._records import DomainRecord, RootRecord, RootState
from strongroom.storage._schema import domains, metadata, roots

MAX_TROUBLE: Final = 1_000
"""Characters of ``RootRotationRecord.trouble``."""


class RotationState(StrEnum):
    """How far a rotation of the root is."""

    MAKING = "making"
    """The new root is being made; nothing is under it yet."""
    REWRAPPING = "rewrapping"
    """The new root is the current one; what hangs under old ones is rewrapped."""
    FINISHED = "finished"
    """Nothing hangs under old roots any more."""
    FAILED = "failed"
    """No new root could be made; all is as it was before."""


class RootRotationRecord(NamedTuple):
    """One rotation of the root."""

    rotation_id: str
    """A UUID."""
    state: RotationState
    asked_by: str
    """The principal, such as ``local/1000``."""
    started_at: float
    domains_per_s: float
    """Domain KEKs that are rewrapped in a second, at most."""
    root_id: bytes | None = None
    """The new root, once it is published."""
    published_at: float | None = None
    n_domains: int = 0
    """Domain KEKs under old roots when the new one was published."""
    n_rewrapped: int = 0
    last_at: float | None = None
    """When domain KEKs were last rewrapped."""
    finished_at: float | None = None
    trouble: str = ""
    """What went wrong last, in words; empty: nothing since it last went well."""
    trouble_at: float | None = None


root_rotations: Final = Table(
    "root_rotations",
    metadata,
    Column("rotation_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("domains_per_s", Double, nullable=False),
    Column("root_id", LargeBinary, nullable=True),
    Column("published_at", Double, nullable=True),
    Column("n_domains", Integer, nullable=False),
    Column("n_rewrapped", Integer, nullable=False),
    Column("last_at", Double, nullable=True),
    Column("finished_at", Double, nullable=True),
    Column("trouble", Text, nullable=False),
    Column("trouble_at", Double, nullable=True),
    PrimaryKeyConstraint("rotation_id", name="pk_root_rotations"),
    ForeignKeyConstraint(["root_id"], ["roots.root_id"], name="fk_root_rotations_root_id"),
    CheckConstraint("length(rotation_id) = 36", name="ck_root_rotations_rotation_id"),
    CheckConstraint(
        "state IN ('making', 'rewrapping', 'finished', 'failed')", name="ck_root_rotations_state"
    ),
    CheckConstraint("domains_per_s > 0", name="ck_root_rotations_domains_per_s"),
    CheckConstraint("n_domains >= 0", name="ck_root_rotations_n_domains"),
    CheckConstraint("n_rewrapped >= 0", name="ck_root_rotations_n_rewrapped"),
    CheckConstraint("length(trouble) <= 1000", name="ck_root_rotations_trouble"),
)

_LIVE: Final = (RootState.CURRENT, RootState.OLD)
_ALL_ROOTS: Final = select(roots).order_by(roots.c.created_at, roots.c.root_id)
_LIVE_ROOTS: Final = _ALL_ROOTS.where(roots.c.state.in_([state.value for state in _LIVE]))
_ROOT: Final = select(roots).where(roots.c.root_id == bindparam("root_id"))
_ROTATIONS: Final = select(root_rotations).order_by(root_rotations.c.started_at)
_LAST_ROTATION: Final = (
    select(root_rotations)
    .order_by(root_rotations.c.started_at.desc(), root_rotations.c.rotation_id.desc())
    .limit(1)
)
_COUNTS: Final = select(domains.c.root_id, func.count()).group_by(domains.c.root_id)
_DOMAINS: Final = select(domains).order_by(domains.c.domain_id).limit(bindparam("limit"))
_DOMAINS_AFTER: Final = _DOMAINS.where(domains.c.domain_id > bindparam("after"))
_UNDER: Final = _DOMAINS_AFTER.where(domains.c.root_id == bindparam("root_id"))
_MOVE_ROOT: Final = (
    update(roots)
    .where(roots.c.root_id == bindparam("of_root"), roots.c.state == bindparam("old_state"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("state", "destroyed_at", "check_kind", "check_value", "canary", "canary_digest")
        }
    )
)
_REWRAP: Final = (
    update(domains)
    .where(domains.c.domain_id == bindparam("of_domain"), domains.c.wrapped == bindparam("old_wrapped"))
    .values(wrapped=bindparam("new_wrapped"), root_id=bindparam("new_root"))
)
_INSERT_ROTATION: Final = insert(root_rotations).values(
    {column.name: bindparam(column.name) for column in root_rotations.columns}
)
_CHANGE_ROTATION: Final = (
    update(root_rotations)
    .where(root_rotations.c.rotation_id == bindparam("of_rotation"))
    .values({name: bindparam(f"new_{name}") for name in root_rotations.columns.keys()[1:]})
)
_NOTE_PROGRESS: Final = (
    update(root_rotations)
    .where(root_rotations.c.rotation_id == bindparam("of_rotation"))
    .values(
        n_rewrapped=root_rotations.c.n_rewrapped + bindparam("n_more"),
        last_at=bindparam("new_last_at"),
        trouble=bindparam("new_trouble"),
        trouble_at=bindparam("new_trouble_at"),
    )
)


class RootReads(Queries):
    """See ``Reader``, which has them."""

    def list_roots(self) -> list[RootRecord]:
        """Return the roots in use, which every member holds, oldest first: the last one is the current one."""
        return [_root(row) for row in self._all(_LIVE_ROOTS, {})]

    def list_all_roots(self) -> list[RootRecord]:
        """Return every root that there ever was, oldest first: those in the making and tombstones too."""
        return [_root(row) for row in self._all(_ALL_ROOTS, {})]

    def get_root(self, root_id: bytes) -> RootRecord | None:
        """Return a root of whichever state."""
        row = self._first(_ROOT, {"root_id": root_id})
        return None if row is None else _root(row)

    def get_current_root(self) -> RootRecord:
        """Return the root under which new domain KEKs are wrapped. Raises StorageError when there is none."""
        current = [root for root in self.list_roots() if root.state is RootState.CURRENT]
        if not current:
            raise StorageError("the database knows no current root", next_step="restore it from a backup")
        return current[-1]

    def count_domains_by_root(self) -> dict[bytes, int]:
        """Return how many domain KEKs hang under each root; a root without any is not among them."""
        return {bytes(row[0]): int(row[1]) for row in self._all(_COUNTS, {})}

    def list_domains(self, *, after: str, limit: int) -> list[DomainRecord]:
        """Return up to ``limit`` domains in the order of their ids, behind ``after`` (empty: from the first)."""
        return [DomainRecord(*row) for row in self._all(_DOMAINS_AFTER, {"after": after, "limit": limit})]

    def list_domains_under(self, root_id: bytes, *, after: str, limit: int) -> list[DomainRecord]:
        """Return up to ``limit`` domains that hang under a root, in the order of their ids, behind ``after``."""
        values = {"root_id": root_id, "after": after, "limit": limit}
        return [DomainRecord(*row) for row in self._all(_UNDER, values)]

    def list_root_rotations(self) -> list[RootRotationRecord]:
        """Return every rotation, oldest first."""
        return [_rotation(row) for row in self._all(_ROTATIONS, {})]

    def get_last_root_rotation(self) -> RootRotationRecord | None:
        """Return the newest rotation."""
        row = self._first(_LAST_ROTATION, {})
        return None if row is None else _rotation(row)


class RootWrites(RootReads):
    """See ``Transaction``, which has them."""

    def move_root(self, record: RootRecord, *, was: RootState) -> None:
        """Store state, check value, canary and date of destruction of a root that is in the state ``was``.

        Raises StorageError when there is no such root in that state: a tombstone never goes away by mistake.
        """
        values: dict[str, object] = {
            f"new_{name}": getattr(record, name)
            for name in ("destroyed_at", "check_kind", "check_value", "canary", "canary_digest")
        }
        values |= {"of_root": record.root_id, "old_state": was.value, "new_state": record.state.value}
        if self._done(_MOVE_ROOT, values) != 1:
            raise StorageError(f"no {was} root has the id {record.root_id.hex()}")

    def publish_root(self, record: RootRecord) -> None:
        """Make a pending root the current one; the one that was is an old one from here on. Raises StorageError."""
        for root in self.list_roots():
            if root.state is RootState.CURRENT:
                self.move_root(root._replace(state=RootState.OLD), was=RootState.CURRENT)
        self.move_root(record._replace(state=RootState.CURRENT), was=RootState.PENDING)

    def require_root_in_use(self, root_id: bytes, *, states: tuple[RootState, ...] = _LIVE) -> None:
        """Raise RootNotInUseError unless the root is in one of these states, by default a live one."""
        root = self.get_root(root_id)
        if root is not None and root.state not in states:
            raise RootNotInUseError(f"root {root_id.hex()} is {root.state}: nothing new comes under it")

    def replace_domain_wrapped(self, domain_id: str, *, was: bytes, root_id: bytes, wrapped: bytes) -> bool:
        """Exchange the blob of a domain KEK, if it still is ``was``; False when somebody else changed it meanwhile.

        Raises RootNotInUseError when the root that it was wrapped under is not the current one any more.
        """
        self.require_root_in_use(root_id, states=(RootState.CURRENT,))
        values: dict[str, object] = {
            "of_domain": domain_id,
            "old_wrapped": was,
            "new_wrapped": wrapped,
            "new_root": root_id,
        }
        return self._done(_REWRAP, values) == 1

    def insert_root_rotation(self, record: RootRotationRecord) -> None:
        """Begin a rotation."""
        self._done(_INSERT_ROTATION, record._asdict())

    def change_root_rotation(self, record: RootRotationRecord) -> None:
        """Store all of a rotation. Raises StorageError when there is none of this id."""
        values = {f"new_{name}": value for name, value in record._asdict().items() if name != "rotation_id"}
        if self._done(_CHANGE_ROTATION, {**values, "of_rotation": record.rotation_id}) != 1:
            raise StorageError(f"there is no rotation {record.rotation_id}")

    def note_root_rotation(self, rotation_id: str, n_rewrapped: int, *, at: float, trouble: str = "") -> None:
        """Count domain KEKs that were rewrapped, and keep what went wrong with others."""
        values = {
            "of_rotation": rotation_id,
            "n_more": n_rewrapped,
            "new_last_at": at,
            "new_trouble": trouble[:MAX_TROUBLE],
            "new_trouble_at": at if trouble else None,
        }
        self._done(_NOTE_PROGRESS, values)

    def _done(self, statement: Executable, values: dict[str, object]) -> int:
        try:
            return self._connection.execute(statement, values).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error


def _root(row: AnyRow) -> RootRecord:
    record = RootRecord(*row)
    return record._replace(state=RootState(record.state))


def _rotation(row: AnyRow) -> RootRotationRecord:
    record = RootRotationRecord(*row)
    return record._replace(state=RotationState(record.state))
