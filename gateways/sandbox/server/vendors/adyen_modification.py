"""Captures, cancels, refunds, reversals and technical cancels: received at once, their result by webhook."""

from dataclasses import dataclass
from typing import Any

from gateways.sandbox.server.ledger import Stamp, Subject
from gateways.sandbox.server.payment import UNDECIDED, Payment
from gateways.sandbox.server.personality import Said
from gateways.sandbox.server.refusal import Refusal
from gateways.sandbox.server.vendors.adyen_intake import Order, read_amount, read_reference, require_merchant
from gateways.sandbox.server.vendors.adyen_paper import Event, Paper, Papers
from gateways.sandbox.server.vendors.adyen_word import (
    AdyenError,
    Amount,
    invalid_field,
    missing_field,
    new_psp,
    no_original,
    speak,
)

_CODES = {"capture": "CAPTURE", "void": "CANCELLATION", "refund": "REFUND"}
_FAILED_CODES = {"capture": "CAPTURE_FAILED", "refund": "REFUND_FAILED"}
_NOT_ENOUGH = "Insufficient balance on payment"
_NOT_CAPTURED = "Transaction hasn't been captured, refund not possible"
_ALREADY_CAPTURED = "Transaction has already been captured"
_ALREADY_CANCELLED = "Transaction has been cancelled"
_MORE_THAN_THERE_IS = frozenset({"capture_exceeds_authorized", "refund_exceeds_captured"})
_NOTHING_TO_CANCEL = "Payment could not be cancelled"
_NOT_ADJUSTABLE = "Authorisation adjustment is not possible for this payment"
_REFUND_REASONS = ("FRAUD", "CUSTOMER REQUEST", "RETURN", "DUPLICATE", "OTHER")
_COMES_BACK = {
    "capture": ("lineItems", "platformChargebackLogic", "splits", "subMerchants"),
    "refund": ("capturePspReference", "lineItems", "merchantRefundReason", "splits", "store"),
    "adjust": ("industryUsage", "lineItems", "splits"),
}
"""Fields of the request that its answer repeats."""


@dataclass(frozen=True, slots=True)
class Modification:
    """One modification that has been received. ``amount`` None: the whole."""

    psp: str
    kind: str
    reference: str
    amount: Amount | None
    key: str


