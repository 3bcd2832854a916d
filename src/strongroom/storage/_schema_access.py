"""The tables of who may do what: key policies, grants, last uses of access keys, and how often any of it changed."""

from typing import Final

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from strongroom.storage._schema import metadata

key_policies: Final = Table(
    "key_policies",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("key_id", name="pk_key_policies"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_policies_key_id"),
    CheckConstraint("length(document) BETWEEN 1 AND 32768", name="ck_key_policies_document"),
)

grants: Final = Table(
    "grants",
    metadata,
    Column("grant_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("grantee", Text, nullable=False),
    Column("retiring", Text, nullable=False),
    Column("actions", JSON, nullable=False),
    Column("context_equals", JSON(none_as_null=True), nullable=True),
    Column("context_subset", JSON(none_as_null=True), nullable=True),
    Column("parameters_digest", LargeBinary, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("grant_id", name="pk_grants"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_grants_key_id"),
    UniqueConstraint("key_id", "parameters_digest", name="uq_grants_key_id_parameters_digest"),
    CheckConstraint("length(grant_id) = 64", name="ck_grants_grant_id"),
    CheckConstraint("length(name) <= 256", name="ck_grants_name"),
    CheckConstraint("length(grantee) BETWEEN 1 AND 256", name="ck_grants_grantee"),
    CheckConstraint("length(retiring) <= 256", name="ck_grants_retiring"),
    CheckConstraint("length(parameters_digest) = 32", name="ck_grants_parameters_digest"),
    Index("ix_grants_key_id_grant_id", "key_id", "grant_id"),
    Index("ix_grants_key_id_grantee", "key_id", "grantee", "grant_id"),
    Index("ix_grants_retiring", "retiring", "grant_id"),
)

access_key_uses: Final = Table(
    "access_key_uses",
    metadata,
    Column("access_key_id", Text, nullable=False),
    Column("used_at", Double, nullable=False),
    PrimaryKeyConstraint("access_key_id", name="pk_access_key_uses"),
    ForeignKeyConstraint(
        ["access_key_id"], ["access_keys.access_key_id"], name="fk_access_key_uses_access_key_id"
    ),
)

access_changes: Final = Table(
    "access_changes",
    metadata,
    Column("only_row", Integer, nullable=False),
    Column("n_changes", Integer, nullable=False),
    PrimaryKeyConstraint("only_row", name="pk_access_changes"),
    CheckConstraint("only_row = 1", name="ck_access_changes_only_row"),
)
