"""Domains get names and can be replaced; a domain counts the keys in it that are not destroyed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns, and count anew: destroyed keys were counted so far."""
    op.add_column("domains", sa.Column("name", sa.Text, nullable=True))
    op.add_column("domains", sa.Column("replaced_by", sa.Text, nullable=True))
    op.add_column("domains", sa.Column("replaced_at", sa.Double, nullable=True))
    op.add_column("domains", sa.Column("n_to_move", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_index("ix_domains_name", "domains", ["name"], unique=True)
    op.create_index("ix_domains_replaced_by", "domains", ["replaced_by"], unique=True)
    op.execute(
        "UPDATE domains SET key_count = (SELECT count(*) FROM keys "
        "WHERE keys.domain_id = domains.domain_id AND keys.state <> 'destroyed')"
    )


def downgrade() -> None:
    """Refuse: a database goes back by restoring a backup."""
    raise NotImplementedError("restore a backup instead")