class Modifications:
    """Moves the money in the transaction of the request; the merchant hears of it by webhook, as at Adyen."""

    def __init__(self, papers: Papers) -> None:
        self._papers = papers
        self._counter = papers.counter

    def capture(self, order: Order) -> Said:
        """``POST /payments/{psp}/captures``. Raises `AdyenError`."""
        return self._modify(order, "capture")

    def cancel(self, order: Order) -> Said:
        """``POST /payments/{psp}/cancels``. Raises `AdyenError`."""
        return self._modify(order, "void")

    def refund(self, order: Order) -> Said:
        """``POST /payments/{psp}/refunds``. Raises `AdyenError`."""
        if order.fields.get("merchantRefundReason", "OTHER") not in _REFUND_REASONS:
            raise invalid_field("merchantRefundReason")
        return self._modify(order, "refund")

    def reverse(self, order: Order) -> Said:
        """``POST /payments/{psp}/reversals``: cancel, or refund all that is captured. Raises `AdyenError`."""
        paper, payment = self._original(order)
        kind = "refund" if payment.captured else "void"
        amount = Amount(paper.currency, payment.kept) if payment.captured else None
        wanted = Modification(new_psp(), kind, read_reference(order.fields, required=False), amount, order.key)
        reason = self._move(order.account, payment, wanted)
        action = {"modification.action": "refund" if kind == "refund" else "cancel"}
        event = _event("CANCEL_OR_REFUND", paper, wanted, reason, more=action)
        self._papers.post(order.account, event, kind)
        return _received(order, paper, wanted)

    def adjust(self, order: Order) -> Said:
        """``POST /payments/{psp}/amountUpdates``: received, then refused, as no payment here is pre-authorised."""
        paper, _ = self._original(order)
        reference = read_reference(order.fields, required=False) or paper.reference
        wanted = Modification(new_psp(), "adjust", reference, read_amount(order.fields), order.key)
        self._papers.post(order.account, _event("AUTHORISATION_ADJUSTMENT", paper, wanted, _NOT_ADJUSTABLE), "adjust")
        return _received(order, paper, wanted)

    def cancel_by_reference(self, order: Order) -> Said:
        """``POST /cancels``: releases what is not captured, whether or not its answer arrived. Raises `AdyenError`."""
        require_merchant(order)
        payment_reference = order.fields.get("paymentReference")
        if not isinstance(payment_reference, str) or not payment_reference:
            raise missing_field("paymentReference")
        own_reference = read_reference(order.fields, required=False)
        psp = new_psp()
        stamp = Stamp(order.account, psp, order.key or psp, self._counter.clock())
        papers = self._papers.of_reference(order.account, order.merchant, payment_reference)
        found = self._cancellable(order.account, papers)
        spoken_of = found[0] if found is not None else (papers[-1] if papers else None)
        about = Subject(payment_reference)
        if found is not None:
            about = Subject.of(self._counter.ledger.cancel(found[1], stamp))
        status = "succeeded" if found is not None else "refused"
        self._counter.ledger.note(about, "neutralize", 0, stamp, status=status)
        event = Event(
            "TECHNICAL_CANCEL",
            psp,
            order.merchant,
            payment_reference,
            Amount("EUR", 0) if spoken_of is None else spoken_of.amount,
            success=found is not None,
            original="" if spoken_of is None else spoken_of.psp,
            reason="" if found is not None else _NOTHING_TO_CANCEL,
            brand="" if spoken_of is None else spoken_of.brand,
        )
        self._papers.post(order.account, event, "neutralize")
        body = {"merchantAccount": order.merchant, "paymentReference": payment_reference}
        own = {"reference": own_reference} if own_reference else {}
        return speak(201, {**body, **own, "pspReference": psp, "status": "received"})

    def fail(self, account: str, psp: str) -> Said:
        """A control of the sandbox, not of Adyen: a capture or refund that succeeded fails after all.

        By its own pspReference, or by the payment's for the capture that came with the authorisation.
        """
        document = self._counter.read(account, "modification", psp) or self._captured_at_once(account, psp)
        paper = None if document is None else self._papers.find(account, document["original"])
        if document is None or paper is None or document["kind"] not in _FAILED_CODES:
            raise no_original()
        kind, amount = document["kind"], Amount(paper.currency, document["value"])
        payment = self._counter.ledger.find(account, paper.ledger)
        stamp = Stamp(account, psp, payment.idempotency_key, self._counter.clock())
        try:
            self._counter.ledger.take_back(payment, kind, amount.value, stamp)
        except Refusal as refusal:
            raise AdyenError(422, "702", refusal.message) from refusal
        psp = psp if psp != paper.psp else new_psp()
        self._counter.write(account, "modification", psp, {**document, "kind": "failed"})
        wanted = Modification(psp, kind, document["reference"], amount, "")
        event = _event(_FAILED_CODES[kind], paper, wanted, "", said=f"{kind.capitalize()} Failed")
        self._papers.post(account, event, kind)
        return speak(200, {"eventCode": event.code, "pspReference": psp})

    def _captured_at_once(self, account: str, psp: str) -> dict[str, Any] | None:
        paper = self._papers.find(account, psp)
        payment = None if paper is None else self._counter.ledger.find(account, paper.ledger)
        if payment is None or not payment.capture_now:
            return None
        return {"kind": "capture", "original": psp, "value": payment.kept, "reference": ""}

    def _modify(self, order: Order, kind: str) -> Said:
        paper, payment = self._original(order)
        amount = None if kind == "void" else read_amount(order.fields)
        wanted = Modification(new_psp(), kind, read_reference(order.fields, required=False), amount, order.key)
        reason = self._move(order.account, payment, wanted)
        if not reason and amount is not None:
            document = {"kind": kind, "original": paper.psp, "value": amount.value, "reference": wanted.reference}
            self._counter.write(order.account, "modification", wanted.psp, document)
            self._papers.settled(order.account, paper.merchant)
        self._papers.post(order.account, _event(_CODES[kind], paper, wanted, reason), kind)
        return _received(order, paper, wanted)

    def _move(self, account: str, payment: Payment, wanted: Modification) -> str:
        """Do it in the ledger; why not, or an empty text."""
        ledger = self._counter.ledger
        stamp = Stamp(account, wanted.psp, wanted.key or wanted.psp, self._counter.clock())
        value = 0 if wanted.amount is None else wanted.amount.value
        currency = payment.currency if wanted.amount is None else wanted.amount.currency
        try:
            match wanted.kind:
                case "capture":
                    ledger.capture(payment, value, currency, stamp)
                case "refund":
                    ledger.refund(payment, value, currency, stamp)
                case _:
                    ledger.void(payment, stamp)
        except Refusal as refusal:
            ledger.note(Subject.of(payment), wanted.kind, value, stamp, status="refused")
            return _reason(refusal.code, payment)
        return ""

    def _original(self, order: Order) -> tuple[Paper, Payment]:
        require_merchant(order)
        paper = self._papers.find(order.account, order.original)
        if paper is None or paper.merchant != order.merchant:
            raise no_original()
        return paper, self._counter.ledger.find(order.account, paper.ledger)

    def _cancellable(self, account: str, papers: list[Paper]) -> tuple[Paper, Payment] | None:
        """The newest of these payments that holds money or may still come to hold it."""
        for paper in reversed(papers):
            payment = self._counter.ledger.find(account, paper.ledger)
            if payment.status in UNDECIDED or (payment.held and not payment.captured):
                return paper, payment
        return None


def _reason(code: str, payment: Payment) -> str:
    """What a webhook says of a modification that the ledger refused."""
    if code == "currency_mismatch":
        return "Currency mismatch"
    if code in _MORE_THAN_THERE_IS:
        return _NOT_ENOUGH
    if not payment.captured:
        return _NOT_CAPTURED if code == "not_refundable" else _ALREADY_CANCELLED
    return _ALREADY_CAPTURED if code == "not_voidable" else _NOT_ENOUGH


def _event(
    code: str, paper: Paper, wanted: Modification, refused: str, *, said: str = "", more: dict[str, str] | None = None
) -> Event:
    """The webhook of a modification: its own reference comes back, else the payment's."""
    return Event(
        code,
        wanted.psp,
        paper.merchant,
        wanted.reference or paper.reference,
        wanted.amount or paper.amount,
        success=not refused,
        original=paper.psp,
        reason=refused or said,
        brand=paper.brand,
        more=more,
    )


def _received(order: Order, paper: Paper, wanted: Modification) -> Said:
    body: dict[str, Any] = {"merchantAccount": paper.merchant, "paymentPspReference": paper.psp}
    if wanted.reference:
        body["reference"] = wanted.reference
    body |= {"pspReference": wanted.psp, "status": "received"}
    if "amount" in order.fields and wanted.amount is not None:
        body["amount"] = wanted.amount.as_json()
    names = _COMES_BACK.get(wanted.kind, ())
    return speak(201, body | {name: order.fields[name] for name in names if name in order.fields})
