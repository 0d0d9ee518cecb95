"""What NICE says it has settled. The manual announces a settlement interface ("under construction") and no fields.

Until there is one the lines are read in the shape that the rest of the interface suggests: NICE's names, its tids and
its page of JSON. A real account has to be checked against NICE's own description first.
"""

from datetime import date, datetime
from typing import Any

from gateways.gateway import GatewayUnavailable, SettlementLine
from gateways.nice import codes
from gateways.transport import Reply

_KINDS = {"paid": "charge", "cancelled": "refund", "partialCancelled": "refund"}


def read_settlement(account: str, day: date, reply: Reply) -> tuple[list[SettlementLine], bool]:
    """The lines of a page and whether there is another. Raises `GatewayUnavailable` for anything else.

    Amounts are whole won; what was given back is negative. A fee is positive.
    """
    try:
        if reply.body["resultCode"] != codes.SUCCESS:
            raise ValueError(reply.body["resultCode"])
        lines = [_line(account, day, line) for line in reply.body["settlements"]]
        more = reply.body["hasNext"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GatewayUnavailable(f"{account} gave a settlement of {day} that cannot be read") from error
    if not isinstance(more, bool):
        raise GatewayUnavailable(f"{account} gave a settlement of {day} that does not say whether it goes on")
    return lines, more


def _line(account: str, day: date, line: dict[str, Any]) -> SettlementLine:
    kind = _KINDS.get(_text(line["status"]), _text(line["status"]))
    cancelled = line["cancelledTid"]
    paid_on = line["depositDate"]
    return SettlementLine(
        account=account,
        line_id=_text(line["tid"]) if cancelled is None else _text(cancelled),
        kind=kind,
        reference=_text(line["tid"]),
        operation_ref=_text(line["tid"]) if cancelled is None else _text(cancelled),
        merchant_ref=_text(line["orderId"]),
        gross=_whole(line["amount"]),
        fee=_whole(line["fee"]) + _whole(line["vat"]),
        net=_whole(line["settlementAmt"]),
        currency=_text(line["currency"]),
        occurred_at=datetime.fromisoformat(_text(line["transactionAt"])),
        paid_on=day if paid_on is None else datetime.strptime(_text(paid_on), "%Y%m%d").date(),  # noqa: DTZ007 - a date
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("not a text")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value
