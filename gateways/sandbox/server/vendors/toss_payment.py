"""A payment as Toss Payments shows it: our document of it beside the ledger's payment, as one ``Payment`` object."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Self

from gateways.sandbox.server.payment import Payment, Status
from gateways.sandbox.server.personality import Counter
from gateways.sandbox.server.vendors.toss_error import EXPIRED

KST = timezone(timedelta(hours=9))
AUTHENTICATE_SECONDS = 1_800
CONFIRM_SECONDS = 600
_RECEIPT_SECONDS = 86_400
"""What the tax office takes: until then a cash receipt is IN_PROGRESS."""
CARD, VIRTUAL_ACCOUNT, TRANSFER, PHONE, EASY = "카드", "가상계좌", "계좌이체", "휴대폰", "간편결제"
CARD_NUMBER = "12345678****000*"
"""Of the sandbox's own cards."""
GIFTS = frozenset({"문화상품권", "도서문화상품권", "게임문화상품권"})
RECEIPT_TYPES = frozenset({"소득공제", "지출증빙"})
"""What a cash receipt is for: the income tax of a person, the expenses of a business."""
METHODS: Mapping[str, str] = {
    "CARD": CARD,
    "VIRTUAL_ACCOUNT": VIRTUAL_ACCOUNT,
    "TRANSFER": TRANSFER,
    "MOBILE_PHONE": PHONE,
    "EASY_PAY": EASY,
    "CULTURE_GIFT_CERTIFICATE": "문화상품권",
    "BOOK_GIFT_CERTIFICATE": "도서문화상품권",
    "GAME_GIFT_CERTIFICATE": "게임문화상품권",
}
"""The English words that requests may use. Answers always have the Korean ones."""
_RECEIPT_FIELDS = ("type", "receiptKey", "issueNumber", "receiptUrl", "amount", "taxFreeAmount")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


@dataclass(slots=True)
class Paper:
    """What Toss knows of a payment and the ledger does not. Times in Unix seconds, amounts in won."""

    key: str
    type: str
    order_id: str
    order_name: str
    method: str
    total: int
    requested_at: float
    secret: str
    tax_free: int = 0
    tax_exempt: int = 0
    months: int = 0
    escrow: bool = False
    culture: bool = False
    customer: str | None = None
    number: str = CARD_NUMBER
    success_url: str | None = None
    fail_url: str | None = None
    metadata: dict[str, Any] | None = None
    phone: str | None = None
    reference: str | None = None
    token: str | None = None
    authenticated_at: float | None = None
    approved_at: float | None = None
    last_transaction: str | None = None
    approval: str | None = None
    """The transactionKey of the approval."""
    issued: str | None = None
    """The transactionKey of a virtual account's issue."""
    expired: bool = False
    failure: dict[str, str] | None = None
    account: dict[str, Any] | None = None
    """Of a virtual account: bank, number, name, due_at, refund, and the cash receipt that was asked for."""
    cancels: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    """Cash receipts of a deposit whose customer asked for them: that of the deposit, then one for each cancel."""

    @classmethod
    def new(cls, type_: str, order: Mapping[str, Any], method: str, now: float) -> Self:
        """A payment of the validated fields of a request."""
        return cls(
            key=new_payment_key(now),
            type=type_,
            order_id=order["orderId"],
            order_name=order["orderName"],
            method=method,
            total=order["amount"],
            requested_at=now,
            secret=f"ps_{secrets.token_hex(16)}",
            tax_free=order.get("taxFreeAmount") or 0,
            tax_exempt=order.get("taxExemptionAmount") or 0,
            escrow=bool(order.get("useEscrow")),
            culture=bool(order.get("cultureExpense")),
            customer=order.get("customerKey"),
            months=order.get("cardInstallmentPlan") or 0,
            metadata=order.get("metadata"),
            phone=order.get("customerMobilePhone"),
        )

    def approve(self, now: float) -> None:
        """Money has come."""
        self.approved_at = now
        self.approval = self.last_transaction = new_transaction_key()
        self.note_receipt("CONFIRM", self.total, self.tax_free, now)

    def note_receipt(self, transaction: str, amount: int, tax_free: int, now: float) -> str | None:
        """A deposit's cash receipt, or the taking back of it, if its customer has asked for one: the key."""
        asked = None if self.account is None else self.account.get("receipt")
        if asked is None:
            return None
        key, number = secrets.token_urlsafe(24), f"{secrets.randbelow(10**9):09d}"
        about = {"receiptKey": key, "orderId": self.order_id, "orderName": self.order_name, "issueNumber": number}
        sums = {"transactionType": transaction, "amount": amount, "taxFreeAmount": tax_free, "at": now}
        self.receipts.append({**about, **asked, **sums})
        return key


