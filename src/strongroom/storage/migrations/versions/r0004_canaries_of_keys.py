"""A known answer of each Direct key that has no public half, so that its record recognises it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; keys of before get their canary when they are next proved."""
    # SQLite cannot add a CHECK: there Alembic copies the table, which it must be told whole.
    with op.batch_alter_table("hsm_keys", copy_from=_hsm_keys_of_0003()) as batch:
        batch.add_column(sa.Column("canary", sa.LargeBinary, nullable=True))
        batch.create_check_constraint(
            "ck_hsm_keys_canary", "canary IS NULL OR length(canary) BETWEEN 32 AND 256"
        )


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _hsm_keys_of_0003() -> sa.Table:
    return sa.Table(
        "hsm_keys",
        sa.MetaData(),
        sa.Column("key_id", sa.LargeBinary, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("usage", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("may_leave", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("destroyed_at", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_hsm_keys"),
        sa.CheckConstraint("length(key_id) = 16", name="ck_hsm_keys_key_id"),
        sa.CheckConstraint("length(spec) BETWEEN 1 AND 64", name="ck_hsm_keys_spec"),
        sa.CheckConstraint("length(usage) BETWEEN 1 AND 64", name="ck_hsm_keys_usage"),
        sa.CheckConstraint("length(label) BETWEEN 1 AND 120", name="ck_hsm_keys_label"),
        sa.CheckConstraint("state IN ('pending', 'active', 'destroyed')", name="ck_hsm_keys_state"),
        sa.CheckConstraint("length(public_key) <= 1024", name="ck_hsm_keys_public_key"),
        sa.CheckConstraint(
            "(destroyed_at IS NULL) = (state <> 'destroyed')", name="ck_hsm_keys_destroyed_at"
        ),
        sa.Index("ix_hsm_keys_state", "state"),
    )
