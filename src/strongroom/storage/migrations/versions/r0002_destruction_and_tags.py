"""Keys get a date of destruction and the state ``destroyed``; tags of keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the table of keys, and make that of tags."""
    _change_keys()
    _create_key_tags()


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _change_keys() -> None:
    # SQLite cannot change a CHECK: there Alembic copies the table, which it must be told whole.
    with op.batch_alter_table("keys", copy_from=_keys_of_0001()) as batch:
        batch.add_column(sa.Column("destroy_at", sa.Double, nullable=True))
        batch.drop_constraint("ck_keys_state", type_="check")
        batch.create_check_constraint("ck_keys_state", "state IN ('active', 'suspended', 'destroyed')")
        batch.create_check_constraint("ck_keys_destroy_at", "destroy_at IS NULL OR state <> 'active'")
        batch.create_index("ix_keys_state_destroy_at", ["state", "destroy_at"])


def _keys_of_0001() -> sa.Table:
    return sa.Table(
        "keys",
        sa.MetaData(),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("current_version", sa.Integer, nullable=False),
        sa.Column("material_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_keys"),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.domain_id"], name="fk_keys_domain_id"),
        sa.CheckConstraint("length(key_id) = 36", name="ck_keys_key_id"),
        sa.CheckConstraint("state IN ('active', 'suspended')", name="ck_keys_state"),
        sa.CheckConstraint("length(description) <= 8192", name="ck_keys_description"),
        sa.CheckConstraint("current_version >= 1", name="ck_keys_current_version"),
        sa.CheckConstraint("length(material_id) = 64", name="ck_keys_material_id"),
        sa.Index("ix_keys_domain_id", "domain_id"),
    )


def _create_key_tags() -> None:
    op.create_table(
        "key_tags",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "name", name="pk_key_tags"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_tags_key_id"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 128", name="ck_key_tags_name"),
        sa.CheckConstraint("length(value) <= 256", name="ck_key_tags_value"),
    )