class Papers:
    """Where the papers of all accounts are kept."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def find(self, account: str, key: str) -> Paper | None:
        """By paymentKey."""
        body = self._counter.read(account, "payment", key)
        return None if body is None else Paper(**body)

    def by_order(self, account: str, order_id: str) -> Paper | None:
        """By the merchant's orderId: the last one opened under it."""
        return self._pointed(account, "order", order_id)

    def by_reference(self, account: str, reference: str) -> Paper | None:
        """By the ledger's reference."""
        return self._pointed(account, "reference", reference)

    def every(self, account: str) -> list[Paper]:
        """All of an account, oldest first."""
        return [Paper(**body) for body in self._counter.every(account, "payment")]

    def keep(self, account: str, paper: Paper) -> None:
        """Write it, inside a transaction."""
        self._counter.write(account, "payment", paper.key, asdict(paper))
        self._counter.write(account, "order", paper.order_id, {"key": paper.key})
        if paper.reference is not None:
            self._counter.write(account, "reference", paper.reference, {"key": paper.key})

    def _pointed(self, account: str, kind: str, key: str) -> Paper | None:
        pointer = self._counter.read(account, kind, key)
        return None if pointer is None else self.find(account, pointer["key"])


def status_of(paper: Paper, payment: Payment | None, now: float) -> str:
    """Toss's word. ``payment`` None: nobody has confirmed yet."""
    if payment is None:
        return _before_confirmation(paper, now)
    whole = len(paper.cancels) == 1 and payment.kept == 0
    approved = "DONE" if not paper.cancels else ("CANCELED" if whole else "PARTIAL_CANCELED")
    words = {
        Status.PROCESSING: "IN_PROGRESS",
        Status.REQUIRES_ACTION: "READY" if paper.account is None else "WAITING_FOR_DEPOSIT",
        Status.DECLINED: "EXPIRED" if paper.expired else "ABORTED",
        Status.CANCELLED: "CANCELED",
    }
    return words.get(payment.status, approved)


def _before_confirmation(paper: Paper, now: float) -> str:
    if paper.failure is not None:
        return "ABORTED"
    if paper.authenticated_at is not None:
        return "IN_PROGRESS" if now < paper.authenticated_at + CONFIRM_SECONDS else "EXPIRED"
    return "READY" if now < paper.requested_at + AUTHENTICATE_SECONDS else "EXPIRED"


def balance_of(paper: Paper, payment: Payment | None) -> int:
    """What can still be cancelled; of a payment without money, what it is about."""
    if payment is None or not payment.captured:
        return 0 if payment is not None and payment.status is Status.CANCELLED else paper.total
    return payment.kept


def as_json(paper: Paper, payment: Payment | None, now: float, base: str) -> dict[str, Any]:
    """The ``Payment`` object of API version 2022-11-16: every field, null when there is nothing to say."""
    balance = balance_of(paper, payment)
    tax_free, tax_exempt = untaxed(paper, balance)
    vat = vat_of(balance - tax_free - tax_exempt)
    status = status_of(paper, payment, now)
    receipts = [cash_receipt(event, now, base) for event in paper.receipts]
    page = "window" if paper.account is None else "deposit"
    checkout = f"{base}/{page}/{paper.key}"
    if payment is not None and payment.status is Status.REQUIRES_ACTION and paper.account is None:
        checkout = f"{base}/challenge/{paper.key}"
    return {
        "mId": "sandbox",
        "lastTransactionKey": paper.last_transaction,
        "paymentKey": paper.key,
        "orderId": paper.order_id,
        "orderName": paper.order_name,
        "taxExemptionAmount": tax_exempt,
        "status": status,
        "requestedAt": korean(paper.requested_at),
        "approvedAt": None if paper.approved_at is None else korean(paper.approved_at),
        "useEscrow": paper.escrow,
        "cultureExpense": paper.culture,
        "card": _card(paper, payment),
        "virtualAccount": _virtual_account(paper, payment, now),
        "transfer": {"bankCode": "20", "settlementStatus": "INCOMPLETED"} if paper.method == TRANSFER else None,
        "mobilePhone": _mobile_phone(paper, base),
        "giftCertificate": _gift(paper),
        "cashReceipt": {name: receipts[0][name] for name in _RECEIPT_FIELDS} if receipts else None,
        "cashReceipts": receipts or None,
        "discount": None,
        "cancels": [_cancel(cancel) for cancel in paper.cancels] or None,
        "secret": paper.secret,
        "type": paper.type,
        "easyPay": _easy_pay(paper),
        "country": "KR",
        "failure": EXPIRED if status == "EXPIRED" else paper.failure,
        "isPartialCancelable": paper.method not in GIFTS,
        "receipt": {"url": receipt_url(paper, base)} if paper.approved_at or paper.account else None,
        "checkout": {"url": checkout},
        "currency": "KRW",
        "totalAmount": paper.total,
        "balanceAmount": balance,
        "suppliedAmount": balance - tax_free - tax_exempt - vat,
        "vat": vat,
        "taxFreeAmount": tax_free,
        "method": paper.method,
        "version": "2022-11-16",
        "metadata": paper.metadata,
    }


