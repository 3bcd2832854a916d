"""Roots get a state, and there is a table of their rotations."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_MADE = "state IN ('pending', 'destroyed')"


def upgrade() -> None:
    """Change the table of roots, whose only one so far is the current one, and make the other."""
    # SQLite cannot change a CHECK: there Alembic copies the table, which it must be told whole.
    with op.batch_alter_table("roots", copy_from=_roots_of_0009()) as batch:
        batch.add_column(sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'current'")))
        batch.add_column(sa.Column("destroyed_at", sa.Double, nullable=True))
        batch.drop_constraint("ck_roots_canary", type_="check")
        batch.drop_constraint("ck_roots_canary_digest", type_="check")
        batch.create_check_constraint("ck_roots_canary", f"length(canary) BETWEEN 1 AND 6144 OR {_MADE}")
        batch.create_check_constraint("ck_roots_canary_digest", f"length(canary_digest) = 32 OR {_MADE}")
        batch.create_check_constraint("ck_roots_state", "state IN ('pending', 'current', 'old', 'destroyed')")
        batch.create_check_constraint(
            "ck_roots_destroyed_at", "(destroyed_at IS NULL) = (state <> 'destroyed')"
        )
    op.create_index("ix_domains_root_id", "domains", ["root_id", "domain_id"])
    _make_rotations()


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")


def _make_rotations() -> None:
    op.create_table(
        "root_rotations",
        sa.Column("rotation_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("domains_per_s", sa.Double, nullable=False),
        sa.Column("root_id", sa.LargeBinary, nullable=True),
        sa.Column("published_at", sa.Double, nullable=True),
        sa.Column("n_domains", sa.Integer, nullable=False),
        sa.Column("n_rewrapped", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Double, nullable=True),
        sa.Column("finished_at", sa.Double, nullable=True),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("trouble_at", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("rotation_id", name="pk_root_rotations"),
        sa.ForeignKeyConstraint(["root_id"], ["roots.root_id"], name="fk_root_rotations_root_id"),
        sa.CheckConstraint("length(rotation_id) = 36", name="ck_root_rotations_rotation_id"),
        sa.CheckConstraint(
            "state IN ('making', 'rewrapping', 'finished', 'failed')", name="ck_root_rotations_state"
        ),
        sa.CheckConstraint("domains_per_s > 0", name="ck_root_rotations_domains_per_s"),
        sa.CheckConstraint("n_domains >= 0", name="ck_root_rotations_n_domains"),
        sa.CheckConstraint("n_rewrapped >= 0", name="ck_root_rotations_n_rewrapped"),
        sa.CheckConstraint("length(trouble) <= 1000", name="ck_root_rotations_trouble"),
    )


def _roots_of_0009() -> sa.Table:
    return sa.Table(
        "roots",
        sa.MetaData(),
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
