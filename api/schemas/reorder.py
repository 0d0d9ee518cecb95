"""Reorders in JSON: exchange, reship, buy again."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.schemas.field import Asked, Code, Reason
from api.schemas.section import MAX_LINES, DestinationIn, PiecesIn
from contracts.command import Reorder
from domain.reorder import Difference, Wanted


class WantedIn(PiecesIn):
    """Pieces of an item to send again; ``sku``: something else for them (exchange)."""

    sku: Code | None = None

    def to_wanted(self) -> Wanted:
        """The pieces as the domain knows them."""
        return Wanted(self.item_id, self.quantity, self.sku)


class ReorderIn(Asked):
    """New items because of earlier ones. ``again`` may leave the items out: everything once more, as a new order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "again"}]})

    kind: Literal["exchange", "reship", "again"]
    items: Annotated[list[WantedIn] | None, Field(min_length=1, max_length=MAX_LINES, validate_default=True)] = None
    destination: DestinationIn | None = None
    difference: Difference = "collect"
    policy: Literal["return_first", "ship_first"] = "return_first"
    reason: Reason | None = None

    @field_validator("items")
    @classmethod
    def _needed(cls, items: list[WantedIn] | None, given: ValidationInfo) -> list[WantedIn] | None:
        if items is None and given.data.get("kind") in {"exchange", "reship"}:
            raise PydanticCustomError("items_required", "an exchange or a reship names the items")
        if items and len({(wanted.item_id, wanted.sku) for wanted in items}) < len(items):
            raise PydanticCustomError("duplicate_item", "names an item twice; add its quantities up")
        return items

    def to_command(self, new_number: str | None) -> Reorder:
        """The command's body; ``new_number`` is drawn for ``again``."""
        return Reorder(
            reorder=self.kind,
            items=tuple(w.to_wanted() for w in self.items or ()),
            destination=self.destination.to_domain() if self.destination else None,
            difference=self.difference,
            policy=self.policy,
            reason=self.reason or "",
            new_number=new_number,
        )
