"""Webhooks of real operations, word for word as they came: duplicated, reordered, late, forged.

An event is a hint to ask: the last word has what the gateway answers after it, held against the PG's ledger.
"""

import dataclasses
import json
import re
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from domain.gateway import Amounts, Call, Issue, Outcome
from gateways.gateway import Gateway, WebhookRefused, WebhookTrust
from tests.gateways.rig import KEY, LOOKUP, REFUND, SandboxRig
from tests.gateways.rigs.alteration import fields_of, odd_forms, with_field
from tests.gateways.rigs.post import (
    STRANGER,
    Post,
    Seal,
    all_forgeries,
    sealed_anew,
    with_other_signatures,
    without_signature,
)
from tests.gateways.rigs.receiver import Letter

WEEK_SECONDS = 7 * 86_400.0
HOUR = timedelta(hours=1)
TOO_LONG = 2_000_000
NONSENSE = (b"", b"7", b"[]", b"{}", b"null", b'"x"', b"\xff\xfe", b"[" * 5_000, b'{"a":' * 5_000)
_ZONE = re.compile(r"(?<=[0-9]{2}:[0-9]{2})(Z|[+-][0-9]{2}:?[0-9]{2})$|(?<=\.[0-9]{3})(Z|[+-][0-9]{2}:?[0-9]{2})$")
STORY = Amounts(authorized=10_000, captured=10_000, refunded=4_000, voided=0)
"""What stands when 10 000 were taken and 4 000 given back."""


async def test_an_event_that_comes_twice_is_one(post: Post) -> None:
    taken = await post.taken()
    post.rig.arm("webhook_duplicate", REFUND, times=9)
    refund = await post.returned(taken, times=2)
    letters = await post.told(taken, post.habit.returned)
    events = post.events(letters)
    assert len({event.event_id for event in events}) * 2 == len(events)
    assert len({(event.kind, event.outcome, event.amount) for event in events}) == 1
    await stands(post, post.hearing(*post.events(await post.told(taken, b""))), taken, refund)


async def test_a_refunds_event_before_its_captures_changes_nothing(post: Post) -> None:
    taken = await post.taken()
    refund = await post.returned(taken)
    letters = await post.told(taken, b"")
    letters.reverse()
    words = [post.habit.returned in letter.raw for letter in letters], [post.habit.taken in one.raw for one in letters]
    assert words[0].index(True) < words[1].index(True)
    events = post.events(letters)
    assert len({event.event_id for event in events}) == len(events)
    await stands(post, post.hearing(*events), taken, refund)


async def test_an_event_that_is_sent_again_after_a_week_is_the_same_event(post: Post) -> None:
    taken = await post.taken()
    (letter, *_) = await post.told(taken, post.habit.taken)
    gateway, now = a_week_later(post.rig)
    event, later = (post.read(letter).events[0], post.read(sealed_anew(letter, post.habit, now), gateway).events[0])
    assert later == event
    assert later.occurred_at is not None
    assert now - later.occurred_at.timestamp() > WEEK_SECONDS - 60
    await gateway.close()


async def test_a_delivery_of_last_week_is_refused_where_its_signature_has_a_time(post: Post) -> None:
    taken = await post.taken()
    (letter, *_) = await post.told(taken, post.habit.taken)
    gateway, _ = a_week_later(post.rig)
    if post.habit.stamped:
        with pytest.raises(WebhookRefused, match="too old"):
            post.read(letter, gateway)
    else:
        assert post.read(letter, gateway) == post.read(letter)
    await gateway.close()


async def test_a_sealed_body_that_was_changed_is_refused(post: Post) -> None:
    for letter, seal in await sealed(post):
        for forged in all_forgeries(letter, seal):
            refuses(post, forged)


async def test_another_signature_is_refused(post: Post) -> None:
    for letter, seal in await sealed(post):
        for forged in with_other_signatures(letter, seal):
            refuses(post, forged)


async def test_no_signature_is_refused(post: Post) -> None:
    for letter, seal in await sealed(post):
        refuses(post, without_signature(letter, seal))


async def test_a_delivery_that_another_account_has_signed_is_refused(post: Post) -> None:
    stranger = post.rig.another(STRANGER)
    for letter, _ in await sealed(post):
        with pytest.raises(WebhookRefused):
            post.read(letter, stranger)
    await stranger.close()


async def test_an_account_without_a_webhook_secret_believes_nobody(post: Post) -> None:
    if post.habit.secret == KEY:
        pytest.skip("signs with the key, without which there is no account")
    nobody = post.rig.another({"webhook_secret": ""})
    for letter, _ in await sealed(post):
        for secret in ("", KEY, post.habit.secret):
            with pytest.raises(WebhookRefused):
                post.read(sealed_anew(letter, post.habit, time.time(), secret=secret), nobody)
    await nobody.close()


async def test_a_letter_that_is_too_long_is_refused(post: Post) -> None:
    letter, body = await one_letter(post)
    long = {**body, "padding": "x" * TOO_LONG}
    with pytest.raises(WebhookRefused, match="too large"):
        post.read(sealed_anew(letter, post.habit, time.time(), raw=json.dumps(long).encode()))