def untaxed(paper: Paper, balance: int) -> tuple[int, int]:
    """What of ``balance`` is tax-free and what is outside taxation; cancels have taken their parts."""
    left = paper.tax_free - sum(cancel["taxFreeAmount"] for cancel in paper.cancels)
    tax_free = max(0, min(left, balance))
    left = paper.tax_exempt - sum(cancel["taxExemptionAmount"] for cancel in paper.cancels)
    return tax_free, max(0, min(left, balance - tax_free))


def receipt_url(paper: Paper, base: str) -> str:
    """The page that a customer may be shown."""
    return f"{base}/receipt/{paper.key}"


def cash_receipt(event: Mapping[str, Any], now: float, base: str) -> dict[str, Any]:
    """The ``CashReceipt`` object of an issue or a cancel."""
    return {
        **{name: event[name] for name in ("receiptKey", "orderId", "orderName", "type", "issueNumber")},
        "receiptUrl": f"{base}/cash-receipt/{event['receiptKey']}",
        "businessNumber": "1234567890",
        **{name: event[name] for name in ("transactionType", "amount", "taxFreeAmount")},
        "issueStatus": "IN_PROGRESS" if now < event["at"] + _RECEIPT_SECONDS else "COMPLETED",
        "failure": None,
        "customerIdentityNumber": event["customerIdentityNumber"],
        "requestedAt": korean(event["at"]),
    }


def vat_of(taxable: int) -> int:
    """A tenth on top, contained in the price, to the nearest won: 15000 has 1364."""
    return (2 * taxable + 11) // 22


def korean(seconds: float) -> str:
    """ISO 8601 in Korean time, whole seconds."""
    return datetime.fromtimestamp(seconds, KST).isoformat(timespec="seconds")


def new_payment_key(now: float) -> str:
    """As Toss makes them for test shops: a prefix, the time, dice."""
    stamp = datetime.fromtimestamp(now, KST).strftime("%Y%m%d%H%M%S")
    return f"tviva{stamp}{''.join(secrets.choice(_LETTERS) for _ in range(8))}"


def new_transaction_key() -> str:
    """32 characters."""
    return secrets.token_hex(16).upper()


def _cancel(cancel: dict[str, Any]) -> dict[str, Any]:
    return {**cancel, "canceledAt": korean(cancel["canceledAt"])}


def _card(paper: Paper, payment: Payment | None) -> dict[str, Any] | None:
    if paper.method != CARD or payment is None:
        return None
    return {
        "amount": paper.total,
        "issuerCode": "71",
        "acquirerCode": "71",
        "number": paper.number,
        "installmentPlanMonths": paper.months,
        "approveNo": "00000000",
        "useCardPoint": False,
        "cardType": "신용",
        "ownerType": "개인",
        "acquireStatus": "CANCELED" if payment.status is Status.REFUNDED else "READY",
        "isInterestFree": False,
        "interestPayer": None,
    }


def _virtual_account(paper: Paper, payment: Payment | None, now: float) -> dict[str, Any] | None:
    account = paper.account
    if account is None:
        return None
    waits = payment is not None and payment.captured == 0
    return {
        "accountType": "일반",
        "accountNumber": account["number"],
        "bankCode": account["bank"],
        "customerName": account["name"],
        "depositorName": None if waits else account["name"],
        "dueDate": korean(account["due_at"]),
        "refundStatus": "COMPLETED" if account["refund"] is not None else "NONE",
        "expired": waits and now >= account["due_at"],
        "settlementStatus": "INCOMPLETED",
        "refundReceiveAccount": account["refund"],
    }


def _mobile_phone(paper: Paper, base: str) -> dict[str, Any] | None:
    if paper.method != PHONE:
        return None
    return {
        "customerMobilePhone": paper.phone or "01000000000",
        "settlementStatus": "INCOMPLETED",
        "receiptUrl": receipt_url(paper, base),
    }


def _gift(paper: Paper) -> dict[str, Any] | None:
    return {"approveNo": "00000000", "settlementStatus": "INCOMPLETED"} if paper.method in GIFTS else None


def _easy_pay(paper: Paper) -> dict[str, Any] | None:
    return {"provider": "토스페이", "amount": paper.total, "discountAmount": 0} if paper.method == EASY else None
