"""Workflows of a real order's shape with nothing in them: what is left is what Temporal and its SDK cost.

As many local activities, activities, children, signals and search attributes as an order of two sections that is
placed, paid by points and card, shipped and delivered.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from benchmarks.acknowledgement import Acknowledger
    from contracts.queues import (
        OPMS_NEEDS_ATTENTION,
        OPMS_NUMBER,
        OPMS_PAYMENT_STATUS,
        OPMS_STATUS,
        OPMS_STORE,
        ORDER_PRIORITY,
        SECTION_PRIORITY,
    )

QUEUE = "skeleton"
GATEWAY_QUEUE = "skeleton.pg"
STORE = "skeleton"
SECTIONS = (1, 2)
TIMEOUT = timedelta(seconds=10)
ORDER_PRIORITIES = Priority(priority_key=ORDER_PRIORITY)


@dataclass(frozen=True, slots=True)
class Part:
    """One section of one skeleton order."""

    number: str
    section: int


def order_id(number: str) -> str:
    """The workflow of a skeleton order."""
    return f"skeleton.{number}"


def section_id(part: Part) -> str:
    """The workflow of one of its sections."""
    return f"skeleton.{part.number}.{part.section}"


def searchable(number: str) -> TypedSearchAttributes:
    """What a real order is found by."""
    return TypedSearchAttributes([SearchAttributePair(OPMS_STORE, STORE), SearchAttributePair(OPMS_NUMBER, number)])


class SkeletonSteps:
    """Steps that do nothing; those that a client waits for say that they were here."""

    def __init__(self, acknowledger: Acknowledger) -> None:
        self._acknowledger = acknowledger

    @activity.defn
    async def skeleton_open(self, number: str) -> str:
        """In place of the transaction that opens an order."""
        return number

    @activity.defn
    async def skeleton_call(self, number: str) -> str:
        """In place of the call to a PG."""
        return number

    @activity.defn
    async def skeleton_record(self, number: str) -> str:
        """In place of the transaction that records the PG's answer."""
        return number

    @activity.defn
    async def skeleton_prepare(self, part: Part) -> str:
        """In place of the transaction that hands a section to the warehouse."""
        self._acknowledger.tell(f"{part.number} {part.section} prepared")
        return part.number

    @activity.defn
    async def skeleton_apply(self, part: Part, command: str) -> str:
        """In place of the transaction that ships or delivers."""
        self._acknowledger.tell(f"{part.number} {part.section} {command}")
        return part.number


@workflow.defn(name="SkeletonSection")
class SkeletonSection:
    """Prepared, shipped, delivered."""

    @workflow.init
    def __init__(self, part: Part) -> None:
        self._part = part
        self._inbox: list[str] = []

    @workflow.run
    async def run(self, part: Part) -> str:
        """Until it is delivered."""
        await workflow.execute_local_activity_method(
            SkeletonSteps.skeleton_prepare, part, start_to_close_timeout=TIMEOUT
        )
        command = ""
        while command != "deliver":
            await workflow.wait_condition(lambda: bool(self._inbox))
            command = self._inbox.pop(0)
            await workflow.execute_local_activity_method(
                SkeletonSteps.skeleton_apply, args=[part, command], start_to_close_timeout=TIMEOUT, summary=command
            )
        return command

    @workflow.signal
    def submit(self, command: str) -> None:
        """One command."""
        self._inbox.append(command)


@workflow.defn(name="SkeletonOrder")
class SkeletonOrder:
    """Opened, paid, placed, its sections started and awaited."""

    @workflow.init
    def __init__(self, number: str) -> None:
        self._number = number
        self._placed = False

    @workflow.run
    async def run(self, number: str) -> str:
        """Until its sections are delivered."""
        step = SkeletonSteps
        await workflow.execute_local_activity_method(step.skeleton_open, number, start_to_close_timeout=TIMEOUT)
        await workflow.execute_activity_method(
            step.skeleton_call, number, task_queue=GATEWAY_QUEUE, start_to_close_timeout=TIMEOUT, summary="authorize"
        )
        await workflow.execute_local_activity_method(step.skeleton_record, number, start_to_close_timeout=TIMEOUT)
        self._placed = True
        self._show("placed", "paid")
        await asyncio.gather(*(self._follow(Part(number, n)) for n in SECTIONS))
        self._show("completed", "paid")
        return "completed"

    @workflow.update
    async def checkout(self, number: str) -> str:
        """Answers once it is placed."""
        await workflow.wait_condition(lambda: self._placed)
        return number

    async def _follow(self, part: Part) -> None:
        child = await workflow.start_child_workflow(
            SkeletonSection.run,
            part,
            id=section_id(part),
            parent_close_policy=ParentClosePolicy.ABANDON,
            priority=Priority(priority_key=SECTION_PRIORITY),
            search_attributes=searchable(part.number),
            static_summary=f"Section {part.section} of order {part.number}",
        )
        await child

    def _show(self, status: str, payment_status: str) -> None:
        workflow.upsert_search_attributes(
            [
                OPMS_STATUS.value_set(status),
                OPMS_PAYMENT_STATUS.value_set(payment_status),
                OPMS_NEEDS_ATTENTION.value_set(value=False),
            ]
        )
