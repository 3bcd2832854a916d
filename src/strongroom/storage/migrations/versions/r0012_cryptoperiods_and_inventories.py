"""Keys get cryptoperiods and dates of activation, versions a date of retirement; uses are told apart, and inventories kept."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns and the tables. Uses of before may have been of either kind, so their date counts for both."""
    op.add_column("keys", sa.Column("activate_at", sa.Double, nullable=True))
    op.add_column("keys", sa.Column("period_days", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("keys", sa.Column("period_ends_at", sa.Double, nullable=True))
    op.add_column("keys", sa.Column("max_uses", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("keys", sa.Column("warned_at", sa.Double, nullable=True))
    op.create_index("ix_keys_period_ends_at", "keys", ["period_ends_at"])
    op.add_column("key_versions", sa.Column("retired_at", sa.Double, nullable=True))
    op.add_column(
        "key_uses", sa.Column("n_protected", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
    op.add_column("key_uses", sa.Column("protected_at", sa.Double, nullable=True))
    op.add_column("key_uses", sa.Column("processed_at", sa.Double, nullable=True))
    op.execute("UPDATE key_uses SET protected_at = used_at, processed_at = used_at")
    _make_tables()


def _make_tables() -> None:
    op.create_table(
        "key_use_counts",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("n_taken", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "version", name="pk_key_use_counts"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_use_counts_key_id"),
        sa.CheckConstraint("n_taken >= 0", name="ck_key_use_counts_n_taken"),
    )
    op.create_table(
        "version_samples",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("material_id", sa.Text, nullable=False),
        sa.Column("sample", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "material_id", name="pk_version_samples"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_version_samples_key_id"),
        sa.CheckConstraint("length(sample) BETWEEN 1 AND 8192", name="ck_version_samples_sample"),
    )
    op.create_table(
        "key_inventories",
        sa.Column("inventory_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("received_from", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("inventory_id", name="pk_key_inventories"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_inventories_key_id"),
        sa.CheckConstraint("length(inventory_id) = 36", name="ck_key_inventories_inventory_id"),
        sa.CheckConstraint("length(digest) = 64", name="ck_key_inventories_digest"),
        sa.CheckConstraint("length(record) BETWEEN 1 AND 65536", name="ck_key_inventories_record"),
        sa.CheckConstraint("length(received_from) <= 256", name="ck_key_inventories_received_from"),
        sa.UniqueConstraint("key_id", "digest", name="uq_key_inventories_key_id_digest"),
    )


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
