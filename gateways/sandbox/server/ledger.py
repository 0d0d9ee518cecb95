"""The sandbox PG's money: what each operation does to a payment, written into the append-only ledger.

Every method runs inside the caller's transaction and checks before it writes, so a `Refusal` leaves no effect.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from gateways.sandbox.server.payment import (
    AUTHENTICATION_FAILED,
    COLUMNS,
    INVALID_TOKEN,
    TOKEN_DECLINE,
    TOKEN_STATUS,
    UNDECIDED,
    Payment,
    Status,
)
from gateways.sandbox.server.refusal import Refusal
from gateways.sandbox.server.storage import Storage, iso

_INSERT_PAYMENT = f"INSERT INTO payments ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})"
_UPDATE_PAYMENT = (
    "UPDATE payments SET status=?, decline=?, authorized=?, captured=?, refunded=?, voided=?, settles_at=?"
    " WHERE reference=?"
)
_INSERT_ENTRY = (
    "INSERT INTO ledger (account, merchant_ref, reference, operation, operation_id, amount, currency, status,"
    " idempotency_key, at) VALUES (?,?,?,?,?,?,?,?,?,?)"
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who writes into the ledger and when: one operation of one account. ``now``: Unix seconds."""

    account: str
    operation_id: str
    idempotency_key: str
    now: float


@dataclass(frozen=True, slots=True)
class Charge:
    """What a merchant asks to authorize. ``amount`` in minor units."""

    merchant_ref: str
    amount: int
    currency: str
    method: str
    token: str
    capture_now: bool
    reference_reusable: bool = False
    """True: another payment may have the same ``merchant_ref``; the vendor goes by the key alone."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a ledger entry is about. No ``reference``: the merchant spoke of a payment that never arrived."""

    merchant_ref: str
    reference: str | None = None
    currency: str | None = None

    @classmethod
    def of(cls, payment: Payment) -> Self:
        """The payment itself."""
        return cls(payment.merchant_ref, payment.reference, payment.currency)


