"""A customer without a token pays on Adyen's page: one link for an authorization, and none that can be paid later."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from typing_extensions import override

from domain.gateway import Answer, Call, Issue, OperationKind, Outcome, Retry
from gateways.adyen import wire
from gateways.adyen.adapter import AdyenGateway
from gateways.gateway import MisconfiguredGateway
from tests.gateways.rig import AUTHORIZE, CAPTURE, LOOKUP, NEUTRALIZE, REFUND, VOID, eventually, succeeded
from tests.gateways.rigs.adyen import AdyenRig
from tests.gateways.rigs.adyen_said import ACCOUNT, KnownEvents, a_call, about, an_event

LINK = {
    "id": "PL0123456789ABCD",
    "status": "active",
    "url": "https://pay.example/PL0123456789ABCD",
    "amount": {"currency": "EUR", "value": 1000},
    "reference": "ref-000001",
}


def on_a_page(adyen: AdyenRig, *, capture_now: bool = True) -> Call:
    return dataclasses.replace(adyen.charge(capture_now=capture_now), token=None, description="Order 1")


def press(answer: Answer, action: str) -> httpx.Response:
    """What the customer does on the page."""
    assert answer.action is not None
    assert (answer.action.kind, answer.action.method) == ("redirect", "GET")
    return httpx.post(answer.action.url or "", data={"action": action}, trust_env=False)


def asked(adyen: AdyenRig, call: Call, kind: OperationKind, opened: Answer) -> Call:
    """A question about the authorization, with what its answer has brought."""
    return dataclasses.replace(adyen.about(call, kind), subject_reference=opened.operation_ref)


def heard(adyen: AdyenRig, call: Call, count: int = 1) -> None:
    """So many authorisations were posted and verified."""
    assert eventually(lambda: len(adyen.events(call.merchant_ref, "AUTHORISATION")) >= count, bool)


async def opened_by(adyen: AdyenRig, call: Call) -> Answer:
    answer = await adyen.gateway.perform(call)
    assert (answer.outcome, answer.reference, answer.issues) == (Outcome.ACTION_REQUIRED, None, ())
    assert (answer.operation_ref or "").startswith("PL")
    return answer


@pytest.mark.parametrize("capture_now", [True, False])
async def test_it_is_paid_on_the_page_and_told_by_webhook(adyen: AdyenRig, *, capture_now: bool) -> None:
    call = on_a_page(adyen, capture_now=capture_now)
    opened = await opened_by(adyen, call)
    look = asked(adyen, call, LOOKUP, opened)
    waiting = await adyen.gateway.perform(look)
    assert (waiting.outcome, waiting.action) == (Outcome.ACTION_REQUIRED, opened.action)
    assert press(opened, "pay").headers["location"] == call.return_url
    heard(adyen, call)
    found = await succeeded(adyen, look)
    assert found.amounts is not None
    assert (found.amounts.authorized, found.amounts.captured) == (10_000, 10_000 if capture_now else 0)
    assert (adyen.money(call).net, adyen.money(call).held) == ((10_000, 0) if capture_now else (0, 10_000))
    assert (await adyen.gateway.perform(call)).outcome is Outcome.SUCCEEDED, "sent again, with what was brought back"


@pytest.mark.parametrize("kinds", [(CAPTURE, REFUND), (VOID,)])
async def test_what_the_page_has_held_goes_on_as_any_other_payment(
    adyen: AdyenRig, kinds: tuple[OperationKind, ...]
) -> None:
    call = on_a_page(adyen, capture_now=False)
    opened = await opened_by(adyen, call)
    press(opened, "pay")
    heard(adyen, call)
    found = await succeeded(adyen, asked(adyen, call, LOOKUP, opened))
    for kind in kinds:
        await succeeded(adyen, adyen.follow(call, kind, 10_000, found.reference))
    assert (adyen.money(call).net, adyen.money(call).held) == (0, 0)


async def test_a_refusal_on_the_page_is_no_end(adyen: AdyenRig) -> None:
    call = on_a_page(adyen)
    opened = await opened_by(adyen, call)
    look = asked(adyen, call, LOOKUP, opened)
    press(opened, "decline")
    heard(adyen, call)
    assert (await adyen.gateway.perform(look)).outcome is Outcome.ACTION_REQUIRED
    press(opened, "pay")
    heard(adyen, call, 2)
    await succeeded(adyen, look)
    assert adyen.money(call).net == 10_000


async def test_paid_and_not_told_yet_is_pending(adyen: AdyenRig) -> None:
    adyen.arm("webhook_never", AUTHORIZE)
    call = on_a_page(adyen)
    opened = await opened_by(adyen, call)
    press(opened, "pay")
    for question in (call, asked(adyen, call, LOOKUP, opened)):
        answer = await adyen.gateway.perform(question)
        assert (answer.outcome, answer.action, answer.reference) == (Outcome.PENDING, None, None)
    undone = await adyen.gateway.perform(asked(adyen, call, NEUTRALIZE, opened))
    assert undone.outcome is Outcome.UNKNOWN, "it was paid: only its webhook can say what has to be undone"
    assert adyen.money(call).net == 10_000


async def test_the_same_key_is_the_same_link(adyen: AdyenRig) -> None:
    call = on_a_page(adyen)
    first = await opened_by(adyen, call)
    again = await opened_by(adyen, call)
    assert (again.operation_ref, again.action) == (first.operation_ref, first.action)
    press(first, "pay")
    assert "completed" in press(first, "pay").text
    assert adyen.money(call).net == 10_000


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "garbage", "500_after", "truncated"])
async def test_a_lost_answer_is_found_again_by_its_key(adyen: AdyenRig, fault: str) -> None:
    call = on_a_page(adyen)
    adyen.arm(fault, LOOKUP)
    lost = await adyen.gateway.perform(call)
    assert (lost.outcome, lost.action) == (Outcome.UNKNOWN, None)
    assert (await adyen.gateway.perform(adyen.about(call, LOOKUP))).outcome is Outcome.UNKNOWN
    await opened_by(adyen, call)


@pytest.mark.parametrize("known", [True, False], ids=["its id is known", "its id was lost"])
async def test_a_link_that_is_given_up_can_never_be_paid(adyen: AdyenRig, *, known: bool) -> None:
    call = on_a_page(adyen)
    opened = await opened_by(adyen, call)
    undo = asked(adyen, call, NEUTRALIZE, opened) if known else adyen.about(call, NEUTRALIZE)
    for _ in range(2):
        await succeeded(adyen, undo)
    assert "expired" in press(opened, "pay").text
    for question in (call, asked(adyen, call, LOOKUP, opened)):
        answer = await adyen.gateway.perform(question)
        assert answer.decline is not None
        assert (answer.outcome, answer.decline.retry) == (Outcome.DECLINED, Retry.AFTER_CUSTOMER_ACTION)
    assert (adyen.money(call).net, adyen.money(call).held) == (0, 0)


async def test_a_link_that_never_came_is_barred_by_giving_it_up(adyen: AdyenRig) -> None:
    call = on_a_page(adyen)
    await succeeded(adyen, adyen.about(call, NEUTRALIZE))
    assert (await adyen.gateway.perform(call)).outcome is Outcome.DECLINED


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
async def test_while_it_is_not_known_whether_the_link_is_closed_it_is_unknown(adyen: AdyenRig, fault: str) -> None:
    call = on_a_page(adyen)
    undo = asked(adyen, call, NEUTRALIZE, await opened_by(adyen, call))
    adyen.arm(fault, LOOKUP)
    assert (await adyen.gateway.perform(undo)).outcome is Outcome.UNKNOWN
    await succeeded(adyen, undo)


async def test_what_was_paid_and_only_held_is_released_when_it_is_given_up(adyen: AdyenRig) -> None:
    call = on_a_page(adyen, capture_now=False)
    opened = await opened_by(adyen, call)
    press(opened, "pay")
    heard(adyen, call)
    undo = asked(adyen, call, NEUTRALIZE, opened)
    assert (await adyen.gateway.perform(undo)).outcome is Outcome.PENDING
    assert eventually(lambda: adyen.events(call.merchant_ref, "TECHNICAL_CANCEL"), bool)
    assert (await adyen.gateway.perform(undo)).outcome is Outcome.SUCCEEDED
    assert (await adyen.gateway.perform(asked(adyen, call, LOOKUP, opened))).outcome is Outcome.NOT_EXECUTED
    assert (adyen.money(call).net, adyen.money(call).held) == (0, 0)


async def test_money_that_comes_after_all_is_found(adyen: AdyenRig) -> None:
    """A payment that was under way while the link was being closed: asked about again, it is there to be given back."""
    late = an_event("AUTHORISATION", Outcome.SUCCEEDED)
    gateway = AdyenGateway(ACCOUNT, events=KnownEvents(late), client=telling({**LINK, "status": "expired"}))
    found = await gateway.perform(about(AUTHORIZE, token=None, reference=None, subject_reference=LINK["id"]))
    assert (found.outcome, found.reference) == (Outcome.SUCCEEDED, late.reference)
    assert found.amounts is not None
    assert (found.amounts.captured, found.amounts.refunded) == (1000, 0)


@pytest.mark.parametrize(("paid", "outcome"), [(True, Outcome.UNKNOWN), (False, Outcome.SUCCEEDED)])
async def test_a_link_that_is_paid_while_it_is_being_closed_is_not_taken_for_undone(
    *, paid: bool, outcome: Outcome
) -> None:
    told: list[Any] = []

    class Events(KnownEvents):
        @override
        async def of(self, merchant_ref: str) -> Sequence[Any]:
            return tuple(told)

    def closing(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH" and paid:
            told.append(an_event("AUTHORISATION", Outcome.SUCCEEDED))
        return httpx.Response(200, json={**LINK, "status": "expired"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(closing))
    gateway = AdyenGateway(ACCOUNT, events=Events(), client=client)
    question = about(AUTHORIZE, NEUTRALIZE, token=None, reference=None, subject_reference=LINK["id"])
    assert (await gateway.perform(question)).outcome is outcome


def telling(body: dict[str, Any], status: int = 200) -> httpx.AsyncClient:
    """An Adyen that says the same to everything."""
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=body)))


@pytest.mark.parametrize(
    ("changes", "outcome", "issues"),
    [
        ({}, Outcome.ACTION_REQUIRED, ()),
        ({"status": "paymentPending"}, Outcome.PENDING, ()),
        ({"status": "paid"}, Outcome.PENDING, ()),
        ({"status": "completed"}, Outcome.PENDING, ()),
        ({"status": "nobody has heard of it"}, Outcome.PENDING, ()),
        ({"status": "expired"}, Outcome.DECLINED, ()),
        ({"id": None}, Outcome.UNKNOWN, ()),
        ({"url": 7}, Outcome.UNKNOWN, ()),
        ({"amount": {"currency": "EUR", "value": 999}}, Outcome.ACTION_REQUIRED, (Issue.AMOUNT_MISMATCH,)),
        ({"reference": "another"}, Outcome.ACTION_REQUIRED, (Issue.REFERENCE_MISMATCH,)),
    ],
)
async def test_every_status_of_a_link_has_one_meaning(
    changes: dict[str, Any], outcome: Outcome, issues: tuple[Issue, ...]
) -> None:
    gateway = AdyenGateway(ACCOUNT, client=telling({**LINK, **changes}))
    for call in (a_call(token=None), about(AUTHORIZE, token=None, subject_reference=LINK["id"])):
        answer = await gateway.perform(call)
        assert (answer.outcome, answer.issues) == (outcome, issues)


async def test_an_unknown_link_proves_nothing(adyen: AdyenRig) -> None:
    gone = dataclasses.replace(adyen.about(on_a_page(adyen), LOOKUP), subject_reference="PLNOBODY")
    assert (await adyen.gateway.perform(gone)).outcome is Outcome.UNKNOWN


async def test_a_key_that_may_open_links_and_not_see_them_has_still_opened_one() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        refused = httpx.Response(403, json={"status": 403, "errorCode": "010", "message": "Not allowed"})
        return httpx.Response(201, json=LINK) if request.method == "POST" else refused

    gateway = AdyenGateway(ACCOUNT, client=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert (await gateway.perform(a_call(token=None))).outcome is Outcome.ACTION_REQUIRED
    with pytest.raises(MisconfiguredGateway):
        await gateway.perform(about(AUTHORIZE, token=None, subject_reference=LINK["id"]))


async def test_without_a_token_and_without_a_way_back_another_account_may_take_it() -> None:
    answer = await AdyenGateway(ACCOUNT, client=telling({}, 500)).perform(a_call(token=None, return_url=None))
    assert answer.decline is not None
    assert (answer.outcome, answer.decline.retry) == (Outcome.DECLINED, Retry.OTHER_PG)


def test_a_link_is_asked_for_with_all_that_binds_it() -> None:
    sent = [wire.link(a_call(token=None, capture_now=now, description="x" * 300), "M") for now in (True, False)]
    for outgoing, capture in zip(sent, (b'"captureDelayHours":0', b'"manualCapture":true'), strict=True):
        assert (outgoing.path, outgoing.key) == ("/v72/paymentLinks", a_call().key)
        for part in (capture, b'"reusable":false', b'"reference":"ref-000001"', b'"allowedPaymentMethods":["scheme"]'):
            assert part in outgoing.body
        assert b"x" * 280 in outgoing.body
        assert b"x" * 281 not in outgoing.body
    assert wire.link(about(AUTHORIZE, NEUTRALIZE, token=None, description="x" * 300), "M") == sent[0]
