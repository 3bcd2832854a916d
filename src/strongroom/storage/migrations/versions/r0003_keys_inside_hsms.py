"""Keys that live inside the HSMs, which members hold them, and the keys that they travel under."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables, those that are referred to first."""
    _create_hsm_keys()
    _create_hsm_key_copies()
    _create_transport_keys()


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _create_hsm_keys() -> None:
    op.create_table(
        "hsm_keys",
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
    )
    op.create_index("ix_hsm_keys_state", "hsm_keys", ["state"])


def _create_hsm_key_copies() -> None:
    op.create_table(
        "hsm_key_copies",
        sa.Column("key_id", sa.LargeBinary, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "member", name="pk_hsm_key_copies"),
        sa.ForeignKeyConstraint(["key_id"], ["hsm_keys.key_id"], name="fk_hsm_key_copies_key_id"),
        sa.CheckConstraint("length(member) BETWEEN 1 AND 64", name="ck_hsm_key_copies_member"),
        sa.CheckConstraint("state IN ('held', 'gone')", name="ck_hsm_key_copies_state"),
    )


def _create_transport_keys() -> None:
    op.create_table(
        "transport_keys",
        sa.Column("transport_id", sa.LargeBinary, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("mechanism", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("transport_id", name="pk_transport_keys"),
        sa.UniqueConstraint("member", "kind", name="uq_transport_keys_member_kind"),
        sa.CheckConstraint("length(transport_id) = 16", name="ck_transport_keys_transport_id"),
        sa.CheckConstraint("length(member) BETWEEN 1 AND 64", name="ck_transport_keys_member"),
        sa.CheckConstraint("kind IN ('aes', 'mac', 'rsa', 'ec', 'edwards')", name="ck_transport_keys_kind"),
        sa.CheckConstraint("mechanism BETWEEN 1 AND 2147483647", name="ck_transport_keys_mechanism"),
    )
