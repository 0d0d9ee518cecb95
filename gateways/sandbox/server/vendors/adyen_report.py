"""The Settlement details report of a day (UTC): every capture and refund of the ledger as CSV, without fees.

Amounts are major units with the currency's decimals. The report is written while it is read, from one snapshot.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from gateways.sandbox.server.storage import Storage
from gateways.sandbox.server.vendors.adyen_paper import REPORT

NAME = re.compile(REPORT + r"_(?P<day>[0-9]{8})\.csv")

COLUMNS = (
    "Company Account",
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Payment Method",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Exchange Rate",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Commission (NC)",
    "Markup (NC)",
    "Scheme Fees (NC)",
    "Interchange (NC)",
    "Payment Method Variant",
    "Modification Merchant Reference",
    "Batch Number",
    "Booking Date",
    "Booking Date TimeZone",
)
_TYPES = {
    "capture": ("Settled", 1),
    "refund": ("Refunded", -1),
    "capture_failed": ("SettledReversed", -1),
    "refund_failed": ("RefundedReversed", 1),
}
_DECIMALS = {
    **dict.fromkeys(("JPY", "KRW", "VND", "CVE", "IDR", "XAF", "XOF", "XPF", "PYG", "UGX", "RWF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_QUERY = """
SELECT l.operation, l.amount, l.currency, l.operation_id, l.merchant_ref, l.at,
       json_extract(p.body, '$.psp') AS psp, json_extract(p.body, '$.brand') AS brand,
       json_extract(m.body, '$.reference') AS own_reference
  FROM ledger l
  JOIN documents d ON d.vendor = 'adyen' AND d.account = l.account AND d.kind = 'ledger' AND d.key = l.reference
  JOIN documents p ON p.vendor = 'adyen' AND p.account = l.account AND p.kind = 'payment'
       AND p.key = json_extract(d.body, '$.psp')
  LEFT JOIN documents m ON m.vendor = 'adyen' AND m.account = l.account AND m.kind = 'modification'
       AND m.key = l.operation_id
 WHERE l.account = ? AND l.at >= ? AND l.at < ? AND l.status = 'succeeded'
   AND l.operation IN ('capture', 'refund', 'capture_failed', 'refund_failed')
   AND json_extract(p.body, '$.merchant') = ?
 ORDER BY l.id
"""


def day_of(name: str) -> date | None:
    """The day of a report's name; None for any other file."""
    match = NAME.fullmatch(name)
    try:
        return None if match is None else datetime.strptime(match["day"] + "+0000", "%Y%m%d%z").date()
    except ValueError:
        return None


def write_report(storage: Storage, account: str, merchant: str, day: date) -> Iterator[str]:
    """The lines of the report, header first, and at the end one payout for each currency."""
    span = (day.isoformat(), (day + timedelta(days=1)).isoformat())
    paid: dict[str, int] = {}
    yield _csv(dict(zip(COLUMNS, COLUMNS, strict=True)))
    with storage.snapshot() as connection:
        for row in connection.execute(_QUERY, (account, *span, merchant)):
            kind, sign = _TYPES[row["operation"]]
            paid[row["currency"]] = paid.get(row["currency"], 0) + sign * row["amount"]
            yield _csv(_frame(account, merchant, day, row["at"]) | _moved(dict(row), kind, sign))
    for currency, net in paid.items():
        payout = {"Type": "MerchantPayout", "Net Currency": currency, **_sides("Net", "NC", currency, -net)}
        yield _csv(_frame(account, merchant, day, f"{day.isoformat()}T23:59:59") | payout)


def _frame(account: str, merchant: str, day: date, at: str) -> dict[str, str]:
    moment = at[:19].replace("T", " ")
    return {
        "Company Account": account,
        "Merchant Account": merchant,
        "Creation Date": moment,
        "TimeZone": "UTC",
        "Batch Number": day.strftime("%Y%m%d"),
        "Booking Date": moment,
        "Booking Date TimeZone": "UTC",
    }


def _moved(row: dict[str, Any], kind: str, sign: int) -> dict[str, str]:
    currency = row["currency"]
    return {
        "Psp Reference": row["psp"],
        "Merchant Reference": row["merchant_ref"],
        "Payment Method": row["brand"],
        "Type": kind,
        "Modification Reference": row["operation_id"],
        "Gross Currency": currency,
        **_sides("Gross", "GC", currency, sign * row["amount"]),
        "Exchange Rate": "1",
        "Net Currency": currency,
        **_sides("Net", "NC", currency, sign * row["amount"]),
        "Commission (NC)": _decimal(0, currency),
        "Payment Method Variant": row["brand"],
        "Modification Merchant Reference": row["own_reference"] or "",
    }


def _sides(what: str, short: str, currency: str, amount: int) -> dict[str, str]:
    side = "Credit" if amount >= 0 else "Debit"
    return {f"{what} {side} ({short})": _decimal(abs(amount), currency)}


def _decimal(amount: int, currency: str) -> str:
    decimals = _DECIMALS.get(currency, 2)
    if decimals == 0:
        return str(amount)
    whole, part = divmod(amount, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


def _csv(cells: dict[str, str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([cells.get(name, "") for name in COLUMNS])
    return buffer.getvalue()
