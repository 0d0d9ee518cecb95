"""Adyen's Settlement details report: a CSV, read line by line, columns by their headers, amounts without a float.

Amounts are major units with decimals. A line has its gross in the currency of the payment (GC) and its net in that of
the payout (NC). Where the two differ, the line is given in the payout's: net plus the fees stated in it.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import Invalid
from domain.money import exponent_of
from domain.reconciliation import LineKind
from gateways.gateway import SettlementLine, UnreadableSettlement

LONGEST_LINE = 16_384
"""Characters."""

_MERCHANT = "Merchant Account"
_IDENTITY = (
    "Psp Reference",
    "Merchant Reference",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Batch Number",
)
"""Columns that every report has, and that together name a line, whatever other columns somebody has chosen."""
_REQUIRED = (_MERCHANT, *_IDENTITY)
_FEES = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")

_KINDS = {
    "Settled": LineKind.CHARGE,
    "SettledInInstallments": LineKind.CHARGE,
    "SettledReversed": LineKind.REVERSAL,
    "Refunded": LineKind.REFUND,
    "RefundedInInstallments": LineKind.REFUND,
    "RefundedReversed": LineKind.REVERSAL,
    "Chargeback": LineKind.CHARGEBACK,
    "SecondChargeback": LineKind.CHARGEBACK,
    "ChargebackReversed": LineKind.CHARGEBACK_REVERSAL,
    "Fee": LineKind.FEE,
    "InvoiceDeduction": LineKind.FEE,
    "Balancetransfer": LineKind.RESERVE,
    "DepositCorrection": LineKind.RESERVE,
    "ReserveAdjustment": LineKind.RESERVE,
    "MerchantPayout": LineKind.PAYOUT,
    "MerchantPayin": LineKind.PAYOUT,
    "ManualCorrected": LineKind.ADJUSTMENT,
    "MiscCosts": LineKind.ADJUSTMENT,
}
"""Type -> kind. A type that is not here keeps Adyen's word: money that nobody has explained."""

_ZONES_BY_HOURS = {
    0: "UTC GMT WET",
    1: "CET BST",
    2: "CEST EET",
    3: "EEST",
    8: "SGT HKT",
    9: "JST KST",
    10: "AEST",
    11: "AEDT",
    -3: "BRT",
    -4: "EDT",
    -5: "EST CDT",
    -6: "CST MDT",
    -7: "MST PDT",
    -8: "PST",
}
_ZONE_HOURS = {zone: hours for hours, zones in _ZONES_BY_HOURS.items() for zone in zones.split()}
"""The abbreviations that Adyen writes, hours east of Greenwich."""
_DECIMAL = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]{1,18})(?:\.(?P<part>[0-9]{1,9}))?")


class SettlementReader:
    """Reads one report; remembers its header and the number of the line, nothing else."""

    def __init__(self, account: str, merchant: str, paid_on: date | None = None) -> None:
        """``merchant``: whose report it must be. ``paid_on``: what every line is given, if known."""
        self._account = account
        self._merchant = merchant
        self._paid_on = paid_on
        self._columns: list[str] = []
        self._number = 0

    def feed(self, line: str) -> SettlementLine | None:
        """The next line with its line break; None for the header. Raises `UnreadableSettlement`, naming the line."""
        self._number += 1
        if not line.endswith("\n"):
            raise self._unreadable("is cut: it does not end")
        if len(line) > LONGEST_LINE:
            raise self._unreadable("is too long")
        try:
            cells = next(csv.reader([line], strict=True))
            if not self._columns:
                self._read_header(cells)
                return None
            if len(cells) != len(self._columns):
                raise self._unreadable(f"has {len(cells)} cells, its header {len(self._columns)}")
            return self._read(dict(zip(self._columns, cells, strict=True)))
        except (csv.Error, StopIteration, ValueError, Invalid) as error:
            raise self._unreadable(f"cannot be read: {error}") from error

    def end(self) -> None:
        """There are no more lines. Raises `UnreadableSettlement` for a report without a header."""
        if not self._columns:
            raise UnreadableSettlement(f"the report of {self._account} is empty")

    def _read_header(self, cells: list[str]) -> None:
        columns = [cell.removeprefix("\ufeff").strip() for cell in cells]
        if missing := [name for name in _REQUIRED if name not in columns]:
            raise self._unreadable(f"is no header of a settlement details report: it lacks {missing[0]!r}")
        if len(set(columns)) != len(columns):
            raise self._unreadable("has a column twice")
        self._columns = columns

    def _read(self, row: Mapping[str, str]) -> SettlementLine:
        if row[_MERCHANT] != self._merchant:
            raise ValueError(f"it is of the merchant {row[_MERCHANT]!r}, and {self._account} is {self._merchant!r}")
        currency = row["Net Currency"] or row["Gross Currency"]
        net = _difference(row, "Net Credit (NC)", "Net Debit (NC)", currency)
        if row["Gross Currency"] == currency and (row["Gross Credit (GC)"] or row["Gross Debit (GC)"]):
            gross = _difference(row, "Gross Credit (GC)", "Gross Debit (GC)", currency)
        else:
            gross = net + sum(_minor_units(row.get(name, ""), currency) for name in _FEES)
        return SettlementLine(
            account=self._account,
            line_id=_line_id(row),
            kind=_KINDS.get(row["Type"], row["Type"]),
            reference=row["Psp Reference"] or None,
            operation_ref=row["Modification Reference"] or None,
            merchant_ref=row["Merchant Reference"] or None,
            gross=gross,
            fee=gross - net,
            net=net,
            currency=currency,
            occurred_at=_moment(row["Creation Date"], row["TimeZone"]),
            paid_on=self._paid_on,
            payout_ref=row["Batch Number"] or None,
        )

    def _unreadable(self, what: str) -> UnreadableSettlement:
        return UnreadableSettlement(f"line {self._number} of the report of {self._account} {what}")


def read_report(account: str, merchant: str, lines: Iterable[str]) -> Iterator[SettlementLine]:
    """A whole report of ``merchant``, as its lines come. Raises `UnreadableSettlement`."""
    reader = SettlementReader(account, merchant)
    for line in lines:
        settled = reader.feed(line)
        if settled is not None:
            yield settled
    reader.end()


def _line_id(row: Mapping[str, str]) -> str:
    """The same line has the same id, however the columns are ordered and whichever others there are."""
    canonical = "\n".join(f"{name}={row[name]}" for name in _IDENTITY)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _difference(row: Mapping[str, str], credit: str, debit: str, currency: str) -> int:
    return _minor_units(row[credit], currency) - _minor_units(row[debit], currency)


def _minor_units(text: str, currency: str) -> int:
    """Exactly; an empty cell is 0. Raises ``ValueError`` for more decimals than the currency has."""
    if not text:
        return 0
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no amount")
    exponent, part = exponent_of(currency), match["part"] or ""
    kept, rest = part[:exponent], part[exponent:]
    if rest.strip("0"):
        raise ValueError(f"{text} has more decimals than {currency}")
    amount = int(match["whole"] + kept.ljust(exponent, "0"))
    return -amount if match["sign"] else amount


def _moment(text: str, zone: str) -> datetime:
    """Local time with its zone. Raises ``ValueError`` for a zone that is not known."""
    local = datetime.fromisoformat(text)
    if local.tzinfo is not None:
        return local
    if zone in _ZONE_HOURS:
        return local.replace(tzinfo=timezone(timedelta(hours=_ZONE_HOURS[zone])))
    try:
        return local.replace(tzinfo=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{zone!r} is no time zone") from error
