"""First schema: roots, members, domains, keys, versions, aliases, access keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, those that are referred to first."""
    _create_roots()
    _create_members()
    _create_domains()
    _create_keys()
    _create_key_versions()
    _create_aliases()
    _create_access_keys()


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _create_roots() -> None:
    op.create_table(
        "roots",
        sa.Column("root_id", sa.LargeBinary, nullable=False),
        sa.Column("wrap_algorithm", sa.Integer, nullable=False),
        sa.Column("check_kind", sa.Text, nullable=False),
        sa.Column("check_value", sa.Text, nullable=False),
        sa.Column("canary", sa.LargeBinary, nullable=False),
        sa.Column("canary_digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("root_id", name="pk_roots"),
        sa.CheckConstraint("length(root_id) = 16", name="ck_roots_root_id"),
        sa.CheckConstraint("wrap_algorithm BETWEEN 1 AND 255", name="ck_roots_wrap_algorithm"),
        sa.CheckConstraint("length(canary) BETWEEN 1 AND 6144", name="ck_roots_canary"),
        sa.CheckConstraint("length(canary_digest) = 32", name="ck_roots_canary_digest"),
    )


def _create_members() -> None:
    op.create_table(
        "members",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("token_serial", sa.Text, nullable=False),
        sa.Column("token_label", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_members"),
        sa.UniqueConstraint("position", name="uq_members_position"),
        sa.CheckConstraint("length(name) >= 1", name="ck_members_name"),
        sa.CheckConstraint("position >= 0", name="ck_members_position"),
    )


def _create_domains() -> None:
    op.create_table(
        "domains",
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("root_id", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("key_count", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("domain_id", name="pk_domains"),
        sa.ForeignKeyConstraint(["root_id"], ["roots.root_id"], name="fk_domains_root_id"),
        sa.CheckConstraint("length(domain_id) = 36", name="ck_domains_domain_id"),
        sa.CheckConstraint("kind IN ('shard', 'credentials', 'dedicated')", name="ck_domains_kind"),
        sa.CheckConstraint("length(wrapped) BETWEEN 1 AND 6144", name="ck_domains_wrapped"),
        sa.CheckConstraint("key_count >= 0", name="ck_domains_key_count"),
    )
    op.create_index("ix_domains_kind_key_count", "domains", ["kind", "key_count"])


def _create_keys() -> None:
    op.create_table(
        "keys",
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
    )
    op.create_index("ix_keys_domain_id", "keys", ["domain_id"])


def _create_key_versions() -> None:
    op.create_table(
        "key_versions",
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


def _create_aliases() -> None:
    op.create_table(
        "aliases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_aliases"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_aliases_key_id"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 256", name="ck_aliases_name"),
    )
    op.create_index("ix_aliases_key_id_name", "aliases", ["key_id", "name"])


def _create_access_keys() -> None:
    op.create_table(
        "access_keys",
        sa.Column("access_key_id", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("wrapped_secret", sa.LargeBinary, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name="pk_access_keys"),
        sa.CheckConstraint("length(access_key_id) BETWEEN 1 AND 128", name="ck_access_keys_access_key_id"),
        sa.CheckConstraint("length(wrapped_secret) BETWEEN 1 AND 6144", name="ck_access_keys_wrapped_secret"),
    )
