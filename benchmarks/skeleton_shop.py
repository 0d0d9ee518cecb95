"""Skeleton orders under load, asked for with the same Temporal calls as `commands/` makes for real ones."""

import asyncio
from collections.abc import Sequence

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from benchmarks.acknowledgement import Acknowledgements
from benchmarks.skeleton import (
    ORDER_PRIORITIES,
    QUEUE,
    SECTIONS,
    Part,
    SkeletonOrder,
    SkeletonSection,
    order_id,
    searchable,
    section_id,
)
from contracts.queues import SECTION_PRIORITY


class SkeletonShop:
    """`benchmarks.load.Shop` for skeletons."""

    def __init__(self, client: Client, heard: Acknowledgements) -> None:
        self._client = client
        self._heard = heard

    async def place(self, index: int) -> str:
        """Start with an update, and wait for its answer."""
        number = f"S{index:06}"
        operation = WithStartWorkflowOperation(
            SkeletonOrder.run,
            number,
            id=order_id(number),
            task_queue=QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=ORDER_PRIORITIES,
            search_attributes=searchable(number),
            static_summary=f"Skeleton {number}",
        )
        return await self._client.execute_update_with_start_workflow(
            SkeletonOrder.checkout, number, start_workflow_operation=operation, id=number
        )

    async def fulfil(self, number: str) -> None:
        """Ship both sections, then deliver both."""
        for command in ("ship", "deliver"):
            await asyncio.gather(*(self._command(Part(number, n), command) for n in SECTIONS))

    async def settle(self, numbers: Sequence[str]) -> None:
        """Until every section has been prepared."""
        await asyncio.gather(*(self._heard.wait(f"{number} {n} prepared") for number in numbers for n in SECTIONS))

    async def finish(self, numbers: Sequence[str]) -> None:
        """Until every order's workflow has ended."""
        await asyncio.gather(*(self._client.get_workflow_handle(order_id(n)).result() for n in numbers))

    async def _command(self, part: Part, command: str) -> None:
        await self._client.start_workflow(
            SkeletonSection.run,
            part,
            id=section_id(part),
            task_queue=QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal="submit",
            start_signal_args=[command],
            priority=Priority(priority_key=SECTION_PRIORITY),
            search_attributes=searchable(part.number),
        )
        await self._heard.wait(f"{part.number} {part.section} {command}")
