"""What is written into Temporal's history can be read back as what it was, and every step is done by somebody."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from temporalio import activity

import activities
import contracts

ROOT = Path(__file__).parents[2]


def modules(package: Any) -> list[Any]:
    return [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]


def classes(package: Any) -> list[type[Any]]:
    return [
        thing
        for module in modules(package)
        for thing in vars(module).values()
        if inspect.isclass(thing) and thing.__module__ == module.__name__
    ]


def steps() -> dict[str, type[Any]]:
    """Step name to the abstract class that declares it."""
    found: dict[str, type[Any]] = {}
    for kind in classes(contracts):
        for name in getattr(kind, "__abstractmethods__", frozenset()):
            assert name not in found, f"two steps are called {name}"
            found[name] = kind
    return found


@cache
def messages() -> frozenset[type[Any]]:
    """Every dataclass that crosses Temporal: those of contracts, and all that they or the steps carry."""
    seen: set[type[Any]] = set()
    todo: list[Any] = [c for c in classes(contracts) if is_dataclass(c)]
    for name, kind in steps().items():
        todo += get_type_hints(getattr(kind, name)).values()
    while todo:
        hint = todo.pop()
        if inspect.isclass(hint) and is_dataclass(hint):
            if hint not in seen:
                seen.add(hint)
                todo += get_type_hints(hint, include_extras=True).values()
        else:
            todo += [a for a in get_args(hint) if a is not Ellipsis]
    return frozenset(seen)


def unions(hint: Any) -> Iterator[tuple[Any, ...]]:
    """The unions inside a type, without None."""
    if get_origin(hint) is Literal:
        return
    origin: Any = get_origin(hint)
    if origin in {Union, UnionType}:
        yield tuple(a for a in get_args(hint) if a is not type(None))
    for part in get_args(hint):
        yield from unions(part)


STEPS = steps()
MESSAGES = sorted(messages(), key=lambda m: (m.__module__, m.__qualname__))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.__qualname__)
def test_a_message_is_frozen(message: type[Any]) -> None:
    assert message.__dataclass_params__.frozen


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.__qualname__)
def test_every_member_of_a_union_says_which_it_is(message: type[Any]) -> None:
    hints = get_type_hints(message, include_extras=True)
    for field in fields(message):
        for members in unions(hints[field.name]):
            if len(members) > 1 and any(is_dataclass(m) for m in members):
                _tagged(members)


def test_every_answer_of_a_step_that_may_be_several_things_says_which_it_is() -> None:
    assert STEPS
    for name, kind in STEPS.items():
        for hint in get_type_hints(getattr(kind, name), include_extras=True).values():
            for members in unions(hint):
                assert len(members) == 1 or _tagged(members)


def _tagged(members: tuple[Any, ...]) -> bool:
    kinds = [get_type_hints(m).get("kind") for m in members]
    assert all(get_origin(k) is Literal for k in kinds), f"{members}: a member has no kind"
    words = [word for k in kinds for word in get_args(k)]
    assert len(set(words)) == len(words), f"{words}: two members have the same kind"
    return True


def test_the_commands_are_found_by_the_walk() -> None:
    from contracts.command import Body, Command

    assert Command in messages()
    annotated: Any = Body
    assert set(get_args(get_args(annotated)[0])) <= messages()


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_is_implemented_once_as_an_activity(name: str) -> None:
    makers = [c for c in classes(activities) if issubclass(c, STEPS[name]) and not inspect.isabstract(c)]
    assert len(makers) == 1
    own = vars(makers[0])[name]
    assert activity._Definition.from_callable(own) is not None, f"{name} lacks @activity.defn"
    declared, made = inspect.signature(getattr(STEPS[name], name)), inspect.signature(own)
    assert [p.annotation for p in made.parameters.values()] == [p.annotation for p in declared.parameters.values()]
    assert made.return_annotation == declared.return_annotation


def test_every_step_is_registered_by_the_workers_and_nothing_else_is() -> None:
    tree = ast.parse((ROOT / "wiring" / "workers.py").read_text())
    listed = [k.value for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg == "activities"]
    names = [
        element.attr
        for value in listed
        if isinstance(value, ast.List)
        for element in value.elts
        if isinstance(element, ast.Attribute)
    ]
    assert sorted(names) == sorted(STEPS)
