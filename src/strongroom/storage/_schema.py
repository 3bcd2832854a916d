"""The tables as the queries see them. The migrations make them; a test holds the two against each other.

Every table has its primary key, NOT NULL everywhere (but for what may not have come yet), foreign keys, and CHECKs for
what a defect in our own code could get wrong. All of it is SQL that PostgreSQL takes as well.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISIONS: Final = tuple(f"{number:04}" for number in range(1, 15))
"""Every revision this software knows, oldest first; the last one is what it works with."""

metadata: Final = MetaData()

roots: Final = Table(
    "roots",
    metadata,
    Column("root_id", LargeBinary, nullable=False),
    Column("wrap_algorithm", Integer, nullable=False),
    Column("check_kind", Text, nullable=False),
    Column("check_value", Text, nullable=False),
    Column("canary", LargeBinary, nullable=False),
    Column("canary_digest", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'current'")),
    Column("destroyed_at", Double, nullable=True),
    PrimaryKeyConstraint("root_id", name="pk_roots"),
    CheckConstraint("length(root_id) = 16", name="ck_roots_root_id"),
    CheckConstraint("wrap_algorithm BETWEEN 1 AND 255", name="ck_roots_wrap_algorithm"),
    CheckConstraint(
        "length(canary) BETWEEN 1 AND 6144 OR state IN ('pending', 'destroyed')", name="ck_roots_canary"
    ),
    CheckConstraint(
        "length(canary_digest) = 32 OR state IN ('pending', 'destroyed')", name="ck_roots_canary_digest"
    ),
    CheckConstraint("state IN ('pending', 'current', 'old', 'destroyed')", name="ck_roots_state"),
    CheckConstraint("(destroyed_at IS NULL) = (state <> 'destroyed')", name="ck_roots_destroyed_at"),
)

members: Final = Table(
    "members",
    metadata,
    Column("name", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("token_serial", Text, nullable=False),
    Column("token_label", Text, nullable=False),
    Column("position", Integer, nullable=False),
    PrimaryKeyConstraint("name", name="pk_members"),
    UniqueConstraint("position", name="uq_members_position"),
    CheckConstraint("length(name) >= 1", name="ck_members_name"),
    CheckConstraint("position >= 0", name="ck_members_position"),
)

domains: Final = Table(
    "domains",
    metadata,
    Column("domain_id", Text, nullable=False),
    Column("root_id", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("key_count", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("name", Text, nullable=True),
    Column("replaced_by", Text, nullable=True),
    Column("replaced_at", Double, nullable=True),
    Column("n_to_move", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("domain_id", name="pk_domains"),
    ForeignKeyConstraint(["root_id"], ["roots.root_id"], name="fk_domains_root_id"),
    CheckConstraint("length(domain_id) = 36", name="ck_domains_domain_id"),
    CheckConstraint("kind IN ('shard', 'credentials', 'dedicated')", name="ck_domains_kind"),
    CheckConstraint("length(wrapped) BETWEEN 1 AND 6144", name="ck_domains_wrapped"),
    CheckConstraint("key_count >= 0", name="ck_domains_key_count"),
    Index("ix_domains_kind_key_count", "kind", "key_count"),
    Index("ix_domains_name", "name", unique=True),
    Index("ix_domains_replaced_by", "replaced_by", unique=True),
    Index("ix_domains_root_id", "root_id", "domain_id"),
)

keys: Final = Table(
    "keys",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("domain_id", Text, nullable=False),
    Column("current_version", Integer, nullable=False),
    Column("material_id", Text, nullable=False),
    Column("destroy_at", Double, nullable=True),
    Column("spec", Text, nullable=False, server_default=text("'SYMMETRIC_DEFAULT'")),
    Column("usage", Text, nullable=False, server_default=text("'ENCRYPT_DECRYPT'")),
    Column("origin", Text, nullable=False, server_default=text("'AWS_KMS'")),
    Column("store_id", Text, nullable=False, server_default=text("''")),
    Column("rotation_days", Integer, nullable=False, server_default=text("0")),
    Column("rotate_at", Double, nullable=True),
    Column("expires_at", Double, nullable=True),
    Column("activate_at", Double, nullable=True),
    Column("period_days", Integer, nullable=False, server_default=text("0")),
    Column("period_ends_at", Double, nullable=True),
    Column("max_uses", BigInteger, nullable=False, server_default=text("0")),
    Column("warned_at", Double, nullable=True),
    PrimaryKeyConstraint("key_id", name="pk_keys"),
    ForeignKeyConstraint(["domain_id"], ["domains.domain_id"], name="fk_keys_domain_id"),
    CheckConstraint("length(key_id) = 36", name="ck_keys_key_id"),
    CheckConstraint(
        "state IN ('active', 'suspended', 'pending-import', 'compromised', 'destroyed')", name="ck_keys_state"
    ),
    CheckConstraint("destroy_at IS NULL OR state <> 'active'", name="ck_keys_destroy_at"),
    CheckConstraint("length(description) <= 8192", name="ck_keys_description"),
    CheckConstraint("current_version >= 1", name="ck_keys_current_version"),
    CheckConstraint("length(material_id) = 64", name="ck_keys_material_id"),
    Index("ix_keys_domain_id", "domain_id"),
    CheckConstraint("length(spec) BETWEEN 1 AND 64", name="ck_keys_spec"),
    CheckConstraint("length(usage) BETWEEN 1 AND 64", name="ck_keys_usage"),
    CheckConstraint("length(origin) BETWEEN 1 AND 64", name="ck_keys_origin"),
    CheckConstraint("length(store_id) <= 64", name="ck_keys_store_id"),
    CheckConstraint("rotation_days BETWEEN 0 AND 2560", name="ck_keys_rotation_days"),
    Index("ix_keys_state_destroy_at", "state", "destroy_at"),
    Index("ix_keys_rotate_at", "rotate_at"),
    Index("ix_keys_period_ends_at", "period_ends_at"),
    Index("ix_keys_store_id", "store_id"),
)

key_versions: Final = Table(
    "key_versions",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("material_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("public_key", LargeBinary, nullable=False, server_default=text("''")),
    Column("hsm_key_id", LargeBinary, nullable=False, server_default=text("''")),
    Column("made_by", Text, nullable=False, server_default=text("'create'")),
    Column("expires_at", Double, nullable=True),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("rotated_at", Double, nullable=True),
    Column("retired_at", Double, nullable=True),
    PrimaryKeyConstraint("key_id", "version", name="pk_key_versions"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_versions_key_id"),
    CheckConstraint("version >= 1", name="ck_key_versions_version"),
    CheckConstraint("length(material_id) = 64", name="ck_key_versions_material_id"),
    CheckConstraint("length(wrapped) <= 6144", name="ck_key_versions_wrapped"),
    CheckConstraint("length(public_key) <= 4096", name="ck_key_versions_public_key"),
    CheckConstraint("length(hsm_key_id) IN (0, 16)", name="ck_key_versions_hsm_key_id"),
    Index("ix_key_versions_hsm_key_id", "hsm_key_id"),
    CheckConstraint(
        "made_by IN ('create', 'automatic', 'on-demand', 'import')", name="ck_key_versions_made_by"
    ),
    Index("ix_key_versions_expires_at", "expires_at"),
)

import_digest_keys: Final = Table(
    "import_digest_keys",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    PrimaryKeyConstraint("key_id", name="pk_import_digest_keys"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_import_digest_keys_key_id"),
    CheckConstraint("length(wrapped) BETWEEN 1 AND 6144", name="ck_import_digest_keys_wrapped"),
)

aliases: Final = Table(
    "aliases",
    metadata,
    Column("name", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("name", name="pk_aliases"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_aliases_key_id"),
    CheckConstraint("length(name) BETWEEN 1 AND 256", name="ck_aliases_name"),
    Index("ix_aliases_key_id_name", "key_id", "name"),
)

key_tags: Final = Table(
    "key_tags",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("key_id", "name", name="pk_key_tags"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_tags_key_id"),
    CheckConstraint("length(name) BETWEEN 1 AND 128", name="ck_key_tags_name"),
    CheckConstraint("length(value) <= 256", name="ck_key_tags_value"),
)

access_keys: Final = Table(
    "access_keys",
    metadata,
    Column("access_key_id", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("wrapped_secret", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("access_key_id", name="pk_access_keys"),
    CheckConstraint("length(access_key_id) BETWEEN 1 AND 128", name="ck_access_keys_access_key_id"),
    CheckConstraint("length(wrapped_secret) BETWEEN 1 AND 6144", name="ck_access_keys_wrapped_secret"),
)

hsm_keys: Final = Table(
    "hsm_keys",
    metadata,
    Column("key_id", LargeBinary, nullable=False),
    Column("spec", Text, nullable=False),
    Column("usage", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("may_leave", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("destroyed_at", Double, nullable=True),
    Column("canary", LargeBinary, nullable=True),
    Column("made_for", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("key_id", name="pk_hsm_keys"),
    CheckConstraint("length(key_id) = 16", name="ck_hsm_keys_key_id"),
    CheckConstraint("length(spec) BETWEEN 1 AND 64", name="ck_hsm_keys_spec"),
    CheckConstraint("length(usage) BETWEEN 1 AND 64", name="ck_hsm_keys_usage"),
    CheckConstraint("length(label) BETWEEN 1 AND 120", name="ck_hsm_keys_label"),
    CheckConstraint("state IN ('pending', 'active', 'destroyed')", name="ck_hsm_keys_state"),
    CheckConstraint("length(public_key) <= 1024", name="ck_hsm_keys_public_key"),
    CheckConstraint("(destroyed_at IS NULL) = (state <> 'destroyed')", name="ck_hsm_keys_destroyed_at"),
    CheckConstraint("canary IS NULL OR length(canary) BETWEEN 32 AND 256", name="ck_hsm_keys_canary"),
    Index("ix_hsm_keys_state", "state"),
    CheckConstraint("length(made_for) <= 64", name="ck_hsm_keys_made_for"),
    Index("ix_hsm_keys_made_for", "made_for"),
)

custom_key_stores: Final = Table(
    "custom_key_stores",
    metadata,
    Column("store_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("cluster_id", Text, nullable=False),
    Column("is_connected", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("store_id", name="pk_custom_key_stores"),
    UniqueConstraint("name", name="uq_custom_key_stores_name"),
    CheckConstraint("length(store_id) = 21", name="ck_custom_key_stores_store_id"),
    CheckConstraint("length(name) BETWEEN 1 AND 256", name="ck_custom_key_stores_name"),
    CheckConstraint("length(cluster_id) BETWEEN 19 AND 24", name="ck_custom_key_stores_cluster_id"),
)

hsm_key_copies: Final = Table(
    "hsm_key_copies",
    metadata,
    Column("key_id", LargeBinary, nullable=False),
    Column("member", Text, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("key_id", "member", name="pk_hsm_key_copies"),
    ForeignKeyConstraint(["key_id"], ["hsm_keys.key_id"], name="fk_hsm_key_copies_key_id"),
    CheckConstraint("length(member) BETWEEN 1 AND 64", name="ck_hsm_key_copies_member"),
    CheckConstraint("state IN ('held', 'gone')", name="ck_hsm_key_copies_state"),
)

transport_keys: Final = Table(
    "transport_keys",
    metadata,
    Column("transport_id", LargeBinary, nullable=False),
    Column("member", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("mechanism", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("transport_id", name="pk_transport_keys"),
    UniqueConstraint("member", "kind", name="uq_transport_keys_member_kind"),
    CheckConstraint("length(transport_id) = 16", name="ck_transport_keys_transport_id"),
    CheckConstraint("length(member) BETWEEN 1 AND 64", name="ck_transport_keys_member"),
    CheckConstraint("kind IN ('aes', 'mac', 'rsa', 'ec', 'edwards')", name="ck_transport_keys_kind"),
    CheckConstraint("mechanism BETWEEN 1 AND 2147483647", name="ck_transport_keys_mechanism"),
)
