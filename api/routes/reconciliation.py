"""Reconciliation: ask for a day, hand in a file or a bank credit, look at what was found, decide cases."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.auth import Caller, require
from api.cursor import decode, encode, invalid_cursor
from api.once import once
from api.prefer import applied, wait_of
from api.problem import Refused
from api.resources import resources_of
from api.schemas.reconciliation import (
    AssignIn,
    CaseOut,
    CasePage,
    CloseIn,
    CreditIn,
    CreditOut,
    ReconciliationIn,
    ReconciliationOut,
    case_out,
    reconciliation_out,
)
from commands.idempotency import Claim
from commands.reconciliation import (
    LARGEST_FILE,
    FileTooLarge,
    UnknownCase,
    Upload,
    assign_case,
    close_case,
    has_ended,
    reconcile_day,
    reconcile_file,
    record_credit,
)
from domain.errors import Flaw, Invalid
from domain.reconciliation import Finding
from queries.reconciliation import NEWEST, CaseFilter, list_cases, view_case, view_import

router = APIRouter(tags=["reconciliation"])

Admin = Annotated[Caller, Depends(require("admin"))]
ACCEPTED: dict[int | str, dict[str, Any]] = {
    200: {"model": ReconciliationOut, "description": "It has ended within the time of `Prefer: wait=N`."},
    202: {"model": ReconciliationOut, "description": "It is on its way; `Location` tells what becomes of it."},
}
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"text/csv": {"schema": {"type": "string", "format": "binary", "maxLength": LARGEST_FILE}}},
    }
}


class CaseFilters:
    """Filters of the list."""

    def __init__(
        self,
        state: Annotated[Literal["open", "closed", "all"], Query()] = "open",
        kind: Annotated[Finding | None, Query(description="What was found.")] = None,
        account: Annotated[str | None, Query(min_length=1, max_length=40)] = None,
        owner: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    ) -> None:
        self.filter = CaseFilter(state, kind.value if kind else None, account, owner)


@router.post("/reconciliations", summary="Reconcile a day now", status_code=202, responses=ACCEPTED)
async def start(request: Request, body: ReconciliationIn, caller: Admin) -> Response:
    """Reads what the PG settled on that day and judges it. The same day again is the same reconciliation."""
    wait = wait_of(request.headers)
    resources = resources_of(request)
    settings = resources.settings.gateways.get(body.account)
    if body.day > datetime.now(ZoneInfo(settings.timezone if settings else "UTC")).date():
        flaw = Flaw("/day", "day_in_future", "this day has not begun in the account's time zone")
        raise Invalid("a day that has not begun has no settlement", flaws=[flaw])

    async def run(_claim: Claim) -> Response:
        import_id = await reconcile_day(
            resources.client, resources.database, caller.store, body.account, body.day, actor=f"key:{caller.label}"
        )
        return await _accepted(request, caller, body.account, import_id, wait=wait)

    return await once(request, caller, route="reconciliation.start", required=False, number=None, run=run)


@router.get("/reconciliations/{reconciliation_id}", summary="One reconciliation")
async def get_reconciliation(request: Request, reconciliation_id: UUID, caller: Admin) -> ReconciliationOut:
    """How far it is, and how many lines got which finding."""
    async with resources_of(request).database.reading() as connection:
        return reconciliation_out(await view_import(connection, caller.store, reconciliation_id))


@router.post(
    "/settlements/{account}",
    summary="Hand in a settlement file",
    status_code=202,
    responses=ACCEPTED,
    openapi_extra=FILE,
)
async def take_file(request: Request, account: str, caller: Admin) -> Response:
    """The file as the PG gave it, up to 64 MiB. The same file again is the same reconciliation, and nothing new.

    It is read to its end before anything of it counts: a file that is cut or has other columns fails as a whole.
    """
    wait = wait_of(request.headers)
    resources = resources_of(request)
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:18]) > LARGEST_FILE:
        raise _too_large()
    upload = Upload(account, resources.gateways.get(account), request.stream())
    try:
        import_id = await reconcile_file(
            resources.client, resources.database, caller.store, upload, actor=f"key:{caller.label}"
        )
    except FileTooLarge as error:
        raise _too_large() from error
    except ClientDisconnect as cut:
        raise Refused("bad_request", "the file was not received to its end; nothing of it is kept") from cut
    return await _accepted(request, caller, account, import_id, wait=wait)


@router.post("/bank-credits", summary="Record a bank credit", status_code=201)
async def record(request: Request, body: CreditIn, caller: Admin) -> CreditOut:
    """What the bank has credited for one payout; twice is once. The next reconciliation compares it."""
    credit_id = await record_credit(
        resources_of(request).database, caller.store, body.to_credit(), actor=f"key:{caller.label}"
    )
    return CreditOut(id=credit_id)


@router.get("/reconciliation-cases", summary="List cases")
async def get_cases(
    request: Request,
    caller: Admin,
    wanted: Annotated[CaseFilters, Depends()],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> CasePage:
    """Newest first."""
    before = _case_id(cursor) if cursor is not None else NEWEST
    async with resources_of(request).database.reading() as connection:
        found = await list_cases(connection, caller.store, wanted.filter, before=before, limit=limit + 1)
    page = found[:limit]
    following = encode([str(page[-1].id)]) if len(found) > limit else None
    return CasePage(items=[case_out(view) for view in page], next_cursor=following)


@router.post("/reconciliation-cases/{case_id}/assign", summary="Give a case to somebody", response_model=CaseOut)
async def assign(request: Request, case_id: UUID, body: AssignIn, caller: Admin) -> Response:
    """Until it is closed it has this owner."""
    database = resources_of(request).database

    async def run(_claim: Claim) -> Response:
        await assign_case(database, caller.store, case_id, owner=body.owner, note=body.note)
        return await _case(request, caller, case_id)

    return await once(request, caller, route="case.assign", required=False, number=None, run=run)


@router.post("/reconciliation-cases/{case_id}/close", summary="Close a case", response_model=CaseOut)
async def close(request: Request, case_id: UUID, body: CloseIn, caller: Admin) -> Response:
    """With what explained it. It is not opened again for the same figures."""
    database = resources_of(request).database

    async def run(_claim: Claim) -> Response:
        await close_case(database, caller.store, case_id, actor=f"key:{caller.label}", note=body.note)
        return await _case(request, caller, case_id)

    return await once(request, caller, route="case.close", required=False, number=None, run=run)


async def _accepted(request: Request, caller: Caller, account: str, import_id: UUID, *, wait: int | None) -> Response:
    """202, or 200 if it has ended within ``wait`` seconds; None: nobody waits."""
    resources = resources_of(request)
    ended = bool(wait) and await has_ended(resources.client, account, import_id, within=timedelta(seconds=wait or 0))
    async with resources.database.reading() as connection:
        view = await view_import(connection, caller.store, import_id)
    return Response(
        reconciliation_out(view).model_dump_json(),
        status_code=200 if ended and view.finished else 202,
        media_type="application/json",
        headers={"Location": f"/v1/reconciliations/{import_id}", **applied(wait)},
    )


async def _case(request: Request, caller: Caller, case_id: UUID) -> Response:
    async with resources_of(request).database.reading() as connection:
        view = await view_case(connection, caller.store, case_id)
    if view is None:
        raise UnknownCase("no such reconciliation case in this store")
    return Response(case_out(view).model_dump_json(), media_type="application/json")


def _case_id(cursor: str) -> UUID:
    [case_id] = decode(cursor, 1)
    try:
        return UUID(str(case_id))
    except ValueError as wrong:
        raise invalid_cursor() from wrong


def _too_large() -> Refused:
    return Refused("body_too_large", f"a settlement file may have {LARGEST_FILE} bytes")
