"""The tables of custody: the chain of its documents, requests for approval, signatures of officers, uses of standing approvals.

What officers signed is kept as the very bytes; the columns beside them are for finding, and are believed by nobody who acts.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from strongroom.storage._schema import metadata

custody_documents: Final = Table(
    "custody_documents",
    metadata,
    Column("sequence", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    PrimaryKeyConstraint("sequence", name="pk_custody_documents"),
    CheckConstraint("sequence >= 0", name="ck_custody_documents_sequence"),
    CheckConstraint("length(document) BETWEEN 1 AND 262144", name="ck_custody_documents_document"),
)

approvals: Final = Table(
    "approvals",
    metadata,
    Column("id", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("act", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("executed_at", Double, nullable=True),
    Column("ended_by", Text, nullable=False),
    PrimaryKeyConstraint("id", name="pk_approvals"),
    CheckConstraint("length(id) = 64", name="ck_approvals_id"),
    CheckConstraint("length(act) = 64", name="ck_approvals_act"),
    CheckConstraint("length(requester) BETWEEN 1 AND 200", name="ck_approvals_requester"),
    CheckConstraint("length(document) BETWEEN 1 AND 65536", name="ck_approvals_document"),
    CheckConstraint(
        "state IN ('open', 'standing', 'executed', 'rejected', 'void')", name="ck_approvals_state"
    ),
    CheckConstraint("(executed_at IS NULL) = (state <> 'executed')", name="ck_approvals_executed_at"),
    Index("ix_approvals_created_at_id", "created_at", "id"),
    Index("ix_approvals_state_created_at_id", "state", "created_at", "id"),
    Index("ix_approvals_act", "act"),
)

approval_signatures: Final = Table(
    "approval_signatures",
    metadata,
    Column("request_id", Text, nullable=False),
    Column("officer", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("request_id", "officer", "kind", name="pk_approval_signatures"),
    ForeignKeyConstraint(["request_id"], ["approvals.id"], name="fk_approval_signatures_request_id"),
    CheckConstraint("length(signature) BETWEEN 1 AND 4096", name="ck_approval_signatures_signature"),
    CheckConstraint("kind IN ('approval', 'rejection')", name="ck_approval_signatures_kind"),
)

standing_uses: Final = Table(
    "standing_uses",
    metadata,
    Column("request_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("parameters", LargeBinary, nullable=False),
    Column("sequence", Integer, nullable=False),
    PrimaryKeyConstraint("request_id", "number", name="pk_standing_uses"),
    ForeignKeyConstraint(["request_id"], ["approvals.id"], name="fk_standing_uses_request_id"),
    CheckConstraint("number >= 1", name="ck_standing_uses_number"),
    CheckConstraint("sequence >= 0", name="ck_standing_uses_sequence"),
    CheckConstraint("length(parameters) BETWEEN 2 AND 65536", name="ck_standing_uses_parameters"),
)
