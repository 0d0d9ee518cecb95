"""Doubts about money in JSON: a person's decision."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas.field import Asked, Code
from contracts.command import Judge


class DecisionIn(Asked):
    """What a person has found out about an operation whose end no PG tells, and what it rests on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"verdict": "not_executed", "evidence": "PG support, ticket 4711: never arrived"}]
        }
    )

    verdict: Literal["succeeded", "declined", "not_executed"]
    evidence: Annotated[str, Field(min_length=10, max_length=500, pattern=r"\S.{8,}\S")]
    reference: Annotated[Code | None, Field(description="The PG's own id of the operation, if it was found.")] = None

    def to_command(self, operation_id: UUID) -> Judge:
        """The command's body."""
        return Judge(operation_id, self.verdict, self.evidence, self.reference)
