"""One keyed request, once: the stored answer is replayed, a cancelled operation is refused, the rest is executed."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateways.sandbox.server.ledger import Charge, Ledger, Stamp, Subject
from gateways.sandbox.server.payment import PAGE, SLOW_TOKEN, Payment, Status
from gateways.sandbox.server.refusal import NotTaken, Refusal
from gateways.sandbox.server.storage import Storage

_IRREVERSIBLE = frozenset({"void", "refund"})


@dataclass(frozen=True, slots=True)
class Order:
    """A keyed request, checked for its shape. ``fingerprint`` covers the path and the body."""

    account: str
    key: str
    kind: str
    fields: dict[str, Any]
    fingerprint: bytes
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What to answer. ``entries`` is what this request itself wrote into the ledger."""

    status: int
    body: dict[str, Any]
    replayed: bool
    entries: list[dict[str, Any]]
    slow: bool = False


class Execution:
    """The keyed operations of all accounts."""

    def __init__(self, storage: Storage, ledger: Ledger, *, public_url: str, clock: Callable[[], float]) -> None:
        """``clock`` gives Unix seconds."""
        self._storage = storage
        self._connection = storage.connection
        self._ledger = ledger
        self._public_url = public_url
        self._clock = clock

    def perform(self, order: Order) -> Done:
        """Execute or replay in one transaction. Raises `Refusal` for what is not remembered under the key."""
        with self._storage.transaction():
            self._refuse_cancelled(order)
            stored = self._stored(order.account, order.key)
            if stored is not None:
                fingerprint, status, body = stored
                if fingerprint != order.fingerprint:
                    raise NotTaken(422, "idempotency_mismatch", "This key was used with another request.")
                return Done(status, body, replayed=True, entries=[])
            self._ledger.entries = []
            status, body = self._execute(order)
            self._connection.execute(
                "INSERT INTO answers VALUES (?,?,?,?,?,?,?)",
                (order.account, order.key, order.fingerprint, order.kind, _reference(body), status, json.dumps(body)),
            )
        slow = order.fields.get("token") == SLOW_TOKEN
        return Done(status, body, replayed=False, entries=list(self._ledger.entries), slow=slow)

    def recall(self, account: str, key: str) -> dict[str, Any]:
        """The operation stored under ``key`` beside its payment as it stands now. Raises `Refusal`."""
        row = self._connection.execute(
            "SELECT kind, reference, body FROM answers WHERE account=? AND idempotency_key=?", (account, key)
        ).fetchone()
        if row is None:
            cancelled = self._key_cancelled(account, key)
            raise Refusal(404, "operation_not_found", "No operation has used this key.", cancelled=cancelled)
        body: dict[str, Any] = json.loads(row["body"])
        if row["reference"] is not None:
            payment = self._ledger.find(account, row["reference"])
            body["payment"] = payment.as_json(self._public_url)
            if row["kind"] == "authorize":
                body["operation"]["status"] = payment.status
        return body

    def find(self, account: str, reference: str) -> dict[str, Any]:
        """``{"payment": ...}``. Raises `Refusal` ``payment_not_found``."""
        return {"payment": self._ledger.find(account, reference).as_json(self._public_url)}

    def find_by_merchant_ref(self, account: str, merchant_ref: str) -> dict[str, Any]:
        """``{"payments": [0 or 1], "cancelled": bool}``."""
        payment = self._ledger.find_by_merchant_ref(account, merchant_ref)
        return {
            "payments": [] if payment is None else [payment.as_json(self._public_url)],
            "cancelled": self._ref_cancelled(account, merchant_ref),
        }

    def _execute(self, order: Order) -> tuple[int, dict[str, Any]]:
        stamp = Stamp(order.account, f"op_{secrets.token_hex(10)}", order.key, self._clock())
        amount = order.fields.get("amount", 0)
        payment: Payment | None = None
        error: Refusal | None = None
        try:
            if order.reference is not None:
                payment = self._ledger.find(order.account, order.reference)
            before = payment
            payment = self._apply(order, payment, stamp)
            amount = _amount(order, before, payment, self._ledger.entries)
            status, word = _http(payment) if order.kind == "authorize" else (201, "succeeded")
        except Refusal as refusal:
            error, status, word = refusal, refusal.status, "refused"
            if payment is not None:
                self._ledger.note(Subject.of(payment), order.kind, amount, stamp, status="refused")
        operation = {
            "id": stamp.operation_id,
            "kind": order.kind,
            "status": word,
            "merchant_ref": order.fields.get("merchant_ref") if payment is None else payment.merchant_ref,
            "amount": amount,
            "currency": order.fields.get("currency") if payment is None else payment.currency,
            "idempotency_key": order.key,
        }
        shown = None if payment is None else payment.as_json(self._public_url)
        body: dict[str, Any] = {"operation": operation, "payment": shown}
        return status, body if error is None else {**body, "error": error.as_json()}

    def _apply(self, order: Order, payment: Payment | None, stamp: Stamp) -> Payment | None:
        fields = order.fields
        match order.kind, payment:
            case "authorize", None:
                payment = self._ledger.authorize(_charge(fields), stamp)
                self._connection.execute(
                    "INSERT INTO returns SELECT ?, ? WHERE ? IS NOT NULL",
                    (payment.reference, fields.get("return_url"), fields.get("return_url")),
                )
                return payment
            case "capture", Payment():
                return self._ledger.capture(payment, fields["amount"], fields["currency"], stamp)
            case "void", Payment():
                return self._ledger.void(payment, stamp)
            case "refund", Payment():
                return self._ledger.refund(payment, fields["amount"], fields["currency"], stamp)
            case "neutralize", None:
                return self._neutralize(order, stamp)
            case _:
                raise AssertionError(f"{order.kind} does not fit a request with reference {order.reference}")

    def _neutralize(self, order: Order, stamp: Stamp) -> Payment | None:
        """Cancel a whole payment, or with ``operation_key`` one operation on it, whether or not it ever arrived."""
        merchant_ref, operation_key = order.fields["merchant_ref"], order.fields.get("operation_key", "")
        payment = self._ledger.find_by_merchant_ref(order.account, merchant_ref)
        stored = self._stored(order.account, operation_key) if operation_key else None
        subject = None if stored is None else stored[2]["operation"]
        if subject is not None and subject["merchant_ref"] not in {None, merchant_ref}:
            raise Refusal(409, "operation_of_another_payment", "The operation_key belongs to another merchant_ref.")
        if subject is not None and subject["kind"] == "authorize":
            operation_key, subject = "", None
        if payment is not None and not operation_key:
            payment = self._ledger.cancel(payment, stamp)
        elif payment is not None and subject is not None and subject["status"] == "succeeded":
            payment = self._undo(payment, subject, stamp)
        self._connection.execute(
            "INSERT OR IGNORE INTO cancellations VALUES (?,?,?)", (order.account, merchant_ref, operation_key)
        )
        about = Subject(merchant_ref) if payment is None else Subject.of(payment)
        self._ledger.note(about, "neutralize", 0, stamp, status="succeeded")
        return payment

    def _undo(self, payment: Payment, subject: dict[str, Any], stamp: Stamp) -> Payment:
        """Undo one capture, unless that was done before. Raises `Refusal` ``cannot_undo``."""
        if subject["kind"] in _IRREVERSIBLE:
            raise Refusal(409, "cannot_undo", f"The {subject['kind']} has happened and cannot be taken back.")
        already = self._key_cancelled(stamp.account, subject["idempotency_key"])
        amount = min(subject["amount"], payment.kept)
        if subject["kind"] != "capture" or already or amount == 0:
            return payment
        return self._ledger.refund(payment, amount, payment.currency, stamp)

    def _refuse_cancelled(self, order: Order) -> None:
        """Late arrivals of what was neutralised are refused, even if an answer is stored under their key."""
        if order.kind == "authorize" and self._ref_cancelled(order.account, order.fields["merchant_ref"]):
            raise NotTaken(
                409, "merchant_ref_cancelled", "This merchant_ref was neutralised; nothing can happen on it."
            )
        if self._key_cancelled(order.account, order.key):
            raise NotTaken(409, "operation_cancelled", "The operation with this key was neutralised.")

    def _ref_cancelled(self, account: str, merchant_ref: str) -> bool:
        query = "SELECT 1 FROM cancellations WHERE account=? AND merchant_ref=? AND operation_key=''"
        return self._connection.execute(query, (account, merchant_ref)).fetchone() is not None

    def _key_cancelled(self, account: str, key: str) -> bool:
        query = "SELECT 1 FROM cancellations WHERE account=? AND operation_key=?"
        return self._connection.execute(query, (account, key)).fetchone() is not None

    def _stored(self, account: str, key: str) -> tuple[bytes, int, dict[str, Any]] | None:
        row = self._connection.execute(
            "SELECT fingerprint, http_status, body FROM answers WHERE account=? AND idempotency_key=?", (account, key)
        ).fetchone()
        return None if row is None else (row["fingerprint"], row["http_status"], json.loads(row["body"]))


def _charge(fields: dict[str, Any]) -> Charge:
    return Charge(
        merchant_ref=fields["merchant_ref"],
        amount=fields["amount"],
        currency=fields["currency"],
        method=fields["method"],
        token=fields.get("token", PAGE),
        capture_now=fields.get("capture", True),
    )


def _amount(order: Order, before: Payment | None, after: Payment | None, entries: list[dict[str, Any]]) -> int:
    """What the operation was about, in minor units: for a neutralisation, what it gave back or released."""
    if order.kind == "void" and before is not None and after is not None:
        return after.voided - before.voided
    if order.kind == "neutralize":
        return sum(entry["amount"] for entry in entries)
    amount: int = order.fields["amount"]
    return amount


def _http(payment: Payment | None) -> tuple[int, str]:
    """The HTTP status and the status word of an authorization."""
    words = {
        Status.DECLINED: (402, "declined"),
        Status.PROCESSING: (202, "processing"),
        Status.REQUIRES_ACTION: (202, "requires_action"),
    }
    return words.get(payment.status, (201, "succeeded")) if payment else (201, "succeeded")


def _reference(body: dict[str, Any]) -> str | None:
    payment = body["payment"]
    return None if payment is None else str(payment["reference"])
