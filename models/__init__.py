"""The tables: columns, CHECKs and unique constraints that make a wrong state impossible. No relationships."""

from models.catalog import Sku, SkuOption, Stock
from models.command import CommandRow, IdempotencyRow
from models.order import ChangeRow, DiscountRow, OrderRow
from models.payment import AllocationRow, AttemptRow, OperationRow, PaymentRequestRow, PaymentRow
from models.refund import RefundLegRow, RefundLineRow, RefundRow
from models.routing import GatewayAccount, RoutingRule, RoutingState, RoutingWeight
from models.section import HoldRow, ItemRow, SectionRow, ShipmentItemRow, ShipmentRow
from models.store import ApiKey, Store
from models.timeline import TimelineRow
from models.value import ValueAccount, ValueEntry

__all__ = [
    "AllocationRow",
    "ApiKey",
    "AttemptRow",
    "ChangeRow",
    "CommandRow",
    "DiscountRow",
    "GatewayAccount",
    "HoldRow",
    "IdempotencyRow",
    "ItemRow",
    "OperationRow",
    "OrderRow",
    "PaymentRequestRow",
    "PaymentRow",
    "RefundLegRow",
    "RefundLineRow",
    "RefundRow",
    "RoutingRule",
    "RoutingState",
    "RoutingWeight",
    "SectionRow",
    "ShipmentItemRow",
    "ShipmentRow",
    "Sku",
    "SkuOption",
    "Stock",
    "Store",
    "TimelineRow",
    "ValueAccount",
    "ValueEntry",
]
