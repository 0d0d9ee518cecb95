"""The tables: columns, CHECKs and unique constraints that make a wrong state impossible. No relationships."""

from models.catalog import Sku, SkuOption, Stock
from models.command import CommandRow, IdempotencyRow
from models.order import ChangeRow, DiscountRow, OrderRow
from models.payment import AllocationRow, AttemptRow, OperationRow, PaymentRequestRow, PaymentRow
from models.reconciliation import (
    BankCredit,
    ReconciliationCase,
    SettlementFileChunk,
    SettlementImport,
    SettlementLineRow,
)
from models.refund import RefundLegRow, RefundLineRow, RefundRow
from models.routing import GatewayAccount, GatewayHealth, RoutingRule, RoutingState, RoutingWeight
from models.section import HoldRow, ItemRow, SectionRow, ShipmentItemRow, ShipmentRow
from models.store import ApiKey, Store
from models.timeline import TimelineRow
from models.value import ValueEntry, ValueHold, ValueLot
from models.webhook import HintRow, WebhookEventRow

__all__ = [
    "AllocationRow",
    "ApiKey",
    "AttemptRow",
    "BankCredit",
    "ChangeRow",
    "CommandRow",
    "DiscountRow",
    "GatewayAccount",
    "GatewayHealth",
    "HintRow",
    "HoldRow",
    "IdempotencyRow",
    "ItemRow",
    "OperationRow",
    "OrderRow",
    "PaymentRequestRow",
    "PaymentRow",
    "ReconciliationCase",
    "RefundLegRow",
    "RefundLineRow",
    "RefundRow",
    "RoutingRule",
    "RoutingState",
    "RoutingWeight",
    "SectionRow",
    "SettlementFileChunk",
    "SettlementImport",
    "SettlementLineRow",
    "ShipmentItemRow",
    "ShipmentRow",
    "Sku",
    "SkuOption",
    "Stock",
    "Store",
    "TimelineRow",
    "ValueEntry",
    "ValueHold",
    "ValueLot",
    "WebhookEventRow",
]
