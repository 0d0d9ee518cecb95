"""Declines, lost answers, killed workers: whatever happens, the gateway's own ledger shows one charge or none."""

from uuid import uuid4

from tests.e2e.shop import Shop, until


def test_a_decline_leaves_no_financial_effect_and_can_be_paid_again(shop: Shop) -> None:
    before = shop.points("c-31")
    answer = shop.checkout(token="tok_declined", customer="c-31")
    assert answer.status_code == 201, answer.text
    order = answer.json()
    card = next(p for p in order["payments"] if p["method"] == "card")
    assert (order["status"], card["status"]) == ("pending_payment", "declined")
    assert card["decline"]["code"]
    assert {a["gateway"] for a in card["attempts"]} == {"sandbox-a", "sandbox-b"}
    assert shop.charged(order) == 0
    assert shop.points("c-31") == before
    pay = {"payments": [{"method": "card", "amount": 57700, "token": "tok_ok"}]}
    url = f"/v1/orders/{order['number']}/payments"
    paid = shop.http.post(url, json=pay, headers={"Idempotency-Key": uuid4().hex})
    assert (paid.status_code, paid.json()["status"]) == (201, "placed"), paid.text
    assert shop.charged(paid.json()) == 57700


def test_a_lost_card_is_never_tried_elsewhere(shop: Shop) -> None:
    order = shop.checkout(token="tok_lost", customer="c-32").json()
    card = next(p for p in order["payments"] if p["method"] == "card")
    assert (card["status"], len(card["attempts"])) == ("declined", 1)


def test_a_lost_answer_is_one_charge(shop: Shop) -> None:
    shop.arm("drop_after")
    order = shop.place(customer="c-33")
    assert shop.charged(order) == 50000
    fired = shop.sandbox.get("/_faults").json()["fired"]
    assert [f["fault"] for f in fired][-1] == "drop_after"


def test_an_answer_of_500_after_the_charge_is_one_charge(shop: Shop) -> None:
    shop.arm("500_after")
    assert shop.charged(shop.place(customer="c-34")) == 50000


def test_garbage_and_wrong_amounts_are_not_believed(shop: Shop) -> None:
    for fault in ("garbage", "wrong_amount"):
        shop.arm(fault)
        assert shop.charged(shop.place(customer="c-35")) == 50000


def test_a_refused_connection_goes_to_the_other_account(shop: Shop) -> None:
    shop.arm("refuse")
    order = shop.place(customer="c-36")
    card = next(p for p in order["payments"] if p["method"] == "card")
    assert len(card["attempts"]) == 2
    assert shop.charged(order) == 50000


def test_a_lost_answer_to_a_refund_is_one_refund(shop: Shop) -> None:
    order = shop.place(customer="c-37")
    shop.arm("drop_after", "refund")
    order = shop.applied(order["number"], "refunds", {"amount": 10000, "reason": "sorry"})
    assert (order["totals"]["refunded"], shop.charged(order)) == (10000, 40000)


def test_a_slow_gateway_is_waited_for_and_a_short_wait_gets_202(shop: Shop) -> None:
    key = uuid4().hex
    answer = shop.checkout(token="tok_slow", customer="c-38", key=key, wait=1)
    assert answer.status_code == 202, answer.text
    number = answer.json()["number"]
    order = until("placed by itself", lambda: (o := shop.order(number))["status"] == "placed" and o)
    assert shop.charged(order) == 50000


def test_a_pending_result_arrives_by_itself(shop: Shop) -> None:
    number = shop.checkout(token="tok_pending", customer="c-39").json()["number"]
    order = until("placed", lambda: (o := shop.order(number))["status"] == "placed" and o)
    assert shop.charged(order) == 50000


def test_a_customer_who_confirms_the_redirect_has_paid(shop: Shop) -> None:
    order = shop.checkout(token="tok_3ds", customer="c-40").json()
    card = next(p for p in order["payments"] if p["method"] == "card")
    assert (card["status"], order["status"]) == ("action_required", "pending_payment")
    page = card["next_action"]["url"]
    shop.sandbox.post(page, data={"action": "approve"}, follow_redirects=True).raise_for_status()
    order = until("placed", lambda: (o := shop.order(order["number"]))["status"] == "placed" and o)
    assert shop.charged(order) == 50000


def test_two_cards_are_both_taken_or_none_is(shop: Shop) -> None:
    cards = [
        {"method": "card", "amount": 20000, "token": "tok_ok"},
        {"method": "card", "amount": 37700, "token": "tok_ok"},
    ]
    order = shop.place(customer="c-41", payments=cards)
    assert shop.charged(order) == 57700
    cards[1]["token"] = "tok_lost"
    order = shop.checkout(customer="c-41", payments=cards).json()
    assert order["status"] == "pending_payment"
    until("the first is given back", lambda: shop.order(order["number"])["totals"]["authorized"] == 0)
    assert shop.charged(shop.order(order["number"])) == 0


def test_the_worker_dies_between_charge_and_record_and_there_is_one_charge(shop: Shop) -> None:
    key = uuid4().hex
    answer = shop.checkout(token="tok_slow", customer="c-42", key=key, wait=1)
    number = answer.json()["number"]
    # tok_slow has charged by now and answers later: the payments worker dies while it waits for that answer.
    until("the gateway has charged", lambda: shop.charged(shop.order(number)) == 50000)
    shop.kill("payments")
    shop.kill("orders")
    order = until("placed", lambda: (o := shop.order(number))["status"] == "placed" and o)
    assert shop.charged(order) == 50000
    assert [o["operation"] for o in shop.ledger(order) if o["status"] == "succeeded"].count("capture") == 1
