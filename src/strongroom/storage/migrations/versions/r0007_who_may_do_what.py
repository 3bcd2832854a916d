"""Key policies, grants, last uses of access keys, and the number of changes to any of these."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "key_policies",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_key_policies"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_policies_key_id"),
        sa.CheckConstraint("length(document) BETWEEN 1 AND 32768", name="ck_key_policies_document"),
    )
    _make_grants()
    op.create_table(
        "access_key_uses",
        sa.Column("access_key_id", sa.Text, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name="pk_access_key_uses"),
        sa.ForeignKeyConstraint(
            ["access_key_id"], ["access_keys.access_key_id"], name="fk_access_key_uses_access_key_id"
        ),
    )
    changes = op.create_table(
        "access_changes",
        sa.Column("only_row", sa.Integer, nullable=False),
        sa.Column("n_changes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("only_row", name="pk_access_changes"),
        sa.CheckConstraint("only_row = 1", name="ck_access_changes_only_row"),
    )
    op.execute(changes.insert().values(only_row=1, n_changes=0))


def _make_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("grantee", sa.Text, nullable=False),
        sa.Column("retiring", sa.Text, nullable=False),
        sa.Column("actions", sa.JSON, nullable=False),
        sa.Column("context_equals", sa.JSON, nullable=True),
        sa.Column("context_subset", sa.JSON, nullable=True),
        sa.Column("parameters_digest", sa.LargeBinary, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("grant_id", name="pk_grants"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_grants_key_id"),
        sa.UniqueConstraint("key_id", "parameters_digest", name="uq_grants_key_id_parameters_digest"),
        sa.CheckConstraint("length(grant_id) = 64", name="ck_grants_grant_id"),
        sa.CheckConstraint("length(name) <= 256", name="ck_grants_name"),
        sa.CheckConstraint("length(grantee) BETWEEN 1 AND 256", name="ck_grants_grantee"),
        sa.CheckConstraint("length(retiring) <= 256", name="ck_grants_retiring"),
        sa.CheckConstraint("length(parameters_digest) = 32", name="ck_grants_parameters_digest"),
    )
    op.create_index("ix_grants_key_id_grant_id", "grants", ["key_id", "grant_id"])
    op.create_index("ix_grants_key_id_grantee", "grants", ["key_id", "grantee", "grant_id"])
    op.create_index("ix_grants_retiring", "grants", ["retiring", "grant_id"])


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
