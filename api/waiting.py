"""Waiting for a command at the door: one waiting room for the whole process."""

from uuid import UUID

from starlette.requests import Request

from api.resources import resources_of
from queries.decision import Decisions


async def until_final(request: Request, command_id: UUID, seconds: float) -> None:
    """Return once the command is final or does not exist, at the latest after ``seconds``."""
    if seconds <= 0:
        return
    decisions: Decisions | None = getattr(request.app.state, "decisions", None)
    if decisions is None:
        decisions = request.app.state.decisions = Decisions(resources_of(request).database)
    await decisions.wait(command_id, seconds)
