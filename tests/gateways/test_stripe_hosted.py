"""A customer without a token pays on Stripe's page: one session for an authorization, and none that is paid later."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.gateway import Amounts, Answer, Call, Issue, OperationKind, Outcome, Retry
from gateways.gateway import Account
from gateways.stripe import wire
from gateways.stripe.adapter import StripeGateway
from tests.gateways.rig import (
    AUTHORIZE,
    CAPTURE,
    LOOKUP,
    NEUTRALIZE,
    REFUND,
    VOID,
    SandboxRig,
    SandboxServer,
    succeeded,
)
from tests.gateways.rigs.stripe import Merchant, set_search_lag, stripe_account
from tests.gateways.test_stripe_wire import a_call, a_charge, an_intent

ACCOUNT = "stripe-hosted"
BACK = "https://shop.test/back?cart=7"
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "status": "open",
    "url": "https://checkout.example/c/pay/cs_test_1",
    "amount_total": 10_000,
    "currency": "krw",
    "client_reference_id": "attempt-1",
    "payment_intent": None,
}


@pytest.fixture
async def rig(sandbox: SandboxServer) -> AsyncIterator[SandboxRig]:
    """An account of this file's own, whose search is not late."""
    sandbox.http.delete("/_faults").raise_for_status()
    set_search_lag(sandbox, ACCOUNT, 0)
    rig = SandboxRig(StripeGateway(stripe_account(sandbox, ACCOUNT)), sandbox, ACCOUNT)
    yield rig
    await rig.gateway.close()


def on_a_page(rig: SandboxRig, *, capture_now: bool = True) -> Call:
    charge = rig.charge(capture_now=capture_now)
    return dataclasses.replace(charge, token=None, return_url=BACK, description="Order 1")


def press(answer: Answer, action: str) -> httpx.Response:
    """What the customer does on the page."""
    assert answer.action is not None
    assert (answer.action.kind, answer.action.method) == ("redirect", "GET")
    return httpx.post(answer.action.url or "", data={"action": action}, trust_env=False)


def asked(rig: SandboxRig, call: Call, kind: OperationKind, opened: Answer) -> Call:
    """A question about the authorization, with what its answer has brought."""
    found = dataclasses.replace(rig.about(call, kind), subject_reference=opened.operation_ref)
    return dataclasses.replace(found, reference=opened.reference)


async def opened_by(rig: SandboxRig, call: Call) -> Answer:
    answer = await rig.gateway.perform(call)
    assert (answer.outcome, answer.reference, answer.issues) == (Outcome.ACTION_REQUIRED, None, ())
    assert (answer.operation_ref or "").startswith("cs_test_")
    return answer


def nothing_moved(rig: SandboxRig, call: Call) -> bool:
    return (rig.money(call).net, rig.money(call).held) == (0, 0)


@pytest.mark.parametrize("capture_now", [True, False])
async def test_it_is_paid_on_the_page_and_found_by_its_session(rig: SandboxRig, *, capture_now: bool) -> None:
    call = on_a_page(rig, capture_now=capture_now)
    opened = await opened_by(rig, call)
    look = asked(rig, call, LOOKUP, opened)
    waiting = await rig.gateway.perform(look)
    assert (waiting.outcome, waiting.action) == (Outcome.ACTION_REQUIRED, opened.action)
    assert press(opened, "pay").headers["location"] == BACK
    found = await succeeded(rig, look)
    assert found.amounts == Amounts(10_000, 10_000 if capture_now else 0, 0, 0)
    assert ((found.reference or "")[:3], (found.operation_ref or "")[:3]) == ("pi_", "ch_")
    assert (rig.money(call).net, rig.money(call).held) == ((10_000, 0) if capture_now else (0, 10_000))
    again = await succeeded(rig, call)
    assert (again.reference, again.evidence.replayed) == (found.reference, True), "sent again, as after a return"
    later = await succeeded(rig, asked(rig, call, LOOKUP, found))
    assert later.reference == found.reference, "from now on by its PaymentIntent"


