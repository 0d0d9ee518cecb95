"""What of an operation is free of tax

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-23 21:00:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. The defaults are what PGs know of what was before, and of what old code writes while it still runs."""
    op.add_column("attempt", sa.Column("reports_tax", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("operation", sa.Column("tax_free", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint(op.f("ck_operation_tax_free_in_range"), "operation", "tax_free BETWEEN 0 AND amount")


def downgrade() -> None:
    """Back."""
    op.drop_constraint(op.f("ck_operation_tax_free_in_range"), "operation")
    op.drop_column("operation", "tax_free")
    op.drop_column("attempt", "reports_tax")
