"""What verified webhooks prove about one operation. Adyen answers no question, so its events are the source (R10).

So is its settlement: a line about an operation says that it has happened, though its webhook was lost.

Pure. Events come once or twice, in any order; they are read as a set. Nothing found proves nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from domain.gateway import Amounts, Answer, Call, Decline, Evidence, Issue, OperationKind, Outcome
from gateways.adyen.refusal import by_reason
from gateways.adyen.wire import key_mark

SETTLED = {
    OperationKind.AUTHORIZE: "SETTLED_AUTHORISATION",
    OperationKind.CAPTURE: "SETTLED_CAPTURE",
    OperationKind.REFUND: "SETTLED_REFUND",
}
"""Operation -> our word for a settlement line about it, which is read as an event beside Adyen's own."""
_SPOKEN_OF = {
    OperationKind.CAPTURE: frozenset({"CAPTURE", "CAPTURE_FAILED", SETTLED[OperationKind.CAPTURE]}),
    OperationKind.VOID: frozenset({"CANCELLATION"}),
    OperationKind.REFUND: frozenset({"REFUND", "REFUND_FAILED", "REFUNDED_REVERSED", SETTLED[OperationKind.REFUND]}),
}
"""Operation -> the eventCodes that say what became of it."""
_GRANTED = frozenset({"AUTHORISATION", SETTLED[OperationKind.AUTHORIZE]})
_SILENT = Answer(Outcome.UNKNOWN, evidence=Evidence(detail="no_event"))


class StatedEvent(Protocol):
    """What must be kept of a verified event; `gateways.gateway.WebhookEvent` has it all."""

    @property
    def kind(self) -> str:
        """The eventCode."""

    @property
    def reference(self) -> str | None:
        """The payment's pspReference."""

    @property
    def outcome(self) -> Outcome | None:
        """Succeeded or declined, where the event says how an operation ended."""

    @property
    def amount(self) -> int | None:
        """Minor units."""

    @property
    def currency(self) -> str | None:
        """ISO 4217."""

    @property
    def operation_ref(self) -> str | None:
        """The modification's own pspReference."""

    @property
    def operation_mark(self) -> str | None:
        """`gateways.adyen.wire.key_mark` of the modification's key."""

    @property
    def reason(self) -> str | None:
        """Why not."""


def resolve(call: Call, events: Sequence[StatedEvent]) -> Answer:
    """What became of ``call.subject``; unknown as long as no event says it."""
    if call.subject is OperationKind.AUTHORIZE:
        return _authorization(call, events)
    codes = _SPOKEN_OF.get(call.subject) if call.subject is not None else None
    if codes is None:
        return _SILENT
    return _modification(call, [e for e in events if e.kind in codes and _is_about(call, e)], events)


def is_undone(events: Iterable[StatedEvent]) -> bool:
    """A technical cancel has succeeded and no authorization of another pspReference stands."""
    seen = list(events)
    return bool(_cancelled(seen)) and not _standing(seen)


def paid_by_link(events: Iterable[StatedEvent]) -> list[StatedEvent]:
    """The events without refusals: whoever is refused on a link's page may try another card there."""
    return [e for e in events if e.kind != "AUTHORISATION" or e.outcome is not Outcome.DECLINED]


def what_came(events: Iterable[StatedEvent]) -> str:
    """In one word, which authorizations stand and how many technical cancels found nothing that they could cancel.

    Another word than before: there may be something to cancel that was not there.
    """
    seen = list(events)
    failed = {e.operation_ref for e in seen if e.kind == "TECHNICAL_CANCEL" and e.outcome is Outcome.DECLINED}
    return " ".join([str(len(failed)), *sorted({e.reference or "" for e in _standing(seen)})])


def _authorization(call: Call, events: Sequence[StatedEvent]) -> Answer:
    standing = _standing(events)
    if standing:
        event = next((e for e in standing if e.reference == call.reference), standing[-1])
        issues = _issues(call, event)
        if len({e.reference for e in standing}) > 1 and Issue.REFERENCE_MISMATCH not in issues:
            issues = (*issues, Issue.REFERENCE_MISMATCH)  # Charged twice under one reference: for a person.
        return _answer(Outcome.SUCCEEDED, event, issues=issues, amounts=_amounts(call, events))
    if cancelled := _cancelled(events):
        return Answer(
            Outcome.NOT_EXECUTED,
            reference=cancelled[-1].reference,
            final=True,
            evidence=Evidence(request_id=cancelled[-1].operation_ref, detail="TECHNICAL_CANCEL"),
        )
    refused = [e for e in events if e.kind == "AUTHORISATION" and e.outcome is Outcome.DECLINED]
    if not refused:
        return _SILENT
    return _answer(Outcome.DECLINED, refused[-1], decline=by_reason(refused[-1].reason or ""))