@pytest.mark.parametrize("kinds", [(CAPTURE, REFUND), (VOID,)])
async def test_what_the_page_has_held_goes_on_as_any_other_payment(
    rig: SandboxRig, kinds: tuple[OperationKind, ...]
) -> None:
    call = on_a_page(rig, capture_now=False)
    opened = await opened_by(rig, call)
    press(opened, "pay")
    found = await succeeded(rig, asked(rig, call, LOOKUP, opened))
    assert found.authorized_until is not None
    for kind in kinds:
        await succeeded(rig, rig.follow(call, kind, 10_000, found.reference))
    assert nothing_moved(rig, call)


async def test_a_refusal_on_the_page_is_no_end(rig: SandboxRig) -> None:
    call = on_a_page(rig)
    opened = await opened_by(rig, call)
    assert "declined" in press(opened, "decline").text
    assert "declined" in press(opened, "decline").text
    for question in (call, asked(rig, call, LOOKUP, opened), rig.about(call, LOOKUP)):
        answer = await rig.gateway.perform(question)
        assert (answer.outcome, answer.reference, answer.action) == (Outcome.ACTION_REQUIRED, None, opened.action)
    press(opened, "pay")
    await succeeded(rig, asked(rig, call, LOOKUP, opened))
    assert rig.money(call).net == 10_000


async def test_the_same_key_is_the_same_session_and_it_is_paid_once(rig: SandboxRig) -> None:
    call = on_a_page(rig)
    first = await opened_by(rig, call)
    again = await opened_by(rig, call)
    assert (again.operation_ref, again.action) == (first.operation_ref, first.action)
    press(first, "pay")
    assert "complete" in press(first, "pay").text
    assert rig.money(call).net == 10_000


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "garbage", "500_before", "truncated"])
async def test_a_lost_answer_is_found_again_by_its_key(rig: SandboxRig, fault: str) -> None:
    call = on_a_page(rig)
    rig.arm(fault, AUTHORIZE)
    lost = await rig.gateway.perform(call)
    assert (lost.outcome, lost.action) == (Outcome.UNKNOWN, None)
    assert (await rig.gateway.perform(rig.about(call, LOOKUP))).outcome is Outcome.UNKNOWN
    opened = await opened_by(rig, call)
    assert (await opened_by(rig, call)).operation_ref == opened.operation_ref


async def test_an_id_stays_known_though_its_session_cannot_be_read(rig: SandboxRig) -> None:
    call = on_a_page(rig)
    opened = await opened_by(rig, call)
    rig.arm("drop_before", LOOKUP)
    answer = await rig.gateway.perform(call)
    assert (answer.outcome, answer.operation_ref) == (Outcome.UNKNOWN, opened.operation_ref)


@pytest.mark.parametrize("tried", [False, True], ids=["never tried", "a card was declined"])
@pytest.mark.parametrize("known", [True, False], ids=["its id is known", "its id was lost"])
async def test_a_session_that_is_given_up_can_never_be_paid(rig: SandboxRig, *, known: bool, tried: bool) -> None:
    call = on_a_page(rig)
    opened = await opened_by(rig, call)
    if tried:
        press(opened, "decline")
    undo = asked(rig, call, NEUTRALIZE, opened) if known else rig.about(call, NEUTRALIZE)
    for _ in range(2):
        await succeeded(rig, undo)
    assert "expired" in press(opened, "pay").text
    for question in (call, asked(rig, call, LOOKUP, opened)):
        answer = await rig.gateway.perform(question)
        assert answer.decline is not None
        assert (answer.outcome, answer.decline.retry) == (Outcome.DECLINED, Retry.AFTER_CUSTOMER_ACTION)
    assert nothing_moved(rig, call)


