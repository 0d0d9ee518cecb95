"""What an order leaves in Temporal: events and activities over all of its workflows and all of their runs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.load import median
from cli.waiting import until

LOCAL_ACTIVITY = "core_local_activity"
"""The SDK's name of the marker that a local activity leaves."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one order, the median and the largest of those measured. ``by_type``: events of all of them, per order."""

    orders: int
    workflows: float
    events: float
    events_largest: int
    activities: float
    local_activities: float
    signals: float
    by_type: dict[str, float]


async def footprint(client: Client, numbers: Sequence[str], *, within: float = 60.0) -> Footprint:
    """Fetch the histories of these orders once all their workflows have closed."""
    orders = [await _events(client, number, within) for number in numbers]
    total: Counter[str] = sum(orders, Counter())
    return Footprint(
        orders=len(orders),
        workflows=median([o["workflow_execution_started"] for o in orders]),
        events=median([_size(o) for o in orders]),
        events_largest=max(_size(o) for o in orders),
        activities=median([o["activity_task_scheduled"] for o in orders]),
        local_activities=median([o[LOCAL_ACTIVITY] for o in orders]),
        signals=median([o["workflow_execution_signaled"] for o in orders]),
        by_type={name: round(n / len(orders), 1) for name, n in total.most_common() if name != LOCAL_ACTIVITY},
    )


async def _events(client: Client, number: str, within: float) -> Counter[str]:
    found = f"OpmsNumber = '{number}'"

    async def all_closed() -> bool:
        open_ones = await client.count_workflows(f"{found} AND ExecutionStatus = 'Running'")
        return open_ones.count == 0

    await until(all_closed, f"the workflows of {number} to close", within=within)
    counted: Counter[str] = Counter()
    async for history in client.list_workflows(found).map_histories():
        for event in history.events:
            counted[EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()] += 1
            counted[event.marker_recorded_event_attributes.marker_name] += 1
    del counted[""]
    return counted


def _size(order: Counter[str]) -> int:
    return sum(order.values()) - order[LOCAL_ACTIVITY]
