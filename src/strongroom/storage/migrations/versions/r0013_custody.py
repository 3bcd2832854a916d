"""Custody: the chain of its documents, requests for approval, signatures of officers, uses of standing approvals."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the tables. A home of before has no custody: none of them gets a row."""
    op.create_table(
        "custody_documents",
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_custody_documents"),
        sa.CheckConstraint("sequence >= 0", name="ck_custody_documents_sequence"),
        sa.CheckConstraint("length(document) BETWEEN 1 AND 262144", name="ck_custody_documents_document"),
    )
    _make_requests()
    _make_signatures_and_uses()


def _make_requests() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("executed_at", sa.Double, nullable=True),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.CheckConstraint("length(id) = 64", name="ck_approvals_id"),
        sa.CheckConstraint("length(act) = 64", name="ck_approvals_act"),
        sa.CheckConstraint("length(requester) BETWEEN 1 AND 200", name="ck_approvals_requester"),
        sa.CheckConstraint("length(document) BETWEEN 1 AND 65536", name="ck_approvals_document"),
        sa.CheckConstraint(
            "state IN ('open', 'standing', 'executed', 'rejected', 'void')", name="ck_approvals_state"
        ),
        sa.CheckConstraint("(executed_at IS NULL) = (state <> 'executed')", name="ck_approvals_executed_at"),
    )
    op.create_index("ix_approvals_created_at_id", "approvals", ["created_at", "id"])
    op.create_index("ix_approvals_state_created_at_id", "approvals", ["state", "created_at", "id"])
    op.create_index("ix_approvals_act", "approvals", ["act"])


def _make_signatures_and_uses() -> None:
    op.create_table(
        "approval_signatures",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("officer", sa.Text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "officer", "kind", name="pk_approval_signatures"),
        sa.ForeignKeyConstraint(["request_id"], ["approvals.id"], name="fk_approval_signatures_request_id"),
        sa.CheckConstraint("length(signature) BETWEEN 1 AND 4096", name="ck_approval_signatures_signature"),
        sa.CheckConstraint("kind IN ('approval', 'rejection')", name="ck_approval_signatures_kind"),
    )
    op.create_table(
        "standing_uses",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "number", name="pk_standing_uses"),
        sa.ForeignKeyConstraint(["request_id"], ["approvals.id"], name="fk_standing_uses_request_id"),
        sa.CheckConstraint("number >= 1", name="ck_standing_uses_number"),
        sa.CheckConstraint("sequence >= 0", name="ck_standing_uses_sequence"),
        sa.CheckConstraint("length(parameters) BETWEEN 2 AND 65536", name="ck_standing_uses_parameters"),
    )


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
