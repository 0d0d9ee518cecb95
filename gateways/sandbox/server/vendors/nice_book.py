"""NICE's own book: payments by order id and by tid, what was net-cancelled, order ids of cancels, merchants' keys."""

import secrets
from datetime import datetime
from typing import Any

from gateways.sandbox.server.payment import Payment
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors.nice_paper import KOREA, Credential, NiceRefusal

_METHOD_CODES = {"card": "01", "bank": "02", "vbank": "03", "cellphone": "05"}
"""Within a tid; all others are easy pays."""


class Book:
    """Documents of one counter. Everything that writes runs inside the caller's transaction."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def sign_in(self, account: str, credential: Credential) -> None:
        """Make the account NICE's, and remember its keys: webhooks and the window are signed with them."""
        if not self._counter.claim(account):
            raise NiceRefusal("U313", status=403)
        known = {"client": credential.client, "secret": credential.secret}
        if self._counter.read(account, "credential", "") != known:
            self._counter.write(account, "credential", "", known)

    def secret(self, account: str) -> str | None:
        """The account's secret key: as the sandbox was told, else as it was last used."""
        known = self._counter.read(account, "credential", "")
        return self._counter.keys.get(account) or (None if known is None else str(known["secret"]))

    def new_tid(self, account: str, method: str, now: float) -> str:
        """Thirty characters: merchant, method, time, and four that tell apart what happens in one second."""
        moment = datetime.fromtimestamp(now, KOREA).strftime("%y%m%d%H%M%S")
        while True:
            tid = f"nicsandbxm{_METHOD_CODES.get(method, '16')}01{moment}{secrets.token_hex(2).upper()}"
            if self._counter.read(account, "tid", tid) is None:
                self._counter.write(account, "tid", tid, {"orderId": None})
                return tid

    def put(self, account: str, order: dict[str, Any]) -> None:
        """Keep a payment, to be found by its order id and its tid."""
        self._counter.write(account, "order", order["orderId"], order)
        self._counter.write(account, "tid", order["tid"], {"orderId": order["orderId"]})

    def order(self, account: str, order_id: str) -> dict[str, Any] | None:
        """By the merchant's order id."""
        return self._counter.read(account, "order", order_id)

    def by_tid(self, account: str, tid: str) -> dict[str, Any] | None:
        """By NICE's own id of the payment."""
        known = self._counter.read(account, "tid", tid)
        return None if known is None or known["orderId"] is None else self.order(account, known["orderId"])

    def payment(self, account: str, order: dict[str, Any]) -> Payment:
        """What the ledger has of it."""
        found = self._counter.ledger.find_by_merchant_ref(account, order["orderId"])
        if found is None:
            raise AssertionError("an order is written together with its payment")
        return found

    def block(self, account: str, order_id: str) -> None:
        """Nothing can be paid under this order id any more: it was net-cancelled."""
        self._counter.write(account, "blocked", order_id, {})

    def is_blocked(self, account: str, order_id: str) -> bool:
        """Whether it was net-cancelled."""
        return self._counter.read(account, "blocked", order_id) is not None

    def is_cancel_order(self, account: str, order_id: str) -> bool:
        """Whether a cancel has used this order id: it serves one."""
        return self._counter.read(account, "cancel_order", order_id) is not None

    def take_cancel_order(self, account: str, order_id: str, tid: str) -> None:
        """A cancel of the payment ``tid`` has happened under this order id."""
        self._counter.write(account, "cancel_order", order_id, {"tid": tid})