async def test_a_session_that_never_came_is_barred(rig: SandboxRig) -> None:
    call = on_a_page(rig)
    await succeeded(rig, rig.about(call, NEUTRALIZE))
    late = await rig.gateway.perform(call)
    assert (late.outcome, late.final, late.action) == (Outcome.NOT_EXECUTED, True, None)
    found = await rig.gateway.perform(rig.about(call, LOOKUP))
    assert (found.outcome, found.final) == (Outcome.NOT_EXECUTED, True)
    assert rig.money(call).rows == ()


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "500_before", "delay"])
async def test_a_session_that_races_its_own_end_takes_nothing(rig: SandboxRig, fault: str) -> None:
    call = on_a_page(rig)
    rig.arm(fault, AUTHORIZE, ms=50)
    undo = rig.about(call, NEUTRALIZE)
    sending = asyncio.gather(*(rig.gateway.perform(call) for _ in range(3)))
    while (await rig.gateway.perform(undo)).outcome is not Outcome.SUCCEEDED:
        pass
    for answer in await sending:
        if answer.action is not None:
            assert "expired" in press(answer, "pay").text
    assert nothing_moved(rig, call)


async def test_a_500_that_is_told_for_ever_is_looked_through(rig: SandboxRig) -> None:
    """The session is there, and its key says only 500: it stands among those that were opened at that time."""
    call = on_a_page(rig)
    rig.arm("500_after", AUTHORIZE)
    for _ in range(2):
        assert (await rig.gateway.perform(call)).outcome is Outcome.UNKNOWN
    look = dataclasses.replace(rig.about(call, LOOKUP), subject_sent_at=datetime.now(UTC))
    found = await rig.gateway.perform(look)
    assert found.outcome is Outcome.ACTION_REQUIRED
    stranger = dataclasses.replace(look, merchant_ref="law-nobody")
    assert (await rig.gateway.perform(stranger)).outcome is Outcome.UNKNOWN
    await succeeded(rig, dataclasses.replace(look, kind=NEUTRALIZE))
    assert "expired" in press(found, "pay").text
    assert (await rig.gateway.perform(look)).outcome is Outcome.DECLINED


async def test_a_session_is_found_on_whichever_page_of_the_list_it_stands() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/search"):
            return httpx.Response(200, json={"data": []})
        others = [{**SESSION, "id": f"cs_{number}", "client_reference_id": "another"} for number in range(2)]
        second = request.url.params.get("starting_after") == "cs_1"
        body = {"data": [SESSION] if second else others, "has_more": not second}
        return httpx.Response(200, json=body)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    gateway = StripeGateway(Account("stripe-a", "https://stripe.example", "sk_test_1"), client=client)
    found = await gateway.perform(about(subject_reference=None, subject_sent_at=datetime.now(UTC)))
    assert (found.outcome, found.operation_ref, found.issues) == (Outcome.ACTION_REQUIRED, SESSION["id"], ())


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "500_before", "500_after", "garbage"])
async def test_while_it_is_not_known_whether_the_session_is_over_it_is_unknown(rig: SandboxRig, fault: str) -> None:
    call = on_a_page(rig)
    undo = asked(rig, call, NEUTRALIZE, await opened_by(rig, call))
    rig.arm(fault, NEUTRALIZE)
    assert (await rig.gateway.perform(undo)).outcome is Outcome.UNKNOWN
    await succeeded(rig, undo)


@pytest.mark.parametrize("known", [True, False], ids=["its id is known", "its id was lost"])
@pytest.mark.parametrize("capture_now", [True, False], ids=["taken", "held"])
async def test_what_was_paid_meanwhile_is_undone_when_it_is_given_up(
    rig: SandboxRig, *, capture_now: bool, known: bool
) -> None:
    call = on_a_page(rig, capture_now=capture_now)
    opened = await opened_by(rig, call)
    press(opened, "pay")
    undo = asked(rig, call, NEUTRALIZE, opened) if known else rig.about(call, NEUTRALIZE)
    for _ in range(2):
        await succeeded(rig, undo)
    assert nothing_moved(rig, call)
    for question in (call, asked(rig, call, LOOKUP, opened)):
        assert (await rig.gateway.perform(question)).outcome is Outcome.NOT_EXECUTED


