"""What replay depends on, read from the source: imports, time-outs, names, what happens to children."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.py"))
ALLOWED = {
    "asyncio",
    "collections",
    "contextlib",
    "contracts",
    "dataclasses",
    "datetime",
    "domain",
    "temporalio",
    "uuid",
    "workflows",
}
PASSED_THROUGH = {"contracts", "domain", "workflows"}
ACTIVITY_CALLS = {
    "execute_activity",
    "execute_activity_method",
    "execute_local_activity",
    "execute_local_activity_method",
    "start_activity",
    "start_activity_method",
    "start_local_activity",
    "start_local_activity_method",
}
UNREPEATABLE = {("datetime", "now"), ("datetime", "utcnow"), ("asyncio", "wait"), ("asyncio", "as_completed")}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(node: ast.AST) -> Iterator[str]:
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield found.module or ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_imports_nothing_that_could_do_something(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(tree(path))} <= ALLOWED


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_our_own_modules_are_passed_through_the_sandbox(path: Path) -> None:
    module = tree(path)
    through = {
        name
        for block in ast.walk(module)
        if isinstance(block, ast.With) and "imports_passed_through" in ast.unparse(block.items[0])
        for name in imports(block)
    }
    ours = {name for name in imports(module) if name.split(".")[0] in PASSED_THROUGH}
    assert ours == through


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_every_step_has_a_time_limit_and_a_retry_policy(path: Path) -> None:
    for name, call in calls(path):
        if name in ACTIVITY_CALLS:
            given = {k.arg for k in call.keywords}
            assert {"start_to_close_timeout", "retry_policy"} <= given, f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_children_outlive_a_run_that_is_continued_as_new(path: Path) -> None:
    for name, call in calls(path):
        if name == "start_child_workflow":
            policies = [ast.unparse(k.value) for k in call.keywords if k.arg == "parent_close_policy"]
            assert policies == ["ParentClosePolicy.ABANDON"], f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_has_a_name_of_its_own(path: Path) -> None:
    for node in ast.walk(tree(path)):
        for decorator in getattr(node, "decorator_list", []):
            if "workflow.defn" in ast.unparse(decorator):
                assert isinstance(decorator, ast.Call)
                assert [k.arg for k in decorator.keywords if k.arg == "name"] == ["name"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_nothing_is_called_that_replay_cannot_repeat(path: Path) -> None:
    for name, call in calls(path):
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        assert (owner, name) not in UNREPEATABLE, f"{path.name}:{call.lineno}"


def test_there_is_something_to_look_at() -> None:
    found = [name for path in WORKFLOWS for name, _ in calls(path)]
    assert ACTIVITY_CALLS & set(found)
    assert "start_child_workflow" in found
    assert "signal" in found
