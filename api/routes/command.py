"""Commands: ``GET /v1/commands/{id}``, and the answer that every command gives."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.auth import Caller, require
from api.prefer import applied, wait_of
from api.resources import resources_of
from api.schemas.command import CommandAnswer, command_out
from api.waiting import until_final
from queries.command import FINAL, view_command
from queries.order import CommandView

router = APIRouter(tags=["commands"])


@router.get("/commands/{command_id}", summary="A command and its outcome", response_model=CommandAnswer)
async def get_command(
    request: Request, command_id: UUID, caller: Annotated[Caller, Depends(require("orders:read", "orders:write"))]
) -> Response:
    """The command as it stands; with ``Prefer: wait=N`` as soon as it is final, at the latest after N seconds."""
    wait = wait_of(request.headers)
    view = await wait_for_command(request, caller, command_id, wait or 0)
    return _answer(CommandAnswer(command=command_out(view)), 200, applied(wait))


async def wait_for_command(request: Request, caller: Caller, command_id: UUID, seconds: float) -> CommandView:
    """The command once it is final, or as it stands after ``seconds``. Raises `UnknownCommand`."""
    await until_final(request, command_id, seconds)
    async with resources_of(request).database.reading() as connection:
        return await view_command(connection, caller.store, command_id)


async def answer_command(request: Request, caller: Caller, command_id: UUID, *, wait: int | None) -> Response:
    """The answer to an accepted command: 202, or 200 if it became final within ``wait`` seconds.

    ``wait`` is what `api.prefer.wait_of` read; read it before the command is sent, so that a bad one sends nothing.
    """
    view = await wait_for_command(request, caller, command_id, wait or 0)
    status = 200 if view.status in FINAL and wait is not None else 202
    headers = {"Location": f"/v1/commands/{command_id}", **applied(wait)}
    return _answer(CommandAnswer(command=command_out(view)), status, headers)


def _answer(answer: CommandAnswer, status: int, headers: dict[str, str]) -> Response:
    return Response(answer.model_dump_json(), status_code=status, headers=headers, media_type="application/json")
