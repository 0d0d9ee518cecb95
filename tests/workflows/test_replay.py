"""Orders that began under an older version go on under this one: their histories replay."""

import json
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError
from typing_extensions import override

from contracts.order import CheckoutAnswer, OrderInput
from tests.workflows.record import FOLDER, MANIFEST
from wiring.converter import data_converter
from workflows.order import OrderWorkflow
from workflows.section import SectionWorkflow

RECORDED: dict[str, str] = json.loads(MANIFEST.read_text())


def history(file: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(RECORDED[file], json.loads((FOLDER / file).read_text()))


def replayer(order: type[Any], *, sandboxed: bool) -> Replayer:
    runner = SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner()
    return Replayer(workflows=[order, SectionWorkflow], data_converter=data_converter, workflow_runner=runner)


def test_every_history_is_in_the_manifest_and_every_path_has_an_order() -> None:
    assert set(RECORDED) == {f.name for f in FOLDER.glob("*.json")} - {MANIFEST.name}
    paths = {file.split(".")[0] for file in RECORDED}
    assert {f"{path}.order.json" for path in paths} <= set(RECORDED)
    assert len(paths) >= 5


@pytest.mark.parametrize("file", sorted(RECORDED))
async def test_a_recorded_history_replays(file: str) -> None:
    await replayer(OrderWorkflow, sandboxed=True).replay_workflow(history(file))


@workflow.defn(name="Order")
class Reordered(OrderWorkflow):
    """Reads the order before it opens it: one step too early."""

    @workflow.init
    def __init__(self, start: OrderInput) -> None:
        super().__init__(start)

    @override
    @workflow.run
    async def run(self, start: OrderInput) -> CheckoutAnswer:
        """As the order, in another order."""
        await self._read()
        return await super().run(start)


@workflow.defn(name="Order")
class Forgetful(OrderWorkflow):
    """Never starts the workflows of its sections."""

    @workflow.init
    def __init__(self, start: OrderInput) -> None:
        super().__init__(start)

    @override
    @workflow.run
    async def run(self, start: OrderInput) -> CheckoutAnswer:
        """As the order, with a step left out."""
        return await super().run(start)

    @override
    async def _start_sections(self) -> None:
        self._worked = self._known()


@pytest.mark.parametrize("changed", [Reordered, Forgetful])
async def test_a_workflow_whose_steps_changed_is_caught(changed: type[Any]) -> None:
    with pytest.raises(NondeterminismError):
        await replayer(changed, sandboxed=False).replay_workflow(history("delivered.order.json"))
