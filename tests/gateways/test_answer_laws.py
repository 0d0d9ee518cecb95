"""Answers that no document has: of them an adapter claims no more than is certain, and none is an error of ours.

The PG's real answers are said again, with one thing of them changed.
"""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from domain.gateway import Answer, Call, Flow, OperationKind, Outcome, Retry
from gateways.gateway import Gateway, MisconfiguredGateway
from tests.gateways.rig import LOOKUP, MOVES, Rig, prepared, succeeded, tells_no_secret
from tests.gateways.rigs.alteration import (
    MISSING,
    Echo,
    Said,
    another,
    every_text,
    fields_of,
    odd_forms,
    with_field,
)

DOUBT = {Outcome.UNKNOWN, Outcome.PENDING}
NEW = "BRAND_NEW"
"""A word that no vendor has used yet."""
NO_ANSWERS = (b"", b"{}", b"[]", b"7", b"null", b'"brand_new"', b'{"a":' * 5_000, b"\xff\xfe")
REFUSALS = (400, 409, 422)
ECHOED = "what-the-customer-gave"
LATER = pytest.mark.parametrize("looked_up", [False, True], ids=["answer", "lookup"])


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_a_status_that_nobody_has_heard_of_is_neither_success_nor_failure(
    rig: Rig, kind: OperationKind, *, looked_up: bool
) -> None:
    if kind in rig.listed:
        pytest.skip("what is listed has happened: it has no status of its own")
    async with heard(rig, kind, looked_up=looked_up) as (gateway, call, echo):
        for word in (NEW, "", 7, None, MISSING):
            echo.change = in_json(partial(with_field, names=rig.states, change=partial(_always, word)))
            assert (await gateway.perform(call)).outcome in DOUBT, word


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_an_odd_answer_is_no_error_and_claims_no_more_than_the_real_one(
    rig: Rig, kind: OperationKind, *, looked_up: bool
) -> None:
    async with heard(rig, kind, looked_up=looked_up) as (gateway, call, echo):
        echo.change = lambda said: said
        real = await gateway.perform(call)
        fields = {name: values[0] for said in echo.bodies() for name, values in fields_of(said).items()}
        overclaimed = []
        for name, form in ((name, form) for name, value in fields.items() for form in odd_forms(value)):
            echo.change = in_json(partial(odd, name=name, form=form))
            answer = await gateway.perform(call)
            tells_no_secret(call, answer, ECHOED)
            if not claims_no_more(answer, real):
                overclaimed.append((name, form, answer))
        assert overclaimed == []


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_what_is_no_answer_is_unknown(rig: Rig, kind: OperationKind, *, looked_up: bool) -> None:
    async with heard(rig, kind, looked_up=looked_up) as (gateway, call, echo):
        for body in NO_ANSWERS:
            echo.change = partial(dataclasses.replace, body=body)
            assert (await gateway.perform(call)).outcome is Outcome.UNKNOWN, body


@LATER
@pytest.mark.parametrize("kind", MOVES)
async def test_a_refusal_with_a_code_that_nobody_has_heard_of_is_unknown(
    rig: Rig, kind: OperationKind, *, looked_up: bool
) -> None:
    async with heard(rig, kind, looked_up=looked_up, fault="refuse") as (gateway, call, echo):
        for status in REFUSALS:
            for change in (partial(every_text, text=NEW), partial(_always, {}), partial(_always, {"error": {}})):
                echo.change = in_json(change, status)
                assert (await gateway.perform(call)).outcome is Outcome.UNKNOWN, (status, change)