class Ledger:
    """Payments and their ledger entries. ``entries`` collects what the current transaction has written."""

    def __init__(
        self,
        storage: Storage,
        *,
        pending_seconds: float,
        announce: Callable[[Payment, str, float], None],
        skew: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """``announce(payment, operation, now)`` is told of every change, inside the same transaction.

        ``skew``: seconds by which the ``now`` of a `Stamp` is ahead just now.
        """
        self._connection = storage.connection
        self._pending_seconds = pending_seconds
        self._announce = announce
        self._skew = skew
        self.entries: list[dict[str, Any]] = []

    def find(self, account: str, reference: str) -> Payment:
        """By our own reference. Raises `Refusal` ``payment_not_found``."""
        row = self._connection.execute("SELECT * FROM payments WHERE reference=?", (reference,)).fetchone()
        if row is None or row["account"] != account:
            raise Refusal(404, "payment_not_found", "This account has no payment with this reference.")
        return Payment.from_row(row)

    def find_by_merchant_ref(self, account: str, merchant_ref: str) -> Payment | None:
        """By the merchant's own reference, unique per account."""
        row = self._connection.execute(
            "SELECT * FROM payments WHERE account=? AND merchant_ref=?", (account, merchant_ref)
        ).fetchone()
        return None if row is None else Payment.from_row(row)

    def authorize(self, charge: Charge, stamp: Stamp) -> Payment:
        """Open a payment. The token decides how it goes. Raises `Refusal` ``merchant_ref_taken``."""
        if not charge.reference_reusable and self.find_by_merchant_ref(stamp.account, charge.merchant_ref) is not None:
            raise Refusal(409, "merchant_ref_taken", "Another request has already used this merchant_ref.")
        status = TOKEN_STATUS.get(charge.token, Status.DECLINED)
        payment = Payment(
            reference=f"pay_{secrets.token_hex(10)}",
            account=stamp.account,
            merchant_ref=charge.merchant_ref,
            idempotency_key=stamp.idempotency_key,
            amount=charge.amount,
            currency=charge.currency,
            method=charge.method,
            capture_now=int(charge.capture_now),
            status=Status.PROCESSING if status is Status.AUTHORIZED else status,
            created_at=iso(stamp.now),
            decline=TOKEN_DECLINE.get(charge.token, INVALID_TOKEN) if status is Status.DECLINED else None,
            settles_at=stamp.now - self._skew() + self._pending_seconds if status is Status.PROCESSING else None,
        )
        self._connection.execute(_INSERT_PAYMENT, tuple(getattr(payment, name) for name in COLUMNS))
        if status is Status.AUTHORIZED:
            return self._approve(payment, stamp)
        entry_status = {Status.PROCESSING: "pending"}.get(status, status.value)
        self._enter(payment, "authorize", payment.amount, stamp, status=entry_status)
        self._announce(payment, "authorize", stamp.now)
        return payment

    def capture(self, payment: Payment, amount: int, currency: str, stamp: Stamp) -> Payment:
        """Take a part or all of what is held. Raises `Refusal`."""
        _match_currency(payment, currency)
        if payment.held == 0:
            raise Refusal(409, "not_capturable", f"Nothing is held; the payment is {payment.status}.", capturable=0)
        if amount > payment.held:
            raise Refusal(409, "capture_exceeds_authorized", "More than is held.", capturable=payment.held)
        return self._move(replace(payment, captured=payment.captured + amount), "capture", amount, stamp)

    def void(self, payment: Payment, stamp: Stamp) -> Payment:
        """Release all that is held. Raises `Refusal` ``not_voidable``."""
        if payment.held == 0:
            raise Refusal(409, "not_voidable", f"Nothing is held; the payment is {payment.status}.", voidable=0)
        return self._move(replace(payment, voided=payment.voided + payment.held), "void", payment.held, stamp)

    def refund(self, payment: Payment, amount: int, currency: str, stamp: Stamp) -> Payment:
        """Give back a part or all of what was taken. Raises `Refusal`."""
        _match_currency(payment, currency)
        if payment.kept == 0:
            raise Refusal(409, "not_refundable", f"Nothing is captured; the payment is {payment.status}.", refundable=0)
        if amount > payment.kept:
            raise Refusal(409, "refund_exceeds_captured", "More than is left of the capture.", refundable=payment.kept)
        return self._move(replace(payment, refunded=payment.refunded + amount), "refund", amount, stamp)

    def cancel(self, payment: Payment, stamp: Stamp) -> Payment:
        """Undo everything and close the payment for ever. Doing it again changes nothing."""
        if payment.held:
            payment = self.void(payment, stamp)
        if payment.kept:
            payment = self.refund(payment, payment.kept, payment.currency, stamp)
        if payment.status not in {Status.CANCELLED, Status.DECLINED}:
            payment = self._save(replace(payment, status=Status.CANCELLED, settles_at=None))
            self._announce(payment, "neutralize", stamp.now)
        return payment

    def decide(self, payment: Payment, stamp: Stamp, *, approve: bool) -> Payment:
        """Finish a payment that was waiting (3DS, processing). Raises `Refusal` ``already_decided``."""
        if payment.status not in UNDECIDED:
            raise Refusal(409, "already_decided", f"The payment is {payment.status}.")
        if approve:
            return self._approve(payment, stamp)
        payment = self._save(replace(payment, status=Status.DECLINED, decline=AUTHENTICATION_FAILED, settles_at=None))
        self._enter(payment, "authorize", payment.amount, stamp, status="declined")
        self._announce(payment, "authorize", stamp.now)
        return payment

    def take_back(self, payment: Payment, operation: str, amount: int, stamp: Stamp) -> Payment:
        """A capture or a refund that had succeeded fails after all. What fails to be captured is held again.

        Raises `Refusal` ``nothing_to_take_back``.
        """
        captured = min(amount, payment.kept) if operation == "capture" else 0
        refunded = min(amount, payment.refunded) if operation == "refund" else 0
        if captured + refunded != amount or amount == 0:
            raise Refusal(409, "nothing_to_take_back", f"So much has not been moved by a {operation}.")
        changed = replace(
            payment,
            captured=payment.captured - captured,
            refunded=payment.refunded - refunded,
        )
        return self._move(changed, f"{operation}_failed", amount, stamp)

    def reopen(self, payment: Payment, stamp: Stamp) -> Payment:
        """A deposit was a mistake of the bank: the money goes back and the payment waits again. Raises `Refusal`."""
        if payment.kept == 0 or payment.refunded:
            raise Refusal(409, "not_refundable", f"Nothing whole is captured; the payment is {payment.status}.")
        payment = self._save(replace(payment, status=Status.REQUIRES_ACTION, authorized=0, captured=0))
        self._enter(payment, "refund", payment.amount, stamp)
        self._announce(payment, "refund", stamp.now)
        return payment

    def note(self, subject: Subject, operation: str, amount: int, stamp: Stamp, *, status: str) -> None:
        """Write an entry that moves no money: a refused operation, a neutralisation."""
        self._connection.execute(
            _INSERT_ENTRY,
            (
                stamp.account,
                subject.merchant_ref,
                subject.reference,
                operation,
                stamp.operation_id,
                amount,
                subject.currency,
                status,
                stamp.idempotency_key,
                iso(stamp.now),
            ),
        )
        entry = {"operation": operation, "amount": amount, "status": status, "reference": subject.reference}
        self.entries.append(entry)

    def due(self, now: float) -> list[Payment]:
        """Payments whose result is due at ``now`` (Unix seconds)."""
        rows = self._connection.execute("SELECT * FROM payments WHERE settles_at <= ? LIMIT 500", (now,))
        return [Payment.from_row(row) for row in rows.fetchall()]

    def next_due(self) -> float | None:
        """When the next waiting payment settles (Unix seconds)."""
        query = "SELECT min(settles_at) FROM payments WHERE settles_at IS NOT NULL"
        found: float | None = self._connection.execute(query).fetchone()[0]
        return found

    def _approve(self, payment: Payment, stamp: Stamp) -> Payment:
        captured = payment.amount if payment.capture_now else 0
        payment = self._save(replace(payment, authorized=payment.amount, captured=captured, settles_at=None).settled())
        self._enter(payment, "authorize", payment.amount, stamp)
        if captured:
            self._enter(payment, "capture", captured, stamp)
        self._announce(payment, "authorize", stamp.now)
        return payment

    def _move(self, payment: Payment, operation: str, amount: int, stamp: Stamp) -> Payment:
        payment = self._save(payment.settled())
        self._enter(payment, operation, amount, stamp)
        self._announce(payment, operation, stamp.now)
        return payment

    def _save(self, payment: Payment) -> Payment:
        sums = (payment.authorized, payment.captured, payment.refunded, payment.voided)
        self._connection.execute(
            _UPDATE_PAYMENT, (payment.status, payment.decline, *sums, payment.settles_at, payment.reference)
        )
        return payment

    def _enter(self, payment: Payment, operation: str, amount: int, stamp: Stamp, status: str = "succeeded") -> None:
        self.note(Subject.of(payment), operation, amount, stamp, status=status)


def _match_currency(payment: Payment, currency: str) -> None:
    if currency != payment.currency:
        raise Refusal(409, "currency_mismatch", "The payment is in another currency.", currency=payment.currency)
