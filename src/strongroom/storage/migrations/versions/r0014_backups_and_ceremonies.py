"""Backup sets, their transport keys, the custodians of their shares, backups made under them, and ceremonies."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the tables. A home of before has no backups that it knows of: none of them gets a row."""
    _make_sets()
    _make_backups()
    _make_custodians()
    _make_ceremonies()


def _make_sets() -> None:
    op.create_table(
        "backup_sets",
        sa.Column("set_id", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=True),
        sa.Column("activated_at", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("set_id", name="pk_backup_sets"),
        sa.CheckConstraint("length(set_id) = 16", name="ck_backup_sets_set_id"),
        sa.CheckConstraint("length(document) <= 262144", name="ck_backup_sets_document"),
        sa.CheckConstraint(
            "state IN ('making', 'active', 'retired', 'abandoned')", name="ck_backup_sets_state"
        ),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (state IN ('retired', 'abandoned'))", name="ck_backup_sets_ended_at"
        ),
        sa.CheckConstraint(
            "(activated_at IS NOT NULL) = (state IN ('active', 'retired'))",
            name="ck_backup_sets_activated_at",
        ),
        sa.CheckConstraint(
            "(length(document) > 0) = (activated_at IS NOT NULL)", name="ck_backup_sets_is_whole"
        ),
    )
    op.create_table(
        "backup_transport_keys",
        sa.Column("transport_id", sa.LargeBinary, nullable=False),
        sa.Column("set_id", sa.LargeBinary, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("mechanism", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("transport_id", name="pk_backup_transport_keys"),
        sa.UniqueConstraint("set_id", "member", "kind", name="uq_backup_transport_keys_set_id_member_kind"),
        sa.ForeignKeyConstraint(["set_id"], ["backup_sets.set_id"], name="fk_backup_transport_keys_set_id"),
        sa.CheckConstraint("length(transport_id) = 16", name="ck_backup_transport_keys_transport_id"),
        sa.CheckConstraint("length(member) BETWEEN 1 AND 64", name="ck_backup_transport_keys_member"),
        sa.CheckConstraint(
            "kind IN ('aes', 'mac', 'rsa', 'ec', 'edwards')", name="ck_backup_transport_keys_kind"
        ),
        sa.CheckConstraint("mechanism BETWEEN 1 AND 2147483647", name="ck_backup_transport_keys_mechanism"),
    )


def _make_backups() -> None:
    op.create_table(
        "backups",
        sa.Column("backup_id", sa.Text, nullable=False),
        sa.Column("set_id", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("verified_at", sa.Double, nullable=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("backup_id", name="pk_backups"),
        sa.ForeignKeyConstraint(["set_id"], ["backup_sets.set_id"], name="fk_backups_set_id"),
        sa.CheckConstraint("length(backup_id) BETWEEN 1 AND 64", name="ck_backups_backup_id"),
        sa.CheckConstraint("length(sha256) = 64", name="ck_backups_sha256"),
        sa.CheckConstraint("length(location) BETWEEN 1 AND 4096", name="ck_backups_location"),
        sa.CheckConstraint("state IN ('present', 'to_destroy', 'destroyed')", name="ck_backups_state"),
        sa.CheckConstraint("size >= 1", name="ck_backups_size"),
        sa.CheckConstraint("(ended_at IS NOT NULL) = (state = 'destroyed')", name="ck_backups_ended_at"),
    )
    op.create_index("ix_backups_created_at", "backups", ["created_at", "backup_id"])


def _make_custodians() -> None:
    op.create_table(
        "custodians",
        sa.Column("set_id", sa.LargeBinary, nullable=False),
        sa.Column("custodian", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("acknowledged_at", sa.Double, nullable=True),
        sa.Column("acknowledgement", sa.LargeBinary, nullable=False),
        sa.Column("proved_at", sa.Double, nullable=True),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.Column("challenge", sa.LargeBinary, nullable=False),
        sa.Column("challenged_at", sa.Double, nullable=True),
        sa.Column("left_at", sa.Double, nullable=True),
        sa.Column("left_because", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("set_id", "custodian", name="pk_custodians"),
        sa.ForeignKeyConstraint(["set_id"], ["backup_sets.set_id"], name="fk_custodians_set_id"),
        sa.CheckConstraint("length(custodian) BETWEEN 1 AND 64", name="ck_custodians_custodian"),
        sa.CheckConstraint("state IN ('holding', 'left')", name="ck_custodians_state"),
        sa.CheckConstraint(
            "(length(acknowledgement) > 0) = (acknowledged_at IS NOT NULL)",
            name="ck_custodians_acknowledged_at",
        ),
        sa.CheckConstraint("length(acknowledgement) <= 65536", name="ck_custodians_acknowledgement"),
        sa.CheckConstraint("length(proof) <= 4096", name="ck_custodians_proof"),
        sa.CheckConstraint(
            "(length(challenge) > 0) = (challenged_at IS NOT NULL)", name="ck_custodians_challenged_at"
        ),
        sa.CheckConstraint("length(challenge) <= 4096", name="ck_custodians_challenge"),
        sa.CheckConstraint("(left_at IS NOT NULL) = (state = 'left')", name="ck_custodians_left_at"),
        sa.CheckConstraint("length(left_because) <= 1000", name="ck_custodians_left_because"),
    )


def _make_ceremonies() -> None:
    op.create_table(
        "ceremonies",
        sa.Column("ceremony_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=True),
        sa.Column("transcript_sha256", sa.Text, nullable=False),
        sa.Column("rehearsal", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("ceremony_id", name="pk_ceremonies"),
        sa.CheckConstraint("length(ceremony_id) BETWEEN 1 AND 64", name="ck_ceremonies_ceremony_id"),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 64", name="ck_ceremonies_kind"),
        sa.CheckConstraint(
            "length(transcript_sha256) = CASE WHEN ended_at IS NULL THEN 0 ELSE 64 END",
            name="ck_ceremonies_transcript_sha256",
        ),
    )
    op.create_index("ix_ceremonies_started_at", "ceremonies", ["started_at", "ceremony_id"])


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