async def test_a_decline_with_a_code_that_nobody_has_heard_of_is_never_tried_elsewhere(rig: Rig) -> None:
    if Flow.SERVER_TOKEN not in rig.gateway.capabilities().flows:
        pytest.skip("takes no instrument that an issuer could refuse")
    async with listening(rig) as (gateway, echo):
        call = rig.charge(token="tok_declined")
        real = await gateway.perform(call)
        assert real.decline is not None
        codes = {real.decline.code, *rig.beside_code}
        for said in (NEW, 7, None, MISSING):
            echo.change = in_json(partial(_recoded, codes=codes, said=said))
            answer = await asked(gateway, call)
            unlisted = answer.decline is not None and answer.decline.retry is Retry.NEVER
            assert (answer.outcome is Outcome.DECLINED and unlisted) or answer.outcome in DOUBT, (said, answer)


@pytest.mark.parametrize("kind", MOVES)
async def test_a_question_about_what_the_gateway_does_not_know_proves_nothing(rig: Rig, kind: OperationKind) -> None:
    can = rig.gateway.capabilities()
    if not can.lookup_by_reference:
        pytest.skip("not declared")
    known = await succeeded(rig, rig.charge())
    assert known.reference is not None
    call = rig.follow(rig.charge(), kind, 10_000, another(known.reference))
    answer = await asked(rig.gateway, rig.about(call, LOOKUP))
    assert answer.outcome in {Outcome.UNKNOWN, Outcome.NOT_EXECUTED}
    assert not answer.final


@asynccontextmanager
async def listening(rig: Rig) -> AsyncIterator[tuple[Gateway, Echo]]:
    """A gateway of the account whose PG will repeat itself."""
    echo = Echo()
    async with httpx.AsyncClient(transport=echo) as client:
        yield rig.another(client=client), echo


@asynccontextmanager
async def heard(
    rig: Rig, kind: OperationKind, *, looked_up: bool, fault: str = ""
) -> AsyncIterator[tuple[Gateway, Call, Echo]]:
    """A call that has been answered, or a lookup of what has happened, and what the PG said to it."""
    if looked_up and LOOKUP in rig.silent:
        pytest.skip("asks the PG nothing: its verified events are read")
    call = await prepared(rig, kind)
    async with listening(rig) as (gateway, echo):
        if looked_up:
            call = dataclasses.replace(rig.about(call, LOOKUP), reference=(await succeeded(rig, call)).reference)
        if fault:
            rig.arm(fault, LOOKUP if looked_up else kind)
        answer = await gateway.perform(call)
        assert fault or answer.outcome in {Outcome.SUCCEEDED, Outcome.PENDING}
        yield gateway, call, echo


def odd(said: Any, name: str, form: object) -> Any:
    """The field in another form, and beside it something that must not be repeated."""
    return {**with_field(said, frozenset({name}), partial(_always, form)), "echoed": ECHOED}


def in_json(change: Callable[[Any], Any], status: int | None = None) -> Callable[[Said], Said]:
    """The answer with its JSON changed; with another ``status`` it has no header that could say what it means."""
    if status is None:
        return lambda said: dataclasses.replace(said, body=json.dumps(change(json.loads(said.body))).encode())
    return lambda said: Said(
        status, ((b"content-type", b"application/json"),), json.dumps(change(json.loads(said.body))).encode()
    )


def claims_no_more(answer: Answer, real: Answer) -> bool:
    """It is in doubt, or carries an issue, or says what the real one says, and perhaps less."""
    if answer.outcome in DOUBT or answer.issues:
        return True
    return (
        answer.outcome is real.outcome
        and answer.reference in {None, real.reference}
        and answer.operation_ref in {None, real.operation_ref}
        and answer.amounts in {None, real.amounts}
    )


async def asked(gateway: Gateway, call: Call) -> Answer:
    """The answer; that an account is said to be misconfigured proves nothing either."""
    try:
        return await gateway.perform(call)
    except MisconfiguredGateway:
        return Answer(Outcome.UNKNOWN)


def _always(value: object, _: object) -> object:
    return value


def _recoded(body: Any, codes: set[str], said: object) -> Any:
    """The body with another code wherever one of ``codes`` stands."""
    names = frozenset(name for name, values in fields_of(body).items() if codes & set(map(str, values)))
    return with_field(body, names, lambda value: said if str(value) in codes else value)
