"""Commands in JSON."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from api.problem import problem_body
from domain.errors import Flaw, Problem
from queries.order import CommandView


class CommandOut(BaseModel):
    """A command: ``accepted`` until it is ``applied``, ``rejected`` or ``failed``; then ``problem`` says why not."""

    id: UUID
    kind: str
    status: Literal["accepted", "applied", "rejected", "failed"]
    order: str
    problem: dict[str, Any] | None
    result: dict[str, Any]
    accepted_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None


class CommandAnswer(BaseModel):
    """One command."""

    command: CommandOut


def command_out(view: CommandView) -> CommandOut:
    """A command as clients see it; its problem in the same shape as any other."""
    return CommandOut.model_validate(
        {
            "id": view.id,
            "kind": view.kind,
            "status": view.status,
            "order": view.number,
            "problem": _problem(view),
            "result": view.result,
            "accepted_at": view.accepted_at,
            "decided_at": view.decided_at,
            "finished_at": view.finished_at,
        }
    )


def _problem(view: CommandView) -> dict[str, Any] | None:
    if view.problem is None:
        return None
    flaws = tuple(Flaw(**flaw) for flaw in view.problem.get("flaws", ()))
    figures = view.problem.get("figures") or {}
    problem = Problem(view.problem["code"], view.problem["detail"], figures, flaws)
    return problem_body(problem, request_id=view.request_id)