def _modification(call: Call, mine: Sequence[StatedEvent], events: Sequence[StatedEvent]) -> Answer:
    """One no outweighs a yes: a capture or a refund may fail after it has succeeded."""
    refused = [e for e in mine if e.outcome is Outcome.DECLINED]
    if refused:
        return _answer(Outcome.DECLINED, refused[-1], decline=by_reason(refused[-1].reason or ""))
    done = [e for e in mine if e.outcome is Outcome.SUCCEEDED]
    if not done:
        return _SILENT
    return _answer(Outcome.SUCCEEDED, done[-1], issues=_issues(call, done[-1]), amounts=_amounts(call, events))


def _answer(
    outcome: Outcome,
    event: StatedEvent,
    *,
    issues: tuple[Issue, ...] = (),
    amounts: Amounts | None = None,
    decline: Decline | None = None,
) -> Answer:
    return Answer(
        outcome,
        reference=event.reference,
        operation_ref=event.operation_ref,
        amounts=None if issues else amounts,
        decline=decline,
        issues=issues,
        evidence=Evidence(request_id=event.operation_ref or event.reference, detail=event.kind),
    )


def _is_about(call: Call, event: StatedEvent) -> bool:
    """By the mark of the key that came back, else by the modification's pspReference."""
    if event.operation_mark is not None and call.subject_key is not None:
        return event.operation_mark == key_mark(call.subject_key)
    return call.subject_reference is not None and event.operation_ref == call.subject_reference


def _standing(events: Iterable[StatedEvent]) -> list[StatedEvent]:
    """Authorizations that no technical cancel has undone."""
    seen = list(events)
    gone = {e.reference for e in _cancelled(seen)}
    granted = [e for e in seen if e.kind in _GRANTED and e.outcome is Outcome.SUCCEEDED]
    return [e for e in granted if e.reference not in gone]


def _cancelled(events: Iterable[StatedEvent]) -> list[StatedEvent]:
    return [e for e in events if e.kind == "TECHNICAL_CANCEL" and e.outcome is Outcome.SUCCEEDED]


def _issues(call: Call, event: StatedEvent) -> tuple[Issue, ...]:
    """Where an event differs from what was asked. A cancel's amount is the payment's own and says nothing."""
    found = []
    if call.subject is not OperationKind.VOID and event.amount != call.amount:
        found.append(Issue.AMOUNT_MISMATCH)
    if event.currency != call.currency:
        found.append(Issue.CURRENCY_MISMATCH)
    if call.reference is not None and event.reference != call.reference:
        found.append(Issue.REFERENCE_MISMATCH)
    return tuple(found)


def _amounts(call: Call, events: Sequence[StatedEvent]) -> Amounts | None:
    """Sums over all verified events of the payment; an operation counts once, and not if it failed after all.

    None: the events that are there do not add up, so some are missing.
    """
    authorized = sum(e.amount or 0 for e in _standing(events)[:1])
    captured = authorized - _failed(events) if call.capture_now else _sum(events, OperationKind.CAPTURE)
    refunded = _sum(events, OperationKind.REFUND)
    released = any(e.kind == "CANCELLATION" and e.outcome is Outcome.SUCCEEDED for e in events)
    if not refunded <= captured <= authorized:
        return None
    return Amounts(authorized, captured, refunded, authorized - captured if released else 0)


def _failed(events: Iterable[StatedEvent]) -> int:
    """Captures that came with the authorization and have failed after all."""
    failed = [e for e in events if e.kind == "CAPTURE_FAILED" and e.operation_mark is None]  # Ours have a mark.
    return sum({e.operation_ref: e.amount or 0 for e in failed}.values())


def _sum(events: Sequence[StatedEvent], kind: OperationKind) -> int:
    spoken = [e for e in events if e.kind in _SPOKEN_OF[kind]]
    failed = {e.operation_ref for e in spoken if e.outcome is Outcome.DECLINED}
    done = {e.operation_ref: e.amount or 0 for e in spoken if e.outcome is Outcome.SUCCEEDED}
    return sum(amount for reference, amount in done.items() if reference not in failed)