async def test_an_old_key_opens_no_other_session(rig: SandboxRig) -> None:
    call = on_a_page(rig)
    long_ago = datetime.now(UTC) - timedelta(hours=30)
    old = dataclasses.replace(rig.about(call, NEUTRALIZE), subject_sent_at=long_ago)
    assert (await rig.gateway.perform(old)).outcome is Outcome.UNKNOWN
    opened = await opened_by(rig, call)
    known = dataclasses.replace(old, subject_reference=opened.operation_ref)
    await succeeded(rig, known)
    assert "expired" in press(opened, "pay").text


async def test_money_that_comes_after_all_is_found() -> None:
    """A payment that was under way while its session was being ended: asked about again, it is there."""
    paid = an_intent("succeeded", latest_charge=a_charge())
    body = {**SESSION, "status": "expired", "url": None, "payment_intent": paid}
    found = await stripe_that_says(body).perform(about())
    assert (found.outcome, found.reference, found.operation_ref) == (Outcome.SUCCEEDED, "pi_1", "ch_1")
    assert found.amounts == Amounts(10_000, 10_000, 0, 0)


def about(kind: OperationKind = LOOKUP, **changes: Any) -> Call:
    """A question about the session."""
    asked_of = {"subject": AUTHORIZE, "subject_key": a_call().key, "subject_reference": SESSION["id"]}
    return a_call(kind, **{"token": None, "return_url": BACK, "reference": None, **asked_of, **changes})


