"""What NICE gives out and lists: access tokens, billing ids, and what it has settled."""

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request

from gateways.sandbox.server.personality import Counter, Said
from gateways.sandbox.server.storage import iso
from gateways.sandbox.server.vendors import nice_intake as intake
from gateways.sandbox.server.vendors.nice_book import Book
from gateways.sandbox.server.vendors.nice_paper import (
    KOREA,
    MESSAGES,
    SUCCESS,
    Credential,
    NiceRefusal,
    seal,
    stamp_of,
)

_ENCRYPTED = re.compile(r"([0-9a-f]{32}){1,16}", re.IGNORECASE)
_GOOD = {"resultCode": SUCCESS, "resultMsg": MESSAGES[SUCCESS]}
_CAPITALS = {
    **{name: name[0].upper() + name[1:] for name in ("resultCode", "resultMsg", "authDate", "cardCode", "cardName")},
    "tid": "TID",
    "orderId": "OrderID",
    "bid": "BID",
}
_SETTLED = """
SELECT * FROM ledger
WHERE account = ? AND at >= ? AND at < ? AND status = 'succeeded' AND operation IN ('capture', 'refund')
ORDER BY id LIMIT ? OFFSET ?
"""
_MAX_SIZE = 1_000


class Registry:
    """Endpoints beside the payments. Each runs inside the caller's transaction."""

    def __init__(self, counter: Counter, book: Book) -> None:
        self._counter = counter
        self._book = book

    def token(self, account: str, _request: Request, credential: Credential, _fields: dict[str, Any]) -> Said:
        """``POST /v1/access-token``: the same token until its half hour is over."""
        now = self._counter.clock()
        held = self._counter.read(account, "token_of", credential.client)
        if held is None or held["until"] < now or held["secret"] != credential.secret:
            held = {"token": secrets.token_hex(20), "until": now + intake.TOKEN_SECONDS, "secret": credential.secret}
            self._counter.write(account, "token_of", credential.client, held)
            known = {"until": held["until"], "client": credential.client, "secret": credential.secret}
            self._counter.write(account, "token", held["token"], known)
        until, at = stamp_of(held["until"]), stamp_of(now)
        answer = {"accessToken": held["token"], "tokenType": "Bearer", "expireAt": until, "expiredAt": until, "now": at}
        return Said.json(200, {**_GOOD, **answer})

    def check_amount(self, account: str, request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        """``POST /v1/check-amount/{tid}``: whether a payment is about the amount that the shop believes."""
        tid, amount = request.path_params["tid"], intake.amount(fields)
        intake.check_seal(fields, tid, amount, secret=credential.secret)
        order, session = self._book.by_tid(account, tid), self._counter.read(account, "session", tid)
        if order is not None:
            stated = self._book.payment(account, order).amount
        elif session is not None:
            stated = session["amount"]
        else:
            raise NiceRefusal("A118")
        written = stamp_of(self._counter.clock())
        sealed = {"ediDate": written, "signature": seal(tid, written, credential.secret)}
        return Said.json(200, {**_GOOD, **sealed, "isValid": amount == stated, "tid": tid})

    def register(self, account: str, _request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        """``POST /v1/subscribe/regist``: a billing id. Like NICE's own sandbox it does not look into the card.

        The manual's table and NICE's samples have these names; its example and its OpenAPI file have capitals. So
        they are said both ways, as is the end of a token.
        """
        order_id, encrypted = intake.text(fields, "orderId", 64), intake.text(fields, "encData", 512)
        intake.check_seal(fields, order_id, secret=credential.secret)
        if _ENCRYPTED.fullmatch(encrypted) is None:
            raise NiceRefusal("U131")
        now = self._counter.clock()
        tid = self._book.new_tid(account, "card", now)
        bid = f"BIKY{tid[:10]}{tid[14:]}"
        self._counter.write(account, "bid", bid, {"expired": False})
        card = {"cardCode": "04", "cardName": "[삼성]"}
        answer = {
            "resultCode": SUCCESS,
            "resultMsg": "빌키가 정상적으로 생성되었습니다.",
            "tid": tid,
            "orderId": order_id,
        }
        answer |= {"bid": bid, "authDate": stamp_of(now), **card}
        return Said.json(200, answer | {_CAPITALS[name]: value for name, value in answer.items()})

    def expire(self, account: str, request: Request, credential: Credential, fields: dict[str, Any]) -> Said:
        """``POST /v1/subscribe/{bid}/expire``: the billing id pays no more."""
        bid, order_id = request.path_params["bid"], intake.text(fields, "orderId", 64)
        intake.check_seal(fields, order_id, bid, secret=credential.secret)
        known = self._counter.read(account, "bid", bid)
        if known is None:
            raise NiceRefusal("U309")
        if known["expired"]:
            raise NiceRefusal("U115")
        now = self._counter.clock()
        self._counter.write(account, "bid", bid, {"expired": True})
        tid = self._book.new_tid(account, "card", now)
        return Said.json(200, {**_GOOD, "tid": tid, "orderId": order_id, "bid": bid, "authDate": stamp_of(now)})

    def instrument(self, account: str, bid: str) -> str:
        """What the ledger takes a billing id for: one that was given out pays, others are the sandbox's own tokens."""
        known = self._counter.read(account, "bid", bid)
        if known is None:
            return bid
        if known["expired"]:
            raise NiceRefusal("U115")
        return "tok_ok"

    def settlements(self, account: str, request: Request, _credential: Credential, _fields: dict[str, Any]) -> Said:
        """``GET /v1/settlements?settlementDate=&page=&size=``. The manual has none yet: names as elsewhere in it."""
        query = request.query_params
        day, page, size = _day(query.get("settlementDate")), _number(query.get("page")), _number(query.get("size"))
        size = min(size, _MAX_SIZE)
        begin, end = (iso((day + timedelta(days=days)).timestamp()) for days in (0, 1))
        connection = self._counter.storage.connection
        rows = connection.execute(_SETTLED, (account, begin, end, size + 1, (page - 1) * size)).fetchall()
        lines = [line for row in rows[:size] if (line := self._line(account, dict(row), day)) is not None]
        return Said.json(200, {**_GOOD, "settlements": lines, "hasNext": len(rows) > size})

    def _line(self, account: str, row: dict[str, Any], day: datetime) -> dict[str, Any] | None:
        """Amounts in won; what was given back is negative. No fee; None for what NICE has not been asked to move."""
        order = self._book.order(account, row["merchant_ref"])
        if order is None:
            return None
        cancel = next((one for one in order["cancels"] if one["entry"] == row["operation_id"]), None)
        amount = row["amount"] if row["operation"] == "capture" else -row["amount"]
        moment = datetime.fromisoformat(row["at"]).timestamp()
        return {
            "tid": order["tid"],
            "cancelledTid": None if cancel is None else cancel["tid"],
            "orderId": order["orderId"],
            "payMethod": order["payMethod"],
            "status": "paid" if amount > 0 else "cancelled",
            "amount": amount,
            "fee": 0,
            "vat": 0,
            "settlementAmt": amount,
            "currency": row["currency"],
            "transactionAt": stamp_of(moment),
            "depositDate": f"{day:%Y%m%d}",
        }


def _day(given: str | None) -> datetime:
    """Midnight in Korea."""
    if given is None or re.fullmatch(r"[0-9]{8}", given) is None:
        raise NiceRefusal("U130")
    try:
        return datetime.strptime(given, "%Y%m%d").replace(tzinfo=KOREA)
    except ValueError as error:
        raise NiceRefusal("U130") from error


def _number(given: str | None) -> int:
    if given is None or re.fullmatch(r"[1-9][0-9]{0,5}", given) is None:
        raise NiceRefusal("P010", "page, size", given)
    return int(given)
