"""Custodians of the shares of backup sets, and ceremonies: reads and writes."""

from typing import Final

from sqlalchemy import Update, bindparam, false, select, update

from strongroom.core import StorageError
from strongroom.storage._backup_records import CeremonyRecord, CustodianRecord, CustodianState
from strongroom.storage._changes import Changes
from strongroom.storage._queries import AnyRow, Queries
from strongroom.storage._schema_backups import ceremonies, custodians

_OF_SET: Final = (
    select(custodians).where(custodians.c.set_id == bindparam("set_id")).order_by(custodians.c.custodian)
)
_ONE: Final = select(custodians).where(
    custodians.c.set_id == bindparam("set_id"), custodians.c.custodian == bindparam("custodian")
)
_CHANGE: Final = update(custodians).where(
    custodians.c.set_id == bindparam("of_set"),
    custodians.c.custodian == bindparam("of_custodian"),
    custodians.c.state == CustodianState.HOLDING.value,
)
_ACKNOWLEDGE: Final = _CHANGE.values(
    acknowledged_at=bindparam("new_acknowledged_at"), acknowledgement=bindparam("new_acknowledgement")
)
_CHALLENGE: Final = _CHANGE.values(
    challenge=bindparam("new_challenge"), challenged_at=bindparam("new_challenged_at")
)
_PROVE: Final = _CHANGE.where(
    custodians.c.challenge == bindparam("of_challenge"), custodians.c.challenged_at.is_not(None)
).values(
    proved_at=bindparam("new_proved_at"), proof=bindparam("new_proof"), challenge=b"", challenged_at=None
)
_LEAVE: Final = _CHANGE.values(
    state=CustodianState.LEFT.value,
    left_at=bindparam("new_left_at"),
    left_because=bindparam("new_left_because"),
    challenge=b"",
    challenged_at=None,
)
_CEREMONY: Final = select(ceremonies).where(ceremonies.c.ceremony_id == bindparam("ceremony_id"))
_CEREMONIES: Final = (
    select(ceremonies)
    .order_by(ceremonies.c.started_at.desc(), ceremonies.c.ceremony_id)
    .limit(bindparam("limit"))
)
_LAST_CEREMONY: Final = (
    select(ceremonies)
    .where(ceremonies.c.ended_at.is_not(None), ceremonies.c.rehearsal == false())
    .order_by(ceremonies.c.ended_at.desc(), ceremonies.c.ceremony_id)
    .limit(1)
)
_END_CEREMONY: Final = (
    update(ceremonies)
    .where(ceremonies.c.ceremony_id == bindparam("of_ceremony"), ceremonies.c.ended_at.is_(None))
    .values(ended_at=bindparam("new_ended_at"), transcript_sha256=bindparam("new_transcript_sha256"))
)


class CustodianReads(Queries):
    """See ``Reader``, which has them."""

    def list_custodians(self, set_id: bytes) -> list[CustodianRecord]:
        """Return the custodians of a set, by id; also those who left."""
        return [_custodian(row) for row in self._all(_OF_SET, {"set_id": set_id})]

    def get_custodian(self, set_id: bytes, custodian: str) -> CustodianRecord | None:
        """Return one custodian of a set."""
        row = self._first(_ONE, {"set_id": set_id, "custodian": custodian})
        return None if row is None else _custodian(row)

    def get_ceremony(self, ceremony_id: str) -> CeremonyRecord | None:
        """Return a ceremony by its id."""
        row = self._first(_CEREMONY, {"ceremony_id": ceremony_id})
        return None if row is None else CeremonyRecord(*row)

    def get_last_ceremony(self) -> CeremonyRecord | None:
        """Return the ceremony that ended last, rehearsals left out: the next transcript names its hash."""
        row = self._first(_LAST_CEREMONY, {})
        return None if row is None else CeremonyRecord(*row)

    def list_ceremonies(self, *, limit: int) -> list[CeremonyRecord]:
        """Return up to ``limit`` ceremonies, the one that began last first."""
        return [CeremonyRecord(*row) for row in self._all(_CEREMONIES, {"limit": limit})]


class CustodianWrites(CustodianReads, Changes):
    """See ``Transaction``, which has them. Of who left nothing changes any more: those writes return False."""

    def acknowledge_custody(self, set_id: bytes, custodian: str, document: bytes, *, at: float) -> bool:
        """Keep a custodian's statement of duty, in the place of an earlier one."""
        values = {"new_acknowledgement": document, "new_acknowledged_at": at}
        return self._changed_one(_ACKNOWLEDGE, set_id, custodian, values)

    def challenge_custodian(self, set_id: bytes, custodian: str, challenge: bytes, *, at: float) -> bool:
        """Note the challenge that a custodian is to answer, in the place of one that they did not."""
        values = {"new_challenge": challenge, "new_challenged_at": at}
        return self._changed_one(_CHALLENGE, set_id, custodian, values)

    def record_possession(
        self, set_id: bytes, custodian: str, *, challenge: bytes, proof: bytes, at: float
    ) -> bool:
        """Keep a proof and spend its challenge. False also when that is not the challenge that waits."""
        values = {"of_challenge": challenge, "new_proof": proof, "new_proved_at": at}
        return self._changed_one(_PROVE, set_id, custodian, values)

    def note_custodian_left(self, set_id: bytes, custodian: str, *, because: str, at: float) -> bool:
        """Count on a custodian no longer, for good in this set."""
        values = {"new_left_because": because, "new_left_at": at}
        return self._changed_one(_LEAVE, set_id, custodian, values)

    def insert_ceremony(self, record: CeremonyRecord) -> None:
        """Note a ceremony that begins. Raises DuplicateError when its id is taken."""
        self._add(ceremonies, record)

    def end_ceremony(self, ceremony_id: str, *, transcript_sha256: str, at: float) -> bool:
        """Note the end of a ceremony. False when there is none of this id, or it has ended."""
        values = {
            "of_ceremony": ceremony_id,
            "new_transcript_sha256": transcript_sha256,
            "new_ended_at": at,
        }
        return self._changed(_END_CEREMONY, values) == 1

    def _changed_one(
        self, statement: Update, set_id: bytes, custodian: str, values: dict[str, object]
    ) -> bool:
        return self._changed(statement, {"of_set": set_id, "of_custodian": custodian, **values}) == 1


def _custodian(row: AnyRow) -> CustodianRecord:
    record = CustodianRecord(*row)
    for document in (record.acknowledgement, record.proof, record.challenge):
        if not isinstance(document, bytes):
            raise StorageError("a document of a custodian in the database is not what was stored")
    return record._replace(state=CustodianState(record.state))
