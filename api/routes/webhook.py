"""Webhooks: ``POST /v1/webhooks/{account}`` from PGs; what they told, and what of it waits for a person."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api.auth import Caller, require
from api.cursor import decode, encode, invalid_cursor
from api.metrics import count_refused_webhook, count_webhook_events
from api.middleware import read_body
from api.once import once
from api.problem import Refused
from api.resources import resources_of
from api.schemas.webhook import ReviewIn, WebhookEventOut, WebhookEventPage, webhook_event_out
from commands.idempotency import Claim
from commands.webhook import LARGEST_BODY, gateway_of, read_webhook, review_event, take_webhook
from domain.errors import Problem, Rejected
from queries.webhook import EventFilter, list_events, view_event

router = APIRouter(tags=["webhooks"])

Admin = Annotated[Caller, Depends(require("admin"))]
AccountName = Annotated[str, Path(json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,39}$"})]
"""Only described: a name of another shape is one of the unknown."""


def wanted_events(
    matched: Annotated[bool | None, Query(description="False: about no order of ours.")] = None,
    reviewed: Annotated[bool | None, Query(description="False: no person has looked yet.")] = None,
    takes_back: Annotated[
        bool | None, Query(description="True: the PG says no to an operation that had succeeded.")
    ] = None,
) -> EventFilter:
    """The filters of the list, out of the address."""
    return EventFilter(matched, reviewed, takes_back)


Wanted = Annotated[EventFilter, Depends(wanted_events)]


@router.post("/webhooks/{account}", summary="A PG's webhook", response_class=Response)
async def receive(request: Request, account: AccountName) -> Response:
    """No key: verified on the raw body by the PG's own scheme, stored once, acknowledged as that PG wants it."""
    resources = resources_of(request)
    known = account if account in resources.gateways else None
    try:
        gateway = gateway_of(resources.gateways, account)
        raw = await _raw(request)
        if raw is None:
            return Response(status_code=400)  # Nobody reads it: the PG has gone.
        batch = read_webhook(gateway, account, raw, request.headers)
    except Rejected as no:
        count_refused_webhook(known, no.code)
        raise
    except Refused as no:
        count_refused_webhook(known, no.problem.code)
        raise
    receipt = await take_webhook(resources.client, resources.database, account, raw, batch)
    count_webhook_events(
        account,
        matched=receipt.stored - receipt.unmatched - receipt.takes_back,
        unmatched=receipt.unmatched,
        unmatched_unsigned=receipt.unmatched_unsigned,
        takes_back=receipt.takes_back,
        duplicate=receipt.duplicates,
    )
    return Response(receipt.body, status_code=receipt.status, headers={"Content-Type": receipt.content_type})


@router.get("/webhook-events", summary="Webhook events", response_model=WebhookEventPage)
async def get_events(
    request: Request,
    caller: Admin,
    wanted: Wanted,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """The longest waiting first; a person looks at ``reviewed=false`` with ``matched=false`` or ``takes_back=true``."""
    after = _after(cursor) if cursor is not None else None
    async with resources_of(request).database.reading() as connection:
        events = await list_events(connection, caller.store, wanted, after=after, limit=limit + 1)
    more = len(events) > limit
    page = WebhookEventPage(
        items=[webhook_event_out(event) for event in events[:limit]],
        next_cursor=encode([str(events[limit - 1].id)]) if more else None,
    )
    return _json(page.model_dump_json())


@router.post("/webhook-events/{event_id}/review", summary="Review a webhook event", response_model=WebhookEventOut)
async def review(request: Request, event_id: UUID, body: ReviewIn, caller: Admin) -> Response:
    """Note who has looked at it and what it was; the first review stays, a second one changes nothing."""

    async def run(_claim: Claim) -> Response:
        database = resources_of(request).database
        await review_event(database, caller.store, event_id, by=caller.label, note=body.note)
        async with database.reading() as connection:
            event = await view_event(connection, caller.store, event_id)
        return _json(webhook_event_out(event).model_dump_json())

    return await once(request, caller, route="webhook.review", required=False, number=None, run=run)


async def _raw(request: Request) -> bytes | None:
    """The body as sent; None when the sender left before its end. Raises `Refused` (413) without reading all."""
    body = await read_body(request.headers, request.receive, most=LARGEST_BODY)
    if isinstance(body, Problem):
        raise Refused(body.code, body.detail)
    return body


def _after(cursor: str) -> UUID:
    [last] = decode(cursor, 1)
    try:
        return UUID(str(last))
    except ValueError as wrong:
        raise invalid_cursor() from wrong


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
