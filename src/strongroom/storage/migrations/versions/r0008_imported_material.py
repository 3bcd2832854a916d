"""Versions get a description and the date at which they became current, keys the date at which material expires."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns, and the table of the keys by which material is recognised."""
    op.add_column(
        "key_versions", sa.Column("description", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    op.add_column("key_versions", sa.Column("rotated_at", sa.Double, nullable=True))
    op.create_index("ix_key_versions_expires_at", "key_versions", ["expires_at"])
    op.add_column("keys", sa.Column("expires_at", sa.Double, nullable=True))
    op.create_table(
        "import_digest_keys",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_import_digest_keys"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_import_digest_keys_key_id"),
        sa.CheckConstraint("length(wrapped) BETWEEN 1 AND 6144", name="ck_import_digest_keys_wrapped"),
    )


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
