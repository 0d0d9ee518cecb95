"""What Toss Payments does with money, over the sandbox's ledger.

Every method runs inside the caller's transaction and checks before it writes, so a `TossError` leaves no effect.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from gateways.sandbox.server.ledger import Charge, Subject
from gateways.sandbox.server.payment import TOKEN_DECLINE, TOKEN_STATUS, Payment, Status
from gateways.sandbox.server.personality import Counter, Said
from gateways.sandbox.server.vendors import toss_intake as intake
from gateways.sandbox.server.vendors.toss_error import OF_DECLINE, TossError, error, failure
from gateways.sandbox.server.vendors.toss_payment import (
    AUTHENTICATE_SECONDS,
    CARD,
    CARD_NUMBER,
    CONFIRM_SECONDS,
    GIFTS,
    VIRTUAL_ACCOUNT,
    Paper,
    Papers,
    as_json,
    balance_of,
    korean,
    new_transaction_key,
    status_of,
    untaxed,
)

_LONGEST_REASON = 200


class Desk:
    """Approvals, virtual accounts, cancels, windows, and the webhooks that tell of them."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.papers = Papers(counter)

    def shown(self, account: str, paper: Paper) -> dict[str, Any]:
        """The ``Payment`` object."""
        return as_json(paper, self.payment(account, paper), self._counter.clock(), self.base(account))

    def base(self, account: str) -> str:
        """The account's own address."""
        return f"{self._counter.public_url}/toss/{account}"

    def payment(self, account: str, paper: Paper) -> Payment | None:
        """What the ledger has of it; None before anybody has confirmed."""
        return None if paper.reference is None else self._counter.ledger.find(account, paper.reference)

    def status(self, account: str, paper: Paper) -> str:
        """Toss's word for where it is now."""
        return status_of(paper, self.payment(account, paper), self._counter.clock())

    def open_window(self, account: str, body: Mapping[str, Any]) -> Said:
        """``POST /v1/payments``: READY, with the address of the customer's window."""
        method = intake.method_of(body)
        intake.check_order(body, method)
        intake.check_urls(body)
        self._refuse_used(account, body["orderId"])
        paper = Paper.new("NORMAL", body, method, self._counter.clock())
        paper.success_url, paper.fail_url = body["successUrl"], body["failUrl"]
        self.papers.keep(account, paper)
        self._counter.later(account, "expire", {"key": paper.key}, seconds=AUTHENTICATE_SECONDS)
        return Said.json(200, self.shown(account, paper))

    def authenticated(self, account: str, paper: Paper, token: str) -> None:
        """The customer has chosen an instrument in the window: 10 minutes to confirm."""
        paper.authenticated_at, paper.token = self._counter.clock(), token
        self.papers.keep(account, paper)
        self._counter.later(account, "expire", {"key": paper.key}, seconds=CONFIRM_SECONDS)

    def abandoned(self, account: str, paper: Paper) -> None:
        """The customer has closed the window."""
        paper.failure = failure("PAY_PROCESS_CANCELED")
        self.papers.keep(account, paper)
        self.tell(account, paper, "authorize")

    def confirm(self, account: str, body: Mapping[str, Any], key: str) -> Said:
        """``POST /v1/payments/confirm``."""
        payment_key, order_id = intake.text(body, "paymentKey", 200), intake.text(body, "orderId", 64)
        amount = intake.whole(body, "amount")
        paper = self.papers.find(account, payment_key)
        if paper is None:
            raise TossError("NOT_FOUND_PAYMENT_SESSION")
        if paper.order_id != order_id:
            raise TossError("FORBIDDEN_REQUEST")
        if paper.total != amount:
            raise TossError("INVALID_REQUEST")
        if paper.reference is not None:
            raise TossError("ALREADY_PROCESSED_PAYMENT")
        if self.status(account, paper) != "IN_PROGRESS":
            raise TossError("NOT_FOUND_PAYMENT_SESSION")
        self._refuse_taken(account, order_id)
        if paper.method == VIRTUAL_ACCOUNT:
            due_at = intake.due_of({}, self._counter.clock())
            return self._issue(account, paper, {"bank": "20", "name": paper.order_name, "due_at": due_at}, key)
        return self.approve(account, paper, paper.token or "tok_ok", key)

    def approve(self, account: str, paper: Paper, token: str, key: str) -> Said:
        """Take the money with the instrument that ``token`` stands for."""
        self._refuse_taken(account, paper.order_id)
        stamp = self._counter.stamp(account, key or secrets.token_hex(16))
        charge = Charge(paper.order_id, paper.total, "KRW", paper.method, token, capture_now=True)
        payment = self._counter.ledger.authorize(charge, stamp)
        paper.reference, paper.token = payment.reference, token
        if payment.status is Status.CAPTURED:
            paper.approve(self._counter.clock())
        elif payment.status is Status.DECLINED:
            paper.failure = failure(OF_DECLINE[payment.decline or "invalid_token"])
        self.papers.keep(account, paper)
        if paper.type == "NORMAL" or paper.failure is not None:
            self.tell(account, paper, "authorize")
        return Said.json(200, self.shown(account, paper)) if paper.failure is None else error(paper.failure["code"])

    def charge_billing_key(self, account: str, billing_key: str, body: Mapping[str, Any], key: str) -> Said:
        """``POST /v1/billing/{billingKey}``; the sandbox's own tokens are billing keys of any customer."""
        customer = intake.check_customer_key(body)
        intake.check_order(body, CARD)
        issued = self._counter.read(account, "billing", billing_key)
        if issued is None and not billing_key.startswith("tok_"):
            raise TossError("INVALID_BILL_KEY_REQUEST")
        if issued is not None and issued["deleted"]:
            raise TossError("ALREADY_REMOVED_BILLING_KEY")
        if issued is not None and issued["customerKey"] != customer:
            raise TossError("NOT_MATCHES_CUSTOMER_KEY")
        paper = Paper.new("BILLING", body, CARD, self._counter.clock())
        paper.number = CARD_NUMBER if issued is None else issued.get("number", CARD_NUMBER)
        return self.approve(account, paper, billing_key if issued is None else issued["token"], key)

    def charge_card(self, account: str, body: Mapping[str, Any], key: str) -> Said:
        """``POST /v1/payments/key-in``."""
        intake.check_order(body, CARD)
        number = intake.check_card(body)
        paper = Paper.new("NORMAL", body, CARD, self._counter.clock())
        paper.number = number
        return self.approve(account, paper, "tok_ok", key)

    def issue_billing_key(self, account: str, body: Mapping[str, Any], token: str, number: str = CARD_NUMBER) -> Said:
        """``POST /v1/billing/authorizations/issue`` and ``/card``. Moves no money."""
        customer = intake.check_customer_key(body)
        billing_key = secrets.token_urlsafe(32) + "="
        known = token in TOKEN_STATUS or token in TOKEN_DECLINE
        issued = {"customerKey": customer, "token": token if known else "tok_ok", "number": number, "deleted": False}
        self._counter.write(account, "billing", billing_key, issued)
        card = {"issuerCode": "71", "acquirerCode": "71", "number": number, "cardType": "신용"}
        said = {
            "mId": "sandbox",
            "customerKey": customer,
            "authenticatedAt": korean(self._counter.clock()),
            "method": CARD,
            "billingKey": billing_key,
            "card": {**card, "ownerType": "개인"},
            "transfers": None,
            "easyPay": None,
            "cardCompany": "롯데",
            "cardNumber": number,
        }
        return Said.json(200, said)

    def delete_billing_key(self, account: str, billing_key: str) -> Said:
        """``DELETE /v1/billing/{billingKey}``: 200 without a body."""
        issued = self._counter.read(account, "billing", billing_key)
        if issued is None:
            raise TossError("NOT_FOUND_BILLING")
        if issued["deleted"]:
            raise TossError("ALREADY_REMOVED_BILLING_KEY")
        self._counter.write(account, "billing", billing_key, {**issued, "deleted": True})
        return Said(200, b"")

    def open_account(self, account: str, body: Mapping[str, Any], key: str) -> Said:
        """``POST /v1/virtual-accounts``."""
        intake.check_order(body, VIRTUAL_ACCOUNT)
        name, bank = intake.text(body, "customerName", 100), intake.bank_of(body)
        due_at = intake.due_of(body, self._counter.clock())
        paper = Paper.new("NORMAL", body, VIRTUAL_ACCOUNT, self._counter.clock())
        wanted = {"bank": bank, "name": name, "due_at": due_at, "receipt": intake.cash_receipt(body)}
        return self._issue(account, paper, wanted, key)

    def deposit(self, account: str, paper: Paper) -> None:
        """The customer pays into the virtual account; `settled` follows from the ledger's announcement."""
        payment = self.payment(account, paper)
        if payment is not None and self.status(account, paper) == "WAITING_FOR_DEPOSIT":
            self._counter.ledger.decide(payment, self._counter.stamp(account, payment.idempotency_key), approve=True)

    def bounce(self, account: str, paper: Paper) -> None:
        """The bank takes a deposit back: DONE becomes WAITING_FOR_DEPOSIT again."""
        payment = self.payment(account, paper)
        if payment is None or paper.account is None or self.status(account, paper) != "DONE":
            return
        self._counter.ledger.reopen(payment, self._counter.stamp(account, payment.idempotency_key))
        paper.approved_at, paper.last_transaction, paper.receipts = None, new_transaction_key(), []
        self.papers.keep(account, paper)
        self._tell_of_deposit(account, paper, "authorize")

    def settled(self, payment: Payment, now: float) -> None:
        """The ledger has decided a payment that was waiting."""
        paper = self.papers.by_reference(payment.account, payment.reference)
        if paper is None:
            return
        if payment.status is Status.CAPTURED:
            paper.approve(now)
        elif payment.status is Status.DECLINED and not paper.expired:
            paper.failure = failure(OF_DECLINE[payment.decline or "invalid_token"])
        self.papers.keep(payment.account, paper)
        if paper.account is not None and payment.status is Status.CAPTURED:
            self._tell_of_deposit(payment.account, paper, "authorize")
        if paper.type == "NORMAL" or paper.failure is not None:
            self.tell(payment.account, paper, "authorize")

    def expire(self, account: str, key: str) -> None:
        """A window or a virtual account whose time may be over."""
        paper = self.papers.find(account, key)
        if paper is None or paper.expired:
            return
        payment = self.payment(account, paper)
        if payment is not None and paper.account is not None:
            if payment.status is Status.REQUIRES_ACTION and self._counter.clock() >= paper.account["due_at"]:
                paper.expired = True
                self.papers.keep(account, paper)
                stamp = self._counter.stamp(account, payment.idempotency_key)
                self._counter.ledger.decide(payment, stamp, approve=False)
        elif self.status(account, paper) == "EXPIRED":
            paper.expired = True
            self.papers.keep(account, paper)
            self.tell(account, paper, "authorize")

    def cancel(self, account: str, paper: Paper, body: Mapping[str, Any], key: str) -> Said:
        """``POST /v1/payments/{paymentKey}/cancel``: all that is left, or ``cancelAmount``."""
        intake.text(body, "cancelReason", _LONGEST_REASON)
        intake.check_currency(body)
        status, payment = self.status(account, paper), self.payment(account, paper)
        if status == "CANCELED":
            raise TossError("ALREADY_CANCELED_PAYMENT")
        if payment is None or status not in {"DONE", "PARTIAL_CANCELED", "WAITING_FOR_DEPOSIT"}:
            raise TossError("NOT_CANCELABLE_PAYMENT")
        balance = balance_of(paper, payment)
        amount = intake.whole(body, "cancelAmount", balance)
        self._check_cancel(paper, status, amount, balance, body)
        stamp = self._counter.stamp(account, key or secrets.token_hex(16))
        if status == "WAITING_FOR_DEPOSIT":
            self._counter.ledger.cancel(payment, stamp)
            self._counter.ledger.note(Subject.of(payment), "void", 0, stamp, status="succeeded")
        else:
            self._counter.ledger.refund(payment, amount, "KRW", stamp)
            if paper.account is not None:
                paper.account["refund"] = intake.refund_account(body)
        self._note_cancel(paper, amount, balance - amount, body)
        self.papers.keep(account, paper)
        operation = "void" if status == "WAITING_FOR_DEPOSIT" else "refund"
        if paper.account is not None:
            self._tell_of_deposit(account, paper, operation)
        self.tell(account, paper, operation)
        return Said.json(200, self.shown(account, paper))

    def tell(self, account: str, paper: Paper, operation: str) -> None:
        """``PAYMENT_STATUS_CHANGED``, but for what it does not tell of: READY and IN_PROGRESS."""
        shown = self.shown(account, paper)
        if shown["status"] in {"READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT"}:
            return
        event = {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": self._local_time(), "data": shown}
        self._post(account, event, operation)

    def _tell_of_deposit(self, account: str, paper: Paper, operation: str) -> None:
        """``DEPOSIT_CALLBACK``: a virtual account was issued, paid, bounced or cancelled."""
        event = {
            "createdAt": self._local_time(),
            "secret": paper.secret,
            "status": self.status(account, paper),
            "transactionKey": paper.last_transaction,
            "orderId": paper.order_id,
        }
        self._post(account, event, operation)

    def _post(self, account: str, event: dict[str, Any], operation: str) -> None:
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        self._counter.post(account, f"evt_{secrets.token_hex(10)}", body, operation)

    def _local_time(self) -> str:
        """Korean time without its zone, as in Toss's examples of events."""
        return korean(self._counter.clock()).removesuffix("+09:00") + ".000000"

    def _issue(self, account: str, paper: Paper, wanted: Mapping[str, Any], key: str) -> Said:
        self._refuse_taken(account, paper.order_id)
        stamp = self._counter.stamp(account, key or secrets.token_hex(16))
        charge = Charge(paper.order_id, paper.total, "KRW", paper.method, "tok_3ds", capture_now=True)
        paper.reference = self._counter.ledger.authorize(charge, stamp).reference
        paper.issued = paper.last_transaction = new_transaction_key()
        number = f"X{secrets.randbelow(10**13):013d}"
        paper.account = {**wanted, "number": number, "refund": None}
        self.papers.keep(account, paper)
        self._counter.later(account, "expire", {"key": paper.key}, seconds=wanted["due_at"] - self._counter.clock())
        self._tell_of_deposit(account, paper, "authorize")
        return Said.json(200, self.shown(account, paper))

    def _check_cancel(self, paper: Paper, status: str, amount: int, balance: int, body: Mapping[str, Any]) -> None:
        if not 0 < amount <= balance:
            raise TossError("NOT_CANCELABLE_AMOUNT")
        if intake.whole(body, "refundableAmount", balance) != balance:
            raise TossError("NOT_MATCHES_REFUNDABLE_AMOUNT")
        if intake.whole(body, "taxFreeAmount", 0) + intake.whole(body, "taxExemptionAmount", 0) > amount:
            raise TossError("INVALID_REQUEST")
        if status == "WAITING_FOR_DEPOSIT":
            if amount < balance:
                raise TossError("NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT")
            return
        if amount < balance and paper.method in GIFTS:
            raise TossError("NOT_ALLOWED_PARTIAL_REFUND")
        if paper.account is not None and intake.refund_account(body) is None:
            raise TossError("INVALID_REFUND_ACCOUNT_INFO")

    def _note_cancel(self, paper: Paper, amount: int, left: int, body: Mapping[str, Any]) -> None:
        paper.last_transaction, now = new_transaction_key(), self._counter.clock()
        tax_free, tax_exempt = untaxed(paper, amount + left)
        if left:
            tax_free, tax_exempt = (intake.whole(body, name, 0) for name in ("taxFreeAmount", "taxExemptionAmount"))
        paper.cancels.append(
            {
                "transactionKey": paper.last_transaction,
                "cancelReason": body["cancelReason"],
                "taxExemptionAmount": tax_exempt,
                "canceledAt": now,
                "transferDiscountAmount": 0,
                "easyPayDiscountAmount": 0,
                "receiptKey": paper.note_receipt("CANCEL", amount, tax_free, now) if paper.receipts else None,
                "cancelAmount": amount,
                "taxFreeAmount": tax_free,
                "refundableAmount": left,
                "cancelStatus": "DONE",
                "cancelRequestId": None,
            }
        )

    def _refuse_used(self, account: str, order_id: str) -> None:
        """An orderId may be opened again until it has been approved."""
        earlier = self.papers.by_order(account, order_id)
        if earlier is not None and earlier.reference is not None:
            raise TossError("DUPLICATED_ORDER_ID")
        self._refuse_taken(account, order_id)

    def _refuse_taken(self, account: str, order_id: str) -> None:
        if self._counter.ledger.find_by_merchant_ref(account, order_id) is not None:
            raise TossError("DUPLICATED_ORDER_ID")
