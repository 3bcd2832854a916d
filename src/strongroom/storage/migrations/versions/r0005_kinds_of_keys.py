"""Keys get a kind, an origin and a schedule of rotation; versions get what is public of them and a date of expiry."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_STATES = "state IN ('active', 'suspended', 'pending-import', 'compromised', 'destroyed')"


def upgrade() -> None:
    """Change the tables of keys and of their versions."""
    _change_keys()
    _change_key_versions()


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _change_keys() -> None:
    # SQLite cannot change a CHECK: there Alembic copies the table, which it must be told whole.
    with op.batch_alter_table("keys", copy_from=_keys_of_0004()) as batch:
        batch.add_column(_text("spec", "SYMMETRIC_DEFAULT"))
        batch.add_column(_text("usage", "ENCRYPT_DECRYPT"))
        batch.add_column(_text("origin", "AWS_KMS"))
        batch.add_column(_text("store_id", ""))
        batch.add_column(sa.Column("rotation_days", sa.Integer, nullable=False, server_default=sa.text("0")))
        batch.add_column(sa.Column("rotate_at", sa.Double, nullable=True))
        batch.drop_constraint("ck_keys_state", type_="check")
        batch.create_check_constraint("ck_keys_state", _STATES)
        batch.create_check_constraint("ck_keys_spec", "length(spec) BETWEEN 1 AND 64")
        batch.create_check_constraint("ck_keys_usage", "length(usage) BETWEEN 1 AND 64")
        batch.create_check_constraint("ck_keys_origin", "length(origin) BETWEEN 1 AND 64")
        batch.create_check_constraint("ck_keys_store_id", "length(store_id) <= 64")
        batch.create_check_constraint("ck_keys_rotation_days", "rotation_days BETWEEN 0 AND 2560")
        batch.create_index("ix_keys_rotate_at", ["rotate_at"])
        batch.create_index("ix_keys_store_id", ["store_id"])


def _change_key_versions() -> None:
    with op.batch_alter_table("key_versions", copy_from=_key_versions_of_0004()) as batch:
        batch.add_column(_bytes("public_key"))
        batch.add_column(_bytes("hsm_key_id"))
        batch.add_column(_text("made_by", "create"))
        batch.add_column(sa.Column("expires_at", sa.Double, nullable=True))
        batch.drop_constraint("ck_key_versions_wrapped", type_="check")
        batch.create_check_constraint("ck_key_versions_wrapped", "length(wrapped) <= 6144")
        batch.create_check_constraint("ck_key_versions_public_key", "length(public_key) <= 4096")
        batch.create_check_constraint("ck_key_versions_hsm_key_id", "length(hsm_key_id) IN (0, 16)")
        batch.create_check_constraint(
            "ck_key_versions_made_by", "made_by IN ('create', 'automatic', 'on-demand', 'import')"
        )


def _text(name: str, default: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text(f"'{default}'"))


def _bytes(name: str) -> "sa.Column[bytes]":
    return sa.Column(name, sa.LargeBinary, nullable=False, server_default=sa.text("''"))


def _keys_of_0004() -> sa.Table:
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
        sa.Column("destroy_at", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_keys"),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.domain_id"], name="fk_keys_domain_id"),
        sa.CheckConstraint("length(key_id) = 36", name="ck_keys_key_id"),
        sa.CheckConstraint("state IN ('active', 'suspended', 'destroyed')", name="ck_keys_state"),
        sa.CheckConstraint("destroy_at IS NULL OR state <> 'active'", name="ck_keys_destroy_at"),
        sa.CheckConstraint("length(description) <= 8192", name="ck_keys_description"),
        sa.CheckConstraint("current_version >= 1", name="ck_keys_current_version"),
        sa.CheckConstraint("length(material_id) = 64", name="ck_keys_material_id"),
        sa.Index("ix_keys_domain_id", "domain_id"),
        sa.Index("ix_keys_state_destroy_at", "state", "destroy_at"),
    )


def _key_versions_of_0004() -> sa.Table:
    return sa.Table(
        "key_versions",
        sa.MetaData(),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("material_id", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "version", name="pk_key_versions"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_versions_key_id"),
        sa.CheckConstraint("version >= 1", name="ck_key_versions_version"),
        sa.CheckConstraint("length(material_id) = 64", name="ck_key_versions_material_id"),
        sa.CheckConstraint("length(wrapped) BETWEEN 1 AND 6144", name="ck_key_versions_wrapped"),
    )
