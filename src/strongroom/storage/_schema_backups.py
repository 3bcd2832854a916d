"""The tables of backups: sets, their transport keys and custodians, the backups made under them, and ceremonies."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
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

backup_sets: Final = Table(
    "backup_sets",
    metadata,
    Column("set_id", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double, nullable=True),
    Column("activated_at", Double, nullable=True),
    PrimaryKeyConstraint("set_id", name="pk_backup_sets"),
    CheckConstraint("length(set_id) = 16", name="ck_backup_sets_set_id"),
    CheckConstraint("length(document) <= 262144", name="ck_backup_sets_document"),
    CheckConstraint("state IN ('making', 'active', 'retired', 'abandoned')", name="ck_backup_sets_state"),
    CheckConstraint(
        "(ended_at IS NOT NULL) = (state IN ('retired', 'abandoned'))", name="ck_backup_sets_ended_at"
    ),
    CheckConstraint(
        "(activated_at IS NOT NULL) = (state IN ('active', 'retired'))",
        name="ck_backup_sets_activated_at",
    ),
    CheckConstraint("(length(document) > 0) = (activated_at IS NOT NULL)", name="ck_backup_sets_is_whole"),
)

backup_transport_keys: Final = Table(
    "backup_transport_keys",
    metadata,
    Column("transport_id", LargeBinary, nullable=False),
    Column("set_id", LargeBinary, nullable=False),
    Column("member", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("mechanism", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("transport_id", name="pk_backup_transport_keys"),
    UniqueConstraint("set_id", "member", "kind", name="uq_backup_transport_keys_set_id_member_kind"),
    ForeignKeyConstraint(["set_id"], ["backup_sets.set_id"], name="fk_backup_transport_keys_set_id"),
    CheckConstraint("length(transport_id) = 16", name="ck_backup_transport_keys_transport_id"),
    CheckConstraint("length(member) BETWEEN 1 AND 64", name="ck_backup_transport_keys_member"),
    CheckConstraint("kind IN ('aes', 'mac', 'rsa', 'ec', 'edwards')", name="ck_backup_transport_keys_kind"),
    CheckConstraint("mechanism BETWEEN 1 AND 2147483647", name="ck_backup_transport_keys_mechanism"),
)

backups: Final = Table(
    "backups",
    metadata,
    Column("backup_id", Text, nullable=False),
    Column("set_id", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("verified_at", Double, nullable=True),
    Column("size", BigInteger, nullable=False),
    Column("ended_at", Double, nullable=True),
    PrimaryKeyConstraint("backup_id", name="pk_backups"),
    ForeignKeyConstraint(["set_id"], ["backup_sets.set_id"], name="fk_backups_set_id"),
    CheckConstraint("length(backup_id) BETWEEN 1 AND 64", name="ck_backups_backup_id"),
    CheckConstraint("length(sha256) = 64", name="ck_backups_sha256"),
    CheckConstraint("length(location) BETWEEN 1 AND 4096", name="ck_backups_location"),
    CheckConstraint("state IN ('present', 'to_destroy', 'destroyed')", name="ck_backups_state"),
    CheckConstraint("size >= 1", name="ck_backups_size"),
    CheckConstraint("(ended_at IS NOT NULL) = (state = 'destroyed')", name="ck_backups_ended_at"),
    Index("ix_backups_created_at", "created_at", "backup_id"),
)

custodians: Final = Table(
    "custodians",
    metadata,
    Column("set_id", LargeBinary, nullable=False),
    Column("custodian", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("acknowledged_at", Double, nullable=True),
    Column("acknowledgement", LargeBinary, nullable=False),
    Column("proved_at", Double, nullable=True),
    Column("proof", LargeBinary, nullable=False),
    Column("challenge", LargeBinary, nullable=False),
    Column("challenged_at", Double, nullable=True),
    Column("left_at", Double, nullable=True),
    Column("left_because", Text, nullable=False),
    PrimaryKeyConstraint("set_id", "custodian", name="pk_custodians"),
    ForeignKeyConstraint(["set_id"], ["backup_sets.set_id"], name="fk_custodians_set_id"),
    CheckConstraint("length(custodian) BETWEEN 1 AND 64", name="ck_custodians_custodian"),
    CheckConstraint("state IN ('holding', 'left')", name="ck_custodians_state"),
    CheckConstraint(
        "(length(acknowledgement) > 0) = (acknowledged_at IS NOT NULL)",
        name="ck_custodians_acknowledged_at",
    ),
    CheckConstraint("length(acknowledgement) <= 65536", name="ck_custodians_acknowledgement"),
    CheckConstraint("length(proof) <= 4096", name="ck_custodians_proof"),
    CheckConstraint(
        "(length(challenge) > 0) = (challenged_at IS NOT NULL)", name="ck_custodians_challenged_at"
    ),
    CheckConstraint("length(challenge) <= 4096", name="ck_custodians_challenge"),
    CheckConstraint("(left_at IS NOT NULL) = (state = 'left')", name="ck_custodians_left_at"),
    CheckConstraint("length(left_because) <= 1000", name="ck_custodians_left_because"),
)

ceremonies: Final = Table(
    "ceremonies",
    metadata,
    Column("ceremony_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=True),
    Column("transcript_sha256", Text, nullable=False),
    Column("rehearsal", Boolean, nullable=False),
    PrimaryKeyConstraint("ceremony_id", name="pk_ceremonies"),
    CheckConstraint("length(ceremony_id) BETWEEN 1 AND 64", name="ck_ceremonies_ceremony_id"),
    CheckConstraint("length(kind) BETWEEN 1 AND 64", name="ck_ceremonies_kind"),
    CheckConstraint(
        "length(transcript_sha256) = CASE WHEN ended_at IS NULL THEN 0 ELSE 64 END",
        name="ck_ceremonies_transcript_sha256",
    ),
    Index("ix_ceremonies_started_at", "started_at", "ceremony_id"),
)