def stripe_that_says(body: dict[str, Any], status: int = 200) -> StripeGateway:
    """To everything the same."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=body)))
    return StripeGateway(Account("stripe-a", "https://stripe.example", "sk_test_1"), client=client)


@pytest.mark.parametrize(
    ("changes", "outcome", "issues"),
    [
        ({}, Outcome.ACTION_REQUIRED, ()),
        ({"payment_intent": an_intent("requires_payment_method")}, Outcome.ACTION_REQUIRED, ()),
        ({"payment_intent": an_intent("requires_action")}, Outcome.ACTION_REQUIRED, ()),
        ({"payment_intent": an_intent("processing")}, Outcome.PENDING, ()),
        ({"payment_intent": an_intent("succeeded")}, Outcome.SUCCEEDED, ()),
        ({"status": "complete", "payment_intent": an_intent("requires_capture")}, Outcome.SUCCEEDED, ()),
        ({"status": "complete", "payment_intent": an_intent("canceled")}, Outcome.NOT_EXECUTED, ()),
        ({"status": "complete", "payment_intent": an_intent("a new word")}, Outcome.PENDING, ()),
        ({"status": "complete"}, Outcome.PENDING, ()),
        ({"status": "nobody has heard of it"}, Outcome.PENDING, ()),
        ({"status": "expired"}, Outcome.DECLINED, ()),
        ({"status": "expired", "payment_intent": an_intent("canceled")}, Outcome.DECLINED, ()),
        ({"status": "expired", "payment_intent": an_intent("requires_action")}, Outcome.PENDING, ()),
        ({"id": None}, Outcome.UNKNOWN, ()),
        ({"url": 7}, Outcome.UNKNOWN, ()),
        ({"payment_intent": "pi_1"}, Outcome.UNKNOWN, ()),
        ({"object": "something else"}, Outcome.UNKNOWN, ()),
        ({"amount_total": 9_999}, Outcome.ACTION_REQUIRED, (Issue.AMOUNT_MISMATCH,)),
        ({"currency": "jpy"}, Outcome.ACTION_REQUIRED, (Issue.CURRENCY_MISMATCH,)),
        ({"client_reference_id": "another"}, Outcome.ACTION_REQUIRED, (Issue.REFERENCE_MISMATCH,)),
        (
            {"payment_intent": an_intent("succeeded", amount=9_999, amount_received=9_999)},
            Outcome.SUCCEEDED,
            (Issue.AMOUNT_MISMATCH,),
        ),
        (
            {"payment_intent": an_intent("succeeded", metadata={"attempt": "another"})},
            Outcome.SUCCEEDED,
            (Issue.REFERENCE_MISMATCH,),
        ),
    ],
)
async def test_every_status_of_a_session_has_one_meaning(
    changes: dict[str, Any], outcome: Outcome, issues: tuple[Issue, ...]
) -> None:
    answer = await stripe_that_says({**SESSION, **changes}).perform(about())
    assert (answer.outcome, answer.issues) == (outcome, issues)
    if outcome in {Outcome.PENDING, Outcome.ACTION_REQUIRED, Outcome.DECLINED}:
        assert (answer.reference, answer.operation_ref) == (None, SESSION["id"]), "asked again by its session"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"status": "complete"},
        {"status": "a new word"},
        {"status": "expired", "payment_intent": an_intent("requires_action")},
        {"status": "open", "payment_intent": an_intent("succeeded")},
        {"id": None},
    ],
)
async def test_what_may_still_be_paid_is_not_given_up(changes: dict[str, Any]) -> None:
    answer = await stripe_that_says({**SESSION, **changes}).perform(about(NEUTRALIZE))
    assert answer.outcome is Outcome.UNKNOWN


async def test_while_a_session_is_open_nothing_but_its_end_is_asked_for() -> None:
    asked_for: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked_for.append(f"{request.method} {request.url.path.rpartition('/v1')[2]}")
        body = {**SESSION, "payment_intent": an_intent("processing")}
        refused = {"error": {"type": "invalid_request_error", "message": "A payment is under way."}}
        return httpx.Response(400, json=refused) if request.method == "POST" else httpx.Response(200, json=body)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    gateway = StripeGateway(Account("stripe-a", "https://stripe.example", "sk_test_1"), client=client)
    assert (await gateway.perform(about(NEUTRALIZE))).outcome is Outcome.UNKNOWN
    path = f"/checkout/sessions/{SESSION['id']}"
    assert asked_for == [f"POST {path}/expire", f"GET {path}"]


async def test_an_unknown_session_proves_nothing(rig: SandboxRig) -> None:
    gone = dataclasses.replace(rig.about(on_a_page(rig), LOOKUP), subject_reference="cs_test_nobody")
    undo = dataclasses.replace(gone, kind=NEUTRALIZE)
    for question in (gone, undo):
        assert (await rig.gateway.perform(question)).outcome is Outcome.UNKNOWN


def test_a_session_is_asked_for_with_all_that_binds_it() -> None:
    call = a_call(token=None, description="Order 7", return_url=BACK)
    sent = wire.session(call, call.key, BACK)
    assert (sent.method, sent.path, sent.key) == ("post", "/v1/checkout/sessions", call.key)
    assert sent.params["client_reference_id"] == call.merchant_ref
    assert sent.params["payment_intent_data"] == {
        "capture_method": "automatic",
        "description": "Order 7",
        "metadata": {"attempt": call.merchant_ref, "order": "Order 7"},
    }
    assert "expires_at" not in sent.params, "it would differ when it is sent again"
    assert wire.session(dataclasses.replace(call, kind=NEUTRALIZE), call.key, BACK) == sent
    held = wire.session(dataclasses.replace(call, capture_now=False), call.key, BACK)
    assert held.params["payment_intent_data"]["capture_method"] == "manual"


async def test_only_the_session_itself_can_end_its_payment(rig: SandboxRig, sandbox: SandboxServer) -> None:
    call = on_a_page(rig)
    opened = await opened_by(rig, call)
    press(opened, "decline")
    merchant = Merchant(sandbox, ACCOUNT)
    session = merchant.get(f"/checkout/sessions/{opened.operation_ref}")
    path = f"/payment_intents/{session['payment_intent']}"
    for verb in ("confirm", "cancel"):
        assert merchant.error("POST", f"{path}/{verb}")["http"] == 400
    assert merchant.get(path)["status"] == "requires_payment_method"
    await succeeded(rig, asked(rig, call, NEUTRALIZE, opened))
    assert merchant.get(path)["status"] == "canceled"
