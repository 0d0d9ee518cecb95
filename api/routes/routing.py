"""Routing: ``/v1/routing`` with its statistics and preview, ``POST /v1/gateways/{account}/{pause,resume}``."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.auth import Caller, require
from api.once import once
from api.resources import capabilities_of, resources_of
from api.schemas.routing import (
    AccountOut,
    PreviewIn,
    PreviewOut,
    RoutingOut,
    RuleIn,
    StatsOut,
    account_out,
    preview_out,
    routing_out,
    shares_out,
)
from api.version import etag, refuse_stale
from commands.idempotency import Claim
from commands.routing import pause_gateway, put_rule, wake_orders
from domain.routing import validate_rule
from queries.catalog import load_shelf
from queries.routing import (
    UnknownRouting,
    account_states,
    count_attempts,
    load_accounts,
    load_circuits,
    load_rules,
    recent_payments,
    replay,
)

router = APIRouter(tags=["routing"])

Reader = Annotated[Caller, Depends(require("routing:write", "orders:read"))]
Writer = Annotated[Caller, Depends(require("routing:write"))]
LATEST_VERSION = 2**31 - 1


@router.get("/routing", summary="The routing rule in force", response_model=RoutingOut)
async def get_routing(request: Request, caller: Reader) -> Response:
    """The rule, the PG accounts and their health. ``ETag`` is the latest version, which may be scheduled for later."""
    return await _routing(request, caller.store)


@router.put("/routing", summary="A new version of the routing rule", response_model=RoutingOut)
async def replace_routing(request: Request, body: RuleIn, caller: Writer) -> Response:
    """The next version; the ones before stay as they are. With ``If-Match`` only if nobody was faster (412).

    A version that waits for its ``active_from`` is overtaken by any later one that is in force.
    """
    await put_rule(
        resources_of(request).database,
        caller.store,
        body.to_domain(),
        actor=caller.label,
        active_from=body.active_from,
        check=partial(refuse_stale, request.headers),
    )
    return await _routing(request, caller.store)


@router.get("/routing/stats", summary="Configured and actual shares")
async def get_stats(
    request: Request,
    caller: Reader,
    window: Annotated[int, Query(ge=1, le=100_000, description="How many of the last attempts to count.")] = 1000,
    version: Annotated[
        int | None, Query(ge=0, le=LATEST_VERSION, description="A version; 0: any. Default: the one in force.")
    ] = None,
) -> StatsOut:
    """The last attempts that were routed by the rule in force, by account."""
    async with resources_of(request).database.reading() as connection:
        currency = (await load_shelf(connection, caller.store, ())).currency
        rules = await load_rules(connection, caller.store, datetime.now(UTC))
        if rules.active is None:
            raise UnknownRouting("this store has no routing rule in force")
        counted = None if version == 0 else version or rules.active.rule.version
        tallies = await count_attempts(connection, caller.store, window=window, version=counted)
    return StatsOut(
        rule_version=counted,
        by=rules.active.rule.by,
        window=window,
        attempts=sum(tally.count for tally in tallies),
        currency=currency,
        accounts=shares_out(rules.active.rule, tallies),
    )


@router.post("/routing/preview", summary="Try a rule on recent payments", response_model=PreviewOut)
async def preview_routing(request: Request, body: PreviewIn, caller: Writer) -> Response:
    """What the rule would have done with the last payments; nothing is stored. The answer says what it assumes."""

    async def run(_claim: Claim) -> Response:
        rule = body.to_domain()
        async with resources_of(request).database.reading() as connection:
            currency = (await load_shelf(connection, caller.store, ())).currency
            accounts = await load_accounts(connection, caller.store)
            validate_rule(rule, {account.id for account in accounts})
            payments = await recent_payments(connection, caller.store, limit=body.limit)
        states = account_states(accounts, capabilities_of(request), (), datetime.now(UTC))
        preview = await asyncio.to_thread(replay, rule, states, payments)
        return _json(preview_out(rule, preview, currency).model_dump_json())

    return await once(request, caller, route="routing.preview", required=False, number=None, run=run)


@router.post("/gateways/{account}/pause", summary="Pause a PG account", response_model=AccountOut)
async def pause(request: Request, account: str, caller: Writer) -> Response:
    """New payments go elsewhere, its share comes later; captures and refunds wait. Pausing twice changes nothing."""
    return await _pause(request, caller, account, paused=True)


@router.post("/gateways/{account}/resume", summary="Resume a PG account", response_model=AccountOut)
async def resume(request: Request, account: str, caller: Writer) -> Response:
    """New payments may go there again, and the captures and refunds that waited run."""
    return await _pause(request, caller, account, paused=False)


async def _pause(request: Request, caller: Caller, account: str, *, paused: bool) -> Response:
    resources = resources_of(request)
    database = resources.database

    async def run(_claim: Claim) -> Response:
        await pause_gateway(database, caller.store, account, paused=paused)
        if not paused:
            await wake_orders(resources.client, database, account)
        async with database.reading() as connection:
            views = await load_accounts(connection, caller.store)
        return _json(next(account_out(view) for view in views if view.id == account).model_dump_json())

    route = "gateway.pause" if paused else "gateway.resume"
    return await once(request, caller, route=route, required=False, number=None, run=run)


async def _routing(request: Request, store: str) -> Response:
    now = datetime.now(UTC)
    async with resources_of(request).database.reading() as connection:
        rules = await load_rules(connection, store, now)
        accounts = await load_accounts(connection, store)
        circuits = await load_circuits(connection, store)
    shown = rules.active or (rules.scheduled[0] if rules.scheduled else None)
    if shown is None:
        raise UnknownRouting("this store has no routing rule")
    answer = _json(routing_out(shown, rules, accounts, circuits, now).model_dump_json())
    answer.headers["ETag"] = etag(rules.latest)
    return answer


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
