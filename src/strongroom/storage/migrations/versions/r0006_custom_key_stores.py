"""Custom key stores; and for which version of a key each Direct key was made."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table, and change that of Direct keys."""
    op.create_table(
        "custom_key_stores",
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("cluster_id", sa.Text, nullable=False),
        sa.Column("is_connected", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("store_id", name="pk_custom_key_stores"),
        sa.UniqueConstraint("name", name="uq_custom_key_stores_name"),
        sa.CheckConstraint("length(store_id) = 21", name="ck_custom_key_stores_store_id"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 256", name="ck_custom_key_stores_name"),
        sa.CheckConstraint("length(cluster_id) BETWEEN 19 AND 24", name="ck_custom_key_stores_cluster_id"),
    )
    # SQLite cannot add a CHECK: there Alembic copies the table, which it must be told whole.
    with op.batch_alter_table("hsm_keys", copy_from=_hsm_keys_of_0005()) as batch:
        batch.add_column(sa.Column("made_for", sa.Text, nullable=False, server_default=sa.text("''")))
        batch.create_check_constraint("ck_hsm_keys_made_for", "length(made_for) <= 64")
        batch.create_index("ix_hsm_keys_made_for", ["made_for"])
    op.create_index("ix_key_versions_hsm_key_id", "key_versions", ["hsm_key_id"])


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _hsm_keys_of_0005() -> sa.Table:
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
        sa.Column("canary", sa.LargeBinary, nullable=True),
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
        sa.CheckConstraint("canary IS NULL OR length(canary) BETWEEN 32 AND 256", name="ck_hsm_keys_canary"),
        sa.Index("ix_hsm_keys_state", "state"),
    )