async def test_signed_nonsense_is_refused_and_no_other_error(post: Post) -> None:
    letter, body = await one_letter(post)
    told = {event.outcome for event in post.events([letter])}
    fields = {name: values[0] for name, values in fields_of(body).items()}
    odd = [
        (frozenset({name}), form) for name, value in fields.items() for form in (*odd_forms(value), *odd_times(value))
    ]
    bodies = [json.dumps(with_field(body, names, partial(_always, form))).encode() for names, form in odd]
    for raw in (*NONSENSE, *bodies):
        try:
            events = post.read(sealed_anew(letter, post.habit, time.time(), raw=raw)).events
        except WebhookRefused:
            continue
        for event in events:
            assert event.outcome in {None, *told}, raw
            assert event.occurred_at is None or event.occurred_at.tzinfo, raw


async def test_an_event_names_its_payment_and_its_time(post: Post) -> None:
    taken = await post.taken()
    await post.returned(taken)
    events = post.events(await post.told(taken, b""))
    assert {event.merchant_ref for event in events} == {taken.merchant_ref}
    assert {event.reference for event in events} <= {None, taken.reference}
    now = datetime.now(UTC)
    assert all(event.occurred_at and abs(now - event.occurred_at) < HOUR for event in events)


async def test_no_event_tells_of_money_that_the_ledger_does_not_have(post: Post) -> None:
    can = post.rig.gateway.capabilities()
    taken = await post.taken()
    await post.returned(taken)
    returned = post.events(await post.told(taken, post.habit.returned))
    if can.lookup_by_reference or can.lookup_by_merchant_ref:
        assert Outcome.SUCCEEDED not in {event.outcome for event in returned}
    if post.habit.refused:
        call = post.rig.charge(token="tok_declined")
        await post.rig.gateway.perform(call)
        assert post.rig.money(call).net == post.rig.money(call).held == 0
        refused = post.events(await post.told(call, post.habit.refused))
        assert Outcome.SUCCEEDED not in {event.outcome for event in refused}


async def test_what_nobody_has_signed_is_hearsay_and_no_answer(post: Post) -> None:
    if post.habit.seal is not None and (post.habit.seal.header or "eventCode" in post.habit.seal.covers):
        pytest.skip("signs what an event says")
    taken = await post.taken()
    refund = await post.returned(taken)
    for letter in await post.told(taken, post.habit.returned):
        lie = letter.raw.replace(post.habit.returned, post.habit.taken).replace(b":4000", b":1")
        assert lie != letter.raw
        batch = post.read(Letter(lie, letter.headers))
        assert batch.trust is (WebhookTrust.UNSIGNED if post.habit.seal is None else WebhookTrust.SIGNED)
        (event,) = batch.events
        assert (event.amount, event.currency) == (None, None)
        await stands(post, post.hearing(event), taken, refund)


@pytest.mark.parametrize(
    ("change", "issue"),
    [
        ({"amount": 9_999}, Issue.AMOUNT_MISMATCH),
        ({"currency": "JPY"}, Issue.CURRENCY_MISMATCH),
        ({"reference": "ANOTHER000000000"}, Issue.REFERENCE_MISMATCH),
    ],
)
async def test_an_event_that_is_an_answer_and_differs_carries_the_issue(
    post: Post, change: dict[str, Any], issue: Issue
) -> None:
    can = post.rig.gateway.capabilities()
    if can.lookup_by_reference or can.lookup_by_merchant_ref:
        pytest.skip("its events are no answers: it is asked")
    taken = await post.taken()
    events = post.events(await post.told(taken, post.habit.taken))
    heard = post.hearing(*(dataclasses.replace(event, **change) for event in events))
    assert (await heard.perform(post.rig.about(taken, LOOKUP))).issues == (issue,)
    await heard.close()


async def stands(post: Post, gateway: Gateway, taken: Call, refund: Call) -> None:
    """What has happened is answered, and it is what the ledger has."""
    for call in (taken, refund):
        answer = await gateway.perform(post.rig.about(call, LOOKUP))
        assert (answer.outcome, answer.issues, answer.amounts) == (Outcome.SUCCEEDED, (), STORY)
    money = post.rig.money(taken)
    assert (money.net, money.held) == (6_000, 0)
    await gateway.close()


async def sealed(post: Post) -> list[tuple[Letter, Seal]]:
    """Letters of a capture and of a refund that the account believes, with their seal."""
    seal = post.habit.seal
    if seal is None:
        pytest.skip("nobody signs it")
    taken = await post.taken()
    await post.returned(taken)
    letters = [(await post.told(taken, word))[0] for word in (post.habit.taken, post.habit.returned)]
    assert {post.read(letter).trust for letter in letters} == {WebhookTrust.SIGNED}
    return [(letter, seal) for letter in letters]


async def one_letter(post: Post) -> tuple[Letter, Any]:
    """That 10 000 were taken, and its body."""
    (letter, *_) = await post.told(await post.taken(), post.habit.taken)
    return letter, json.loads(letter.raw)


def odd_times(value: object) -> list[str]:
    """A time that does not say where."""
    return [_ZONE.sub("", value)] if isinstance(value, str) and _ZONE.search(value) else []


def _always(form: object, _: object) -> object:
    return form


def refuses(post: Post, forged: Letter) -> None:
    with pytest.raises(WebhookRefused):
        post.read(forged)


def a_week_later(rig: SandboxRig) -> tuple[Gateway, float]:
    """A gateway of the account a week from now, and that time in Unix seconds."""
    now = time.time() + WEEK_SECONDS
    return rig.at(now), now
