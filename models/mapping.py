"""Which table holds which part of an order. The columns of each are the fields of its domain type (a test holds it)."""

from sqlmodel import SQLModel

from models.order import ChangeRow, DiscountRow, OrderRow
from models.payment import AllocationRow, AttemptRow, OperationRow, PaymentRequestRow, PaymentRow
from models.refund import RefundLegRow, RefundLineRow, RefundRow
from models.section import HoldRow, ItemRow, SectionRow, ShipmentItemRow, ShipmentRow

HEADER_TABLE = OrderRow
TABLES: dict[str, type[SQLModel]] = {
    "sections": SectionRow,
    "items": ItemRow,
    "holds": HoldRow,
    "shipments": ShipmentRow,
    "shipment_items": ShipmentItemRow,
    "discounts": DiscountRow,
    "requests": PaymentRequestRow,
    "payments": PaymentRow,
    "attempts": AttemptRow,
    "operations": OperationRow,
    "allocations": AllocationRow,
    "refunds": RefundRow,
    "refund_lines": RefundLineRow,
    "legs": RefundLegRow,
    "changes": ChangeRow,
}
"""By collection of `domain.order.Order`."""


def table_name(row: type[SQLModel]) -> str:
    """The table's name in Postgres."""
    return str(row.__tablename__)
