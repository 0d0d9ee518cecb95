"""Cancellations in JSON."""

from pydantic import ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.schemas.field import Asked, Reason, SectionNumber
from api.schemas.section import NamedPieces, pieces_of
from contracts.command import Cancel


class CancelIn(Asked):
    """Cancel pieces, or a section; nothing named: the whole order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "customer changed their mind"}]})

    reason: Reason
    items: NamedPieces | None = None
    section: SectionNumber | None = None

    @field_validator("section")
    @classmethod
    def _one_of_both(cls, section: int | None, given: ValidationInfo) -> int | None:
        if section is not None and given.data.get("items"):
            raise PydanticCustomError("ambiguous", "name items or a section, not both")
        return section

    def to_command(self) -> Cancel:
        """The command's body."""
        return Cancel(self.reason, pieces_of(self.items), self.section)
