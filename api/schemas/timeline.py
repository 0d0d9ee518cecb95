"""The timeline in JSON."""

from typing_extensions import TypedDict

from api.schemas.moment import rfc3339
from queries.timeline import TimelineEntry

TimelineEntryOut = TypedDict(
    "TimelineEntryOut",
    {
        "entity": str,
        "entity_id": str,
        "field": str,
        "from": "str | None",
        "to": "str | None",
        "cause": str,
        "command_id": "str | None",
        "actor": str,
        "workflow_id": str,
        "at": str,
        "version": int,
    },
)
"""One field of one entity that moved; ``field`` is ``created`` for what is new."""


class TimelinePage(TypedDict):
    """Entries, oldest first."""

    items: list[TimelineEntryOut]
    next_cursor: str | None


_WORDS = {
    "shipmentitem": "shipment_item",
    "paymentrequest": "payment_request",
    "refundline": "refund_line",
    "leg": "refund_leg",
}


def timeline_entry_out(entry: TimelineEntry) -> TimelineEntryOut:
    """An entry, its entity named as everywhere in the API."""
    return {
        "entity": _WORDS.get(entry.entity, entry.entity),
        "entity_id": str(entry.entity_id),
        "field": entry.field,
        "from": entry.old,
        "to": entry.new,
        "cause": entry.cause,
        "command_id": str(entry.command_id) if entry.command_id else None,
        "actor": entry.actor,
        "workflow_id": entry.workflow_id,
        "at": rfc3339(entry.at),
        "version": entry.version,
    }
