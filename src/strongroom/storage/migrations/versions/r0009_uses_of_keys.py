"""The last use of each version of a key, and since when uses are noted."""

import sqlalchemy as sa
from alembic import op

from strongroom.core import SystemClock

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables; uses are noted from now on."""
    op.create_table(
        "key_uses",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("material_id", sa.Text, nullable=False),
        sa.Column("n_uses", sa.Integer, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "material_id", name="pk_key_uses"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_uses_key_id"),
        sa.CheckConstraint("n_uses >= 1", name="ck_key_uses_n_uses"),
    )
    tracking = op.create_table(
        "use_tracking",
        sa.Column("only_row", sa.Integer, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("only_row", name="pk_use_tracking"),
        sa.CheckConstraint("only_row = 1", name="ck_use_tracking_only_row"),
    )
    op.execute(tracking.insert().values(only_row=1, since=SystemClock().now()))


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
